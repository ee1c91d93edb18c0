package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"reprise/dataset/packed"
	"reprise/internal/figures"
	"reprise/tensor"
)

// needs returns about what the values of the table would take in memory, by what it begins
// with.
func (t *table) needs(start []byte) int64 {
	cells := bytes.Count(start, []byte{','}) + bytes.Count(start, []byte{'\n'})
	return 8 * t.bytes / int64(max(1, len(start))) * int64(cells)
}

// begin has the values of the table be written to a file.
func (t *table) begin() (err error) {
	t.file, err = create(t.packing, packed.NewWriter)
	return err
}

// spill writes the values in memory to the file, once there is one, or too many of them.
func (t *table) spill(line int) error {
	n := len(t.lines)
	if t.file == nil {
		if 8*int64(len(t.values)) <= t.packing.limit {
			return nil
		}
		if err := t.begin(); err != nil {
			return err
		}
	}
	if need := int64(n) * int64(rowMemory+quantityMemory*len(t.targetValues)/n); t.packing.asked && need > t.packing.limit {
		return t.bad(line, "", fmt.Sprintf("%s rows", figures.Thousands(n)),
			fmt.Sprintf("take %v of memory even if their values are kept in a file, more than the limit of %v", tensor.Bytes(need), tensor.Bytes(t.packing.limit)),
			"allow more memory, or use fewer rows")
	}
	if n > maxKeptRows {
		return t.bad(line, "", "", fmt.Sprintf("%d rows are more than the limit of %d", n, maxKeptRows), "use fewer rows")
	}
	t.buffer = appendFloats(t.buffer[:0], t.values)
	t.values = t.values[:0]
	return write(t.file, t.buffer)
}

// rowRoom bounds what is read for one row, if each is not 0: encoding/csv would read a
// file with a quote that is not closed into memory.
type rowRoom struct {
	io.Reader
	each, left int
}

var errLongRow = errors.New("a row is too long")

func (r *rowRoom) nextRow() {
	if r.each > 0 {
		r.left = r.each
	}
}

func (r *rowRoom) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, errLongRow
	}
	n, err := r.Reader.Read(p[:min(len(p), r.left)])
	if r.each > 0 {
		r.left -= n
	}
	return n, err
}
