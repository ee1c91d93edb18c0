package cpu

import "reprise/kernel"

func (b *binder) copyColumns(in kernel.CopyColumns) step {
	x, y := b.f32(in.X), b.f32(in.Y)
	return always(b.ranges(in.M, max(1, cheapGrain/in.YN), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			to := row(y, i, in.YN)
			clear(to[:in.YFirst])
			copy(to[in.YFirst:in.YFirst+in.N], row(x, i, in.XN)[in.XFirst:])
			clear(to[in.YFirst+in.N:])
		}
	}))
}

func (b *binder) tokenColumns(in kernel.TokenColumns) step {
	x, y := b.f32(in.X), b.i32(in.Y)
	return always(b.ranges(in.M, max(1, cheapGrain/in.N), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			from, to := row(x, i, in.XN)[in.First:], y[i*in.N:(i+1)*in.N]
			for k := range to {
				to[k] = tokenOf(from[k])
			}
		}
	}))
}

// tokenOf returns the token that a value is, -1 if it is none.
func tokenOf(v float32) int32 {
	if !(v >= 0 && v <= kernel.MaxTokenColumn) || float32(int32(v)) != v {
		return -1
	}
	return int32(v)
}

// textLength returns the number of tokens before the padding.
func textLength(tokens []int32) int {
	for i, token := range tokens {
		if token == 0 {
			return i
		}
	}
	return len(tokens)
}

func (b *binder) meanTokens(in kernel.MeanTokens) step {
	tokens, x, y := b.i32(in.Tokens), b.f32(in.X), b.f32(in.Y)
	return always(b.ranges(in.M, max(1, cheapGrain/(in.T*in.N)), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			mean := row(y, i, in.N)
			clear(mean)
			n := textLength(tokens[i*in.T : (i+1)*in.T])
			for t := range n {
				b.elements.add(mean, mean, row(x, i*in.T+t, in.N))
			}
			if n > 0 {
				b.elements.divide(mean, mean, float32(n))
			}
		}
	}))
}

func (b *binder) meanTokensGrad(in kernel.MeanTokensGrad) step {
	tokens, dy, dx := b.i32(in.Tokens), b.f32(in.DY), b.f32(in.DX)
	return always(b.ranges(in.M, max(1, cheapGrain/(in.T*in.N)), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			n := textLength(tokens[i*in.T : (i+1)*in.T])
			for t := range n {
				if t == 0 {
					b.elements.divide(row(dx, i*in.T, in.N), row(dy, i, in.N), float32(n))
				} else {
					copy(row(dx, i*in.T+t, in.N), row(dx, i*in.T, in.N))
				}
			}
			clear(dx[(i*in.T+n)*in.N : (i+1)*in.T*in.N])
		}
	}))
}
