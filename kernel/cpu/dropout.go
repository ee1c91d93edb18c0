package cpu

import (
	"math"

	"reprise/internal/philox"
	"reprise/kernel"
)

func (b *binder) dropout(in kernel.Dropout) step {
	d := &dropout{
		x: b.f32(in.X), y: b.f32(in.Y),
		factor: float32(1 / (1 - float64(in.Rate))),
		// u*2^-24 < Rate for an integer u: both sides times 2^24 are exact.
		threshold: uint32(math.Ceil(float64(in.Rate) * 0x1p24)),
		first:     uint64(in.Stream)<<40 + uint64(in.First),
	}
	run := b.ranges(len(d.x), dropoutGrain, d.apply)
	return func(s kernel.Scalars) error {
		d.seed, d.step = s.Seed, s.Step
		run()
		return nil
	}
}

// dropoutGrain is the range of elements below which a second thread does not
// pay: a number of the generator costs some nanoseconds.
const dropoutGrain = 1 << 12

type dropout struct {
	x, y       []float32 // y may be x
	factor     float32
	threshold  uint32 // of the 24 bits of a uniform number
	first      uint64 // number of element 0
	seed, step uint64
}

// apply writes elements [lo,hi). A block of the generator gives the numbers of
// four elements, from a multiple of four on.
func (d *dropout) apply(lo, hi int) {
	for lo < hi {
		at := d.first + uint64(lo)
		words := philox.Block(d.seed, philox.PurposeDropout, d.step, at/4)
		skip := int(at % 4)
		n := min(4-skip, hi-lo)
		if n == 4 {
			d.four((*[4]float32)(d.y[lo:]), (*[4]float32)(d.x[lo:]), &words)
		} else {
			for i := range n {
				d.y[lo+i] = d.one(d.x[lo+i], words[skip+i])
			}
		}
		lo += n
	}
}

func (d *dropout) four(y, x *[4]float32, words *[4]uint32) {
	y[0] = d.one(x[0], words[0])
	y[1] = d.one(x[1], words[1])
	y[2] = d.one(x[2], words[2])
	y[3] = d.one(x[3], words[3])
}

// one returns factor*x, or +0 where the word says so. It has no branch, which
// would be as good as random to a predictor.
func (d *dropout) one(x float32, word uint32) float32 {
	keep := ^uint32(int32(word>>8-d.threshold) >> 31) // both are at most 2^24
	return math.Float32frombits(math.Float32bits(float32(d.factor*x)) & keep)
}
