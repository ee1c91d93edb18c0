package cpu

import "reprise/kernel"

// Consecutive instructions over the same elements are fused: a range of
// elements passes through all of them while it is in the cache. So the product
// of a linear layer has the activation as its epilogue, and the product for an
// input's gradient has the activation's gradient. Each element is computed as
// before, so no bit changes.

// fusedChunk is the number of elements that pass together: three operands of
// that size fit the first-level cache.
const fusedChunk = 1 << 11

// pointwise is an instruction in which element i of each result depends only on
// element i of each operand.
type pointwise struct {
	n, grain      int
	reads, writes []kernel.Span
	do            func(lo, hi int)
}

// pointwise returns false for an instruction of another kind.
func (b *binder) pointwise(instruction kernel.Instruction) (pointwise, bool) {
	switch in := instruction.(type) {
	case kernel.Add:
		x, y, out := b.f32(in.A), b.f32(in.B), b.f32(in.Out)
		return pointwise{in.Out.Len, cheapGrain, []kernel.Span{in.A, in.B}, []kernel.Span{in.Out}, func(lo, hi int) {
			b.elements.add(out[lo:hi], x[lo:hi], y[lo:hi])
		}}, true
	case kernel.Activation:
		x, y := b.f32(in.X), b.f32(in.Y)
		f, grain := b.elements.activation(in.Kind)
		return pointwise{in.Y.Len, grain, []kernel.Span{in.X}, []kernel.Span{in.Y}, func(lo, hi int) { f(y[lo:hi], x[lo:hi]) }}, true
	case kernel.ActivationGrad:
		f, at, grain := b.elements.activationGrad(in)
		x, dy, dx := b.f32(at), b.f32(in.DY), b.f32(in.DX)
		return pointwise{in.DX.Len, grain, []kernel.Span{at, in.DY}, []kernel.Span{in.DX}, func(lo, hi int) {
			f(dx[lo:hi], x[lo:hi], dy[lo:hi])
		}}, true
	}
	return pointwise{}, false
}

// step returns the step of p alone.
func (p *pointwise) step(b *binder) step { return always(b.ranges(p.n, p.grain, p.do)) }

// neighbour describes the operands of an instruction that computes or reads
// whole rows, as needed to fuse it with pointwise instructions.
type neighbour struct {
	n      int
	same   []kernel.Span // as long as those of the pointwise instructions
	others []kernel.Span
}

// producer returns the neighbour for an instruction that calls binder.after.
func producer(instruction kernel.Instruction) (neighbour, bool) {
	switch in := instruction.(type) {
	case kernel.MatMul:
		return neighbour{in.C.Len, []kernel.Span{in.C}, []kernel.Span{in.A, in.B, in.Bias}}, true
	case kernel.BatchMatMul:
		if dense := in.C.LD == in.N && (in.Batch == 1 || in.C.Stride == in.M*in.N); dense {
			return neighbour{in.C.Len, []kernel.Span{in.C.Span}, []kernel.Span{in.A.Span, in.B.Span}}, true
		}
	case kernel.Conv2D:
		return neighbour{in.Y.Len, []kernel.Span{in.Y}, []kernel.Span{in.X, in.Weight, in.Bias}}, true
	case kernel.MaxPool2DGrad:
		return neighbour{in.DX.Len, []kernel.Span{in.DX}, []kernel.Span{in.DY, in.Index}}, true
	case kernel.BatchNorm:
		return neighbour{in.Y.Len, []kernel.Span{in.X, in.Y},
			[]kernel.Span{in.Gain, in.Bias, in.Mean, in.InvStd, in.BatchMean, in.BatchVar}}, true
	case kernel.BatchNormApply:
		return neighbour{in.Y.Len, []kernel.Span{in.X, in.Y}, []kernel.Span{in.Gain, in.Bias, in.Mean, in.Var}}, true
	}
	return neighbour{}, false
}

// consumer returns the neighbour for an instruction that calls binder.before.
func consumer(instruction kernel.Instruction) (neighbour, bool) {
	if in, ok := instruction.(kernel.BatchNormGrad); ok {
		return neighbour{in.DY.Len, []kernel.Span{in.X, in.DY, in.DX},
			[]kernel.Span{in.Gain, in.Mean, in.InvStd, in.DGain, in.DBias}}, true
	}
	return neighbour{}, false
}

// fits reports whether p may be fused with the neighbour: its operands are the
// same elements, or do not overlap.
func (n *neighbour) fits(p *pointwise) bool {
	if p.n != n.n {
		return false
	}
	for _, spans := range [][]kernel.Span{p.reads, p.writes} {
		for _, s := range spans {
			for _, other := range n.others {
				if s.Overlaps(other) {
					return false
				}
			}
			for _, other := range n.same {
				if s != other && s.Overlaps(other) {
					return false
				}
			}
		}
	}
	return true
}

// with returns the neighbour of n and p together.
func (n neighbour) with(p *pointwise) neighbour {
	n.same = append(append(n.same[:len(n.same):len(n.same)], p.reads...), p.writes...)
	return n
}

// run returns the pointwise instructions at the beginning of the list, as far
// as they fit each other and the neighbour.
func (b *binder) run(list []kernel.Instruction, beside neighbour) ([]pointwise, neighbour) {
	var run []pointwise
	for _, in := range list {
		p, ok := b.pointwise(in)
		if len(run) == 0 && ok && beside.n == 0 {
			beside.n = p.n
		}
		if !ok || !beside.fits(&p) {
			break
		}
		run, beside = append(run, p), beside.with(&p)
	}
	return run, beside
}

// next binds the first instructions of the list and returns their number and
// their step, which is nil for an unknown instruction.
func (b *binder) next(list []kernel.Instruction) (count int, s step) {
	nothing := func(int, int) {}
	b.before, b.after, b.afterGrain = nothing, nothing, 0
	if beside, ok := producer(list[0]); ok {
		run, _ := b.run(list[1:], beside)
		if len(run) > 0 {
			b.after, b.afterGrain = passes(run), grain(run)
		}
		return 1 + len(run), b.bind(list[0])
	}
	run, beside := b.run(list, neighbour{})
	if len(run) == 0 {
		return 1, b.bind(list[0])
	}
	if len(run) < len(list) {
		if with, ok := consumer(list[len(run)]); ok && with.n == beside.n && apart(with, run) {
			b.before = passes(run)
			return 1 + len(run), b.bind(list[len(run)])
		}
	}
	if len(run) == 1 {
		return 1, run[0].step(b)
	}
	return len(run), always(b.ranges(run[0].n, grain(run), passes(run)))
}

// grain returns the number of elements that occupy a thread for some microseconds.
func grain(run []pointwise) int {
	n := run[0].grain
	for _, p := range run {
		n = min(n, p.grain)
	}
	return n
}

// apart reports whether every instruction of the run fits the neighbour.
func apart(n neighbour, run []pointwise) bool {
	for i := range run {
		if !n.fits(&run[i]) {
			return false
		}
	}
	return true
}

// passes returns a function that takes elements [lo,hi) through the run.
func passes(run []pointwise) func(lo, hi int) {
	if len(run) == 1 {
		return run[0].do
	}
	return func(lo, hi int) {
		for ; lo < hi; lo += fusedChunk {
			for i := range run {
				run[i].do(lo, min(lo+fusedChunk, hi))
			}
		}
	}
}
