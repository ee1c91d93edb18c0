package nn

import (
	"math"
	"slices"
	"strconv"

	"reprise/fault"
	"reprise/kernel"
)

// LossName names a loss.
type LossName string

// The losses. The formulas, and the order in which they round, are documented at
// kernel.SoftmaxCrossEntropy, kernel.ReweightLoss, kernel.MeanSquaredError and
// kernel.AbsoluteError.
const (
	LossCrossEntropy LossName = "cross_entropy"
	LossFocal        LossName = "focal"
	LossMSE          LossName = "mse"
	LossMAE          LossName = "mae"
	LossHuber        LossName = "huber"
)

// Loss is what a step minimises, of the losses that an objective has. The zero value is
// the objective's own: cross_entropy or mse.
type Loss struct {
	Name LossName `json:"name"`
	// Gamma belongs to focal: how much less an easy sample counts. 0 means the
	// default, 2.
	Gamma float32 `json:"gamma,omitempty"`
	// Delta belongs to huber: the error beyond which the loss is linear, in standard
	// deviations of the target. 0 means the default, 1.
	Delta float32 `json:"delta,omitempty"`
}

// lossesOf returns the losses that an objective has.
func lossesOf(o Objective) []LossName {
	if o == MeanSquaredError {
		return []LossName{LossMSE, LossMAE, LossHuber}
	}
	return []LossName{LossCrossEntropy, LossFocal}
}

// WithDefaults returns the loss with its defaults filled in.
func (l Loss) WithDefaults() Loss {
	switch l.Name {
	case LossFocal:
		l.Gamma = defaultTo(l.Gamma, 2)
	case LossHuber:
		l.Delta = defaultTo(l.Delta, 1)
	case LossCrossEntropy, LossMSE, LossMAE:
	}
	return l
}

// validate fails with a *fault.FieldError, or several of them joined, for an unknown
// name, a constant out of range, and one that the named loss does not have.
func (l Loss) validate() error {
	constant := func(name string, value float32, of LossName, usual string) error {
		switch {
		case value == 0:
			return nil
		case l.Name != of:
			return &fault.FieldError{Field: "loss." + name, Value: formatFloat(value), Problem: "has no effect without " + string(of), Fix: "leave it out, or use the loss " + string(of)}
		case !(value > 0) || math.IsInf(float64(value), 0):
			return &fault.FieldError{Field: "loss." + name, Value: formatFloat(value), Problem: "must be a finite number of more than 0", Fix: "use a value such as " + usual}
		}
		return nil
	}
	switch l.Name {
	case "", LossCrossEntropy, LossFocal, LossMSE, LossMAE, LossHuber:
		return joined(constant("gamma", l.Gamma, LossFocal, "2"), constant("delta", l.Delta, LossHuber, "1"))
	}
	return &fault.FieldError{Field: "loss.name", Value: strconv.Quote(string(l.Name)), Problem: "must be cross_entropy, focal, mse, mae or huber", Fix: "correct the name"}
}

// fits fails with a *fault.FieldError for a loss that the objective does not have.
func (l Loss) fits(o Objective) error {
	if l.Name == "" || slices.Contains(lossesOf(o), l.Name) {
		return nil
	}
	if o == MeanSquaredError {
		return &fault.FieldError{Field: "loss", Value: string(l.Name), Problem: "is a loss of classes, and this task predicts quantities", Fix: "use mse, mae or huber"}
	}
	return &fault.FieldError{Field: "loss", Value: string(l.Name), Problem: "is a loss of quantities, and this task predicts classes", Fix: "use cross_entropy or focal"}
}

// loss appends the instructions that compute the rows' losses and, with a scale, their
// gradient.
func (p *Plan) loss(dst []kernel.Instruction, s pass, scale float32) []kernel.Instruction {
	out, gradient := p.output(s), kernel.Span{}
	if scale != 0 {
		gradient = p.span(s, s.layout.grad[len(p.graph.values)-1])
	}
	losses, loss := p.losses.span(s.first, s.rows), p.config.Loss
	switch loss.Name {
	case LossMAE, LossHuber:
		return append(dst, kernel.AbsoluteError{
			Prediction: out, Target: p.labels.span(s.first, s.rows), Loss: losses, DPrediction: gradient,
			M: s.rows, N: p.Outputs(), Scale: scale, Delta: loss.Delta,
		})
	case "", LossCrossEntropy, LossMSE, LossFocal:
	}
	if p.config.Objective == MeanSquaredError {
		return append(dst, kernel.MeanSquaredError{
			Prediction: out, Target: p.labels.span(s.first, s.rows), Loss: losses, DPrediction: gradient,
			M: s.rows, N: p.Outputs(), Scale: scale,
		})
	}
	var smoothing float32
	if scale != 0 {
		smoothing = p.config.LabelSmoothing
	}
	dst = append(dst, kernel.SoftmaxCrossEntropy{
		Logits: out, Labels: p.labels.span(s.first, s.rows), Loss: losses,
		Correct: p.correct.span(s.first, s.rows), DLogits: gradient,
		M: losses.Len, N: p.Classes(), Scale: scale, Smoothing: smoothing,
	})
	reweight := kernel.ReweightLoss{Loss: losses, DLogits: gradient, M: losses.Len, N: p.Classes(), Gamma: loss.Gamma}
	if scale != 0 && p.config.Weighted {
		reweight.Weight = p.weights.span(s.first, s.rows)
	}
	if reweight.Gamma == 0 && reweight.Weight.Empty() {
		return dst
	}
	return append(dst, reweight)
}
