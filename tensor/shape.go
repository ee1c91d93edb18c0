// Package tensor owns what every numeric context agrees on: the Shape of an
// array, its element type, and a named, dense float32 Tensor in row-major
// order. It computes nothing; kernels do.
//
// All types are values. A Shape or Tensor shared between goroutines must not
// be written to.
package tensor

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"reprise/fault"
)

// MaxRank is the largest number of dimensions a Shape may have.
const MaxRank = 8

var (
	// ErrOverflow is returned if a shape has more elements than an int holds.
	ErrOverflow = fault.New(fault.Invalid, "number of elements overflows")
	// ErrIncompatible is returned if two shapes cannot be broadcast together.
	ErrIncompatible = fault.New(fault.Invalid, "shapes are not compatible")
	// ErrInvalidShape is returned for a negative dimension or too high a rank.
	ErrInvalidShape = fault.New(fault.Invalid, "invalid shape")
)

// Shape lists the dimensions of a row-major array, outermost first. The empty
// Shape is a scalar with one element; a zero dimension makes an empty array.
type Shape []int

// NumElements returns the product of the dimensions. It fails with
// ErrInvalidShape if Validate does, and with ErrOverflow if the product of the
// nonzero dimensions does not fit an int: the order of the dimensions then does
// not matter, and every stride of an empty array fits too.
func (s Shape) NumElements() (int, error) {
	if err := s.Validate(); err != nil {
		return 0, err
	}
	product, empty := 1, false
	for _, d := range s {
		if d == 0 {
			empty = true
			continue
		}
		if product > math.MaxInt/d {
			return 0, fmt.Errorf("shape %v: %w", s, ErrOverflow)
		}
		product *= d
	}
	if empty {
		return 0, nil
	}
	return product, nil
}

// Validate fails with ErrInvalidShape unless every dimension is at least zero
// and the rank is at most MaxRank.
func (s Shape) Validate() error {
	if len(s) > MaxRank {
		return fmt.Errorf("shape %v has rank %d, at most %d are allowed: %w", s, len(s), MaxRank, ErrInvalidShape)
	}
	for i, d := range s {
		if d < 0 {
			return fmt.Errorf("shape %v: dimension %d is negative: %w", s, i, ErrInvalidShape)
		}
	}
	return nil
}

// IsCompatible reports whether s and other broadcast together: aligned at the
// last dimension, each pair is equal or one of the two is 1 (NumPy's rule).
func (s Shape) IsCompatible(other Shape) bool {
	_, err := s.Broadcast(other)
	return err == nil
}

// Broadcast returns the shape that s and other broadcast to. It fails with
// ErrIncompatible, and with ErrInvalidShape if Validate of either does.
func (s Shape) Broadcast(other Shape) (Shape, error) {
	if err := errors.Join(s.Validate(), other.Validate()); err != nil {
		return nil, err
	}
	long, short := s, other
	if len(long) < len(short) {
		long, short = short, long
	}
	out := long.Clone()
	lead := len(long) - len(short)
	for i, d := range short {
		switch l := long[lead+i]; {
		case l == d || d == 1:
		case l == 1:
			out[lead+i] = d
		default:
			return nil, fmt.Errorf("%v and %v: %w", s, other, ErrIncompatible)
		}
	}
	return out, nil
}

// Equal reports whether both shapes have the same dimensions in the same order.
func (s Shape) Equal(other Shape) bool {
	if len(s) != len(other) {
		return false
	}
	for i := range s {
		if s[i] != other[i] {
			return false
		}
	}
	return true
}

// Clone returns a copy that shares no memory with s; it is never nil.
func (s Shape) Clone() Shape { return append(make(Shape, 0, len(s)), s...) }

// String formats the shape as [28 28 1].
func (s Shape) String() string {
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = strconv.Itoa(d)
	}
	return "[" + strings.Join(parts, " ") + "]"
}
