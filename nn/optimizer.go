package nn

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"reprise/fault"
	"reprise/kernel"
)

// OptimizerName names an update rule.
type OptimizerName string

// The optimisers. The formulas, and the order in which they round, are
// documented at kernel.SGD and kernel.Adam.
const (
	SGD   OptimizerName = "sgd"   // with momentum if Momentum is not 0
	Adam  OptimizerName = "adam"  // weight decay, if any, goes into the gradient
	AdamW OptimizerName = "adamw" // weight decay is decoupled from the gradient
)

// Optimizer is an update rule with its constants. Weight decay applies to all
// parameters, biases too, as in PyTorch, unless DecayMatricesOnly is set.
type Optimizer struct {
	Name OptimizerName `json:"name"`
	// Momentum and Nesterov belong to sgd.
	Momentum float32 `json:"momentum,omitempty"`
	Nesterov bool    `json:"nesterov,omitempty"`
	// Beta1, Beta2 and Epsilon belong to adam and adamw; zero means the
	// default: 0.9, 0.999 and 1e-8.
	Beta1   float32 `json:"beta1,omitempty"`
	Beta2   float32 `json:"beta2,omitempty"`
	Epsilon float32 `json:"epsilon,omitempty"`
	// WeightDecay is 0 by default, even for adamw.
	WeightDecay float32 `json:"weight_decay,omitempty"`
	// DecayMatricesOnly exempts parameters of one dimension from weight decay:
	// biases, and the gains and biases of normalizations.
	DecayMatricesOnly bool `json:"decay_matrices_only,omitempty"`
}

// WithDefaults returns the optimiser with its defaults filled in; an empty name
// is adam.
func (o Optimizer) WithDefaults() Optimizer {
	if o.Name == "" {
		o.Name = Adam
	}
	if o.Name != Adam && o.Name != AdamW {
		return o
	}
	o.Beta1 = defaultTo(o.Beta1, 0.9)
	o.Beta2 = defaultTo(o.Beta2, 0.999)
	o.Epsilon = defaultTo(o.Epsilon, 1e-8)
	return o
}

func defaultTo(v, def float32) float32 {
	if v == 0 {
		return def
	}
	return v
}

// Validate fails with a *fault.FieldError, or several of them joined, for an unknown name,
// a constant out of range, and a constant that the named rule does not have. Zero
// values mean defaults.
func (o Optimizer) Validate() error {
	o = o.WithDefaults()
	switch o.Name {
	case SGD:
		return o.validateSGD()
	case Adam, AdamW:
		return o.validateAdam()
	}
	return &fault.FieldError{Field: "optimizer", Value: strconv.Quote(string(o.Name)),
		Problem: "must be sgd, adam or adamw", Fix: "correct the name"}
}

func (o Optimizer) validateSGD() error {
	var errs []error
	for _, f := range []struct {
		name  string
		value float32
	}{{"beta1", o.Beta1}, {"beta2", o.Beta2}, {"epsilon", o.Epsilon}} {
		if f.value != 0 {
			errs = append(errs, foreign(f.name, formatFloat(f.value), "has no effect with sgd", "leave it out, or use adam"))
		}
	}
	if o.Nesterov && o.Momentum == 0 {
		errs = append(errs, foreign("nesterov", "true", "must be false while momentum is 0", "set a momentum such as 0.9"))
	}
	return joined(append(errs, fraction("momentum", o.Momentum, "0.9"), o.validateDecay())...)
}

func (o Optimizer) validateAdam() error {
	var errs []error
	if o.Momentum != 0 {
		errs = append(errs, foreign("momentum", formatFloat(o.Momentum), "has no effect with "+string(o.Name), "set beta1 instead, or use sgd"))
	}
	if o.Nesterov {
		errs = append(errs, foreign("nesterov", "true", "has no effect with "+string(o.Name), "leave it out, or use sgd"))
	}
	errs = append(errs, fraction("beta1", o.Beta1, "0.9"), fraction("beta2", o.Beta2, "0.999"))
	if !(o.Epsilon > 0) || math.IsInf(float64(o.Epsilon), 0) {
		errs = append(errs, &fault.FieldError{Field: "optimizer.epsilon", Value: formatFloat(o.Epsilon), Problem: "must be a positive number", Fix: "leave it out for 1e-8"})
	}
	return joined(append(errs, o.validateDecay())...)
}

func (o Optimizer) validateDecay() error {
	if !(o.WeightDecay >= 0) || math.IsInf(float64(o.WeightDecay), 0) {
		return &fault.FieldError{Field: "optimizer.weight_decay", Value: formatFloat(o.WeightDecay), Problem: "must be at least 0", Fix: "use 0 for none; 0.01 is usual for adamw"}
	}
	return nil
}

// joined returns several errors as one, and one as it is.
func joined(errs ...error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

func fraction(name string, value float32, usual string) error {
	if value >= 0 && value < 1 {
		return nil
	}
	return &fault.FieldError{Field: "optimizer." + name, Value: formatFloat(value), Problem: "must be at least 0 and less than 1", Fix: "the usual value is " + usual}
}

func foreign(name, value, problem, fix string) error {
	return &fault.FieldError{Field: "optimizer." + name, Value: value, Problem: problem, Fix: fix}
}

func formatFloat(v float32) string { return strconv.FormatFloat(float64(v), 'g', -1, 32) }

// Moments returns the suffixes of the names of the moments that the rule keeps
// for each parameter.
func (o Optimizer) Moments() []string {
	switch {
	case o.Name == Adam || o.Name == AdamW:
		return []string{"m", "v"}
	case o.Name == SGD && o.Momentum != 0:
		return []string{"velocity"}
	}
	return nil
}

// optimize appends the update of all trained parameters by their gradient, in one
// instruction for each stretch of parameters with the same weight decay. The rule works
// value by value, so that how many there are changes no bit.
func (p *Plan) optimize(dst []kernel.Instruction, gradient kernel.Span) []kernel.Instruction {
	ends, exempt := p.decayStretches()
	from := 0
	for k, end := range ends {
		o := p.config.Optimizer
		if exempt[k] {
			o.WeightDecay = 0
		}
		var moments []kernel.Span
		for i := range o.Moments() {
			moments = append(moments, p.momentBlock(i).Slice(from, end-from))
		}
		dst = append(dst, o.update(kernel.Span{Offset: from, Len: end - from}, gradient.Slice(from, end-from), moments))
		from = end
	}
	return dst
}

// decayStretches returns where each stretch of trained parameters with the same weight
// decay ends, and whether it is exempt from it. The padding after a parameter belongs
// to its stretch.
func (p *Plan) decayStretches() (ends []int, exempt []bool) {
	o := p.config.Optimizer
	for i, spec := range p.graph.specs {
		if spec.Statistic || spec.frozen {
			continue
		}
		end, is := p.params[i].Offset+align(p.params[i].Len), o.DecayMatricesOnly && len(spec.Shape) < 2
		if last := len(ends) - 1; last >= 0 && (exempt[last] == is || o.WeightDecay == 0) {
			ends[last] = end
			continue
		}
		ends, exempt = append(ends, end), append(exempt, is)
	}
	return ends, exempt
}

// update returns the instruction that applies the rule to parameters; the optimizer
// has its defaults, and moments has a span for each of o.Moments().
func (o Optimizer) update(weight, grad kernel.Span, moments []kernel.Span) kernel.Instruction {
	switch o.Name {
	case SGD:
		u := kernel.SGD{Weight: weight, Grad: grad, Momentum: o.Momentum, WeightDecay: o.WeightDecay, Nesterov: o.Nesterov}
		if len(moments) == 1 {
			u.Velocity = moments[0]
		}
		return u
	case Adam, AdamW:
		return kernel.Adam{
			Weight: weight, Grad: grad, M: moments[0], V: moments[1],
			Beta1: o.Beta1, Beta2: o.Beta2, Epsilon: o.Epsilon, WeightDecay: o.WeightDecay,
			Decoupled: o.Name == AdamW,
		}
	}
	panic(fmt.Sprintf("nn: optimiser %q was not validated", o.Name))
}
