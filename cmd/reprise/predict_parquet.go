package main

import (
	"bytes"
	bits "encoding/binary"
	"io"
	"math"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"reprise/api"
)

// parquetPredictions writes a Parquet file with the columns of the CSV, texts and doubles,
// none of which lacks a value. Each row group has one page of plain values a column, and is
// held until it is full. There is no compression.
type parquetPredictions struct {
	w        io.Writer
	names    []string
	head     api.PredictionHead
	columns  []bytes.Buffer // the values of the row group
	rows     int            // in the row group
	mostRows int
	at       int64 // bytes that were written
	file     format.FileMetaData
}

const (
	parquetMagic = "PAR1"
	// parquetValues bounds the values of a row group, and so the memory that writing takes.
	parquetValues = 1 << 20
)

func newParquetPredictions(w io.Writer, h api.PredictionHead) (*parquetPredictions, error) {
	o := &parquetPredictions{w: w, names: predictionColumns(h), head: h}
	o.columns = make([]bytes.Buffer, len(o.names))
	o.mostRows = max(1, parquetValues/len(o.names))
	o.file = format.FileMetaData{Version: 1, CreatedBy: "reprise", Schema: []format.SchemaElement{
		{Name: "predictions", NumChildren: thrift.New(int32(len(o.names)))},
	}}
	for i, name := range o.names {
		column := format.SchemaElement{Name: name, Type: thrift.New(o.typeOf(i)), RepetitionType: thrift.New(format.Required)}
		if o.typeOf(i) == format.ByteArray {
			column.ConvertedType = thrift.New(deprecated.UTF8)
		}
		o.file.Schema = append(o.file.Schema, column)
	}
	return o, o.put([]byte(parquetMagic))
}

func (o *parquetPredictions) typeOf(column int) format.Type {
	if column < o.texts() {
		return format.ByteArray
	}
	return format.Double
}

// texts returns how many columns are texts. They are the first.
func (o *parquetPredictions) texts() int {
	n := 0
	if o.head.Images {
		n++
	}
	if len(o.head.Classes) > 0 {
		n++
	}
	return n
}

func (o *parquetPredictions) put(raw []byte) error {
	n, err := o.w.Write(raw)
	o.at += int64(n)
	return err
}

func (o *parquetPredictions) write(p api.Prediction) error {
	columns := o.columns
	var number [8]byte
	text := func(s string) {
		bits.LittleEndian.PutUint32(number[:4], uint32(len(s)))
		columns[0].Write(number[:4])
		columns[0].WriteString(s)
		columns = columns[1:]
	}
	if o.head.Images {
		text(string(p.Image))
	}
	if len(o.head.Classes) > 0 {
		text(o.head.Classes[p.Class])
	}
	for i, v := range p.Values {
		bits.LittleEndian.PutUint64(number[:], math.Float64bits(v))
		columns[i].Write(number[:])
	}
	if o.rows++; o.rows < o.mostRows {
		return nil
	}
	return o.endGroup()
}

// endGroup writes the row group.
func (o *parquetPredictions) endGroup() error {
	group := format.RowGroup{NumRows: int64(o.rows), Ordinal: int16(len(o.file.RowGroups)), FileOffset: o.at}
	for i := range o.columns {
		values := o.columns[i].Bytes()
		header, err := thrift.Marshal(new(thrift.CompactProtocol), &format.PageHeader{
			Type: format.DataPage, UncompressedPageSize: int32(len(values)), CompressedPageSize: int32(len(values)),
			DataPageHeader: thrift.New(format.DataPageHeader{
				NumValues: int32(o.rows), Encoding: format.Plain, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
			}),
		})
		if err != nil {
			return err
		}
		size := int64(len(header) + len(values))
		group.Columns = append(group.Columns, format.ColumnChunk{MetaData: format.ColumnMetaData{
			Type: o.typeOf(i), Encoding: []format.Encoding{format.Plain}, PathInSchema: []string{o.names[i]}, Codec: format.Uncompressed,
			NumValues: int64(o.rows), TotalUncompressedSize: size, TotalCompressedSize: size, DataPageOffset: o.at,
		}})
		group.TotalByteSize += size
		if err := o.put(header); err != nil {
			return err
		}
		if err := o.put(values); err != nil {
			return err
		}
		o.columns[i].Reset()
	}
	group.TotalCompressedSize = group.TotalByteSize
	o.file.RowGroups = append(o.file.RowGroups, group)
	o.file.NumRows += int64(o.rows)
	o.rows = 0
	return nil
}

func (o *parquetPredictions) end() error {
	if o.rows > 0 {
		if err := o.endGroup(); err != nil {
			return err
		}
	}
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &o.file)
	if err != nil {
		return err
	}
	footer = bits.LittleEndian.AppendUint32(footer, uint32(len(footer)))
	return o.put(append(footer, parquetMagic...))
}
