package nn

import (
	"fmt"

	"reprise/kernel"
)

// diagnose explains a loss that is not finite: it runs the first row that has
// one through the layers again and looks for the first one whose parameters or
// output are not finite. t.losses holds the losses of the rows of x.
func (t *Trainer) diagnose(step uint64, x []float32, rows int) error {
	// There is such a row: the mean of finite float32 numbers is finite.
	row := firstNonFinite(t.losses[:rows])
	// Should nothing be found below, then the distance of two finite logits
	// overflowed.
	e := &NumericalError{Step: step, Layer: len(t.plan.arch.Layers) - 1, What: describe("loss", t.losses[row], row)}
	features := t.plan.Features()
	x = x[row*features : (row+1)*features]
	if at := firstNonFinite(x); at >= 0 {
		e.Layer, e.What = -1, describe(fmt.Sprintf("input row %d", row), x[at], at)
		return e
	}
	if err := t.trace(e, x); err != nil {
		// The backend failed: say what is known.
		e.What += "; its origin could not be found: " + err.Error()
	}
	return e
}

// trace sets the layer and the description of e.
func (t *Trainer) trace(e *NumericalError, x []float32) error {
	exec, err := t.executable(t.traces, 1, (*Plan).traceProgram)
	if err != nil {
		return err
	}
	if err := t.memory.Write(t.plan.input.span(0, 1), x); err != nil {
		return err
	}
	if err := exec.Run(kernel.Scalars{Step: e.Step}); err != nil {
		return err
	}
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
	specs := t.plan.specs
	for i, l := range t.plan.arch.Layers {
		for ; len(specs) > 0 && specs[0].Layer == i; specs = specs[1:] {
			if found, err := look(specs[0].Name, i, t.plan.parameterSpan(specs[0])); found || err != nil {
				return err
			}
		}
		name := fmt.Sprintf("output of layers.%d (%s)", i, l.Type())
		if found, err := look(name, i, t.plan.train[i+1].span(0, 1)); found || err != nil {
			return err
		}
	}
	return nil
}

// describe says which value of an array is not finite.
func describe(name string, v float32, at int) string {
	return fmt.Sprintf("%s is %v at element %d", name, v, at)
}
