// Package table reads tables: rows of cells below named columns, from the kinds of file
// that people keep them in. What a column means is not its subject.
//
// Open returns a Reader of one file, or of several that have the same columns:
//
//   - text with a header and separated cells (CSV, TSV, semicolons, vertical bars), quoted
//     as RFC 4180 says, with lines that end in LF, CRLF or CR;
//   - JSON: an object per row, one per line or in one array;
//   - Parquet;
//   - arrays of NumPy: .npy, and several of the same length in an .npz.
//
// Each may be compressed by gzip or Zstandard. Content and name must agree: a file called
// data.csv that holds JSON is refused, since one of the two is a mistake. A file with an
// ending that says nothing, such as .txt, is read as what its content is.
//
// # Text
//
// Text is UTF-8, with or without a byte order mark, unless Options.Encoding says
// otherwise. The separator is a tab in .tsv and .tab files and a vertical bar in .psv
// files. In all others it is the one of comma, semicolon, tab and vertical bar that splits
// the first lines into the most cells, the same number in each line. Names of columns are
// trimmed; a column without a name is called column3 if it is the third. Empty lines are
// skipped. Every row has a cell for each column: a table with longer or shorter rows is
// refused.
//
// # JSON
//
// The columns are the keys of all objects, in the order in which they first appear; an
// object that lacks a key has a missing cell there. An object within an object is
// flattened: {"wind": {"speed": 3}} is a cell in the column wind.speed, since such data
// is common and means the same either way. Lists are refused: they have no fixed number
// of cells. A whole number that is too large for an int64 is Text, with all its digits.
//
// # Parquet
//
// Flat columns of any type but those that are bytes without a meaning are read, in all
// encodings and in the compressions none, Snappy, gzip, Zstandard, Brotli and LZ4_RAW.
// Fields of groups become columns as in JSON; lists and maps are refused. Dates and
// timestamps are Time in UTC, times of day are Text such as 13:45:00. Decimals are the
// nearest Number, or an Integer where they have no fraction.
//
// # NumPy
//
// The columns of a two-dimensional array are called c0, c1 and so on, that of a
// one-dimensional one c0, and those of a structured array as its fields. In an .npz the
// array x gives the column x, or x0, x1 and so on if it has two dimensions. Arrays of
// Python objects are refused, as they hold code.
//
// # Limits
//
// Files are streamed. What is held is a row, or a page of each column in Parquet; sizes
// that a file claims are checked before memory is taken. See the constants.
//
// The package reads no clock and no environment and starts no goroutine.
package table

import (
	"context"
	"time"
)

// The limits of a table.
const (
	// MaxColumns is the largest number of columns.
	MaxColumns = 100_000
	// MaxCellBytes is the largest size of a text: 1 MiB.
	MaxCellBytes = 1 << 20
	// MaxRowBytes is the largest size of a row in its file: 64 MiB.
	MaxRowBytes = 64 << 20
	// MaxFiles is the largest number of files of one table.
	MaxFiles = 10_000
	// MaxDepth is how deep objects may be nested.
	MaxDepth = 32
	// MaxUnpackedBytes is the largest size of what must be decompressed as a whole, since it
	// is not read from beginning to end: 256 MiB.
	MaxUnpackedBytes = 256 << 20
)

// Kind says what a cell holds.
type Kind uint8

// The kinds of cells. A format without types, such as CSV, has Text alone. Missing is a
// null, a key that an object lacks, or NumPy's not-a-time; an empty cell of CSV is Text.
const (
	Missing Kind = iota // null, or nothing at all
	Text
	Integer
	Number
	Boolean
	Time
)

// Cell is a value as its file has it. Text is not trimmed or interpreted, and a Number
// may be NaN or infinite.
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
	// the last row, with a *fault.DataError that names the place of what is wrong, and with
	// the context's error. After an error other than the context's it returns that error
	// again. Texts stay valid.
	Next(ctx context.Context, row []Cell) (Place, error)
	Close() error
}
