package table

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strings"

	"reprise/fault"
)

// maxNPYHeader is the largest header of an array: 1 MiB, of which a structured array with
// MaxColumns fields of short names makes most use.
const maxNPYHeader = 4 << 20

// array is the header of an array of NumPy, and its content row by row.
type array struct {
	path, name string // of the file, and of the array in an archive
	rows       int64
	header     int64     // its size
	types      []npyType // of the columns
	names      []string  // of the fields of a structured array; else nil
	dimensions int
	byColumn   bool // Fortran's order
	rowBytes   int

	content io.Reader
	columns *columnBlocks // of Fortran's order
	row     []byte
}

// bad returns the error about an array.
func (a *array) bad(row int, column, value, problem, fix string) *fault.DataError {
	if a.name != "" {
		problem = strings.TrimSpace(problem + " (array " + fault.Quote(a.name) + ")")
	}
	return &fault.DataError{File: a.path, Row: row, Column: column, Value: value, Problem: problem, Fix: fix}
}

// readArray reads the header of an array of NumPy: docs of numpy.lib.format.
func readArray(path, name string, r *bufio.Reader) (*array, error) {
	a := &array{path: path, name: name, content: r}
	damaged := func(problem string) error {
		return a.bad(0, "", "", "the header of the array "+problem, "write it again by numpy.save")
	}
	start := make([]byte, 10)
	if _, err := io.ReadFull(r, start); err != nil {
		return nil, a.short(err, "the header")
	}
	size := int64(binary.LittleEndian.Uint16(start[8:]))
	a.header = 10 + size
	switch version := start[6]; {
	case string(start[:6]) != "\x93NUMPY":
		return nil, damaged("does not begin with NumPy's magic bytes")
	case version == 2, version == 3:
		more := make([]byte, 2)
		if _, err := io.ReadFull(r, more); err != nil {
			return nil, a.short(err, "the header")
		}
		size |= int64(binary.LittleEndian.Uint16(more)) << 16
		a.header = 12 + size
	case version != 1:
		return nil, a.bad(0, "", fmt.Sprintf("version %d", version), "of the format is not known", "write it again by numpy.save")
	}
	if size > maxNPYHeader {
		return nil, damaged(fmt.Sprintf("claims %d bytes, more than the limit of %d", size, maxNPYHeader))
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, a.short(err, "the header")
	}
	if start[6] < 3 { // Latin-1, which differs from UTF-8 in names of fields only
		text = []byte(string(latin1(text)))
	}
	parsed, err := parseLiteral(string(text))
	if err != nil {
		return nil, damaged(err.Error())
	}
	header, _ := parsed.(map[string]any)
	shape, okShape := header["shape"].([]any)
	byColumn, okOrder := header["fortran_order"].(bool)
	if !okShape || !okOrder || header["descr"] == nil {
		return nil, damaged("lacks descr, fortran_order or shape")
	}
	a.byColumn = byColumn
	return a, a.layOut(header["descr"], shape)
}

func latin1(text []byte) []rune {
	runes := make([]rune, len(text))
	for i, c := range text {
		runes[i] = rune(c)
	}
	return runes
}

// layOut sets the columns of the array.
func (a *array) layOut(descr any, shape []any) error {
	dims := make([]int64, len(shape))
	for i, n := range shape {
		v, ok := n.(int64)
		if !ok || v < 0 {
			return a.bad(0, "", "", "the shape in the header of the array is no list of sizes", "write it again by numpy.save")
		}
		dims[i] = v
	}
	a.dimensions = len(dims)
	if len(dims) == 0 || len(dims) > 2 {
		return a.bad(0, "", fmt.Sprintf("shape %s", showShape(dims)), "is not that of a table", "reshape the array to two dimensions: x.reshape(len(x), -1)")
	}
	a.rows = dims[0]
	columns := int64(1)
	if len(dims) == 2 {
		columns = dims[1]
	}
	if columns == 0 || columns > MaxColumns {
		return a.bad(0, "", fmt.Sprintf("%d columns", columns), fmt.Sprintf("are not between 1 and the limit of %d", MaxColumns), "choose the columns that matter")
	}
	if fields, ok := descr.([]any); ok {
		if err := a.layOutFields(fields); err != nil {
			return err
		}
	} else {
		t, err := a.typeOf(descr, "")
		if err != nil {
			return err
		}
		a.types = slices.Repeat([]npyType{t}, int(columns))
	}
	for _, t := range a.types {
		a.rowBytes += t.size
		if a.rowBytes > MaxRowBytes {
			return a.bad(0, "", "", fmt.Sprintf("a row of the array takes more than the limit of %d bytes", MaxRowBytes), "use fewer columns or shorter texts")
		}
	}
	if high, _ := bits.Mul64(uint64(a.rows), uint64(a.rowBytes)); high != 0 || a.bytes() < 0 {
		return a.bad(0, "", "shape "+showShape(dims), "is larger than any file", "write the array again by numpy.save")
	}
	a.byColumn = a.byColumn && columns > 1 && a.rows > 0
	if a.rowBytes == 0 {
		return a.bad(0, "", "", "has texts of no length", "write an array with data")
	}
	return nil
}

func showShape(dims []int64) string {
	return strings.NewReplacer("[", "(", "]", ")", " ", ", ").Replace(fmt.Sprint(dims))
}

// layOutFields sets the columns of a structured array.
func (a *array) layOutFields(fields []any) error {
	if a.dimensions != 1 {
		return a.bad(0, "", "", "is a structured array with more than one dimension", "write one with one dimension")
	}
	if len(fields) == 0 || len(fields) > MaxColumns {
		return a.bad(0, "", fmt.Sprintf("%d fields", len(fields)), fmt.Sprintf("are not between 1 and the limit of %d", MaxColumns), "choose the columns that matter")
	}
	seen := map[string]bool{}
	for _, f := range fields {
		field, _ := f.([]any)
		var name string
		if len(field) > 0 {
			name, _ = field[0].(string)
			if titled, ok := field[0].([]any); ok && len(titled) == 2 { // (title, name)
				name, _ = titled[1].(string)
			}
		}
		switch {
		case len(field) == 2 && name == "":
			// A gap between fields, as align=True makes, has no name.
			t, _ := field[1].(string)
			var size int
			if n, err := fmt.Sscanf(t, "|V%d", &size); n != 1 || err != nil || size < 0 || size > MaxRowBytes {
				return a.bad(0, "", "", "has a field without a name", "name every field")
			}
			a.types = append(a.types, npyType{kind: gap, size: size})
			a.names = append(a.names, "")
			continue
		case len(field) != 2 || name == "":
			return a.bad(0, name, "", "is an array in a field", "give every number a field of its own")
		case seen[name]:
			return a.bad(0, "", fault.Quote(name), "is the name of two fields", "give every field a name of its own")
		}
		seen[name] = true
		t, err := a.typeOf(field[1], name)
		if err != nil {
			return err
		}
		a.types, a.names = append(a.types, t), append(a.names, name)
	}
	return nil
}

func (a *array) bytes() int64 { return a.rows * int64(a.rowBytes) }

// short explains the end of the file within what.
func (a *array) short(err error, what string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		if !errors.As(err, new(*fault.DataError)) {
			return a.bad(0, "", "", "ends in the middle of "+what, "write it again, completely")
		}
	}
	return err
}

// readRow reads the next row of bytes.
func (a *array) readRow(row int) error {
	if a.row == nil {
		a.row = make([]byte, a.rowBytes)
	}
	if a.columns != nil {
		if err := a.columns.read(a.row); err != nil {
			return a.short(err, fmt.Sprintf("row %d of %d", row, a.rows))
		}
		return nil
	}
	if _, err := io.ReadFull(a.content, a.row); err != nil {
		return a.short(err, fmt.Sprintf("row %d of %d", row, a.rows))
	}
	return nil
}

// end checks that nothing follows the last row.
func (a *array) end() error {
	if a.columns != nil {
		return nil // its size was checked
	}
	n, err := io.CopyN(io.Discard, a.content, 1)
	if n > 0 {
		return a.bad(0, "", "", fmt.Sprintf("has more bytes than the %d rows in its header", a.rows), "write it again by numpy.save")
	}
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// transpose prepares an array in Fortran's order to be read by rows. Its rows begin at the
// array's header in whole, which has size bytes from there on.
func (a *array) transpose(whole io.ReaderAt, offset int64) {
	a.columns = newColumnBlocks(io.NewSectionReader(whole, offset+a.header, a.bytes()), a.rows, len(a.types), a.types[0].size)
}

// columnBlocks reads an array that is stored by columns, a block of rows at a time.
type columnBlocks struct {
	r             io.ReaderAt
	rows          int64
	columns, size int
	next, end     int64 // rows in block that have not been read
	from          int64 // the first row of block
	per           int64 // rows of a block
	block         []byte
}

func newColumnBlocks(r io.ReaderAt, rows int64, columns, size int) *columnBlocks {
	const most = 8 << 20 // bytes of a block
	per := max(1, min(rows, int64(most/max(1, columns*size))))
	return &columnBlocks{r: r, rows: rows, columns: columns, size: size, per: per, block: make([]byte, int(per)*columns*size)}
}

func (b *columnBlocks) read(row []byte) error {
	if b.next == b.end {
		b.from, b.end = b.next, min(b.next+b.per, b.rows)
		n := int(b.end-b.from) * b.size
		for c := range b.columns {
			at := c * int(b.per) * b.size
			if _, err := b.r.ReadAt(b.block[at:at+n], (int64(c)*b.rows+b.from)*int64(b.size)); err != nil {
				return err
			}
		}
	}
	for c := range b.columns {
		at := (c*int(b.per) + int(b.next-b.from)) * b.size
		copy(row[c*b.size:], b.block[at:at+b.size])
	}
	b.next++
	return nil
}

// numpyFile reads arrays side by side.
type numpyFile struct {
	in     *input
	kind   fileFormat
	arrays []*array
	keep   [][]bool // by array and column
	names  []string
	rows   int64
}

func openNPY(in *input, selection *selection) (*numpyFile, error) {
	a, err := readArray(in.path, "", in.stream)
	if err != nil {
		return nil, in.failed(err)
	}
	if have := in.size - a.header; in.packing == plain && a.bytes() != have {
		return nil, a.bad(0, "", fmt.Sprintf("%d bytes of data", have), fmt.Sprintf("are there, and %d rows of %d bytes in the header", a.rows, a.rowBytes),
			"write the array again, completely")
	}
	if a.byColumn {
		if err := in.restart(); err != nil {
			return nil, err
		}
		whole, size, err := in.whole()
		if err != nil {
			return nil, err
		}
		if have := size - a.header; a.bytes() != have {
			return nil, a.short(io.ErrUnexpectedEOF, "its rows")
		}
		a.transpose(whole, 0)
	}
	f := &numpyFile{in: in, kind: npyArray, arrays: []*array{a}, rows: a.rows}
	return f, f.name(selection)
}

// name names the columns of the arrays.
func (f *numpyFile) name(selection *selection) error {
	seen := map[string]bool{}
	for _, a := range f.arrays {
		keep := make([]bool, len(a.types))
		for c := range a.types {
			var name string
			switch {
			case a.names != nil:
				name = a.names[c]
			case a.name != "" && a.dimensions == 1:
				name = a.name
			case a.name != "":
				name = fmt.Sprintf("%s%d", a.name, c)
			default:
				name = fmt.Sprintf("c%d", c)
			}
			if a.names != nil && a.name != "" && name != "" {
				name = a.name + "." + name
			}
			if name == "" || selection.drops(name) {
				continue
			}
			if seen[name] {
				return a.bad(0, "", fault.Quote(name), "is the name of two columns", "rename an array")
			}
			if len(f.names) == MaxColumns {
				return a.bad(0, "", "", fmt.Sprintf("has more than the limit of %d columns", MaxColumns), "choose the columns that matter")
			}
			seen[name], keep[c] = true, true
			f.names = append(f.names, name)
		}
		f.keep = append(f.keep, keep)
	}
	return nil
}

func (f *numpyFile) format() fileFormat { return f.kind }
func (f *numpyFile) columns() []string  { return f.names }
func (f *numpyFile) close() error       { return f.in.close() }

func (f *numpyFile) next(_ context.Context, cells []Cell, row int) (int, error) {
	if int64(row) > f.rows {
		for _, a := range f.arrays {
			if err := a.end(); err != nil {
				return 0, f.in.failed(err)
			}
		}
		return 0, io.EOF
	}
	n := 0
	for i, a := range f.arrays {
		if err := a.readRow(row); err != nil {
			return 0, f.in.failed(err)
		}
		at := 0
		for c, t := range a.types {
			value := a.row[at : at+t.size]
			at += t.size
			if !f.keep[i][c] {
				continue
			}
			cell, err := t.cell(value)
			if err != nil {
				return 0, a.bad(row, f.names[n], fault.Quote(string(bytes.TrimRight(value, "\x00"))), err.Error(), "write the column as text or numbers")
			}
			cells[n] = cell
			n++
		}
	}
	return 0, nil
}
