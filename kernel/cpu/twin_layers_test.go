package cpu

import (
	"math"

	"reprise/internal/detmath"
	"reprise/internal/philox"
	"reprise/kernel"
)

// layers executes the instructions of elementwise.go, norm.go and loss.go of
// package kernel; it reports whether the instruction is one of them.
func (t twin) layers(instruction kernel.Instruction, s kernel.Scalars) bool {
	switch in := instruction.(type) {
	case kernel.Add:
		for i := range in.Out.Len {
			t.set(in.Out, i, t.get(in.A, i)+t.get(in.B, i))
		}
	case kernel.AddRow:
		for i := range in.Y.Len {
			t.set(in.Y, i, t.get(in.X, i)+t.get(in.Row, i%in.N))
		}
	case kernel.StoreBF16:
		t.storeBF16(in)
	case kernel.LoadBF16:
		t.loadBF16(in)
	case kernel.Scale:
		for i := range in.Y.Len {
			t.set(in.Y, i, float32(in.Factor*t.get(in.X, i)))
		}
	case kernel.Dropout:
		for i := range in.Y.Len {
			y := float32(float32(1/(1-float64(in.Rate))) * t.get(in.X, i))
			if philox.Uniform32(s.Seed, philox.PurposeDropout, s.Step, uint64(in.Stream)<<40+uint64(in.First+i)) < in.Rate {
				y = 0
			}
			t.set(in.Y, i, y)
		}
	case kernel.Embedding:
		for i := range in.Y.Len {
			t.setInt(in.Y, i, t.getInt(in.Table, int(t.getInt(in.Tokens, i/in.N))*in.N+i%in.N))
		}
	case kernel.EmbeddingGrad:
		for i := range in.DTable.Len {
			var sum float32
			for r := range in.M {
				if int(t.getInt(in.Tokens, r)) == i/in.N {
					sum += t.get(in.DY, r*in.N+i%in.N)
				}
			}
			t.set(in.DTable, i, sum)
		}
	case kernel.CopyColumns:
		for i := range in.Y.Len {
			var v float32
			if at := i%in.YN - in.YFirst; at >= 0 && at < in.N {
				v = t.get(in.X, i/in.YN*in.XN+in.XFirst+at)
			}
			t.set(in.Y, i, v)
		}
	case kernel.TokenColumns:
		for i := range in.Y.Len {
			v := t.get(in.X, i/in.N*in.XN+in.First+i%in.N)
			token := int32(-1)
			if v >= 0 && v <= 1<<24 && math.Trunc(float64(v)) == float64(v) {
				token = int32(v)
			}
			t.setInt(in.Y, i, token)
		}
	case kernel.MeanTokens:
		for i := range in.Y.Len {
			var sum float32
			n := t.length(in.Tokens, i/in.N, in.T)
			for k := range n {
				sum += t.get(in.X, (i/in.N*in.T+k)*in.N+i%in.N)
			}
			if n > 0 {
				sum /= float32(n)
			}
			t.set(in.Y, i, sum)
		}
	case kernel.MeanTokensGrad:
		for i := range in.DX.Len {
			sample, place := i/in.N/in.T, i/in.N%in.T
			var v float32
			if n := t.length(in.Tokens, sample, in.T); place < n {
				v = t.get(in.DY, sample*in.N+i%in.N) / float32(n)
			}
			t.set(in.DX, i, v)
		}
	case kernel.RunningAverage:
		for i := range in.Batch.Len {
			t.set(in.Running, i, float32((1-in.Momentum)*t.get(in.Running, i))+float32(in.Momentum*float32(in.Factor*t.get(in.Batch, i))))
		}
	case kernel.ClipNorm:
		t.clipNorm(in)
	case kernel.LayerNorm:
		t.layerNorm(in)
	case kernel.LayerNormGrad:
		t.layerNormGrad(in)
	case kernel.RMSNorm:
		t.rmsNorm(in)
	case kernel.RMSNormGrad:
		t.rmsNormGrad(in)
	case kernel.BatchNorm:
		t.batchNorm(in)
	case kernel.BatchNormGrad:
		t.batchNormGrad(in)
	case kernel.BatchNormApply:
		for i := range in.Y.Len {
			j := i % in.N
			h := float32((t.get(in.X, i) - t.get(in.Mean, j)) * twinInvStd(t.get(in.Var, j), in.Epsilon))
			t.set(in.Y, i, FMA32(h, t.get(in.Gain, j), t.get(in.Bias, j)))
		}
	case kernel.MeanSquaredError:
		t.meanSquaredError(in)
	case kernel.AbsoluteError:
		t.absoluteError(in)
	case kernel.ReweightLoss:
		t.reweightLoss(in)
	default:
		return false
	}
	return true
}

// length returns how many tokens of a text come before the padding.
func (t twin) length(tokens kernel.Span, text, width int) int {
	for k := range width {
		if t.getInt(tokens, text*width+k) == 0 {
			return k
		}
	}
	return width
}

// inLanes adds n terms as in a row's sum: step adds term j to a lane.
func inLanes(n int, step func(j int, lane float32) float32) float32 {
	lane := make([]float32, 16)
	for j := range n {
		lane[j%16] = step(j, lane[j%16])
	}
	for _, d := range []int{8, 4, 2, 1} {
		for l := range d {
			lane[l] += lane[l+d]
		}
	}
	return lane[0]
}

// inTree adds values as TreeSum does, by its definition in recursive form: the
// tree over n parts splits at the largest power of two below n.
func inTree(values []float32) float32 {
	if len(values) == 1 {
		return values[0]
	}
	half := 1
	for 2*half < len(values) {
		half *= 2
	}
	return inTree(values[:half]) + inTree(values[half:])
}

// inBlocks adds m terms as in BatchNorm's columns: chains within blocks of 128.
func inBlocks(m int, step func(i int, sum float32) float32) float32 {
	var blocks []float32
	for i := range m {
		if i%128 == 0 {
			blocks = append(blocks, 0)
		}
		blocks[i/128] = step(i, blocks[i/128])
	}
	return inTree(blocks)
}

func twinInvStd(variance, epsilon float32) float32 {
	v := variance + epsilon
	return 1 / float32(math.Sqrt(float64(v)))
}

func (t twin) clipNorm(in kernel.ClipNorm) {
	var blocks []float32
	for from := 0; from < in.Grad.Len; from += 1 << 14 {
		blocks = append(blocks, inLanes(min(1<<14, in.Grad.Len-from), func(j int, lane float32) float32 {
			g := t.get(in.Grad, from+j)
			return FMA32(g, g, lane)
		}))
	}
	norm := float32(math.Sqrt(float64(inTree(blocks))))
	t.set(in.Norm, 0, norm)
	if !(norm > in.MaxNorm) || math.IsInf(float64(norm), 1) {
		return
	}
	for i := range in.Grad.Len {
		t.set(in.Grad, i, float32(in.MaxNorm/norm*t.get(in.Grad, i)))
	}
}

func (t twin) layerNorm(in kernel.LayerNorm) {
	for r := range in.M {
		x := func(j int) float32 { return t.get(in.X, r*in.N+j) }
		mean := inLanes(in.N, func(j int, lane float32) float32 { return lane + x(j) }) / float32(in.N)
		squares := inLanes(in.N, func(j int, lane float32) float32 { return FMA32(x(j)-mean, x(j)-mean, lane) })
		inv := twinInvStd(squares/float32(in.N), in.Epsilon)
		t.set(in.Mean, r, mean)
		t.set(in.InvStd, r, inv)
		for j := range in.N {
			t.set(in.Y, r*in.N+j, FMA32(float32((x(j)-mean)*inv), t.get(in.Gain, j), t.get(in.Bias, j)))
		}
	}
}

func (t twin) layerNormGrad(in kernel.LayerNormGrad) {
	h := func(r, j int) float32 {
		return float32((t.get(in.X, r*in.N+j) - t.get(in.Mean, r)) * t.get(in.InvStd, r))
	}
	dy := func(r, j int) float32 { return t.get(in.DY, r*in.N+j) }
	for j := range in.N {
		var dgain, dbias float32
		for r := range in.M {
			dgain = FMA32(h(r, j), dy(r, j), dgain)
			dbias += dy(r, j)
		}
		t.set(in.DGain, j, dgain)
		t.set(in.DBias, j, dbias)
	}
	for r := range in.M {
		g := func(j int) float32 { return float32(dy(r, j) * t.get(in.Gain, j)) }
		a := inLanes(in.N, func(j int, lane float32) float32 { return lane + g(j) }) / float32(in.N)
		b := inLanes(in.N, func(j int, lane float32) float32 { return FMA32(g(j), h(r, j), lane) }) / float32(in.N)
		for j := range in.N {
			t.set(in.DX, r*in.N+j, float32(t.get(in.InvStd, r)*FMA32(-h(r, j), b, g(j)-a)))
		}
	}
}

func (t twin) rmsNorm(in kernel.RMSNorm) {
	for r := range in.M {
		squares := inLanes(in.N, func(j int, lane float32) float32 {
			x := t.get(in.X, r*in.N+j)
			return FMA32(x, x, lane)
		})
		inv := twinInvStd(squares/float32(in.N), in.Epsilon)
		t.set(in.InvStd, r, inv)
		for j := range in.N {
			t.set(in.Y, r*in.N+j, float32(float32(t.get(in.X, r*in.N+j)*inv)*t.get(in.Gain, j)))
		}
	}
}

func (t twin) rmsNormGrad(in kernel.RMSNormGrad) {
	h := func(r, j int) float32 { return float32(t.get(in.X, r*in.N+j) * t.get(in.InvStd, r)) }
	dy := func(r, j int) float32 { return t.get(in.DY, r*in.N+j) }
	for j := range in.N {
		var dgain float32
		for r := range in.M {
			dgain = FMA32(h(r, j), dy(r, j), dgain)
		}
		t.set(in.DGain, j, dgain)
	}
	for r := range in.M {
		g := func(j int) float32 { return float32(dy(r, j) * t.get(in.Gain, j)) }
		b := inLanes(in.N, func(j int, lane float32) float32 { return FMA32(g(j), h(r, j), lane) }) / float32(in.N)
		for j := range in.N {
			t.set(in.DX, r*in.N+j, float32(t.get(in.InvStd, r)*FMA32(-h(r, j), b, g(j))))
		}
	}
}

func (t twin) batchNorm(in kernel.BatchNorm) {
	for j := range in.N {
		x := func(i int) float32 { return t.get(in.X, i*in.N+j) }
		mean := inBlocks(in.M, func(i int, sum float32) float32 { return sum + x(i) }) / float32(in.M)
		squares := inBlocks(in.M, func(i int, sum float32) float32 { return FMA32(x(i)-mean, x(i)-mean, sum) })
		inv := twinInvStd(squares/float32(in.M), in.Epsilon)
		t.set(in.Mean, j, mean)
		t.set(in.BatchMean, j, mean)
		t.set(in.InvStd, j, inv)
		t.set(in.BatchVar, j, squares/float32(max(in.M-1, 1)))
		for i := range in.M {
			t.set(in.Y, i*in.N+j, FMA32(float32((x(i)-mean)*inv), t.get(in.Gain, j), t.get(in.Bias, j)))
		}
	}
}

func (t twin) batchNormGrad(in kernel.BatchNormGrad) {
	for j := range in.N {
		dy := func(i int) float32 { return t.get(in.DY, i*in.N+j) }
		h := func(i int) float32 {
			return float32((t.get(in.X, i*in.N+j) - t.get(in.Mean, j)) * t.get(in.InvStd, j))
		}
		dgain := inBlocks(in.M, func(i int, sum float32) float32 { return FMA32(h(i), dy(i), sum) })
		dbias := inBlocks(in.M, func(i int, sum float32) float32 { return sum + dy(i) })
		t.set(in.DGain, j, dgain)
		t.set(in.DBias, j, dbias)
		for i := range in.M {
			slope := float32(t.get(in.Gain, j) * t.get(in.InvStd, j))
			t.set(in.DX, i*in.N+j, float32(slope*FMA32(-h(i), dgain/float32(in.M), dy(i)-dbias/float32(in.M))))
		}
	}
}

func (t twin) meanSquaredError(in kernel.MeanSquaredError) {
	factor := float32(float32(2/float32(in.N)) * in.Scale)
	for r := range in.M {
		d := func(j int) float32 { return t.get(in.Prediction, r*in.N+j) - t.get(in.Target, r*in.N+j) }
		t.set(in.Loss, r, inLanes(in.N, func(j int, lane float32) float32 { return FMA32(d(j), d(j), lane) })/float32(in.N))
		if in.DPrediction.Empty() {
			continue
		}
		for j := range in.N {
			t.set(in.DPrediction, r*in.N+j, float32(factor*d(j)))
		}
	}
}

func (t twin) absoluteError(in kernel.AbsoluteError) {
	factor := float32(float32(1/float32(in.N)) * in.Scale)
	for r := range in.M {
		h := make([]float32, in.N)
		slope := make([]float32, in.N)
		for j := range in.N {
			d := t.get(in.Prediction, r*in.N+j) - t.get(in.Target, r*in.N+j)
			size := float32(math.Abs(float64(d)))
			limit := in.Delta
			if in.Delta == 0 {
				limit = 1
			}
			switch {
			case in.Delta > 0 && size <= in.Delta:
				h[j], slope[j] = float32(float32(d/2)*d), d
			case in.Delta > 0:
				h[j], slope[j] = float32(in.Delta*(size-in.Delta/2)), float32(math.Copysign(float64(limit), float64(d)))
			default:
				h[j], slope[j] = size, float32(math.Copysign(float64(limit), float64(d)))
			}
			if d == 0 || d != d {
				slope[j] = d
			}
		}
		t.set(in.Loss, r, inLanes(in.N, func(j int, lane float32) float32 { return lane + h[j] })/float32(in.N))
		if in.DPrediction.Empty() {
			continue
		}
		for j := range in.N {
			t.set(in.DPrediction, r*in.N+j, float32(factor*slope[j]))
		}
	}
}

func (t twin) reweightLoss(in kernel.ReweightLoss) {
	for r := range in.M {
		c, factor := float64(t.get(in.Loss, r)), float32(1)
		loss := float32(c)
		if gamma := float64(in.Gamma); gamma != 0 {
			p := detmath.Exp(-c)
			power := detmath.Pow(1-p, gamma)
			loss = float32(power * c)
			factor = 0
			if 1-p != 0 {
				factor = float32(power + float64(float64(gamma*(float64(p*c)/(1-p)))*power))
			}
		}
		if !in.Weight.Empty() {
			loss, factor = float32(loss*t.get(in.Weight, r)), float32(factor*t.get(in.Weight, r))
		}
		t.set(in.Loss, r, loss)
		if in.DLogits.Empty() {
			continue
		}
		for j := range in.N {
			t.set(in.DLogits, r*in.N+j, float32(t.get(in.DLogits, r*in.N+j)*factor))
		}
	}
}
