// Package table reads tables: rows of cells below named columns, from the kinds of file
// that people keep them in. What a column means is not its subject (package columns).
package table

import (
	"context"
	"time"
)

// Kind says what a cell holds.
type Kind uint8

// The kinds of cells. A format without types, such as CSV, has Text alone, and Missing
// where a row is shorter than the header allows it to be.
const (
	Missing Kind = iota // null, or nothing at all
	Text
	Integer
	Number
	Boolean
	Time
)

// Cell is a value as its file has it. Text is not trimmed or interpreted.
type Cell struct {
	Kind    Kind
	Text    string  // of Text
	Integer int64   // of Integer, and 0 or 1 of Boolean
	Number  float64 // of Number
	Time    time.Time
}

// Place says where a row is: in which file, and in which row of data of it, counted
// from 1. Line is the row's first line, and 0 in formats without lines.
type Place struct {
	File string
	Row  int
	Line int
}

// Reader reads the rows of one or several files, in order. It is used by one goroutine
// at a time, and takes memory for a part of a file only.
type Reader interface {
	// Columns returns the names of the columns: unique, in the order of the file. All
	// files of a table have the same ones.
	Columns() []string
	// Next fills a row of as many cells as there are columns. It fails with io.EOF after
	// the last row, with a *fault.FieldError or a *dataset.DataError-like error that names
	// the place of what is wrong, and with the context's error. Texts stay valid.
	Next(ctx context.Context, row []Cell) (Place, error)
	Close() error
}
