package cpu

import (
	"math"

	"reprise/internal/philox"
	"reprise/kernel"
)

// dropoutGrain is the range of elements below which a second thread does not
// pay off: a random number costs some nanoseconds.
const dropoutGrain = 1 << 12

func (b *binder) dropOut(in kernel.Dropout) step {
	x, y := b.f32(in.X), b.f32(in.Y)
	first := uint64(in.Stream)<<40 + uint64(in.First)
	constants := &dropoutConstants{
		factor:    float32(1 / (1 - float64(in.Rate))),
		threshold: dropThreshold(in.Rate),
	}
	run := b.ranges(len(x), dropoutGrain, func(lo, hi int) { b.elements.dropout(y[lo:hi], x[lo:hi], constants, first+uint64(lo)) })
	return func(s kernel.Scalars) error {
		constants.seed, constants.counter = s.Seed, dropoutCounter(s.Step)
		run()
		return nil
	}
}

// dropoutConstants says which random numbers drop their element. The assembly
// reads it.
type dropoutConstants struct {
	seed, counter uint64 // counter is dropoutCounter's
	threshold     uint32 // of the 24 bits of a uniform number, at most 2^24
	factor        float32
}

// dropoutCounter returns the upper two words of the generator's counter, as
// philox.Block makes them.
func dropoutCounter(step uint64) uint64 { return uint64(philox.PurposeDropout)<<56 | step&(1<<56-1) }

// dropThreshold returns the least integer u for which u*2^-24 < rate is false;
// both sides times 2^24 are exact.
func dropThreshold(rate float32) uint32 { return uint32(math.Ceil(float64(rate) * 0x1p24)) }

// dropout computes y = factor*x, or +0 if the element's random number is below
// the threshold; x[0] has number at. A block of the generator gives four
// numbers, beginning at a multiple of four.
func dropout(y, x []float32, c *dropoutConstants, at uint64) {
	for len(x) > 0 {
		words := philox.Block(c.seed, philox.PurposeDropout, c.counter, at/4)
		skip := int(at % 4)
		n := min(4-skip, len(x))
		if n == 4 {
			c.four((*[4]float32)(y), (*[4]float32)(x), &words)
		} else {
			for i := range n {
				y[i] = c.one(x[i], words[skip+i])
			}
		}
		x, y, at = x[n:], y[n:], at+uint64(n)
	}
}

func (c *dropoutConstants) four(y, x *[4]float32, words *[4]uint32) {
	y[0] = c.one(x[0], words[0])
	y[1] = c.one(x[1], words[1])
	y[2] = c.one(x[2], words[2])
	y[3] = c.one(x[3], words[3])
}

// one avoids a branch, which would be unpredictable.
func (c *dropoutConstants) one(x float32, word uint32) float32 {
	keep := ^uint32(int32(word>>8-c.threshold) >> 31)
	return math.Float32frombits(math.Float32bits(float32(c.factor*x)) & keep)
}
