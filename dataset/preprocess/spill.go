package preprocess

import (
	"context"
	"encoding/binary"
	"io"
	"math"
	"slices"

	"reprise/fault"
)

// Spill is a file that a Builder writes to and reads again.
type Spill interface {
	io.Writer
	io.ReaderAt
}

// SpillError says that codes cannot be kept in a file.
type SpillError struct{ Err error }

// Error returns why.
func (e *SpillError) Error() string { return e.Err.Error() }

// Kind returns that of the cause.
func (e *SpillError) Kind() fault.Kind { return fault.KindOf(e.Err) }

// Unwrap returns the cause.
func (e *SpillError) Unwrap() error { return e.Err }

// spill keeps codes in groups of rows, in which those of a column lie together, since a
// column is learned from at a time.
type spill struct {
	to     Spill // nil for a builder that keeps codes in memory
	group  int   // the rows of all groups but the last
	buffer []byte
}

// SpillTo has the builder keep codes in a file that is empty. It is called before any row
// is added.
func (b *Builder) SpillTo(file Spill) {
	const groupCodes = 1 << 20 // 8 MiB
	b.spill = spill{to: file, group: max(1, groupCodes/max(1, len(b.used)))}
}

// spillGroup writes the rows in memory once they are a group.
func (b *Builder) spillGroup() error {
	if b.spill.to == nil || b.rows%b.spill.group > 0 {
		return nil
	}
	return b.spillRest()
}

// spillRest writes the rows in memory.
func (b *Builder) spillRest() error {
	if b.spill.to == nil || len(b.values) == 0 {
		return nil
	}
	data := slices.Grow(b.spill.buffer[:0], 8*len(b.values))
	for i := range b.used {
		for at := i; at < len(b.values); at += len(b.used) {
			data = binary.LittleEndian.AppendUint64(data, math.Float64bits(b.values[at]))
		}
	}
	b.spill.buffer, b.values = data, b.values[:0]
	if _, err := b.spill.to.Write(data); err != nil {
		return &SpillError{err}
	}
	return nil
}

// eachCode calls do with the codes of column i of used, group by group.
func (s *spill) eachCode(rows, used, i int, do func(first int, codes []float64) error) error {
	codes := make([]float64, 0, s.group)
	for first := 0; first < rows; first += s.group {
		n := min(s.group, rows-first)
		var err error
		if codes, err = s.read(codes[:0], first*used+i*n, n); err != nil {
			return err
		}
		if err := do(first, codes); err != nil {
			return err
		}
	}
	return nil
}

// read appends n codes from a place in the file, which is counted in codes.
func (s *spill) read(codes []float64, at, n int) ([]float64, error) {
	data := slices.Grow(s.buffer[:0], 8*n)[:8*n]
	s.buffer = data
	if _, err := s.to.ReadAt(data, 8*int64(at)); err != nil {
		return nil, &SpillError{err}
	}
	for ; len(data) > 0; data = data[8:] {
		codes = append(codes, math.Float64frombits(binary.LittleEndian.Uint64(data)))
	}
	return codes, nil
}

// EachRow calls do with the final codes of each row that is kept in a file, in order. Fit
// comes first. do does not keep the codes.
func (b *Builder) EachRow(ctx context.Context, do func(codes []float64) error) error {
	used := len(b.used)
	var group, row, final []float64
	for first := 0; first < b.rows; first += b.spill.group {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(b.spill.group, b.rows-first)
		var err error
		if group, err = b.spill.read(group[:0], first*used, n*used); err != nil {
			return err
		}
		for r := range n {
			row = row[:0]
			for i := range used {
				row = append(row, group[i*n+r])
			}
			final = b.finish(final[:0], row)
			if err := do(final); err != nil {
				return err
			}
		}
	}
	return nil
}
