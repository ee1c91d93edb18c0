package training

import (
	"fmt"
	"slices"
	"strings"

	"reprise/fault"
	"reprise/nn"
	"reprise/tensor"
)

// Init says which initial weights of a run do not come from its seed, and where they come
// from: a checkpoint of another run, a bundle or a file. The weights are kept with the run;
// what becomes of their origin does not matter to it.
type Init struct {
	// RunID and Step are the run and the step that the weights are of; absent for a file
	// that does not say so.
	RunID RunID  `json:"run_id,omitempty"`
	Step  uint64 `json:"step,omitempty"`
	// Path is where the bundle or the file was; "" for a run of the same data directory.
	Path string `json:"path,omitempty"`
	// SourceSHA256 is the hash of the file that has the weights: model.safetensors of the
	// checkpoint or the bundle, or the file itself.
	SourceSHA256 string `json:"source_sha256"`
	// WeightsSHA256 is the hash of the file of those that were taken, as it is kept.
	WeightsSHA256 string `json:"weights_sha256"`
	// Taken is how many of the model's Parameters were taken, statistics included. Drawn
	// are the others.
	Taken      int     `json:"taken"`
	Parameters int     `json:"parameters"`
	Drawn      []Drawn `json:"drawn,omitempty"`
	// Unused counts the tensors that the model has no parameter for; UnusedNames are the
	// first of them.
	Unused      int      `json:"unused,omitempty"`
	UnusedNames []string `json:"unused_names,omitempty"`
}

// Drawn is a parameter that was drawn from the seed, and why.
type Drawn struct {
	Name  string       `json:"name"`
	Shape tensor.Shape `json:"shape"`
	// Found is the shape of the tensor of that name; nil if there is none. DType is its
	// type, if that is what keeps it from being read.
	Found tensor.Shape `json:"found,omitempty"`
	DType string       `json:"dtype,omitempty"`
}

// Why says why the parameter was not taken.
func (d Drawn) Why() string {
	switch {
	case d.DType != "":
		return fmt.Sprintf("values of type %s cannot be taken", d.DType)
	case d.Found != nil:
		return fmt.Sprintf("shape differs: %v and %v", d.Found, d.Shape)
	}
	return "not there"
}

// Origin says where the weights come from: "run X at step S", or a path and what it is of.
func (i Init) Origin() string {
	var parts []string
	if i.Path != "" {
		parts = append(parts, i.Path)
	}
	if i.RunID != "" {
		parts = append(parts, fmt.Sprintf("run %s at step %d", i.RunID, i.Step))
	}
	return strings.Join(parts, ", ")
}

// Offered is a tensor that may be taken, under the name and the shape that a parameter of
// a model has.
type Offered struct {
	Name  string
	Shape tensor.Shape
	// DType is the type of its values, if they cannot be read.
	DType string
}

// Amount says how much was taken: "6 of 8 tensors".
func (i Init) Amount() string { return fmt.Sprintf("%d of %d tensors", i.Taken, i.Parameters) }

const (
	// unusedNames bounds the names that are recorded, and namedTensors those that an error
	// lists.
	unusedNames  = 20
	namedTensors = 6
)

// FieldInit is the field of a request that says where initial weights come from.
const FieldInit = "model.init"

// Match finds what fits the parameters of a model by name and shape. It returns, for each of
// the tensors offered, whether it is taken, and what that gives, without the origin and the
// hashes. It fails with a *fault.FieldError that names the beginnings of both lists if none
// fits.
func Match(specs []nn.ParameterSpec, offered []Offered) ([]bool, Init, error) {
	at := make(map[string]int, len(offered))
	for i, o := range offered {
		at[o.Name] = i
	}
	taken, used := make([]bool, len(offered)), make([]bool, len(offered))
	out := Init{Parameters: len(specs)}
	for _, spec := range specs {
		d := Drawn{Name: spec.Name, Shape: spec.Shape}
		if i, ok := at[spec.Name]; ok {
			used[i] = true
			o := offered[i]
			if o.DType == "" && o.Shape.Equal(spec.Shape) {
				taken[i] = true
				out.Taken++
				continue
			}
			if d.Found = o.Shape; o.Shape.Equal(spec.Shape) {
				d.DType = o.DType
			}
		}
		out.Drawn = append(out.Drawn, d)
	}
	for i, o := range offered {
		if used[i] {
			continue
		}
		if out.Unused++; out.Unused <= unusedNames {
			out.UnusedNames = append(out.UnusedNames, o.Name)
		}
	}
	if out.Taken > 0 {
		return taken, out, nil
	}
	model := make([]Offered, len(specs))
	for i, s := range specs {
		model[i] = Offered{Name: s.Name, Shape: s.Shape}
	}
	return nil, Init{}, &fault.FieldError{Field: FieldInit,
		Problem: fmt.Sprintf("has nothing that fits the model by name and shape: it has %s; the model has %s", tensorNames(offered), tensorNames(model)),
		Fix:     "use the layers of the model that it comes from, or leave it out"}
}

// tensorNames lists the first tensors.
func tensorNames(list []Offered) string {
	if len(list) == 0 {
		return "no tensors"
	}
	var names []string
	for _, o := range list[:min(len(list), namedTensors)] {
		names = append(names, fmt.Sprintf("%s %v", o.Name, o.Shape))
	}
	if more := len(list) - namedTensors; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

// Check says what contradicts the record of the initial weights: what the model that is
// trained cannot have taken, or what the record itself denies. weights are those that are
// kept; nil leaves them out. It returns "" if nothing does.
func (i Init) Check(specs []nn.ParameterSpec, weights []tensor.Tensor) string {
	drawn := make(map[string]Drawn, len(i.Drawn))
	for _, d := range i.Drawn {
		drawn[d.Name] = d
	}
	switch {
	case i.Parameters != len(specs):
		return fmt.Sprintf("init.parameters: recorded %d, the model has %d", i.Parameters, len(specs))
	case i.Taken < 1 || i.Taken+len(i.Drawn) != len(specs):
		return fmt.Sprintf("init.taken: recorded %d and %d that were drawn, of %d", i.Taken, len(i.Drawn), len(specs))
	case len(i.UnusedNames) != min(i.Unused, unusedNames):
		return fmt.Sprintf("init.unused: recorded %d and %d names of them", i.Unused, len(i.UnusedNames))
	}
	byName := make(map[string]tensor.Tensor, len(weights))
	for _, t := range weights {
		byName[t.Name] = t
	}
	var left []Drawn
	for _, spec := range specs {
		d, isDrawn := drawn[spec.Name]
		if isDrawn {
			left = append(left, d)
			if !d.Shape.Equal(spec.Shape) {
				return fmt.Sprintf("init.drawn: recorded %s %v, the model has %v", d.Name, d.Shape, spec.Shape)
			}
			if d.DType == "" && d.Found != nil && d.Found.Equal(d.Shape) {
				return fmt.Sprintf("init.drawn: recorded that %s was not taken, although it fits", d.Name)
			}
		}
		if weights == nil {
			continue
		}
		if t, kept := byName[spec.Name]; kept == isDrawn || kept && !t.Shape.Equal(spec.Shape) {
			return fmt.Sprintf("init.weights_sha256: what is kept of %s is not what was taken", spec.Name)
		}
	}
	if !slices.EqualFunc(left, i.Drawn, func(a, b Drawn) bool { return a.Name == b.Name }) {
		return "init.drawn: recorded parameters that the model does not have"
	}
	if weights != nil && len(weights) != i.Taken {
		return fmt.Sprintf("init.taken: recorded %d, %d are kept", i.Taken, len(weights))
	}
	return ""
}

// StartFrom returns a session that TrainingService has started, and its events, with the
// record of the initial weights that do not come from the seed. It fails for a fork, which
// begins with all that a checkpoint has, and for a record that does not fit the model.
func StartFrom(init Init, session TrainingSession, events []Event) (TrainingSession, []Event, error) {
	if session.Parent != nil {
		return session, nil, fmt.Errorf("session %s begins with a checkpoint: %w", session.ID, ErrInvalidCheckpoint)
	}
	specs, err := session.Architecture.Parameters()
	if err != nil {
		return session, nil, err
	}
	if what := init.Check(specs, nil); what != "" {
		return session, nil, fmt.Errorf("initial weights: %s", what)
	}
	session.Init = &init
	events = slices.Clone(events)
	for i, e := range events {
		if started, ok := e.(TrainingStarted); ok {
			started.Init = &init
			events[i] = started
		}
	}
	return session, events, nil
}
