// Package tensor keeps every rule: nothing is to be found here.
package tensor

import (
	"regexp"

	"reprise/fault"
)

// Shape is used by the other packages of this tree.
type Shape []int

// ErrShape is a sentinel.
var ErrShape = fault.New(fault.Invalid, "bad shape")

var pattern = regexp.MustCompile(`^[0-9]+$`)

var names = [...]string{"float32", "int32"}

var _, _ error = (*ShapeError)(nil), wrapped{}

// ShapeError is an error type.
type ShapeError struct{}

// Kind returns Invalid.
func (*ShapeError) Kind() fault.Kind { return fault.Invalid }

// Error reads the tables.
func (*ShapeError) Error() string {
	if pattern.MatchString(names[0]) {
		return names[1]
	}
	table := map[string]int{}
	table[names[0]] = 1
	return names[0]
}

type wrapped struct{ error }

func (w wrapped) Unwrap() error { return w.error }
