package table

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"reprise/fault"
)

// The limits of Parquet.
const (
	// maxFooterBytes is the largest size of the metadata of a file: 64 MiB.
	maxFooterBytes = 64 << 20
	// maxPageBytes is the largest size of a page, before and after decompression: 256 MiB.
	maxPageBytes = 256 << 20
	// maxHeldBytes is the largest size of the pages that are held at once, one of each
	// column: 1 GiB.
	maxHeldBytes = 1 << 30
	// maxDictionaryBytes is the largest size of the dictionary of a column: 16 MiB. Writers
	// begin to write values in place at one.
	maxDictionaryBytes = 16 << 20
	// cellBytes is about the memory of a cell.
	cellBytes = 80
)

// plainDictionary is how older writers call both encodings of a dictionary: that of its
// own page and that of the pages of numbers into it.
const plainDictionary format.Encoding = 2

// parquetRows reads the rows of a Parquet file. The package parquet-go decodes its
// metadata only: its readers of pages believe what a file claims, and take the memory for
// it, before they have seen the data. Pages are decoded here, one value after the other.
type parquetRows struct {
	in     *input
	r      io.ReaderAt
	size   int64
	meta   format.FileMetaData
	leafs  []*parquetColumn
	names  []string
	leaves int
	group  int   // the next row group
	left   int64 // rows of the present one that have not been read
	held   int64 // bytes of pages and dictionaries
	pages  decompressor
}

func openParquet(in *input, selection *selection) (p *parquetRows, err error) {
	p = &parquetRows{in: in}
	defer p.recover(&err)
	if p.r, p.size, err = in.whole(); err != nil {
		return nil, err
	}
	if err := p.readFooter(); err != nil {
		return nil, err
	}
	if err := p.readSchema(selection); err != nil {
		return nil, err
	}
	return p, p.checkGroups()
}

// recover turns a panic into an error: the decoders of other packages are trusted with
// files that nobody vouches for.
func (p *parquetRows) recover(err *error) {
	if v := recover(); v != nil {
		*err = p.damaged(fmt.Errorf("decoding panicked: %v", v))
	}
}

func (p *parquetRows) damaged(err error) error {
	return &fault.DataError{File: p.in.path, Problem: "the Parquet file is damaged: " + err.Error(), Fix: "write or fetch it again", Cause: err}
}

func (p *parquetRows) readFooter() error {
	const tail = 8
	if p.size < 4+tail {
		return p.damaged(io.ErrUnexpectedEOF)
	}
	end := make([]byte, tail)
	if _, err := p.r.ReadAt(end, p.size-tail); err != nil {
		return p.in.failed(err)
	}
	switch string(end[4:]) {
	case "PAR1":
	case "PARE":
		return p.in.bad("is an encrypted Parquet file", "write it without encryption")
	default:
		return p.damaged(errors.New("it does not end as Parquet does, so its end is missing"))
	}
	size := int64(binary.LittleEndian.Uint32(end))
	if size > p.size-4-tail || size > maxFooterBytes {
		return p.damaged(fmt.Errorf("its metadata claims %d bytes in a file of %d, and at most %d are read", size, p.size, maxFooterBytes))
	}
	footer := make([]byte, size)
	if _, err := p.r.ReadAt(footer, p.size-tail-size); err != nil {
		return p.in.failed(err)
	}
	n, err := thriftSpan(footer)
	if err == nil {
		// A signature may follow.
		err = thrift.Unmarshal(&thrift.CompactProtocol{}, footer[:n], &p.meta)
	}
	if err != nil {
		return p.damaged(fmt.Errorf("its metadata cannot be decoded: %w", err))
	}
	return nil
}

// schemaWalk walks over the elements of a schema, depth first.
type schemaWalk struct {
	p         *parquetRows
	selection *selection
	at        int
	seen      map[string]bool
}

func (p *parquetRows) readSchema(selection *selection) error {
	w := &schemaWalk{p: p, selection: selection, seen: map[string]bool{}}
	schema := p.meta.Schema
	if len(schema) == 0 || !schema[0].NumChildren.Valid {
		return p.damaged(errors.New("it has no schema"))
	}
	w.at = 1
	for range schema[0].NumChildren.V {
		if err := w.element("", 0, 0, false); err != nil {
			return err
		}
	}
	if w.at != len(schema) {
		return p.damaged(errors.New("its schema has elements outside of its groups"))
	}
	if len(p.names) > MaxColumns {
		return p.in.bad(fmt.Sprintf("has %d columns, more than the limit of %d", len(p.names), MaxColumns), "choose the columns that matter")
	}
	return nil
}

// element adds the columns of the next element.
func (w *schemaWalk) element(prefix string, depth, definition int, dropped bool) error {
	if w.at >= len(w.p.meta.Schema) || depth > MaxDepth {
		return w.p.damaged(errors.New("its schema lacks elements, or nests them too deep"))
	}
	e := &w.p.meta.Schema[w.at]
	w.at++
	name := prefix + e.Name
	if !utf8.ValidString(name) || len(name) > MaxCellBytes {
		return w.p.damaged(errors.New("the name of a column is not text"))
	}
	dropped = dropped || w.selection.drops(name)
	bad := func(value, problem string) error {
		return &fault.DataError{File: w.p.in.path, Column: name, Value: value, Problem: problem,
			Fix: "write the column in another form, or " + leaveOut(name)}
	}
	repetition := format.Required
	if e.RepetitionType.Valid {
		repetition = e.RepetitionType.V
	}
	if !dropped {
		_, isList := e.LogicalType.Value.(*format.ListType)
		_, isMap := e.LogicalType.Value.(*format.MapType)
		legacy := func(t deprecated.ConvertedType) bool { return e.ConvertedType.Valid && e.ConvertedType.V == t }
		switch {
		case isList || repetition == format.Repeated || legacy(deprecated.List):
			return bad("", "is a list, which has no fixed number of cells")
		case isMap || legacy(deprecated.Map) || legacy(deprecated.MapKeyValue):
			return bad("", "is a map, which has no fixed number of cells")
		}
	}
	if repetition == format.Optional {
		definition++
	}
	if e.NumChildren.Valid && e.NumChildren.V > 0 {
		for range e.NumChildren.V {
			if err := w.element(name+".", depth+1, definition, dropped); err != nil {
				return err
			}
		}
		return nil
	}
	leaf := w.p.leaves
	w.p.leaves++
	if dropped {
		return nil
	}
	if w.seen[name] {
		return &fault.DataError{File: w.p.in.path, Value: fault.Quote(name), Problem: "is the name of two columns", Fix: "give every column a name of its own"}
	}
	w.seen[name] = true
	if !e.Type.Valid {
		return bad("", "has no type")
	}
	meaning, err := meaningOf(e)
	if err != nil {
		return bad(err.Error(), "is a type that is not read")
	}
	w.p.leafs = append(w.p.leafs, &parquetColumn{
		rows: w.p, name: name, leaf: leaf, physical: e.Type.V, length: int(e.TypeLength.V), definition: definition, meaning: meaning,
	})
	w.p.names = append(w.p.names, name)
	return nil
}

// checkGroups compares what the row groups claim with each other and with the file.
func (p *parquetRows) checkGroups() error {
	var rows int64
	for i := range p.meta.RowGroups {
		g := &p.meta.RowGroups[i]
		if g.NumRows < 0 || rows+g.NumRows < rows || len(g.Columns) != p.leaves {
			return p.damaged(fmt.Errorf("row group %d has %d rows and %d columns, and the schema has %d", i, g.NumRows, len(g.Columns), p.leaves))
		}
		rows += g.NumRows
		for _, c := range p.leafs {
			if err := c.checkChunk(&g.Columns[c.leaf], g.NumRows); err != nil {
				return err
			}
		}
	}
	if rows != p.meta.NumRows {
		return p.damaged(fmt.Errorf("it claims %d rows, and its row groups have %d", p.meta.NumRows, rows))
	}
	return nil
}

func (p *parquetRows) format() fileFormat { return parquetFile }
func (p *parquetRows) columns() []string  { return p.names }

func (p *parquetRows) close() error {
	p.pages.close()
	return p.in.close()
}

func (p *parquetRows) next(_ context.Context, cells []Cell, row int) (_ int, err error) {
	defer p.recover(&err)
	for p.left == 0 {
		if p.group == len(p.meta.RowGroups) {
			return 0, io.EOF
		}
		g := &p.meta.RowGroups[p.group]
		for _, c := range p.leafs {
			c.begin(&g.Columns[c.leaf])
		}
		p.group++
		p.left = g.NumRows
	}
	p.left--
	for i, c := range p.leafs {
		if cells[i], err = c.next(); err != nil {
			return 0, c.explain(row, err)
		}
	}
	return 0, nil
}

// parquetColumn reads a column.
type parquetColumn struct {
	rows       *parquetRows
	name       string
	leaf       int // its place among the columns of the file
	physical   format.Type
	length     int // of a value of fixed length
	definition int // the level of a value that is not null
	meaning    meaning

	codec      format.CompressionCodec
	offset     int64 // of the next page
	end        int64 // of the chunk
	left       int64 // values of the page that have not been read
	levels     hybrid
	values     values // that are not in the dictionary
	indexes    hybrid // into the dictionary
	indexed    bool
	dictionary []Cell
	raw, page  []byte // the page, before and after decompression
	entries    int64  // bytes that the dictionary takes
	held       int64
}

// valueError is about a value that is well encoded and has no meaning.
type valueError struct{ value, problem string }

func (e *valueError) Error() string { return e.value + " " + e.problem }

// Kind returns Invalid.
func (e *valueError) Kind() fault.Kind { return fault.Invalid }

func (c *parquetColumn) explain(row int, err error) error {
	var data *fault.DataError
	if errors.As(err, &data) {
		return err
	}
	bad := &fault.DataError{File: c.rows.in.path, Row: row, Column: c.name, Fix: "write or fetch the file again", Cause: err}
	var value *valueError
	if errors.As(err, &value) {
		bad.Value, bad.Problem = value.value, value.problem
		bad.Fix = "correct the value, or " + leaveOut(c.name)
		return bad
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	bad.Problem = "the Parquet file is damaged: " + err.Error()
	return bad
}

// checkChunk compares what a column chunk claims with its column and the file.
func (c *parquetColumn) checkChunk(chunk *format.ColumnChunk, rows int64) error {
	m := &chunk.MetaData
	start := chunkStart(m)
	var err error
	switch {
	case chunk.FilePath != "":
		return c.explain(0, fmt.Errorf("its data is in another file, %s", fault.Quote(chunk.FilePath)))
	case m.Type != c.physical:
		err = fmt.Errorf("the column is of type %v in the schema, and of %v in a row group", c.physical, m.Type)
	case m.NumValues != rows:
		err = fmt.Errorf("the column has %d values in a row group of %d rows", m.NumValues, rows)
	case start < 4 || m.TotalCompressedSize < 0 || m.TotalCompressedSize > c.rows.size-start:
		err = fmt.Errorf("its data is said to be at bytes %d to %d of %d", start, start+m.TotalCompressedSize, c.rows.size)
	case !canDecompress(m.Codec):
		return &fault.DataError{File: c.rows.in.path, Column: c.name, Value: fmt.Sprintf("the compression %v", m.Codec), Problem: "is not read",
			Fix: "write the file with Snappy, gzip, Zstandard or without compression"}
	}
	if err != nil {
		return c.explain(0, err)
	}
	return nil
}

func chunkStart(m *format.ColumnMetaData) int64 {
	if m.DictionaryPageOffset > 0 {
		return min(m.DictionaryPageOffset, m.DataPageOffset)
	}
	return m.DataPageOffset
}

// begin begins a column chunk.
func (c *parquetColumn) begin(chunk *format.ColumnChunk) {
	m := &chunk.MetaData
	c.codec, c.offset, c.left, c.dictionary, c.entries = m.Codec, chunkStart(m), 0, nil, 0
	c.end = c.offset + m.TotalCompressedSize
}

// next returns the next value.
func (c *parquetColumn) next() (Cell, error) {
	for c.left == 0 {
		if err := c.readPage(); err != nil {
			return Cell{}, err
		}
	}
	c.left--
	if c.definition > 0 {
		level, err := c.levels.next()
		if err != nil {
			return Cell{}, err
		}
		if int(level) != c.definition {
			if int(level) > c.definition {
				return Cell{}, errors.New("a level is out of range")
			}
			return Cell{}, nil
		}
	}
	if c.indexed {
		i, err := c.indexes.next()
		if err != nil {
			return Cell{}, err
		}
		if int(i) >= len(c.dictionary) {
			return Cell{}, fmt.Errorf("a value is number %d of a dictionary of %d", i, len(c.dictionary))
		}
		return c.dictionary[i], nil
	}
	bits, raw, err := c.values.next()
	if err != nil {
		return Cell{}, err
	}
	return c.meaning.cell(bits, raw)
}

// readHeader reads the header of the next page, and moves past it.
func (c *parquetColumn) readHeader() (*format.PageHeader, error) {
	for window := int64(8 << 10); ; window *= 8 {
		b := make([]byte, min(window, c.end-c.offset))
		if _, err := c.rows.r.ReadAt(b, c.offset); err != nil && !errors.Is(err, io.EOF) {
			return nil, c.rows.in.failed(err)
		}
		n, err := thriftSpan(b)
		if errors.Is(err, io.ErrUnexpectedEOF) && int64(len(b)) < c.end-c.offset && window < maxFooterBytes {
			continue // a header may hold long statistics
		}
		if err != nil {
			return nil, fmt.Errorf("the header of a page: %w", err)
		}
		var h format.PageHeader
		if err := thrift.Unmarshal(&thrift.CompactProtocol{}, b[:n], &h); err != nil {
			return nil, fmt.Errorf("the header of a page: %w", err)
		}
		c.offset += int64(n)
		packed, size := int64(h.CompressedPageSize), int64(h.UncompressedPageSize)
		if packed < 0 || packed > c.end-c.offset || size < 0 || size > maxPageBytes {
			return nil, fmt.Errorf("a page claims %d bytes, %d before decompression, of %d that its column has left; the limit is %d", size, packed, c.end-c.offset, maxPageBytes)
		}
		return &h, nil
	}
}

// readPage reads the next page.
func (c *parquetColumn) readPage() error {
	if c.offset >= c.end {
		return errors.New("a column ends before its rows do")
	}
	h, err := c.readHeader()
	if err != nil {
		return err
	}
	if h.Type != format.DataPage && h.Type != format.DataPageV2 && h.Type != format.DictionaryPage {
		c.offset += int64(h.CompressedPageSize) // an index
		return nil
	}
	if err := c.hold(int64(h.CompressedPageSize) + int64(h.UncompressedPageSize)); err != nil {
		return err
	}
	c.raw = slices.Grow(c.raw[:0], int(h.CompressedPageSize))[:h.CompressedPageSize]
	if _, err := c.rows.r.ReadAt(c.raw, c.offset); err != nil {
		return c.rows.in.failed(err)
	}
	c.offset += int64(h.CompressedPageSize)
	if err := checkCRC(h, c.raw); err != nil {
		return err
	}
	switch {
	case h.Type == format.DictionaryPage && h.DictionaryPageHeader.Valid:
		return c.readDictionary(h)
	case h.Type == format.DataPage && h.DataPageHeader.Valid:
		return c.readV1(h)
	case h.Type == format.DataPageV2 && h.DataPageHeaderV2.Valid:
		return c.readV2(h)
	}
	return errors.New("the header of a page is incomplete")
}

// hold accounts for the memory of the page that replaces the present one.
func (c *parquetColumn) hold(bytes int64) error {
	bytes = max(bytes, int64(cap(c.raw)+cap(c.page))) + c.entries
	c.rows.held += bytes - c.held
	c.held = bytes
	if c.rows.held > maxHeldBytes {
		return c.rows.in.bad(fmt.Sprintf("the pages of its columns take more than the limit of %d bytes at once", maxHeldBytes),
			"write smaller pages, such as of 1 MiB, or read fewer columns")
	}
	return nil
}

func (c *parquetColumn) decompress(packed []byte, size int) error {
	var err error
	c.page, err = c.rows.pages.decompress(c.page, packed, size, c.codec)
	return err
}

func (c *parquetColumn) readDictionary(h *format.PageHeader) error {
	d := h.DictionaryPageHeader.V
	switch {
	case c.dictionary != nil:
		return errors.New("a column has two dictionaries")
	case d.Encoding != format.Plain && d.Encoding != plainDictionary:
		return fmt.Errorf("the encoding %v of a dictionary is not known", d.Encoding)
	case h.UncompressedPageSize > maxDictionaryBytes || d.NumValues < 0 || int64(d.NumValues)*4 > int64(h.UncompressedPageSize):
		return fmt.Errorf("a dictionary claims %d values in %d bytes; the limit is %d bytes", d.NumValues, h.UncompressedPageSize, maxDictionaryBytes)
	}
	if err := c.decompress(c.raw, int(h.UncompressedPageSize)); err != nil {
		return err
	}
	plain := newPlain(c.physical, c.length, c.page)
	c.entries = int64(d.NumValues) * cellBytes
	if err := c.hold(0); err != nil {
		return err
	}
	c.dictionary = make([]Cell, d.NumValues)
	for i := range c.dictionary {
		bits, raw, err := plain.next()
		if err != nil {
			return fmt.Errorf("a dictionary: %w", err)
		}
		if c.dictionary[i], err = c.meaning.cell(bits, raw); err != nil {
			return err
		}
	}
	return nil
}

func (c *parquetColumn) readV1(h *format.PageHeader) error {
	d := h.DataPageHeader.V
	if d.NumValues < 0 {
		return errors.New("a page claims a negative number of values")
	}
	if err := c.decompress(c.raw, int(h.UncompressedPageSize)); err != nil {
		return err
	}
	data := c.page
	if c.definition > 0 {
		if d.DefinitionLevelEncoding != format.RLE {
			return fmt.Errorf("the encoding %v of levels is not read", d.DefinitionLevelEncoding)
		}
		levels, rest, err := cutSized(data)
		if err != nil {
			return err
		}
		c.levels, data = newHybrid(levels, levelBits(c.definition)), rest
	}
	return c.decode(d.Encoding, data, int64(d.NumValues))
}

func (c *parquetColumn) readV2(h *format.PageHeader) error {
	d := h.DataPageHeaderV2.V
	repetition, definition := int64(d.RepetitionLevelsByteLength), int64(d.DefinitionLevelsByteLength)
	levels := repetition + definition
	if d.NumValues < 0 || repetition < 0 || definition < 0 || levels > int64(len(c.raw)) || levels > int64(h.UncompressedPageSize) {
		return errors.New("the sizes in the header of a page contradict each other")
	}
	packed, size := c.raw[levels:], int(int64(h.UncompressedPageSize)-levels)
	if d.IsCompressed.Valid && !d.IsCompressed.V {
		if len(packed) != size {
			return errors.New("the sizes in the header of a page contradict each other")
		}
		c.page = append(c.page[:0], packed...)
	} else if err := c.decompress(packed, size); err != nil {
		return err
	}
	c.levels = newHybrid(c.raw[repetition:levels], levelBits(c.definition))
	return c.decode(d.Encoding, c.page, int64(d.NumValues))
}

// decode begins the values of a page.
func (c *parquetColumn) decode(encoding format.Encoding, data []byte, count int64) (err error) {
	c.indexed = encoding == plainDictionary || encoding == format.RLEDictionary
	if c.indexed {
		switch {
		case len(data) == 0: // all are null
			c.indexes = hybrid{}
		case data[0] > 32:
			return fmt.Errorf("the numbers of a dictionary have %d bits", data[0])
		default:
			c.indexes = newHybrid(data[1:], uint(data[0]))
		}
	} else if c.values, err = newValues(encoding, c.physical, c.length, data); err != nil {
		return err
	}
	c.left = count
	return nil
}

// cutSized cuts off what is preceded by its size in four bytes.
func cutSized(data []byte) (sized, rest []byte, err error) {
	if len(data) < 4 || int64(binary.LittleEndian.Uint32(data)) > int64(len(data)-4) {
		return nil, nil, io.ErrUnexpectedEOF
	}
	size := int(binary.LittleEndian.Uint32(data))
	return data[4 : 4+size], data[4+size:], nil
}

func levelBits(most int) uint {
	bits := uint(0)
	for ; most > 0; most >>= 1 {
		bits++
	}
	return bits
}
