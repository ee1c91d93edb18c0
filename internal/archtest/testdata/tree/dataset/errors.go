// Package dataset has errors whose kind nobody knows.
package dataset

import (
	"errors"

	"reprise/fault"
)

// ErrEmpty has no kind.
var ErrEmpty = errors.New("empty") // want kinds "sentinel ErrEmpty has no kind"

// ErrLate has one.
var ErrLate = fault.As(fault.Unavailable, errLate) // want globals "anyone may change"

var errLate = errors.New("late")

// RowError has none.
type RowError struct{} // want kinds "error type RowError has no kind"

// Error is the text.
func (RowError) Error() string { return "row" }

// Kind is not that of an error.
func (RowError) Kind() string { return "row" }

// FileError has none of its own, and is exported.
type FileError struct{ error } // want kinds "error type FileError has no kind"

// Unwrap returns the cause.
func (e FileError) Unwrap() error { return e.error }

type lost[T any] struct{ what T } // want kinds "error type lost has no kind"

// Error is the text.
func (*lost[T]) Error() string { return "lost" }

// Line is not an error, although it has a text.
type Line struct{}

// Error has a parameter.
func (Line) Error(int) string { return "" }
