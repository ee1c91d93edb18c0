package dataset

import (
	"fmt"
	"strings"

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
type DataError = fault.DataError

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

func showPath(path string) string { return fault.ShowPath(path) }

func quote(s string) string { return fault.Quote(s) }
