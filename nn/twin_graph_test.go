package nn

import (
	"fmt"
	"math"
	"slices"

	"reprise/internal/detmath"
	"reprise/internal/philox"
	"reprise/kernel"
)

// The twin's instructions for graphs: see twin_test.go.

// branch runs the instructions of graphs with branches, norms and attention; it
// returns false for others.
func (m *twinMemory[T]) branch(instruction kernel.Instruction, s kernel.Scalars) bool {
	switch i := instruction.(type) {
	case kernel.Add:
		a, b := m.at(i.A), m.at(i.B)
		for k := range a {
			m.at(i.Out)[k] = a[k] + b[k]
		}
	case kernel.AddRow:
		for k, x := range m.at(i.X) {
			m.at(i.Y)[k] = x + m.at(i.Row)[k%i.N]
		}
	case kernel.Dropout:
		keep := T(1 / float32(1-i.Rate))
		for k, x := range m.at(i.X) {
			if philox.Uniform32(s.Seed, philox.PurposeDropout, s.Step, uint64(i.Stream)<<40+uint64(i.First+k)) < i.Rate {
				m.at(i.Y)[k] = 0
			} else {
				m.at(i.Y)[k] = x * keep
			}
		}
	case kernel.Embedding:
		for r, token := range m.ints(i.Tokens) {
			copy(m.at(i.Y)[r*i.N:(r+1)*i.N], m.at(i.Table)[int(token)*i.N:])
		}
	case kernel.EmbeddingGrad:
		clear(m.at(i.DTable))
		for r, token := range m.ints(i.Tokens) {
			for k := range i.N {
				m.at(i.DTable)[int(token)*i.N+k] += m.at(i.DY)[r*i.N+k]
			}
		}
	case kernel.CopyColumns:
		x, y := m.at(i.X), m.at(i.Y)
		clear(y)
		for r := range i.M {
			copy(y[r*i.YN+i.YFirst:][:i.N], x[r*i.XN+i.XFirst:])
		}
	case kernel.TokenColumns:
		for k := range m.ints(i.Y) {
			m.ints(i.Y)[k] = int32(m.at(i.X)[k/i.N*i.XN+i.First+k%i.N])
		}
	case kernel.MeanTokens:
		clear(m.at(i.Y))
		for r := range i.M {
			n := textEnd(m.ints(i.Tokens)[r*i.T : (r+1)*i.T])
			for k := range n * i.N {
				m.at(i.Y)[r*i.N+k%i.N] += m.at(i.X)[r*i.T*i.N+k]
			}
			for k := range i.N {
				m.at(i.Y)[r*i.N+k] /= T(max(n, 1))
			}
		}
	case kernel.MeanTokensGrad:
		clear(m.at(i.DX))
		for r := range i.M {
			n := textEnd(m.ints(i.Tokens)[r*i.T : (r+1)*i.T])
			for k := range n * i.N {
				m.at(i.DX)[r*i.T*i.N+k] = m.at(i.DY)[r*i.N+k%i.N] / T(n)
			}
		}
	case kernel.LayerNorm:
		m.layerNorm(i)
	case kernel.LayerNormGrad:
		m.rowNormGrad(i, m.at(i.Mean), m.at(i.DBias))
	case kernel.RMSNorm:
		m.rmsNorm(i)
	case kernel.RMSNormGrad:
		m.rowNormGrad(kernel.LayerNormGrad{
			X: i.X, Gain: i.Gain, InvStd: i.InvStd, DY: i.DY, DX: i.DX, DGain: i.DGain, M: i.M, N: i.N,
		}, nil, nil)
	case kernel.BatchNorm:
		m.batchNorm(i)
	case kernel.BatchNormGrad:
		m.batchNormGrad(i)
	case kernel.BatchNormApply:
		for k, x := range m.at(i.X) {
			j := k % i.N
			inv := 1 / root(m.at(i.Var)[j]+T(i.Epsilon))
			m.at(i.Y)[k] = fma((x-m.at(i.Mean)[j])*inv, m.at(i.Gain)[j], m.at(i.Bias)[j])
		}
	case kernel.RunningAverage:
		for k, batch := range m.at(i.Batch) {
			r := &m.at(i.Running)[k]
			*r = T(T(1-i.Momentum)**r) + T(T(i.Momentum)*T(T(i.Factor)*batch)) // no compiler fuses what is converted
		}
	case kernel.Attention:
		m.attention(i)
	case kernel.AttentionGrad:
		m.attentionGrad(i)
	case kernel.DepthwiseConv2D:
		x, w := m.at(i.X), m.at(i.Weight)
		m.depthwise(i.ConvShape, func(p, y, at int) { m.at(i.Y)[y] = fma(x[p], w[at], m.at(i.Y)[y]) }, func(y, c int) {
			m.at(i.Y)[y] = 0
			if !i.Bias.Empty() {
				m.at(i.Y)[y] = m.at(i.Bias)[c]
			}
		})
	case kernel.DepthwiseConv2DGradInput:
		dx, w := m.at(i.DX), m.at(i.Weight)
		clear(dx)
		m.depthwise(i.ConvShape, func(p, y, at int) { dx[p] = fma(m.at(i.DY)[y], w[at], dx[p]) }, func(int, int) {})
	case kernel.DepthwiseConv2DGradWeight:
		dw := m.at(i.DWeight)
		clear(dw)
		m.depthwise(i.ConvShape, func(p, y, at int) { dw[at] = fma(m.at(i.X)[p], m.at(i.DY)[y], dw[at]) }, func(int, int) {})
	case kernel.StoreBF16:
		m.storeBF16(i)
	case kernel.LoadBF16:
		m.loadBF16(i)
	case kernel.MeanSquaredError:
		for r := range i.M {
			sum := lanes(i.N, func(k int, lane T) T {
				d := m.at(i.Prediction)[r*i.N+k] - m.at(i.Target)[r*i.N+k]
				return fma(d, d, lane)
			})
			m.at(i.Loss)[r] = sum / T(i.N)
		}
		if !i.DPrediction.Empty() {
			for k := range m.at(i.DPrediction) {
				m.at(i.DPrediction)[k] = T(2/float32(i.N)*i.Scale) * (m.at(i.Prediction)[k] - m.at(i.Target)[k])
			}
		}
	case kernel.AbsoluteError:
		m.absoluteError(i)
	case kernel.ReweightLoss:
		m.reweight(i)
	default:
		return false
	}
	return true
}

func (m *twinMemory[T]) absoluteError(i kernel.AbsoluteError) {
	delta := T(i.Delta)
	for r := range i.M {
		slopes := make([]T, i.N)
		sum := lanes(i.N, func(k int, lane T) T {
			d := m.at(i.Prediction)[r*i.N+k] - m.at(i.Target)[r*i.N+k]
			size, sign := max(d, -d), T(0)
			if d != 0 {
				sign = d / size
			}
			switch {
			case delta == 0:
				slopes[k] = sign
				return lane + size
			case size <= delta:
				slopes[k] = d
				return lane + T(T(d/2)*d)
			}
			slopes[k] = sign * delta
			return lane + T(delta*(size-delta/2))
		})
		m.at(i.Loss)[r] = sum / T(i.N)
		if i.DPrediction.Empty() {
			continue
		}
		for k, slope := range slopes {
			m.at(i.DPrediction)[r*i.N+k] = T(1/float32(i.N)*i.Scale) * slope
		}
	}
}

// reweight computes in float64, and rounds to the precision of the memory.
func (m *twinMemory[T]) reweight(i kernel.ReweightLoss) {
	for r := range i.M {
		loss, factor := m.at(i.Loss)[r], T(1)
		if gamma := float64(i.Gamma); gamma != 0 {
			c := float64(loss)
			p := detmath.Exp(-c)
			hard := detmath.Pow(1-p, gamma)
			loss, factor = T(hard*c), T(hard+float64(float64(gamma*(float64(p*c)/(1-p)))*hard))
		}
		if !i.Weight.Empty() {
			loss, factor = T(loss*m.at(i.Weight)[r]), T(factor*m.at(i.Weight)[r])
		}
		m.at(i.Loss)[r] = loss
		if i.DLogits.Empty() {
			continue
		}
		for k := range i.N {
			m.at(i.DLogits)[r*i.N+k] *= factor
		}
	}
}

// storeBF16 rounds in float32. In float64 it keeps all of a value, so that
// gradients are those of the loss. The values are kept outside the memory; a
// mark in each element shows whether they are still valid.
func (m *twinMemory[T]) storeBF16(i kernel.StoreBF16) {
	kept := make([]T, i.X.Len)
	for k, x := range m.at(i.X) {
		kept[k] = x
		if v, ok := any(x).(float32); ok {
			kept[k] = T(nearestBF16(v))
		}
	}
	m.packed[i.Y.Offset] = kept
	for k := range m.at(i.Y) {
		m.at(i.Y)[k] = packedMark[T](i.Y.Offset)
	}
}

func (m *twinMemory[T]) loadBF16(i kernel.LoadBF16) {
	kept := m.packed[i.X.Offset]
	for _, mark := range m.at(i.X) {
		if mark != packedMark[T](i.X.Offset) {
			panic(fmt.Sprintf("twin: %v is no longer packed", i.X))
		}
	}
	if copy(m.at(i.Y), kept) != len(kept) || len(kept) != i.Y.Len {
		panic(fmt.Sprintf("twin: %d values packed, %d unpacked", len(kept), i.Y.Len))
	}
}

// packedMark is a number that no computation gives.
func packedMark[T float32 | float64](offset int) T { return T(-0x1.5a5a5ap100) - T(offset)*0x1p80 }

// nearestBF16 rounds to the nearest multiple of the value of the last of 8
// digits, ties to even.
func nearestBF16(x float32) float32 {
	if x == 0 || x != x || math.IsInf(float64(x), 0) {
		return x
	}
	unit := math.Ldexp(1, max(math.Ilogb(float64(x)), -126)-7)
	return float32(math.RoundToEven(float64(x)/unit) * unit)
}

// depthwise calls begin for each output element and then f for each input
// element that meets a weight in it: exact orders are tested in kernel/cpu;
// this is for float64.
func (m *twinMemory[T]) depthwise(s kernel.ConvShape, f func(x, y, weight int), begin func(y, c int)) {
	windows(s, func(n, oh, ow, y int) {
		for c := range s.InChannels {
			begin(y+c, c)
			for kh := range s.KernelH {
				for kw := range s.KernelW {
					if p := input(s, n, oh, ow, kh, kw); p >= 0 {
						f(p+c, y+c, (kh*s.KernelW+kw)*s.InChannels+c)
					}
				}
			}
		}
	})
}

func root[T float32 | float64](x T) T { return T(math.Sqrt(float64(x))) }

// lanes sums n terms in 16 lanes and a tree; add adds term k to its lane.
func lanes[T float32 | float64](n int, add func(k int, lane T) T) T {
	var lane [16]T
	for k := range n {
		lane[k%16] = add(k, lane[k%16])
	}
	for d := 8; d > 0; d /= 2 {
		for l := range d {
			lane[l] += lane[l+d]
		}
	}
	return lane[0]
}

func (m *twinMemory[T]) layerNorm(i kernel.LayerNorm) {
	x, n := m.at(i.X), T(i.N)
	for r := range i.M {
		row := x[r*i.N : (r+1)*i.N]
		mean := lanes(i.N, func(k int, lane T) T { return lane + row[k] }) / n
		variance := lanes(i.N, func(k int, lane T) T { return fma(row[k]-mean, row[k]-mean, lane) }) / n
		inv := 1 / root(variance+T(i.Epsilon))
		m.at(i.Mean)[r], m.at(i.InvStd)[r] = mean, inv
		for k, v := range row {
			m.at(i.Y)[r*i.N+k] = fma((v-mean)*inv, m.at(i.Gain)[k], m.at(i.Bias)[k])
		}
	}
}

func (m *twinMemory[T]) rmsNorm(i kernel.RMSNorm) {
	x := m.at(i.X)
	for r := range i.M {
		row := x[r*i.N : (r+1)*i.N]
		inv := 1 / root(lanes(i.N, func(k int, lane T) T { return fma(row[k], row[k], lane) })/T(i.N)+T(i.Epsilon))
		m.at(i.InvStd)[r] = inv
		for k, v := range row {
			m.at(i.Y)[r*i.N+k] = (v * inv) * m.at(i.Gain)[k]
		}
	}
}

// rowNormGrad is LayerNormGrad or, without mean and dbias, RMSNormGrad.
func (m *twinMemory[T]) rowNormGrad(i kernel.LayerNormGrad, mean, dbias []T) {
	dgain, gain := m.at(i.DGain), m.at(i.Gain)
	clear(dgain)
	clear(dbias)
	for r := range i.M {
		inv := m.at(i.InvStd)[r]
		h, g := make([]T, i.N), make([]T, i.N)
		for k := range h {
			h[k] = m.at(i.X)[r*i.N+k]
			if mean != nil {
				h[k] -= mean[r]
			}
			h[k] *= inv
			dy := m.at(i.DY)[r*i.N+k]
			g[k] = dy * gain[k]
			dgain[k] = fma(h[k], dy, dgain[k])
			if dbias != nil {
				dbias[k] += dy
			}
		}
		var a T
		if mean != nil {
			a = lanes(i.N, func(k int, lane T) T { return lane + g[k] }) / T(i.N)
		}
		b := lanes(i.N, func(k int, lane T) T { return fma(g[k], h[k], lane) }) / T(i.N)
		for k := range h {
			m.at(i.DX)[r*i.N+k] = inv * fma(-h[k], b, g[k]-a)
		}
	}
}

// blocks sums a column's terms in blocks of rows, which are added in a tree.
func blocks[T float32 | float64](rows int, add func(r int, sum T) T) T {
	var sums []T
	for r := range rows {
		if r%kernel.BatchBlock == 0 {
			sums = append(sums, 0)
		}
		last := &sums[len(sums)-1]
		*last = add(r, *last)
	}
	for d := 1; d < len(sums); d *= 2 {
		for k := 0; k+d < len(sums); k += 2 * d {
			sums[k] += sums[k+d]
		}
	}
	return sums[0]
}

func (m *twinMemory[T]) batchNorm(i kernel.BatchNorm) {
	x, rows := m.at(i.X), T(i.M)
	for j := range i.N {
		mean := blocks(i.M, func(r int, sum T) T { return sum + x[r*i.N+j] }) / rows
		squares := blocks(i.M, func(r int, sum T) T { return fma(x[r*i.N+j]-mean, x[r*i.N+j]-mean, sum) })
		inv := 1 / root(squares/rows+T(i.Epsilon))
		m.at(i.Mean)[j], m.at(i.InvStd)[j] = mean, inv
		m.at(i.BatchMean)[j], m.at(i.BatchVar)[j] = mean, squares/T(max(i.M-1, 1))
		for r := range i.M {
			m.at(i.Y)[r*i.N+j] = fma((x[r*i.N+j]-mean)*inv, m.at(i.Gain)[j], m.at(i.Bias)[j])
		}
	}
}

func (m *twinMemory[T]) batchNormGrad(i kernel.BatchNormGrad) {
	x, dy, rows := m.at(i.X), m.at(i.DY), T(i.M)
	for j := range i.N {
		mean, inv := m.at(i.Mean)[j], m.at(i.InvStd)[j]
		h := func(r int) T { return (x[r*i.N+j] - mean) * inv }
		dgain := blocks(i.M, func(r int, sum T) T { return fma(h(r), dy[r*i.N+j], sum) })
		dbias := blocks(i.M, func(r int, sum T) T { return sum + dy[r*i.N+j] })
		m.at(i.DGain)[j], m.at(i.DBias)[j] = dgain, dbias
		for r := range i.M {
			m.at(i.DX)[r*i.N+j] = (m.at(i.Gain)[j] * inv) * fma(-h(r), dgain/rows, dy[r*i.N+j]-dbias/rows)
		}
	}
}

// head calls f for each sequence and head, with functions that give the place
// of query (0), key (1) or value (2) component c of a token in QKV, and of an
// output's.
func head(s kernel.AttentionShape, f func(row int, qkv func(which, token, c int) int, out func(token, c int) int)) {
	for b := range s.Batch {
		for h := range s.Heads {
			f((b*s.Heads+h)*s.Tokens, func(which, token, c int) int {
				return (b*s.Tokens+token)*3*s.Width() + which*s.Width() + h*s.HeadWidth + c
			}, func(token, c int) int {
				return (b*s.Tokens+token)*s.Width() + h*s.HeadWidth + c
			})
		}
	}
}

// textEnd returns the place of the padding.
func textEnd(tokens []int32) int {
	if at := slices.Index(tokens, 0); at >= 0 {
		return at
	}
	return len(tokens)
}

// sequence returns the length of the sequence whose head has its statistics from row on.
func (m *twinMemory[T]) sequence(s kernel.AttentionShape, text kernel.Span, row int) int {
	if text.Empty() {
		return s.Tokens
	}
	first := row / s.Tokens / s.Heads * s.Tokens // in tokens
	return textEnd(m.ints(text)[first : first+s.Tokens])
}

// scores returns the probabilities of a query's keys, and max and 1/sum. length is that
// of the sequence.
func scores[T float32 | float64](s kernel.AttentionShape, x []T, at func(which, token, c int) int, query, length int) (p []T, top, inv T) {
	seen := length
	if s.Causal {
		seen = query + 1
	}
	p = make([]T, length)
	top = T(math.Inf(-1))
	for j := range seen {
		for c := range s.HeadWidth {
			p[j] = fma(x[at(0, query, c)], x[at(1, j, c)], p[j])
		}
		p[j] *= T(1 / math.Sqrt(float64(s.HeadWidth)))
		top = max(top, p[j])
	}
	for j := range seen {
		p[j] = T(math.Exp(float64(p[j] - top)))
	}
	inv = 1 / lanes(seen, func(k int, lane T) T { return lane + p[k] })
	for j := range p {
		p[j] *= inv
	}
	return p, top, inv
}

func (m *twinMemory[T]) attention(i kernel.Attention) {
	x, y := m.at(i.QKV), m.at(i.Y)
	clear(y)
	head(i.AttentionShape, func(row int, at func(which, token, c int) int, out func(token, c int) int) {
		length := m.sequence(i.AttentionShape, i.Text, row)
		for q := range i.Tokens {
			m.at(i.Max)[row+q], m.at(i.Inv)[row+q] = 0, 0
		}
		for q := range length {
			p, top, inv := scores(i.AttentionShape, x, at, q, length)
			m.at(i.Max)[row+q], m.at(i.Inv)[row+q] = top, inv
			for c := range i.HeadWidth {
				var sum T
				for j := range p {
					sum = fma(p[j], x[at(2, j, c)], sum)
				}
				y[out(q, c)] = sum
			}
		}
	})
}

func (m *twinMemory[T]) attentionGrad(i kernel.AttentionGrad) {
	x, y, dy, dx := m.at(i.QKV), m.at(i.Y), m.at(i.DY), m.at(i.DQKV)
	clear(dx)
	scale := T(1 / math.Sqrt(float64(i.HeadWidth)))
	head(i.AttentionShape, func(row int, at func(which, token, c int) int, out func(token, c int) int) {
		length := m.sequence(i.AttentionShape, i.Text, row)
		for q := range length {
			p, _, _ := scores(i.AttentionShape, x, at, q, length)
			dot := lanes(i.HeadWidth, func(c int, lane T) T { return fma(dy[out(q, c)], y[out(q, c)], lane) })
			for j := range p {
				var dp T
				for c := range i.HeadWidth {
					dp = fma(dy[out(q, c)], x[at(2, j, c)], dp)
				}
				ds := p[j] * (dp - dot) * scale
				for c := range i.HeadWidth {
					dx[at(0, q, c)] = fma(ds, x[at(1, j, c)], dx[at(0, q, c)])
					dx[at(1, j, c)] = fma(ds, x[at(0, q, c)], dx[at(1, j, c)])
					dx[at(2, j, c)] = fma(p[j], dy[out(q, c)], dx[at(2, j, c)])
				}
			}
		}
	})
}
