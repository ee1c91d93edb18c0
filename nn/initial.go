package nn

import (
	"math"

	"reprise/internal/philox"
	"reprise/kernel"
)

// initial is the rule for a parameter's initial values: uniform in [-bound,
// bound) or, if bound is 0, a constant.
type initial struct {
	constant, bound float32
}

func constant(v float32) initial    { return initial{constant: v} }
func uniform(bound float32) initial { return initial{bound: bound} }

// fill writes the initial values of the parameter with the given index.
func (r initial) fill(data []float32, seed, parameter uint64) {
	if r.bound == 0 {
		for i := range data {
			data[i] = r.constant
		}
		return
	}
	width := float32(2 * r.bound)
	for i := range data {
		u := philox.Uniform32(seed, philox.PurposeInit, parameter, uint64(i))
		data[i] = float32(width*u) - r.bound
	}
}

// fanInBound returns gain*sqrt(3/fan_in) for a layer before next. Quotient and
// root are correctly rounded everywhere, so the bits are too.
func fanInBound(fanIn int, next Layer) float32 {
	three := 3.0 // 3*gain^2
	if a, ok := next.(Activation); ok {
		switch a.Kind {
		case kernel.ReLU, kernel.GELU, kernel.SiLU:
			three = 6
		case kernel.Tanh:
			three = 25.0 / 3
		case kernel.Sigmoid:
		}
	}
	return float32(math.Sqrt(three / float64(fanIn)))
}

// stdBound returns the bound of the uniform distribution with the given
// standard deviation.
func stdBound(std float64) float32 { return float32(float64(std) * math.Sqrt(3)) }
