package cpu

import (
	"math"

	"reprise/kernel"
)

func (b *binder) storeBF16(in kernel.StoreBF16) step {
	x, y := b.f32(in.X), b.i32(in.Y)
	return always(b.ranges(len(y), cheapGrain, func(lo, hi int) {
		b.elements.packBF16(y[lo:hi], x[2*lo:min(2*hi, len(x))])
	}))
}

func (b *binder) loadBF16(in kernel.LoadBF16) step {
	x, y := b.i32(in.X), b.f32(in.Y)
	return always(b.ranges(len(x), cheapGrain, func(lo, hi int) {
		b.elements.unpackBF16(y[2*lo:min(2*hi, len(y))], x[lo:hi])
	}))
}

// bf16 returns the bits of x rounded to bfloat16, to nearest, ties to even.
func bf16(x float32) uint32 {
	u := math.Float32bits(x)
	if x != x {
		return (u | 1<<22) >> 16 // quiet
	}
	return (u + 0x7fff + u>>16&1) >> 16
}

// packBF16 writes x into y as described at kernel.StoreBF16.
func packBF16(y []int32, x []float32) {
	y = y[:kernel.BF16Elements(len(x))]
	for i := range len(x) / 2 {
		pair := (*[2]float32)(x[2*i:])
		y[i] = int32(bf16(pair[0]) | bf16(pair[1])<<16)
	}
	if len(x)%2 == 1 {
		y[len(y)-1] = int32(bf16(x[len(x)-1]))
	}
}

// unpackBF16 writes as many elements of x as y has.
func unpackBF16(y []float32, x []int32) {
	x = x[:kernel.BF16Elements(len(y))]
	for i := range len(y) / 2 {
		pair := (*[2]float32)(y[2*i:])
		u := uint32(x[i])
		pair[0], pair[1] = math.Float32frombits(u<<16), math.Float32frombits(u&0xffff0000)
	}
	if len(y)%2 == 1 {
		y[len(y)-1] = math.Float32frombits(uint32(x[len(x)-1]) << 16)
	}
}
