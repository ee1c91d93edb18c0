package nn

import (
	"fmt"

	"reprise/fault"
)

var (
	// ErrInvalidModel is wrapped by every *LayerError and *ParameterError: an
	// architecture or parameters that are inconsistent.
	ErrInvalidModel = fault.New(fault.Invalid, "invalid model")
	// ErrNotLoaded is returned by a Trainer that has no State yet, or that a
	// failed step left without a usable one.
	ErrNotLoaded = fault.New(fault.Internal, "trainer holds no usable state: call Load first")
	// ErrPredictionOnly is returned by Trainer.Step for a plan that leaves out what
	// training needs.
	ErrPredictionOnly = fault.New(fault.Internal, "trainer only predicts: its plan has no gradients")
	// ErrClosed is returned by a Trainer after Close.
	ErrClosed = fault.New(fault.Internal, "trainer is closed")
)

// LayerError says which value of an architecture is wrong and what to do.
type LayerError struct {
	// Index counts layers from 0; -1 is the architecture as a whole.
	Index int
	// Layer is the layer's type, such as "linear".
	Layer string
	// Field is the name of the wrong field in the JSON form; "input" means the
	// shape that reaches the layer.
	Field string
	// Got is the offending value, Want describes acceptable ones.
	Got, Want string
	// Fix is what to change, as an imperative.
	Fix string
}

// Error names the layer, the field, its value, what is wanted and the fix.
func (e *LayerError) Error() string {
	place := "architecture"
	if e.Index >= 0 {
		place = fmt.Sprintf("layer %d", e.Index)
		if e.Layer != "" {
			place += " (" + e.Layer + ")"
		}
	}
	return place + ": " + complaint(e.Field, e.Got, e.Want, e.Fix)
}

// Kind returns Invalid.
func (e *LayerError) Kind() fault.Kind { return fault.Invalid }

// Unwrap returns ErrInvalidModel.
func (e *LayerError) Unwrap() error { return ErrInvalidModel }

// ParameterError says which parameter or optimiser moment does not belong to
// the architecture, or holds a value that is not finite.
type ParameterError struct {
	// Name is the tensor's name, such as "layers.0.weight".
	Name string
	// Got is what is there, Want what the architecture requires.
	Got, Want string
	// Fix is what to change, as an imperative.
	Fix string
}

// Error names the tensor, what is there, what is wanted and the fix.
func (e *ParameterError) Error() string {
	return "tensor " + complaint(e.Name, e.Got, e.Want, e.Fix)
}

// Kind returns Invalid.
func (e *ParameterError) Kind() fault.Kind { return fault.Invalid }

// Unwrap returns ErrInvalidModel.
func (e *ParameterError) Unwrap() error { return ErrInvalidModel }

// LabelError is returned for a label that is not a class. Nothing was computed.
type LabelError struct {
	Row     int
	Label   int32
	Classes int
}

// Error names the row, its label and the range of valid ones.
func (e *LabelError) Error() string {
	return fmt.Sprintf("label of row %d is %d, want a class in [0, %d): check the data set's labels",
		e.Row, e.Label, e.Classes)
}

// Kind returns Invalid.
func (e *LabelError) Kind() fault.Kind { return fault.Invalid }

// TokenError is returned for a token that is not in the vocabulary. Nothing was
// computed.
type TokenError struct {
	Row        int
	Token      int32
	Vocabulary int
}

// Error names the row, its token and the range of valid ones.
func (e *TokenError) Error() string {
	return fmt.Sprintf("a token of row %d is %d, want one in [0, %d): use the tokenizer that the model was trained with",
		e.Row, e.Token, e.Vocabulary)
}

// Kind returns Invalid.
func (e *TokenError) Kind() fault.Kind { return fault.Invalid }

// NumericalError is returned if training produced a value that is not finite.
// The trainer then refuses to return its state until another one is loaded.
type NumericalError struct {
	// Step is the step that failed, counted from 1, or, for an evaluation or a
	// state, the number of steps taken.
	Step uint64
	// Layer is the first layer whose parameters or activations are not finite,
	// counted from 0; -1 is the input. If all of them are finite, the loss
	// itself overflowed and Layer is the last layer.
	Layer int
	// What describes the value, such as "output of layers.1 (linear) is +Inf".
	What string
}

// Error names the step, the place and what to try.
func (e *NumericalError) Error() string {
	return fmt.Sprintf("step %d: %s: lower the learning rate, or look for values in the data that are out of scale",
		e.Step, e.What)
}

// Kind returns Invalid.
func (e *NumericalError) Kind() fault.Kind { return fault.Invalid }

// complaint joins the parts that are present: "units: 0, want at least 1; say how many
// outputs the layer has".
func complaint(field, got, want, fix string) string {
	if want != "" {
		want = ", want " + want
	}
	return (&fault.FieldError{Field: field, Value: got + want, Fix: fix}).Error()
}
