package checkpoint

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"reprise/fault"
	"reprise/tensor"
)

// Content is what a checkpoint contains: the whole state of a run after a step.
type Content struct {
	RunID, SessionID string
	Step, Epoch      uint64
	// Weights and Optimizer are read back in the order they were written in, whatever
	// their order in the files.
	Weights, Optimizer []tensor.Tensor
	// Metrics are read back bit for bit.
	Metrics map[string]float64
	// Preprocessing is the document by which data becomes the inputs of the model; nil
	// for a run that does not record one.
	Preprocessing []byte
}

// Ref finds a checkpoint and pins every byte of it. It belongs in an event.
type Ref struct {
	// Dir is the name of its folder in the run's folder of checkpoints.
	Dir string
	// ManifestSHA256 and WeightsSHA256 are those of manifest.json and
	// model.safetensors, in lower-case hex. The manifest pins the rest.
	ManifestSHA256, WeightsSHA256 string
	Step, Epoch                   uint64
}

// Validate fails unless the folder has the name that Write gives it. A name from
// somebody else's log could lead anywhere.
func (r Ref) Validate() error {
	if r.Dir != folderName(r.Step) {
		return fmt.Errorf("dir: %s is not the folder of the checkpoint at step %d, which is %s", shorten(r.Dir), r.Step, folderName(r.Step))
	}
	return nil
}

// The files of a checkpoint.
const (
	weightsFile   = "model.safetensors"
	optimizerFile = "optimizer.safetensors"
	manifestFile  = "manifest.json"
	documentFile  = "preprocessing.json"
)

// DirOf returns the name of the folder that Write gives a step's checkpoint.
func DirOf(step uint64) string { return folderName(step) }

// folderName returns the name of a step's folder: at least eight digits.
func folderName(step uint64) string { return fmt.Sprintf("step-%08d", step) }

// validate fails with *fault.FieldError for a Content that cannot be written and read back.
func (c Content) validate() error {
	for _, f := range []struct{ name, value string }{{"run id", c.RunID}, {"session id", c.SessionID}} {
		if f.value == "" || !utf8.ValidString(f.value) {
			return &fault.FieldError{Field: f.name, Value: fmt.Sprintf("%q", f.value), Problem: "is not a name", Fix: "use text in UTF-8", Cause: ErrContent}
		}
	}
	if len(c.Weights) == 0 {
		return &fault.FieldError{Field: "weights", Problem: "are missing", Fix: "a model has at least one tensor", Cause: ErrContent}
	}
	for key, v := range c.Metrics {
		if !utf8.ValidString(key) {
			return &fault.FieldError{Field: "metrics", Value: fmt.Sprintf("%q", key), Problem: "is not a name", Fix: "use text in UTF-8", Cause: ErrContent}
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return &fault.FieldError{Field: "metrics: " + key, Value: fmt.Sprint(v), Problem: "is not finite", Fix: "stop the run before it is checkpointed", Cause: ErrContent}
		}
	}
	if len(c.Preprocessing) > maxDocument {
		return &fault.FieldError{Field: "preprocessing", Value: fmt.Sprintf("%d bytes", len(c.Preprocessing)), Problem: "are too many",
			Fix: fmt.Sprintf("a document has at most %d", maxDocument), Cause: ErrContent}
	}
	if err := validateTensors("weights", c.Weights); err != nil {
		return err
	}
	return validateTensors("optimizer", c.Optimizer)
}

// validateTensors fails with *fault.FieldError unless decode returns what encode was
// given.
func validateTensors(field string, tensors []tensor.Tensor) error {
	seen := make(map[string]bool, len(tensors))
	var total int64
	for _, t := range tensors {
		at := field + ": " + t.Name
		switch {
		case t.Name == "" || t.Name == metadataKey || !utf8.ValidString(t.Name) || len(t.Name) > maxTensorName:
			return &fault.FieldError{Field: field, Value: shorten(t.Name), Problem: "is not a tensor's name",
				Fix: fmt.Sprintf("use 1 to %d bytes of UTF-8 other than %s", maxTensorName, metadataKey), Cause: ErrContent}
		case seen[t.Name]:
			return &fault.FieldError{Field: at, Problem: "appears twice", Fix: "give every tensor a name of its own", Cause: ErrContent}
		}
		seen[t.Name] = true
		if err := t.Validate(); err != nil {
			return &fault.FieldError{Field: field, Problem: err.Error(), Fix: "make shape and data agree", Cause: ErrContent}
		}
		if i := slices.IndexFunc(t.Data, notFinite); i >= 0 {
			return &fault.FieldError{Field: at, Value: fmt.Sprint(t.Data[i]), Problem: fmt.Sprintf("at element %d is not finite", i),
				Fix: "stop the run before it is checkpointed", Cause: ErrContent}
		}
		if int64(len(t.Data)) > (math.MaxInt64-total)/elementSize {
			return &fault.FieldError{Field: field, Problem: "have more bytes than a file can hold", Fix: "use a smaller model", Cause: ErrContent}
		}
		total += int64(len(t.Data)) * elementSize
	}
	return nil
}

// notFinite reports whether v is NaN or infinite: the exponent is all ones.
func notFinite(v float32) bool { return math.Float32bits(v)&0x7f800000 == 0x7f800000 }

// shorten quotes a string for an error message.
func shorten(s string) string {
	const most = 80
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return fmt.Sprintf("%q", s)
}
