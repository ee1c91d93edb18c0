package cpu

import (
	"math"

	"reprise/kernel"
)

// Ranges of elements below which a second thread does not pay.
const (
	cheapGrain  = 1 << 14 // a few cycles per element
	costlyGrain = 1 << 10 // an exponential per element
)

func (b *binder) activation(in kernel.Activation) step {
	x, y := b.f32(in.X), b.f32(in.Y)
	if in.Kind == kernel.ReLU {
		return always(b.ranges(len(x), cheapGrain, func(lo, hi int) { b.elements.relu(y[lo:hi], x[lo:hi]) }))
	}
	f := map[kernel.ActivationKind]func(float32) float32{
		kernel.GELU: gelu32, kernel.SiLU: silu32, kernel.Tanh: tanh32, kernel.Sigmoid: sigmoid32,
	}[in.Kind]
	return always(b.ranges(len(x), costlyGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			y[i] = f(x[i])
		}
	}))
}

func sigmoid32(x float32) float32 {
	s, _ := sigmoids32(x)
	return s
}

func (b *binder) activationGrad(in kernel.ActivationGrad) step {
	x, y, dy, dx := b.f32(in.X), b.f32(in.Y), b.f32(in.DY), b.f32(in.DX)
	grain := cheapGrain
	var do func(lo, hi int)
	switch in.Kind {
	case kernel.ReLU:
		do = func(lo, hi int) { b.elements.reluGrad(dx[lo:hi], y[lo:hi], dy[lo:hi]) }
	case kernel.Tanh:
		do = func(lo, hi int) {
			for i := lo; i < hi; i++ {
				dx[i] = float32(dy[i] * FMA32(-y[i], y[i], 1))
			}
		}
	case kernel.Sigmoid:
		do = func(lo, hi int) {
			for i := lo; i < hi; i++ {
				dx[i] = float32(dy[i] * float32(y[i]*(1-y[i])))
			}
		}
	default:
		derivative := siluGrad32
		if in.Kind == kernel.GELU {
			derivative = geluGrad32
		}
		grain = costlyGrain
		do = func(lo, hi int) {
			for i := lo; i < hi; i++ {
				dx[i] = float32(dy[i] * derivative(x[i]))
			}
		}
	}
	return always(b.ranges(len(dy), grain, do))
}

const (
	negativeInf = 0xff800000 // the bits of -Inf; above them lie NaNs
	signBit     = 0x80000000
)

// relu computes y = x where x > 0 or x is NaN, else +0. It works on the bits,
// without a branch: signs are as good as random to a branch predictor.
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
