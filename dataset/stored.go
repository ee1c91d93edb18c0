package dataset

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"sync"
)

// valueBytes is the size of a value of a block in a file: a pixel, or a cell or code of a
// table as its IEEE 754 bits in little-endian order.
func (d *Dataset) valueBytes() int {
	if d.scaling.table != nil {
		return 1
	}
	return 8
}

// InFile reports whether the samples are in a file and not in memory: a batch takes longer to
// gather then.
func (d *Dataset) InFile() bool {
	return d.parts[Train].block != nil && d.parts[Train].file != nil
}

// count returns the number of values of a block.
func (d *Dataset) count(b *block) int {
	if b.file != nil {
		return int(b.file.Size() / int64(d.valueBytes()))
	}
	return len(b.raw) + len(b.values)
}

// rowReader reads rows of blocks. It is used by one goroutine at a time.
type rowReader struct {
	d      *Dataset
	buffer []byte
	codes  []float64
}

// row returns the values of a row of a block: pixels, or else cells or codes. They are valid
// until the next call.
func (r *rowReader) row(b *block, row int) (raw []byte, values []float64, err error) {
	width := r.d.width()
	switch {
	case b.raw != nil:
		return b.raw[row*width : (row+1)*width], nil, nil
	case b.file == nil:
		return nil, b.values[row*width : (row+1)*width], nil
	}
	size := width * r.d.valueBytes()
	if r.buffer == nil {
		r.buffer = make([]byte, size)
	}
	if _, err := b.file.ReadAt(r.buffer[:size], int64(row)*int64(size)); err != nil {
		return nil, nil, err
	}
	raw, values = r.split(r.buffer[:size])
	return raw, values, nil
}

// split returns what a file has of some values.
func (r *rowReader) split(data []byte) (raw []byte, values []float64) {
	if r.d.valueBytes() == 1 {
		return data, nil
	}
	r.codes = r.codes[:0]
	for ; len(data) > 0; data = data[8:] {
		r.codes = append(r.codes, math.Float64frombits(binary.LittleEndian.Uint64(data)))
	}
	return nil, r.codes
}

// eachRow calls do with the values of each sample of a part, in order: pixels, or else cells
// or codes. A file is read many rows at a time.
func (d *Dataset) eachRow(p part, do func(i int, raw []byte, values []float64) error) error {
	if p.block == nil {
		return nil
	}
	return d.eachRowOf(p.block, p.len(), p.row, do)
}

// eachRowOf is eachRow for n rows of a block, of which at returns the one at place i.
func (d *Dataset) eachRowOf(b *block, n int, at func(i int) int, do func(i int, raw []byte, values []float64) error) error {
	r := rowReader{d: d}
	if b.file == nil {
		for i := range n {
			raw, values, err := r.row(b, at(i))
			if err == nil {
				err = do(i, raw, values)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	const window = 1 << 20
	size := d.width() * d.valueBytes()
	rows := max(1, window/size)
	buffer := make([]byte, rows*size)
	first, end := 0, 0 // the rows in the buffer
	for i := range n {
		row := at(i)
		if row >= end {
			first, end = row, min(row+rows, d.count(b)/d.width())
			if _, err := b.file.ReadAt(buffer[:(end-first)*size], int64(first)*int64(size)); err != nil {
				return err
			}
		}
		raw, values := r.split(buffer[(row-first)*size : (row-first+1)*size])
		if err := do(i, raw, values); err != nil {
			return err
		}
	}
	return nil
}

// fileReaders is how many goroutines read the rows of a batch: more than there are
// processors, since they wait for a disk.
const fileReaders = 8

// gatherFile calls place with the values of each row of a batch, on several goroutines.
func (d *Dataset) gatherFile(p part, index []int, place func(i int, raw []byte, values []float64)) error {
	const least = 64 // rows that are worth a goroutine
	n := min(max(fileReaders, runtime.GOMAXPROCS(0)), (len(index)+least-1)/least)
	errs := make([]error, n)
	var readers sync.WaitGroup
	for k := range n {
		readers.Go(func() {
			r := rowReader{d: d}
			for i := k * len(index) / n; i < (k+1)*len(index)/n && errs[k] == nil; i++ {
				var raw []byte
				var values []float64
				if raw, values, errs[k] = r.row(p.block, p.row(index[i])); errs[k] == nil {
					place(i, raw, values)
				}
			}
		})
	}
	readers.Wait()
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("data set %s: %w", d.name, err)
		}
	}
	return nil
}
