package tensor_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"reprise/tensor"
)

func TestTensorHasAsManyValuesAsItsShapeSays(t *testing.T) {
	for name, test := range map[string]struct {
		tensor tensor.Tensor
		want   error
	}{
		"a matrix":         {tensor.Tensor{Shape: tensor.Shape{2, 3}, Data: make([]float32, 6)}, nil},
		"a scalar":         {tensor.Tensor{Data: make([]float32, 1)}, nil},
		"an empty array":   {tensor.Tensor{Shape: tensor.Shape{0, 9}}, nil},
		"too few":          {tensor.Tensor{Shape: tensor.Shape{2, 3}, Data: make([]float32, 5)}, tensor.ErrInvalidShape},
		"too many":         {tensor.Tensor{Shape: tensor.Shape{2, 3}, Data: make([]float32, 7)}, tensor.ErrInvalidShape},
		"the zero tensor":  {tensor.Tensor{}, tensor.ErrInvalidShape}, // a scalar without its value
		"a negative shape": {tensor.Tensor{Shape: tensor.Shape{-1}}, tensor.ErrInvalidShape},
		"an overflow":      {tensor.Tensor{Shape: tensor.Shape{math.MaxInt, 2}}, tensor.ErrOverflow},
	} {
		test.tensor.Name = "layer0.weight"
		err := test.tensor.Validate()
		if !errors.Is(err, test.want) || err != nil && !strings.Contains(err.Error(), "layer0.weight") {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

func TestElementTypes(t *testing.T) {
	for _, test := range []struct {
		dtype tensor.DType
		size  int
		name  string
	}{
		{tensor.Float32, 4, "float32"},
		{tensor.Float64, 8, "float64"},
		{tensor.BFloat16, 2, "bfloat16"},
		{tensor.Int32, 4, "int32"},
		{tensor.DType(99), 0, "dtype(99)"},
	} {
		if test.dtype.Size() != test.size || test.dtype.String() != test.name {
			t.Errorf("%s has %d bytes, want %s with %d", test.dtype, test.dtype.Size(), test.name, test.size)
		}
	}
	var zero tensor.DType
	if zero != tensor.Float32 {
		t.Error("the zero type is not float32")
	}
}
