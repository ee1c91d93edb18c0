package nn

import (
	"reprise/fault"
	"reprise/kernel"
)

// Regularization is what is done to the loss and to the gradient of a step, beyond
// what the objective and the optimizer ask for. The zero value does nothing. Its JSON
// form leaves out what does nothing.
type Regularization struct {
	// ClipNorm bounds the norm of a step's gradient; 0 means no bound.
	ClipNorm float32 `json:"clip_norm,omitempty"`
	// LabelSmoothing moves that share of a label's weight to all classes alike
	// (Szegedy et al., 2016), in training only. In [0, 1).
	LabelSmoothing float32 `json:"label_smoothing,omitempty"`
}

// ValidateRegularization fails with a *fault.FieldError, or several of them joined, for a
// value that is out of range.
func (r Regularization) ValidateRegularization() error {
	var clip, smoothing error
	if !(r.ClipNorm >= 0) || r.ClipNorm-r.ClipNorm != 0 {
		clip = &fault.FieldError{Field: "clip_norm", Value: formatFloat(r.ClipNorm), Problem: "must be a finite number of at least 0", Fix: "use a norm such as 1, or 0 for no clipping"}
	}
	if !(r.LabelSmoothing >= 0 && r.LabelSmoothing < 1) {
		smoothing = &fault.FieldError{Field: "label_smoothing", Value: formatFloat(r.LabelSmoothing), Problem: "must be in [0, 1)", Fix: "use a share such as 0.1"}
	}
	return joined(clip, smoothing)
}

// fits fails with a *fault.FieldError for what the objective does not have.
func (r Regularization) fits(o Objective) error {
	if r.LabelSmoothing > 0 && o != CrossEntropy {
		return &fault.FieldError{Field: "label_smoothing", Value: formatFloat(r.LabelSmoothing), Problem: "must be 0 without classes", Fix: "leave it out"}
	}
	return nil
}

// loss returns the instruction that computes the rows' losses and, with a scale,
// their gradient.
func (p *Plan) loss(s pass, scale float32) kernel.Instruction {
	out, gradient := p.output(s), kernel.Span{}
	if scale != 0 {
		gradient = p.span(s, s.layout.grad[len(p.graph.values)-1])
	}
	losses := p.losses.span(s.first, s.rows)
	if p.config.Objective == MeanSquaredError {
		return kernel.MeanSquaredError{
			Prediction: out, Target: p.labels.span(s.first, s.rows), Loss: losses, DPrediction: gradient,
			M: s.rows, N: p.Outputs(), Scale: scale,
		}
	}
	var smoothing float32
	if scale != 0 {
		smoothing = p.config.LabelSmoothing
	}
	return kernel.SoftmaxCrossEntropy{
		Logits: out, Labels: p.labels.span(s.first, s.rows), Loss: losses,
		Correct: p.correct.span(s.first, s.rows), DLogits: gradient,
		M: losses.Len, N: p.Classes(), Scale: scale, Smoothing: smoothing,
	}
}

// regularize appends what is done to the gradient of a step before the optimizer
// takes it.
func (p *Plan) regularize(dst []kernel.Instruction, gradient kernel.Span) []kernel.Instruction {
	if p.config.ClipNorm > 0 {
		dst = append(dst, kernel.ClipNorm{Grad: gradient, Norm: p.norm, MaxNorm: p.config.ClipNorm})
	}
	return dst
}
