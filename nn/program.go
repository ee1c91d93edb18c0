package nn

import (
	"fmt"

	"reprise/kernel"
)

// pass says which rows a pass covers, and where its gradients go.
type pass struct {
	layout      *layout
	first, rows int
	block       int // offset of the parameters' gradients
}

// span returns the place of a buffer in a pass.
func (p *Plan) span(s pass, b int) kernel.Span {
	return s.layout.span(b, s.rows, p.input.span(s.first, s.rows))
}

// operands assembles the buffers of a node in the forward pass.
func (p *Plan) operands(s pass, i int) operands {
	n := &p.graph.nodes[i]
	values := p.graph.values
	span := func(b int) kernel.Span { return p.span(s, b) }
	o := operands{
		rows: s.rows, first: s.first, in: values[n.inputs[0]], out: values[n.output],
		x: span(s.layout.value[n.inputs[0]]), y: span(s.layout.value[n.output]),
		training: s.layout.training,
	}
	if len(n.inputs) > 1 {
		o.other = span(s.layout.value[n.inputs[1]])
	}
	for _, b := range s.layout.saved[i] {
		o.saved = append(o.saved, span(b))
	}
	for _, w := range n.params {
		o.params = append(o.params, p.params[w])
		o.grads = append(o.grads, shift(p.params[w], s.block))
	}
	return o
}

// forward appends the forward pass.
func (p *Plan) forward(dst []kernel.Instruction, s pass) []kernel.Instruction {
	for i, n := range p.graph.nodes {
		dst = n.op.forward(dst, p.operands(s, i))
		dst = p.store(dst, s, i)
	}
	return dst
}

// backward appends the backward pass.
func (p *Plan) backward(dst []kernel.Instruction, s pass) []kernel.Instruction {
	l := s.layout
	for i := len(p.graph.nodes) - 1; i >= 0; i-- {
		back := &l.back[i]
		if !back.run {
			continue
		}
		dst = p.load(dst, s, l.backAt(i))
		o := p.operands(s, i)
		o.x, o.y, o.dy, o.dx = p.span(s, back.x), p.span(s, back.y), p.span(s, back.dy), p.span(s, back.dx)
		dst = p.graph.nodes[i].op.backward(dst, o)
		for _, a := range back.adds {
			n := s.rows * elements(p.graph.values[a.value])
			part := func(b int) kernel.Span { return p.span(s, b).Slice(0, n) }
			dst = append(dst, kernel.Add{A: part(a.a), B: part(a.b), Out: part(a.out)})
		}
	}
	return dst
}

// shift moves a span that is present.
func shift(s kernel.Span, by int) kernel.Span {
	if !s.Empty() {
		s.Offset += by
	}
	return s
}

// output returns where a pass stores the model's output.
func (p *Plan) output(s pass) kernel.Span {
	return p.span(s, s.layout.value[len(p.graph.values)-1])
}

// gradientProgram computes the rows' losses and the gradient of their mean,
// which is stored in the first block.
func (p *Plan) gradientProgram(rows int) *kernel.Program {
	prog := &kernel.Program{Name: fmt.Sprintf("gradient of %d rows", rows), Elements: p.elements}
	scale := 1 / float32(rows*p.Labels())
	p.shards(rows, func(s pass, end []kernel.Instruction) {
		is := p.forward(prog.Instructions, s)
		is = p.loss(is, s, scale)
		is = p.store(is, s, s.layout.loss())
		prog.Instructions = append(p.backward(is, s), end...)
	})
	return prog
}

// shards calls do for each shard of each microbatch, with the instructions that
// follow it: after a microbatch's last shard, its sum is added to the earlier
// ones.
func (p *Plan) shards(rows int, do func(s pass, end []kernel.Instruction)) {
	for start := 0; start < rows; start += p.microbatch() {
		part := min(p.microbatch(), rows-start)
		// Shards beyond the rows are empty and are left out of the tree.
		shards := min(p.config.Shards, part)
		gradients := p.gradients
		if start > 0 {
			gradients += p.block
		}
		first := start
		for i := range shards {
			n := part / shards
			if i < part%shards {
				n++
			}
			var end []kernel.Instruction
			if i == shards-1 {
				end = p.sumShards(gradients, shards)
			}
			do(pass{layout: p.train, first: first, rows: n, block: gradients + i*p.block}, end)
			first += n
		}
	}
}

// sumShards adds the shards' gradients from an offset on, and adds the sum to
// the first block if it is elsewhere.
func (p *Plan) sumShards(gradients, shards int) (is []kernel.Instruction) {
	if shards > 1 {
		is = append(is, kernel.TreeSum{X: kernel.Span{Offset: gradients, Len: shards * p.block}, Parts: shards})
	}
	if gradients != p.gradients {
		sum := kernel.Span{Offset: p.gradients, Len: p.block}
		is = append(is, kernel.Add{A: sum, B: kernel.Span{Offset: gradients, Len: p.block}, Out: sum})
	}
	return is
}

// parts returns the number of gradients that are summed for a number of rows.
func (p *Plan) parts(rows int) int {
	n := 0
	p.shards(rows, func(pass, []kernel.Instruction) { n++ })
	return n
}

// updateProgram applies the gradient in the first block to all parameters that
// are not frozen at once: the rule works value by value, and the padding between
// parameters is zero and stays zero. The statistics are averaged in, as the
// mean of the given number of parts.
func (p *Plan) updateProgram(parts int) *kernel.Program {
	prog := &kernel.Program{Name: "update", Elements: p.elements, Indivisible: true}
	gradient := kernel.Span{Offset: p.gradients, Len: p.trained}
	prog.Instructions = p.regularize(prog.Instructions, gradient)
	prog.Instructions = p.optimize(prog.Instructions, gradient)
	if n := p.block - p.averaged; n > 0 {
		prog.Instructions = append(prog.Instructions, kernel.RunningAverage{
			Running: kernel.Span{Offset: p.averaged, Len: n}, Batch: kernel.Span{Offset: p.gradients + p.averaged, Len: n},
			Momentum: batchNormMomentum, Factor: 1 / float32(parts),
		})
	}
	return prog
}

// evaluationProgram computes the rows' losses and whether they are correct.
func (p *Plan) evaluationProgram(rows int) *kernel.Program {
	prog := p.predictionProgram(rows)
	prog.Name = fmt.Sprintf("evaluation of %d rows", rows)
	prog.Instructions = p.loss(prog.Instructions, pass{layout: p.eval, rows: rows}, 0)
	return prog
}

// predictionProgram computes the rows' outputs.
func (p *Plan) predictionProgram(rows int) *kernel.Program {
	return &kernel.Program{
		Name: fmt.Sprintf("prediction of %d rows", rows), Elements: p.elements,
		Instructions: p.forward(nil, pass{layout: p.eval, rows: rows}),
	}
}

// outputs returns where a prediction stores its result.
func (p *Plan) outputs(rows int) kernel.Span { return p.output(pass{layout: p.eval, rows: rows}) }

// momentBlock returns the i-th moment of all parameters.
func (p *Plan) momentBlock(i int) kernel.Span {
	return kernel.Span{Offset: (1 + i) * p.block, Len: p.block}
}

// momentSpans returns the places of the moments, parameter by parameter; in
// memory each kind of moment has its own block.
func (p *Plan) momentSpans() []kernel.Span {
	var spans []kernel.Span
	for i, spec := range p.graph.specs {
		if spec.Statistic {
			continue
		}
		for k := range p.config.Optimizer.Moments() {
			spans = append(spans, shift(p.params[i], p.momentBlock(k).Offset))
		}
	}
	return spans
}
