package cpu

import (
	"math"

	"reprise/kernel"
)

// Ranges of elements below which a second thread does not pay off.
const (
	cheapGrain  = 1 << 14 // a few cycles per vector of elements
	costlyGrain = 1 << 12 // an exponential per element
)

// activation returns the function and the grain that suits it.
func (e *elementKernels) activation(kind kernel.ActivationKind) (f func(y, x []float32), grain int) {
	switch kind {
	case kernel.GELU:
		return e.gelu, costlyGrain
	case kernel.SiLU:
		return e.silu, costlyGrain
	case kernel.Tanh:
		return e.tanh, costlyGrain
	case kernel.Sigmoid:
		return e.sigmoid, costlyGrain
	default:
		return e.relu, cheapGrain
	}
}

// activationGrad returns the function, the operand that the derivative is taken
// from and the grain.
func (e *elementKernels) activationGrad(in kernel.ActivationGrad) (f func(dx, x, dy []float32), at kernel.Span, grain int) {
	switch in.Kind {
	case kernel.Tanh:
		return e.tanhGrad, in.Y, cheapGrain
	case kernel.Sigmoid:
		return e.sigmoidGrad, in.Y, cheapGrain
	case kernel.SiLU:
		return e.siluGrad, in.X, costlyGrain
	case kernel.GELU:
		return e.geluGrad, in.X, costlyGrain
	default:
		return e.reluGrad, in.Y, cheapGrain
	}
}

func sigmoid32(x float32) float32 {
	s, _ := sigmoids32(x)
	return s
}

// tanhGrad32 returns the derivative of tanh where its value is y.
func tanhGrad32(y float32) float32 { return FMA32(-y, y, 1) }

// sigmoidGrad32 returns the derivative of sigmoid where its value is y.
func sigmoidGrad32(y float32) float32 { return float32(y * (1 - y)) }

const (
	negativeInf = 0xff800000 // the bits of -Inf; those above are NaNs
	signBit     = 0x80000000
)

// relu computes y = x where x > 0 or x is NaN, else +0. It works on the bits,
// without a branch: to a branch predictor, signs are random.
func relu(y, x []float32) {
	y = y[:len(x)]
	for i, v := range x {
		u := math.Float32bits(v)
		keep := ^uint32(int32(u) >> 31)
		if u > negativeInf {
			keep = ^uint32(0)
		}
		y[i] = math.Float32frombits(u & keep)
	}
}

// reluGrad computes dx = dy where y > 0 or y is NaN, else +0.
func reluGrad(dx, y, dy []float32) {
	y, dx = y[:len(dy)], dx[:len(dy)]
	for i, v := range dy {
		u := math.Float32bits(y[i])
		keep := uint32(int32(u-1|u) >> 31) // all ones for ±0 and negative numbers
		if u > negativeInf {
			keep = 0
		}
		dx[i] = math.Float32frombits(math.Float32bits(v) &^ keep)
	}
}
