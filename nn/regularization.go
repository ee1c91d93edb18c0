package nn

import (
	"reprise/fault"
	"reprise/kernel"
)

// Regularization says which loss a step minimises, and what is done to it and to its
// gradient beyond what the optimizer asks for. The zero value is the objective's own loss
// as it is. Its JSON form leaves out what does nothing.
type Regularization struct {
	// Loss is what is minimised.
	Loss Loss `json:"loss,omitzero"`
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
	if smoothing == nil && r.LabelSmoothing > 0 && r.Loss.Name == LossFocal {
		smoothing = &fault.FieldError{Field: "label_smoothing", Value: formatFloat(r.LabelSmoothing), Problem: "must be 0 with the loss focal, which takes one class as true", Fix: "leave it out, or use the loss cross_entropy"}
	}
	return joined(r.Loss.validate(), clip, smoothing)
}

// fits fails with a *fault.FieldError for what the objective does not have.
func (r Regularization) fits(o Objective) error {
	var smoothing error
	if r.LabelSmoothing > 0 && o != CrossEntropy {
		smoothing = &fault.FieldError{Field: "label_smoothing", Value: formatFloat(r.LabelSmoothing), Problem: "must be 0 without classes", Fix: "leave it out"}
	}
	return joined(r.Loss.fits(o), smoothing)
}

// regularize appends what is done to the gradient of a step before the optimizer
// takes it.
func (p *Plan) regularize(dst []kernel.Instruction, gradient kernel.Span) []kernel.Instruction {
	if p.config.ClipNorm > 0 {
		dst = append(dst, kernel.ClipNorm{Grad: gradient, Norm: p.norm, MaxNorm: p.config.ClipNorm})
	}
	return dst
}
