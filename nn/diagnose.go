package nn

import (
	"fmt"

	"reprise/kernel"
)

// diagnose explains a loss that is not finite: it runs the rows of the batch
// through the graph again, node by node, and looks for the first node whose
// parameters or output are not finite.
func (t *Trainer) diagnose(step uint64, b Batch, losses []float32, training bool) error {
	// One row's loss is not finite: the mean of finite float32 numbers is
	// finite.
	bad := firstNonFinite(losses)
	row := bad / t.plan.Labels()
	// If nothing is found below, the difference of two finite logits
	// overflowed.
	e := &NumericalError{Step: step, Layer: len(t.plan.arch.Layers) - 1, What: describe("loss", losses[bad], row)}
	if len(b.Inputs) > 0 {
		features := t.plan.Features()
		if at := firstNonFinite(b.Inputs[row*features : (row+1)*features]); at >= 0 {
			e.Layer, e.What = -1, describe(fmt.Sprintf("input row %d", row), b.Inputs[row*features+at], at)
			return e
		}
	}
	s := pass{layout: t.plan.eval, rows: b.Rows}
	if training {
		t.plan.shards(b.Rows, func(shard pass, _ []kernel.Instruction) {
			if shard.first <= row && row < shard.first+shard.rows {
				s = shard
			}
		})
	}
	if err := t.trace(e, s); err != nil {
		// The backend failed: report what is known.
		e.What += "; its origin could not be found: " + err.Error()
	}
	return e
}

// trace sets the layer and the description of e from a forward pass over rows
// whose input the device still has.
func (t *Trainer) trace(e *NumericalError, s pass) error {
	look := func(name string, layer int, span kernel.Span) (bool, error) {
		data := make([]float32, span.Len)
		if err := t.memory.Read(data, span); err != nil {
			return false, err
		}
		at := firstNonFinite(data)
		if at >= 0 {
			e.Layer, e.What = layer, describe(name, data[at], at)
		}
		return at >= 0, nil
	}
	for i := range t.plan.graph.nodes {
		n := &t.plan.graph.nodes[i]
		for _, w := range n.params {
			if found, err := look(t.plan.graph.specs[w].Name, n.layer, t.plan.params[w]); found || err != nil {
				return err
			}
		}
		o := t.plan.operands(s, i)
		prog := &kernel.Program{Name: "trace of " + n.path, Elements: t.plan.elements, Instructions: n.op.forward(nil, o)}
		if len(prog.Instructions) == 0 {
			continue
		}
		exec, err := t.backend.Prepare(prog, t.memory)
		if err != nil {
			return err
		}
		if err := exec.Run(t.scalars(e.Step, 0)); err != nil {
			return err
		}
		if found, err := look("output of "+n.label(), n.layer, o.y); found || err != nil {
			return err
		}
	}
	return nil
}

// describe says which value of an array is not finite.
func describe(name string, v float32, at int) string {
	return fmt.Sprintf("%s is %v at element %d", name, v, at)
}
