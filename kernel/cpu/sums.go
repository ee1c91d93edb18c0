package cpu

import "reprise/kernel"

// columnBlock is the least number of columns that a thread sums: a cache line.
const columnBlock = 16

func (b *binder) sumRows(in kernel.SumRows) step {
	x, out := b.f32(in.X), b.f32(in.Out)
	// Parts are blocks of columns: rows are never divided. There are as few
	// parts as threads, so that each reads long runs of a row.
	blocks := ceilDiv(in.N, columnBlock)
	grain := max(ceilDiv(blocks, b.pool.Threads()), cheapGrain/(in.M*columnBlock))
	return always(b.ranges(blocks, grain, func(lo, hi int) {
		lo, hi = lo*columnBlock, min(hi*columnBlock, in.N)
		b.elements.sumColumns(out[lo:hi], x[lo:], in.M, in.N)
	}))
}

func (b *binder) treeSum(in kernel.TreeSum) step {
	x := b.f32(in.X)
	n := in.X.Len / in.Parts
	return always(b.ranges(n, max(1, cheapGrain/in.Parts), func(lo, hi int) {
		for d := 1; d < in.Parts; d *= 2 {
			for i := 0; i+d < in.Parts; i += 2 * d {
				to := x[i*n+lo : i*n+hi]
				b.elements.add(to, to, x[(i+d)*n+lo:(i+d)*n+hi])
			}
		}
	}))
}
