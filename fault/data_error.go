package fault

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// DataError says which file of data cannot be used, what is wrong with it and where, and
// how to correct it. It is Invalid.
type DataError struct {
	File string
	// Line is the line of a text file, counted from 1; 0 if there is none.
	Line int
	// Row is the row of data, counted from 1, of a table in a format without lines; 0 if
	// there is none.
	Row int
	// Offset is the byte of a binary file, after decompression, counted from 0,
	// if HasOffset is set.
	Offset    int64
	HasOffset bool
	// Column is the name of the column; "" if there is none.
	Column string
	// Value is what was found there; "" if there is nothing to show.
	Value   string
	Problem string
	Fix     string
	// Cause is the underlying error, if there is one.
	Cause error
}

// Error returns `iris.csv: line 7, column "width": "wide" is not a number; ...`.
func (e *DataError) Error() string {
	var place []string
	if e.Line > 0 {
		place = append(place, fmt.Sprintf("line %d", e.Line))
	}
	if e.Row > 0 {
		place = append(place, fmt.Sprintf("row %d", e.Row))
	}
	if e.Column != "" {
		place = append(place, fmt.Sprintf("column %q", e.Column))
	}
	if e.HasOffset {
		place = append(place, fmt.Sprintf("byte %d", e.Offset))
	}
	parts := []string{ShowPath(e.File)}
	if len(place) > 0 {
		parts = append(parts, strings.Join(place, ", "))
	}
	return strings.Join(append(parts, strings.TrimSpace(e.Value+" "+e.Problem)), ": ") + "; " + e.Fix
}

// Kind returns Invalid.
func (e *DataError) Kind() Kind { return Invalid }

// Unwrap returns Cause.
func (e *DataError) Unwrap() error { return e.Cause }

// Advised reports that the text says what to do.
func (e *DataError) Advised() bool { return true }

// ShowPath returns a path to show, quoted if a control character in it would act
// on the terminal or break the line.
func ShowPath(path string) string {
	if strings.ContainsFunc(path, unicode.IsControl) || !utf8.ValidString(path) {
		return strconv.Quote(path)
	}
	return path
}

// Quote quotes a value from a file, cut to a readable length.
func Quote(s string) string {
	const most = 40
	if runes := []rune(s[:min(len(s), 4*most+4)]); len(runes) > most {
		return strconv.Quote(string(runes[:most])) + "..."
	}
	return strconv.Quote(s)
}
