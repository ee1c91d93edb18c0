package export

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Scalar is a value of a curve in TensorBoard.
type Scalar struct {
	// Time is when it was measured, and Step the optimizer's step.
	Time time.Time
	Step uint64
	// Tag names the curve, such as "loss/train".
	Tag   string
	Value float32
}

// The fields that are written of tensorflow.Event, Summary and Summary.Value
// (https://github.com/tensorflow/tensorboard/tree/master/tensorboard/compat/proto).
const (
	eventTime, eventStep, eventVersion, eventSummary = 1, 2, 3, 5

	summaryValue = 1

	valueTag, valueSimple = 1, 2
)

// WriteTensorBoard writes an event file of TensorBoard: records of TFRecord, each an event
// in Protocol Buffers, the first of which has the version of the format.
func WriteTensorBoard(w io.Writer, begin time.Time, scalars []Scalar) error {
	r := recordWriter{w: w}
	version := protowire.AppendTag(eventBegin(begin), eventVersion, protowire.BytesType)
	r.write(protowire.AppendString(version, "brain.Event:2"))
	for _, s := range scalars {
		value := protowire.AppendTag(nil, valueTag, protowire.BytesType)
		value = protowire.AppendString(value, s.Tag)
		value = protowire.AppendTag(value, valueSimple, protowire.Fixed32Type)
		value = protowire.AppendFixed32(value, math.Float32bits(s.Value))
		summary := protowire.AppendTag(nil, summaryValue, protowire.BytesType)
		summary = protowire.AppendBytes(summary, value)
		event := protowire.AppendTag(eventBegin(s.Time), eventStep, protowire.VarintType)
		event = protowire.AppendVarint(event, s.Step)
		event = protowire.AppendTag(event, eventSummary, protowire.BytesType)
		r.write(protowire.AppendBytes(event, summary))
	}
	return r.err
}

// eventBegin begins an event with its time, in seconds since 1970.
func eventBegin(t time.Time) []byte {
	event := protowire.AppendTag(nil, eventTime, protowire.Fixed64Type)
	return protowire.AppendFixed64(event, math.Float64bits(float64(t.UnixNano())/1e9))
}

// recordWriter writes records of TFRecord: the length in 8 bytes, its checksum in 4, the
// data, and its checksum, all little-endian.
type recordWriter struct {
	w   io.Writer
	err error
}

func (r *recordWriter) write(data []byte) {
	if r.err != nil {
		return
	}
	record := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	record = binary.LittleEndian.AppendUint32(record, maskedCRC(record))
	record = append(record, data...)
	record = binary.LittleEndian.AppendUint32(record, maskedCRC(data))
	_, r.err = r.w.Write(record)
}

// maskedCRC is CRC-32C rotated and with a constant added, as TFRecord has it, so that a
// checksum of data that contains checksums is sound.
func maskedCRC(data []byte) uint32 {
	const delta = 0xa282ead8
	crc := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
	return (crc>>15 | crc<<17) + delta
}
