package cpu

import (
	"math/rand"
	"testing"
)

// The operations on rows at a length that stays in the first cache.
func BenchmarkRows(b *testing.B) {
	const n = 1024
	rng := rand.New(rand.NewSource(1))
	x, y, z, out := normal(rng, n, 1), normal(rng, n, 1), normal(rng, n, 1), make([]float32, n)
	k := portableRows()
	mask := &dropoutMask{seed: 1, step: 2, threshold: 1 << 22, factor: 4. / 3}
	for _, c := range []struct {
		name string
		do   func()
	}{
		{"add", func() { k.add(out, x, y) }},
		{"fma", func() { k.fma(out, x, y, z) }},
		{"axpy", func() { k.axpy(out, x, 0.5) }},
		{"affine", func() { k.affine(out, x, y, z, 0.5) }},
		{"sum", func() { k.sum(x) }},
		{"sumSquares", func() { k.sumSquares(x) }},
		{"dot", func() { k.dot(x, y) }},
		{"sumColumns", func() { k.sumColumns(out[:64], x, n/64, 64) }},
		{"fmaColumns", func() { k.fmaColumns(out[:64], x, y, n/64, 64) }},
		{"dropout", func() { k.dropout(out, x, mask, 0) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(n) // so that MB/s counts millions of elements
			for b.Loop() {
				c.do()
			}
		})
	}
}
