package nn

import (
	"fmt"

	"reprise/kernel"
)

// operands assembles the buffers of layer i for the rows [first, first+rows).
func (p *Plan) operands(i, first, rows int, outputs []place) operands {
	w := p.weights[i]
	return operands{
		rows: rows, in: p.shapes[i], out: p.shapes[i+1],
		x: outputs[i].span(first, rows), y: outputs[i+1].span(first, rows),
		weight: w.weight, bias: w.bias,
	}
}

// trainingForward appends the forward pass of a shard.
func (p *Plan) trainingForward(dst []kernel.Instruction, first, rows int) []kernel.Instruction {
	for i, l := range p.arch.Layers {
		o := p.operands(i, first, rows, p.train)
		o.index = p.index[i].span(first, rows)
		dst = l.forward(dst, o)
	}
	return dst
}

// evaluationForward appends the forward pass of an evaluation.
func (p *Plan) evaluationForward(dst []kernel.Instruction, rows int) []kernel.Instruction {
	for i, l := range p.arch.Layers {
		o := p.operands(i, 0, rows, p.eval)
		o.index = place{offset: p.evalIdx, perRow: l.needs(p.shapes[i]).index}.span(0, rows)
		dst = l.forward(dst, o)
	}
	return dst
}

// backward appends the backward pass of a shard, whose gradients go into the
// given block.
func (p *Plan) backward(dst []kernel.Instruction, first, rows, block int) []kernel.Instruction {
	for i := len(p.arch.Layers) - 1; i >= p.trainable; i-- {
		o := p.operands(i, first, rows, p.train)
		o.index = p.index[i].span(first, rows)
		o.dy = p.grads[i+1].span(first, rows)
		o.dx = p.grads[i].span(first, rows) // absent for the first trainable layer
		o.gradWeight, o.gradBias = shift(o.weight, block), shift(o.bias, block)
		dst = p.arch.Layers[i].backward(dst, o)
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

// crossEntropy returns the loss of the rows [first, first+rows).
func (p *Plan) crossEntropy(logits kernel.Span, first, rows int) kernel.SoftmaxCrossEntropy {
	return kernel.SoftmaxCrossEntropy{
		Logits:  logits,
		Labels:  kernel.Span{Offset: p.labels + first, Len: rows},
		Loss:    kernel.Span{Offset: p.losses + first, Len: rows},
		Correct: kernel.Span{Offset: p.correct + first, Len: rows},
		M:       rows, N: p.Classes(),
	}
}

// gradientProgram computes the rows' losses and the gradient of their mean,
// which ends up in the first shard's block.
func (p *Plan) gradientProgram(rows int) *kernel.Program {
	prog := &kernel.Program{Name: fmt.Sprintf("gradient of %d rows", rows), Elements: p.elements}
	// Shards beyond the rows are empty and stay out of the tree.
	shards := min(p.config.Shards, rows)
	last := len(p.arch.Layers)
	first := 0
	for s := range shards {
		n := rows / shards
		if s < rows%shards {
			n++
		}
		is := p.trainingForward(prog.Instructions, first, n)
		loss := p.crossEntropy(p.train[last].span(first, n), first, n)
		loss.DLogits = p.grads[last].span(first, n)
		loss.Scale = 1 / float32(rows)
		is = append(is, loss)
		prog.Instructions = p.backward(is, first, n, p.gradients+s*p.block)
		first += n
	}
	if shards > 1 {
		all := kernel.Span{Offset: p.gradients, Len: shards * p.block}
		prog.Instructions = append(prog.Instructions, kernel.TreeSum{X: all, Parts: shards})
	}
	return prog
}

// updateProgram applies the gradient in the first shard's block to all
// parameters at once: the rule works value by value, and what lies between two
// parameters is zero and stays zero.
func (p *Plan) updateProgram() *kernel.Program {
	var moments []kernel.Span
	for i := range p.config.Optimizer.moments() {
		moments = append(moments, p.momentBlock(i))
	}
	update := p.config.Optimizer.update(
		kernel.Span{Len: p.block}, kernel.Span{Offset: p.gradients, Len: p.block}, moments)
	return &kernel.Program{Name: "update", Elements: p.elements, Instructions: []kernel.Instruction{update}}
}

// evaluationProgram computes the rows' losses and whether they are correct.
func (p *Plan) evaluationProgram(rows int) *kernel.Program {
	prog := p.predictionProgram(rows)
	prog.Name = fmt.Sprintf("evaluation of %d rows", rows)
	prog.Instructions = append(prog.Instructions, p.crossEntropy(p.logits(rows), 0, rows))
	return prog
}

// predictionProgram computes the rows' logits.
func (p *Plan) predictionProgram(rows int) *kernel.Program {
	return &kernel.Program{
		Name: fmt.Sprintf("prediction of %d rows", rows), Elements: p.elements,
		Instructions: p.evaluationForward(nil, rows),
	}
}

// traceProgram computes the rows' outputs where a training step has them, each
// in a place of its own.
func (p *Plan) traceProgram(rows int) *kernel.Program {
	return &kernel.Program{
		Name: fmt.Sprintf("trace of %d rows", rows), Elements: p.elements,
		Instructions: p.trainingForward(nil, 0, rows),
	}
}

// logits returns where a prediction leaves its result.
func (p *Plan) logits(rows int) kernel.Span { return p.eval[len(p.eval)-1].span(0, rows) }

// momentBlock returns the i-th moment of all parameters.
func (p *Plan) momentBlock(i int) kernel.Span {
	return kernel.Span{Offset: (1 + i) * p.block, Len: p.block}
}

// momentSpan returns where the i-th moment lies: they go parameter by
// parameter, whereas each kind of moment has a block of its own.
func (p *Plan) momentSpan(i int) kernel.Span {
	kinds := len(p.config.Optimizer.moments())
	return shift(p.parameterSpan(p.specs[i/kinds]), p.momentBlock(i%kinds).Offset)
}

// parameterSpan returns where a parameter lies.
func (p *Plan) parameterSpan(spec ParameterSpec) kernel.Span {
	if spec.FanIn > 0 {
		return p.weights[spec.Layer].weight
	}
	return p.weights[spec.Layer].bias
}
