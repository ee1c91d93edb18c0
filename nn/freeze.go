package nn

import (
	"encoding/json"
	"fmt"
	"path"
	"strconv"
	"strings"

	"reprise/fault"
	"reprise/kernel"
	"reprise/tensor"
)

// Freeze says which parameters training leaves as they are: a list of patterns of their
// names as JSON, a text so that it can be compared. "" is the empty list. A pattern is one
// of path.Match, in which * also stands for dots.
//
// A frozen parameter has no gradient that counts, no update, no weight decay and moments
// of zero. A BatchNorm whose weight and bias are both frozen normalises with its running
// statistics in training, too, and leaves them as they are; those of any other are updated.
type Freeze string

// NewFreeze returns a list of patterns.
func NewFreeze(patterns []string) Freeze {
	if len(patterns) == 0 {
		return ""
	}
	text, err := json.Marshal(patterns)
	if err != nil {
		panic("nn: " + err.Error()) // texts have a JSON form
	}
	return Freeze(text)
}

// Patterns returns the list.
func (f Freeze) Patterns() []string {
	if f == "" {
		return nil
	}
	var list []string
	if err := json.Unmarshal([]byte(f), &list); err != nil {
		panic("nn: a list of patterns: " + err.Error()) // it was marshalled
	}
	return list
}

// MarshalJSON writes the list.
func (f Freeze) MarshalJSON() ([]byte, error) {
	if f == "" {
		return []byte("[]"), nil
	}
	return []byte(f), nil
}

// UnmarshalJSON reads a list.
func (f *Freeze) UnmarshalJSON(raw []byte) error {
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	*f = NewFreeze(list)
	return nil
}

// namedParameters bounds the names that an error lists.
const namedParameters = 12

// Frozen reports for each of the parameters of a.Parameters whether training leaves it as
// it is. It fails with a *fault.FieldError for each pattern that is malformed or matches no
// trained parameter, joined if there are several, and where nothing would be left to train.
func (a Architecture) Frozen(f Freeze) ([]bool, error) {
	g, err := a.build()
	if err != nil {
		return nil, err
	}
	return g.frozen(f)
}

// frozen is Architecture.Frozen.
func (g *graph) frozen(f Freeze) ([]bool, error) {
	frozen := make([]bool, len(g.specs))
	if f == "" {
		return frozen, nil
	}
	var errs []error
	for i, pattern := range f.Patterns() {
		matched := false
		for p, spec := range g.specs {
			ok, err := path.Match(pattern, spec.Name)
			if err != nil {
				errs, matched = append(errs, badPattern(i, pattern, "is not a pattern", `write one such as layers.0.*, in which * stands for any text`)), true
				break
			}
			if ok && !spec.Statistic {
				frozen[p], matched = true, true
			}
		}
		if !matched {
			errs = append(errs, badPattern(i, pattern, "matches no trained parameter", "the parameters are "+g.parameterNames()))
		}
	}
	if err := joined(errs...); err != nil {
		return nil, err
	}
	left := false
	for p, spec := range g.specs {
		left = left || !spec.Statistic && !frozen[p]
	}
	if !left {
		return nil, &fault.FieldError{Field: "freeze", Value: string(f), Problem: "freezes every parameter, so that there is nothing to train",
			Fix: "leave out the pattern of at least the last layer"}
	}
	for _, n := range g.nodes {
		still := len(n.params) > 0
		for _, p := range n.params {
			still = still && (frozen[p] || g.specs[p].Statistic)
		}
		for _, p := range n.params {
			frozen[p] = frozen[p] || still
		}
	}
	return frozen, nil
}

func badPattern(i int, pattern, problem, fix string) error {
	return &fault.FieldError{Field: fmt.Sprintf("freeze[%d]", i), Value: strconv.Quote(pattern), Problem: problem, Fix: fix}
}

// parameterNames lists the names of the first trained parameters.
func (g *graph) parameterNames() string {
	var names []string
	for _, spec := range g.specs {
		if !spec.Statistic {
			names = append(names, spec.Name)
		}
	}
	if more := len(names) - namedParameters; more > 0 {
		names = append(names[:namedParameters], fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

// freeze marks the frozen parameters of the graph. A frozen BatchNorm becomes the operation
// that it is in an evaluation.
func (g *graph) freeze(frozen []bool) {
	for p := range g.specs {
		g.specs[p].frozen = frozen[p]
	}
	for i := range g.nodes {
		n := &g.nodes[i]
		if l, ok := n.op.(BatchNorm); ok && g.specs[n.params[2]].frozen {
			n.op = frozenNorm{l}
		}
	}
}

// frozenNorm is a BatchNorm that normalises with its running statistics in training, too.
type frozenNorm struct{ BatchNorm }

func (frozenNorm) needs(tensor.Shape) needs { return needs{gradInPlace: true} }

func (l frozenNorm) forward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	o.training = false
	return l.BatchNorm.forward(dst, o)
}

// backward applies the normalisation to the output's gradient, without means and biases:
// dx = FMA((dy - 0)*inv, Gain, 0). The gradients of the frozen bias and mean, which nothing
// writes, are the zeros.
func (frozenNorm) backward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	if o.dx.Empty() {
		return dst
	}
	m, n := o.matrix(o.in)
	return append(dst, kernel.BatchNormApply{
		X: o.dy, Mean: o.grad(2), Var: o.param(3), Gain: o.param(0), Bias: o.grad(1), Y: o.dx,
		M: m, N: n, Epsilon: normEpsilon,
	})
}
