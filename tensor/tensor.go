package tensor

import "fmt"

// DType is the type of an array's elements.
type DType uint8

// The element types. Float32 is the zero value: what Reprise computes in.
const (
	Float32 DType = iota
	Float64
	BFloat16
	Int32
)

// Size returns the size of an element in bytes; 0 for an unknown type.
func (d DType) Size() int {
	switch d {
	case Float64:
		return 8
	case Float32, Int32:
		return 4
	case BFloat16:
		return 2
	}
	return 0
}

// String returns the lower-case name: float32, float64, bfloat16, int32.
func (d DType) String() string {
	switch d {
	case Float32:
		return "float32"
	case Float64:
		return "float64"
	case BFloat16:
		return "bfloat16"
	case Int32:
		return "int32"
	}
	return fmt.Sprintf("dtype(%d)", uint8(d))
}

// Tensor is a named dense float32 array in row-major order.
type Tensor struct {
	Name  string
	Shape Shape
	// Data holds Shape.NumElements() values; the Tensor's creator owns it.
	Data []float32
}

// Validate fails unless Data has as many elements as Shape says.
func (t Tensor) Validate() error {
	n, err := t.Shape.NumElements()
	if err != nil {
		return fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	if n != len(t.Data) {
		return fmt.Errorf("tensor %q of shape %v needs %d values, has %d: %w", t.Name, t.Shape, n, len(t.Data), ErrInvalidShape)
	}
	return nil
}
