package nn

import (
	"fmt"
	"strconv"

	"reprise/fault"
	"reprise/tensor"
)

// ModelID names a model.
type ModelID string

// Version identifies the rules by which a model's parameters are named, stored
// and initialised. A change of these rules is a new version, so that an old run
// can be distinguished from a new one that gives other bits.
type Version uint32

// CurrentVersion is the version that NewModel sets and that Validate accepts.
const CurrentVersion Version = 1

// Parameter is a tensor of a model: a name such as "layers.0.weight", a shape
// and its values.
type Parameter = tensor.Tensor

// ModelSpec is a model without its parameters: all that has to be known of a model
// before memory is taken for them.
type ModelSpec struct {
	ID           ModelID
	Architecture Architecture
	Version      Version
}

// NewModelSpec returns the spec of a model of the current version. It checks
// nothing: see Validate.
func NewModelSpec(id ModelID, arch Architecture) ModelSpec {
	return ModelSpec{ID: id, Architecture: arch, Version: CurrentVersion}
}

// Validate fails unless the model has an id and a known version (*fault.FieldError), and
// its layers fit each other (*LayerError). It computes with shapes only, so it takes
// the same memory however many parameters the model has.
func (s ModelSpec) Validate() error {
	if s.ID == "" {
		return &fault.FieldError{Field: "model id", Value: `""`, Problem: "must be a name", Fix: "give the model an id"}
	}
	if s.Version != CurrentVersion {
		return &fault.FieldError{Field: "model version", Value: strconv.FormatUint(uint64(s.Version), 10),
			Problem: "must be " + strconv.FormatUint(uint64(CurrentVersion), 10), Fix: "use the release that made the model"}
	}
	return s.Architecture.Validate()
}

// Model is an architecture with parameters that fit it.
type Model struct {
	ID           ModelID
	Architecture Architecture
	// Parameters are in the order of Architecture.Parameters.
	Parameters []Parameter
	Version    Version
}

// NewModel returns a model with initial parameters drawn from the seed; errors
// are those of Architecture.Validate.
//
// Biases are 0, a normalisation's weights 1. A linear or convolutional weight is
// uniform in [-b, b) with b = gain*sqrt(3/fan_in) (He et al., 2015, "Kaiming
// uniform"): gain is sqrt(2) before relu, gelu and silu, 5/3 before tanh, and 1
// before sigmoid and if no activation follows. An embedding is uniform with a
// standard deviation of 0.02, so b = 0.02*sqrt(3). Element i of the parameter
// with index p is float32(2b*u) - b for u = philox.Uniform32(seed, PurposeInit,
// p, i), where b is rounded to float32 once and each product and difference
// rounds separately.
func NewModel(id ModelID, arch Architecture, seed uint64) (Model, error) {
	specs, err := arch.Parameters()
	if err != nil {
		return Model{}, err
	}
	m := Model{ID: id, Architecture: arch, Version: CurrentVersion, Parameters: make([]Parameter, len(specs))}
	for p, spec := range specs {
		data := make([]float32, elements(spec.Shape))
		spec.initial.fill(data, seed, uint64(p))
		m.Parameters[p] = Parameter{Name: spec.Name, Shape: spec.Shape, Data: data}
	}
	return m, nil
}

// Spec returns the model without its parameters.
func (m Model) Spec() ModelSpec {
	return ModelSpec{ID: m.ID, Architecture: m.Architecture, Version: m.Version}
}

// Validate fails as ModelSpec.Validate does, and unless the parameters are those of
// the architecture, in name, order, shape and length, and finite (*ParameterError).
func (m Model) Validate() error {
	if err := m.Spec().Validate(); err != nil {
		return err
	}
	specs, err := m.Architecture.Parameters()
	if err != nil {
		return err
	}
	if err := checkTensors("parameters", specs, m.Parameters); err != nil {
		return err
	}
	for _, p := range m.Parameters {
		if i := firstNonFinite(p.Data); i >= 0 {
			return &ParameterError{Name: p.Name, Got: fmt.Sprintf("%v at element %d", p.Data[i], i), Want: "finite values",
				Fix: "use a checkpoint from before the training diverged"}
		}
	}
	return nil
}

// checkTensors fails unless the tensors match the specs.
func checkTensors(what string, specs []ParameterSpec, got []tensor.Tensor) error {
	for i, spec := range specs {
		if i >= len(got) {
			return &ParameterError{Name: spec.Name, Got: "missing", Want: spec.Shape.String(),
				Fix: fmt.Sprintf("give all %d %s of the architecture", len(specs), what)}
		}
		t := got[i]
		switch {
		case t.Name != spec.Name:
			return &ParameterError{Name: strconv.Quote(t.Name), Got: fmt.Sprintf("in place %d of the %s", i, what), Want: strconv.Quote(spec.Name),
				Fix: "use parameters that were made for this architecture"}
		case !t.Shape.Equal(spec.Shape):
			return &ParameterError{Name: t.Name, Got: "of shape " + t.Shape.String(), Want: spec.Shape.String(),
				Fix: "use parameters that were made for this architecture"}
		case len(t.Data) != elements(spec.Shape):
			return &ParameterError{Name: t.Name, Got: fmt.Sprintf("%d values", len(t.Data)), Want: fmt.Sprintf("%d, for shape %v", elements(spec.Shape), spec.Shape),
				Fix: "check where the values were read from"}
		}
	}
	if len(got) > len(specs) {
		return &ParameterError{Name: strconv.Quote(got[len(specs)].Name), Got: "one too many",
			Want: fmt.Sprintf("%d %s", len(specs), what), Fix: "use parameters that were made for this architecture"}
	}
	return nil
}

// firstNonFinite returns the index of the first NaN or infinity, or -1.
func firstNonFinite(values []float32) int {
	for i, v := range values {
		if v-v != 0 {
			return i
		}
	}
	return -1
}
