package tensor_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"reprise/tensor"
)

func TestNumElements(t *testing.T) {
	const big = math.MaxInt
	for _, test := range []struct {
		shape tensor.Shape
		want  int
		err   error
	}{
		{nil, 1, nil},
		{tensor.Shape{}, 1, nil},
		{tensor.Shape{5}, 5, nil},
		{tensor.Shape{28, 28, 1}, 784, nil},
		{tensor.Shape{2, 3, 4, 5}, 120, nil},
		{tensor.Shape{1, 1, 1, 1, 1, 1, 1, 1}, 1, nil},
		{tensor.Shape{3, 0, 4}, 0, nil},
		{tensor.Shape{big}, big, nil},
		{tensor.Shape{1, big, 1}, big, nil},
		{tensor.Shape{1 << 31, 1 << 31}, 1 << 62, nil},
		{tensor.Shape{1 << 32, 1 << 31}, 0, tensor.ErrOverflow},
		{tensor.Shape{1 << 32, 1 << 32}, 0, tensor.ErrOverflow}, // wraps to 0
		{tensor.Shape{3, math.MaxInt/3 + 1}, 0, tensor.ErrOverflow},
		{tensor.Shape{7, big / 7}, big / 7 * 7, nil},
		{tensor.Shape{big, big, 0}, 0, tensor.ErrOverflow},
		{tensor.Shape{0, big, big}, 0, tensor.ErrOverflow}, // whatever the order
		{tensor.Shape{0, big}, 0, nil},
		{tensor.Shape{2, -1}, 0, tensor.ErrInvalidShape},
		{tensor.Shape{0, -1}, 0, tensor.ErrInvalidShape},
		{tensor.Shape{math.MinInt}, 0, tensor.ErrInvalidShape},
		{tensor.Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}, 0, tensor.ErrInvalidShape},
	} {
		got, err := test.shape.NumElements()
		if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%v: %d, %v; want %d, %v", test.shape, got, err, test.want, test.err)
		}
	}
}

func TestNumElementsEqualsItsDefinitionWithoutOverflow(t *testing.T) {
	// Dimensions around the powers of two at which products wrap.
	dimension := rapid.OneOf(
		rapid.IntRange(-1, 5),
		rapid.Map(rapid.IntRange(0, 62), func(bits int) int { return 1 << bits }),
		rapid.Map(rapid.IntRange(1, 62), func(bits int) int { return 1<<bits - 1 }),
		rapid.IntRange(0, math.MaxInt),
	)
	rapid.Check(t, func(t *rapid.T) {
		shape := tensor.Shape(rapid.SliceOfN(dimension, 0, tensor.MaxRank+1).Draw(t, "shape"))
		product, nonzero, negative := big.NewInt(1), big.NewInt(1), false
		for _, d := range shape {
			product.Mul(product, big.NewInt(int64(d)))
			if d != 0 {
				nonzero.Mul(nonzero, big.NewInt(int64(d)))
			}
			negative = negative || d < 0
		}
		got, err := shape.NumElements()
		switch {
		case negative || len(shape) > tensor.MaxRank:
			if !errors.Is(err, tensor.ErrInvalidShape) || got != 0 {
				t.Fatalf("%v: %d, %v", shape, got, err)
			}
		case nonzero.Cmp(big.NewInt(math.MaxInt)) > 0:
			if !errors.Is(err, tensor.ErrOverflow) || got != 0 {
				t.Fatalf("%v has %v elements: %d, %v", shape, product, got, err)
			}
		case err != nil || product.Cmp(big.NewInt(int64(got))) != 0:
			t.Fatalf("%v: %d, %v; want %v", shape, got, err, product)
		}
	})
}

func TestBroadcast(t *testing.T) {
	for _, test := range []struct {
		a, b, want tensor.Shape
		err        error
	}{
		// The examples of NumPy's user guide, "Broadcasting".
		{tensor.Shape{256, 256, 3}, tensor.Shape{3}, tensor.Shape{256, 256, 3}, nil},
		{tensor.Shape{8, 1, 6, 1}, tensor.Shape{7, 1, 5}, tensor.Shape{8, 7, 6, 5}, nil},
		{tensor.Shape{5, 4}, tensor.Shape{1}, tensor.Shape{5, 4}, nil},
		{tensor.Shape{15, 3, 5}, tensor.Shape{15, 1, 5}, tensor.Shape{15, 3, 5}, nil},
		{tensor.Shape{15, 3, 5}, tensor.Shape{3, 1}, tensor.Shape{15, 3, 5}, nil},
		{tensor.Shape{3}, tensor.Shape{4}, nil, tensor.ErrIncompatible},
		{tensor.Shape{2, 1}, tensor.Shape{8, 4, 3}, nil, tensor.ErrIncompatible},
		// Scalars, empty arrays, invalid shapes.
		{nil, nil, tensor.Shape{}, nil},
		{nil, tensor.Shape{2, 3}, tensor.Shape{2, 3}, nil},
		{tensor.Shape{0}, tensor.Shape{1}, tensor.Shape{0}, nil},
		{tensor.Shape{0}, tensor.Shape{0}, tensor.Shape{0}, nil},
		{tensor.Shape{0}, tensor.Shape{2}, nil, tensor.ErrIncompatible},
		{tensor.Shape{-1}, tensor.Shape{1}, nil, tensor.ErrInvalidShape},
		{tensor.Shape{-1}, tensor.Shape{-1}, nil, tensor.ErrInvalidShape},
		{tensor.Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}, nil, nil, tensor.ErrInvalidShape},
	} {
		for _, pair := range [][2]tensor.Shape{{test.a, test.b}, {test.b, test.a}} {
			got, err := pair[0].Broadcast(pair[1])
			if !got.Equal(test.want) || !errors.Is(err, test.err) || (err == nil) != pair[0].IsCompatible(pair[1]) {
				t.Errorf("%v and %v: %v, %v; want %v, %v", pair[0], pair[1], got, err, test.want, test.err)
			}
		}
	}
}

// The plain twin follows the wording of the rule: pad the shorter shape with
// ones on the left, then compare dimension by dimension.
func broadcastTwin(a, b tensor.Shape) (tensor.Shape, bool) {
	for len(a) < len(b) {
		a = append(tensor.Shape{1}, a...)
	}
	for len(b) < len(a) {
		b = append(tensor.Shape{1}, b...)
	}
	out := tensor.Shape{}
	for i := range a {
		switch {
		case a[i] == b[i]:
			out = append(out, a[i])
		case a[i] == 1:
			out = append(out, b[i])
		case b[i] == 1:
			out = append(out, a[i])
		default:
			return nil, false
		}
	}
	return out, true
}

func TestBroadcastEqualsItsTwinAndSharesNoMemory(t *testing.T) {
	shapes := rapid.Custom(func(t *rapid.T) tensor.Shape {
		return rapid.SliceOfN(rapid.SampledFrom([]int{0, 1, 1, 2, 3}), 0, 5).Draw(t, "shape")
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := shapes.Draw(t, "a"), shapes.Draw(t, "b")
		beforeA, beforeB := a.Clone(), b.Clone()
		want, compatible := broadcastTwin(a, b)
		got, err := a.Broadcast(b)
		if compatible != (err == nil) || !got.Equal(want) || a.IsCompatible(b) != compatible || b.IsCompatible(a) != compatible {
			t.Fatalf("%v and %v: %v, %v; want %v, %v", a, b, got, err, want, compatible)
		}
		if err != nil {
			return
		}
		if again, err := got.Broadcast(a); err != nil || !again.Equal(got) {
			t.Fatalf("%v and %v give %v, which with the first gives %v, %v", a, b, got, again, err)
		}
		for i := range got {
			got[i] = -7
		}
		if !a.Equal(beforeA) || !b.Equal(beforeB) {
			t.Fatalf("writing to the result changed an operand: %v, %v", a, b)
		}
	})
}

func TestShapesCompareAndPrint(t *testing.T) {
	for _, test := range []struct {
		a, b tensor.Shape
		want bool
	}{
		{nil, tensor.Shape{}, true},
		{tensor.Shape{2, 3}, tensor.Shape{2, 3}, true},
		{tensor.Shape{2, 3}, tensor.Shape{3, 2}, false},
		{tensor.Shape{2, 3}, tensor.Shape{2, 3, 1}, false},
	} {
		if test.a.Equal(test.b) != test.want || test.b.Equal(test.a) != test.want {
			t.Errorf("%v equals %v: want %v", test.a, test.b, test.want)
		}
	}
	for want, shape := range map[string]tensor.Shape{"[]": nil, "[28 28 1]": {28, 28, 1}, "[-1]": {-1}} {
		if shape.String() != want {
			t.Errorf("%q, want %q", shape.String(), want)
		}
	}
	if tensor.Shape(nil).Clone() == nil {
		t.Error("the clone of nil is nil")
	}
}
