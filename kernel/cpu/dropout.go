package cpu

import (
	"math"

	"reprise/internal/philox"
	"reprise/kernel"
)

// dropoutGrain is the range of elements below which a second thread does not
// pay: a number of the generator costs some nanoseconds.
const dropoutGrain = 1 << 12

func (b *binder) dropOut(in kernel.Dropout) step {
	x, y := b.f32(in.X), b.f32(in.Y)
	first := uint64(in.Stream)<<40 + uint64(in.First)
	mask := &dropoutMask{
		factor:    float32(1 / (1 - float64(in.Rate))),
		threshold: dropThreshold(in.Rate),
	}
	run := b.ranges(len(x), dropoutGrain, func(lo, hi int) { b.elements.dropout(y[lo:hi], x[lo:hi], mask, first+uint64(lo)) })
	return func(s kernel.Scalars) error {
		mask.seed, mask.step = s.Seed, s.Step
		run()
		return nil
	}
}

// dropoutMask says which numbers of the generator drop their element.
type dropoutMask struct {
	seed, step uint64
	threshold  uint32 // of the 24 bits of a uniform number, at most 2^24
	factor     float32
}

// dropThreshold returns the least integer u for which u*2^-24 < rate is false;
// both sides times 2^24 are exact.
func dropThreshold(rate float32) uint32 { return uint32(math.Ceil(float64(rate) * 0x1p24)) }

// dropout computes y = factor*x, or +0 where the number of the element is
// below the threshold; number at is x[0]'s. A block of the generator gives four
// numbers, from a multiple of four on.
func dropout(y, x []float32, mask *dropoutMask, at uint64) {
	for len(x) > 0 {
		words := philox.Block(mask.seed, philox.PurposeDropout, mask.step, at/4)
		skip := int(at % 4)
		n := min(4-skip, len(x))
		if n == 4 {
			mask.four((*[4]float32)(y), (*[4]float32)(x), &words)
		} else {
			for i := range n {
				y[i] = mask.one(x[i], words[skip+i])
			}
		}
		x, y, at = x[n:], y[n:], at+uint64(n)
	}
}

func (d *dropoutMask) four(y, x *[4]float32, words *[4]uint32) {
	y[0] = d.one(x[0], words[0])
	y[1] = d.one(x[1], words[1])
	y[2] = d.one(x[2], words[2])
	y[3] = d.one(x[3], words[3])
}

// one has no branch, which would be as good as random to a predictor.
func (d *dropoutMask) one(x float32, word uint32) float32 {
	keep := ^uint32(int32(word>>8-d.threshold) >> 31)
	return math.Float32frombits(math.Float32bits(float32(d.factor*x)) & keep)
}
