// Package tensor keeps every rule: nothing is to be found here.
package tensor

import (
	"errors"
	"regexp"
)

// Shape is used by the other packages of this tree.
type Shape []int

// ErrShape is a sentinel.
var ErrShape = errors.New("bad shape")

var pattern = regexp.MustCompile(`^[0-9]+$`)

var names = [...]string{"float32", "int32"}

var _ error = (*ShapeError)(nil)

// ShapeError is an error type.
type ShapeError struct{}

// Error reads the tables.
func (*ShapeError) Error() string {
	if pattern.MatchString(names[0]) {
		return names[1]
	}
	table := map[string]int{}
	table[names[0]] = 1
	return names[0]
}
