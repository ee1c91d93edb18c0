package cpu

import "reprise/kernel"

// sumColumns is the number of columns that sumRows carries in registers.
const sumColumns = 8

func (b *binder) sumRows(in kernel.SumRows) step {
	x, out := b.f32(in.X), b.f32(in.Out)
	// Parts are blocks of columns: rows are never divided.
	blocks := ceilDiv(in.N, sumColumns)
	grain := max(1, cheapGrain/(in.M*sumColumns))
	return always(b.ranges(blocks, grain, func(lo, hi int) {
		for block := lo; block < hi; block++ {
			j := block * sumColumns
			if j+sumColumns <= in.N {
				sum8(out[j:j+sumColumns], x[j:], in.M, in.N)
				continue
			}
			for ; j < in.N; j++ {
				out[j] = sumStrided(x[j:], in.M, in.N)
			}
		}
	}))
}

// sum8 computes out[j] = x[j] + x[n+j] + ... + x[(m-1)n+j] for eight columns,
// each one chain from +0.
func sum8(out, x []float32, m, n int) {
	var s0, s1, s2, s3, s4, s5, s6, s7 float32
	for i := range m {
		row := x[i*n : i*n+8 : i*n+8]
		s0 += row[0]
		s1 += row[1]
		s2 += row[2]
		s3 += row[3]
		s4 += row[4]
		s5 += row[5]
		s6 += row[6]
		s7 += row[7]
	}
	out = out[:8]
	out[0], out[1], out[2], out[3], out[4], out[5], out[6], out[7] = s0, s1, s2, s3, s4, s5, s6, s7
}

// sumStrided returns x[0] + x[n] + ... + x[(m-1)n], one chain from +0.
func sumStrided(x []float32, m, n int) float32 {
	var s float32
	for i := range m {
		s += x[i*n]
	}
	return s
}

func (b *binder) treeSum(in kernel.TreeSum) step {
	x := b.f32(in.X)
	n := in.X.Len / in.Parts
	return always(b.ranges(n, max(1, cheapGrain/in.Parts), func(lo, hi int) {
		for d := 1; d < in.Parts; d *= 2 {
			for i := 0; i+d < in.Parts; i += 2 * d {
				add(x[i*n+lo:i*n+hi], x[(i+d)*n+lo:(i+d)*n+hi])
			}
		}
	}))
}
