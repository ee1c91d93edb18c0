package dataset

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"

	"reprise/dataset/columns"
	"reprise/dataset/packed"
	"reprise/dataset/preprocess"
	tablefile "reprise/dataset/table"
	"reprise/internal/figures"
	"reprise/tensor"
)

// The memory of a data set whose values are kept in a file.
const (
	// DefaultMemory is how much the values of a data set may take in memory, unless a
	// Config says otherwise: 1 GiB.
	DefaultMemory = 1 << 30
	// rowMemory is what a row takes while a table is opened, with its label, its split and
	// the column that is learned from at a time; quantities and keys of a split come on top.
	rowMemory, quantityMemory, keyMemory = 48, 24, 96
	// maxKeptRows is the largest number of rows: number.Standardise sums no more.
	maxKeptRows = 1<<29 - 1
)

// packing says which data are kept in files, and where.
type packing struct {
	limit int64
	asked bool // the limit must hold
	cache string
	temp  string
	room  *ImageRoom // for decoding images
}

func (l *Library) packing() packing {
	p := packing{limit: l.config.Memory, asked: l.config.Memory != 0, temp: l.config.TempDir, room: l.config.Images}
	if !p.asked {
		p.limit = DefaultMemory
	}
	if l.config.CacheDir != "" {
		p.cache = filepath.Join(l.config.CacheDir, packedFolder)
	}
	return p
}

// packedFolder is the folder of packed data in the cache.
const packedFolder = "packed"

var errNoFolder = errors.New("there is no folder for it")

// create makes something in the cache, or else in the folder for what is not kept.
func create[T any](p packing, make func(folder string) (T, error)) (made T, err error) {
	err = errNoFolder
	if p.cache != "" {
		packed.Sweep(p.cache)
		if made, err = make(p.cache); err == nil {
			return made, nil
		}
	}
	if p.temp != "" {
		var other error
		if made, other = make(p.temp); other == nil {
			return made, nil
		}
		err = errors.Join(err, other)
	}
	return made, &preprocess.SpillError{Err: err}
}

// explain says what a limit that must hold has to do with an error.
func (p packing) explain(err error, path string) error {
	unkept := new(preprocess.SpillError)
	if !errors.As(err, &unkept) {
		return err
	}
	return fmt.Errorf("the data of %s take more than %v of memory, and cannot be kept in a file: %w; make room on the disk of %s, or allow more memory",
		showPath(path), tensor.Bytes(p.limit), unkept.Err, showPath(cmp.Or(p.cache, p.temp)))
}

// needs returns the memory that the values of the table would take, once its columns are
// known.
func (t *tableReading) needs() int64 {
	codes := int64(len(t.target) + 2)
	for _, c := range t.meaning {
		switch {
		case !c.Kind.Used():
		case c.Kind != columns.Text:
			codes++
		case c.Text.MaxTokens > 0:
			codes += int64(c.Text.MaxTokens)
		default:
			codes += columns.DefaultTokens
		}
	}
	return 8 * codes * int64(t.rows)
}

// rowsNeed returns the memory that opening takes however the values are kept.
func (t *tableReading) rowsNeed() int64 {
	each := int64(rowMemory)
	if t.source.Task == Regression {
		each += quantityMemory * int64(len(t.target))
	}
	if t.by >= 0 {
		each += keyMemory
	}
	return each * int64(t.rows)
}

// checkSize refuses a table that has grown too large.
func (t *tableReading) checkSize(at tablefile.Place) error {
	n := len(t.fileOf)
	if t.scratch != nil {
		if n > maxKeptRows {
			return preprocess.BadCell(at, "", tablefile.Cell{}, fmt.Sprintf("%d rows are more than the limit of %d", n, maxKeptRows), "use fewer rows")
		}
		if t.asked && t.builder.TextBytes() > t.limit {
			return preprocess.BadCell(at, "", tablefile.Cell{}, "the texts take more memory than the limit of "+tensor.Bytes(t.limit).String(), "allow more memory, or use fewer rows")
		}
		return nil
	}
	cells := int64(n) * int64(len(t.builder.Columns())+len(t.target)+2)
	if 8*cells+t.builder.TextBytes() > MaxBytes {
		return preprocess.BadCell(at, "", tablefile.Cell{}, fmt.Sprintf("%d rows take more memory than the limit of %d bytes", n, int64(MaxBytes)),
			"use fewer rows or columns")
	}
	return nil
}

// openPacked is open for values that are kept in a file. It fails with a SpillError if
// there is no room for one.
func (t *tableReading) openPacked(ctx context.Context) (*Dataset, error) {
	if need := t.rowsNeed(); t.asked && need > t.limit {
		return nil, &DataError{File: t.source.Path, Value: fmt.Sprintf("%s rows", figures.Thousands(t.rows)),
			Problem: fmt.Sprintf("take %v of memory even if their values are kept in a file, more than the limit of %v", tensor.Bytes(need), tensor.Bytes(t.limit)),
			Fix:     "allow more memory, or use fewer rows"}
	}
	var err error
	if t.scratch, err = create(t.packing, func(folder string) (*packed.File, error) { return packed.Create(folder, 0) }); err != nil {
		return nil, err
	}
	defer func() {
		_ = t.scratch.Close() // it is gone
		t.scratch = nil
	}()
	return t.open(ctx)
}

// pack writes the rows to their file and seals the data set.
func (t *tableReading) pack(ctx context.Context, d *Dataset, b *block) (_ *Dataset, err error) {
	w, err := create(t.packing, packed.NewWriter)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			w.Discard()
		}
	}()
	var row []byte
	err = t.builder.EachRow(ctx, func(codes []float64) error {
		row = appendFloats(row[:0], codes)
		return write(w, row)
	})
	if err != nil {
		return nil, err
	}
	t.builder = nil
	if b.file, err = finish(w); err != nil {
		return nil, err
	}
	return t.keep(ctx, d, b)
}

// finish returns the file that was written.
func finish(w *packed.Writer) (*packed.File, error) {
	file, err := w.Finish()
	if err != nil {
		return nil, &preprocess.SpillError{Err: err}
	}
	return file, nil
}

// keep seals a data set whose values are in the file of a block.
func (p packing) keep(ctx context.Context, d *Dataset, b *block) (*Dataset, error) {
	d, err := d.seal()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	if b.file.Size() <= p.limit { // texts are shorter than they might be
		return d, d.load(b)
	}
	d.kept = keptNote(b.file)
	return d, nil
}

func write(w io.Writer, data []byte) error {
	if _, err := w.Write(data); err != nil {
		return &preprocess.SpillError{Err: err}
	}
	return nil
}

func appendFloats(data []byte, values []float64) []byte {
	for _, v := range values {
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(v))
	}
	return data
}

func unkeptNote(size int64, err error) string {
	return fmt.Sprintf("the values take about %v of memory, since they cannot be kept in a file: %v", tensor.Bytes(size), err)
}

func keptNote(file *packed.File) string {
	return fmt.Sprintf("the values take %s and are read from a file in %s, which is removed afterwards", tensor.Bytes(file.Size()), showPath(file.Folder()))
}

// load takes the values of a block, which are codes, into memory, and closes its file.
func (d *Dataset) load(b *block) error {
	values := make([]float64, 0, d.count(b))
	err := d.eachRowOf(b, d.count(b)/d.width(), func(i int) int { return i }, func(_ int, _ []byte, codes []float64) error {
		values = append(values, codes...)
		return nil
	})
	if err != nil {
		return err
	}
	_ = b.file.Close() // it was only read
	b.values, b.file = values, nil
	return nil
}
