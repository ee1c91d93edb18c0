package dataset

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"reprise/fault"
)

// The fields of a Source, as a fault.FieldError names them.
const (
	FieldPath               = "path"
	FieldTask               = "task"
	FieldTarget             = "target"
	FieldValidationFraction = "validation_fraction"
	FieldTokenizer          = "tokenizer"
	FieldVocabulary         = "vocabulary"
	FieldContext            = "context"
)

// DataError says which file cannot be used, what is wrong with it and where, and
// how to correct it.
type DataError struct {
	File string
	// Line is the line of a text file, counted from 1; 0 if there is none.
	Line int
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
	if e.Column != "" {
		place = append(place, fmt.Sprintf("column %q", e.Column))
	}
	if e.HasOffset {
		place = append(place, fmt.Sprintf("byte %d", e.Offset))
	}
	parts := []string{showPath(e.File)}
	if len(place) > 0 {
		parts = append(parts, strings.Join(place, ", "))
	}
	return strings.Join(append(parts, strings.TrimSpace(e.Value+" "+e.Problem)), ": ") + "; " + e.Fix
}

// Kind returns Invalid.
func (e *DataError) Kind() fault.Kind { return fault.Invalid }

// Unwrap returns Cause.
func (e *DataError) Unwrap() error { return e.Cause }

// Advised reports that the text says what to do.
func (e *DataError) Advised() bool { return true }

// HashError says that a file's content does not have the hash that the catalogue
// pins. The file is not used, and not kept if it was downloaded.
type HashError struct {
	// File is the file's path, or the address it was fetched from.
	File string
	// Want and Got are SHA-256 in hex, or module hashes ("h1:...").
	Want, Got string
}

// Error names the file and both hashes.
func (e *HashError) Error() string {
	return fmt.Sprintf("%s: the content is refused: its hash is %s, the catalogue pins %s; "+
		"it was damaged or replaced: remove the file if it is yours, and fetch it again, if necessary from another source",
		e.File, e.Got, e.Want)
}

// Kind returns Corrupt.
func (e *HashError) Kind() fault.Kind { return fault.Corrupt }

// Attempt is a place where a data set was looked for, and the result.
type Attempt struct {
	From string
	Err  error
}

// OfflineError says that a data set is not in the cache and could not be
// fetched.
type OfflineError struct {
	Name string
	// Attempts are the places that were tried, in order.
	Attempts []Attempt
	// Advice says what to do, in full sentences.
	Advice string
}

// Error lists what was tried and says what to do.
func (e *OfflineError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "data set %s is not in the cache and could not be fetched:", e.Name)
	for _, a := range e.Attempts {
		fmt.Fprintf(&b, "\n  %s: %v", a.From, a.Err)
	}
	b.WriteString("\n" + e.Advice)
	return b.String()
}

// Kind returns Unavailable.
func (e *OfflineError) Kind() fault.Kind { return fault.Unavailable }

// Unwrap returns the errors of the attempts.
func (e *OfflineError) Unwrap() []error {
	errs := make([]error, len(e.Attempts))
	for i, a := range e.Attempts {
		errs[i] = a.Err
	}
	return errs
}

// showPath returns a path to show, quoted if a control character in it would act
// on the terminal or break the line.
func showPath(path string) string {
	if strings.ContainsFunc(path, unicode.IsControl) || !utf8.ValidString(path) {
		return strconv.Quote(path)
	}
	return path
}

// quote quotes a value from a file, cut to a readable length.
func quote(s string) string {
	const most = 40
	if runes := []rune(s); len(runes) > most {
		return strconv.Quote(string(runes[:most])) + "..."
	}
	return strconv.Quote(s)
}
