package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"reprise/nn"
)

// TrainingRequest is what a user asks to be trained. The zero value of an optional
// field stands for its default. Its JSON form is the published one; see Schema.
type TrainingRequest struct {
	ModelArchitecture ModelArchitecture `json:"model_architecture"`
	// Model has the sizes of a named architecture; it is zero for a list of
	// layers.
	Model Model `json:"model,omitzero"`
	// DatasetPath is a name of the catalogue, a folder or a file, as written;
	// DatasetReference makes it absolute.
	DatasetPath string         `json:"dataset_path"`
	Dataset     DatasetOptions `json:"dataset,omitzero"`
	Config      TrainingConfig `json:"config"`
	// Job says how to queue it. It is not part of the canonical form.
	Job JobOptions `json:"job,omitzero"`

	document *document       // where it was written; nil for a request made in Go
	file     string          // that it comes from, if it has no document: see With
	wrong    map[string]bool // the fields that a mistake was found in
}

// DatasetOptions say how to read the data, as dataset.Source does. Zero values
// leave the choice to the data set.
type DatasetOptions struct {
	// Task is classification, regression or next_token.
	Task string `json:"task,omitempty"`
	// Target is the column of a CSV file to predict; regression takes several,
	// separated by commas.
	Target string `json:"target,omitempty"`
	// ValidationFraction is the share of local data to hold out: 0.2 by default,
	// 0.1 of text, where it does not come split.
	ValidationFraction float64 `json:"validation_fraction,omitempty"`
	// Tokenizer is bytes, characters or bpe; Vocabulary the number of tokens of
	// bpe; Context the number of tokens in a sample. They are for text.
	Tokenizer  string `json:"tokenizer,omitempty"`
	Vocabulary int    `json:"vocabulary,omitempty"`
	Context    int    `json:"context,omitempty"`
}

// TrainingConfig says how to train.
type TrainingConfig struct {
	BatchSize    int       `json:"batch_size"`
	LearningRate float32   `json:"learning_rate"`
	Epochs       uint64    `json:"epochs"`
	Optimizer    Optimizer `json:"optimizer"`
	Schedule     Schedule  `json:"schedule"`
	// Seed is 0 by default.
	Seed uint64 `json:"seed"`
	// Shards is 1 by default.
	Shards int `json:"shards"`
	// CheckpointInterval is in epochs, 1 by default.
	CheckpointInterval uint64 `json:"checkpoint_interval"`

	// GradientAccumulation is the number of batches in a step, 1 by default.
	GradientAccumulation int `json:"gradient_accumulation,omitempty"`
	// ClipNorm bounds the norm of a step's gradient; 0 is no bound.
	ClipNorm       float32      `json:"clip_norm,omitempty"`
	LabelSmoothing float32      `json:"label_smoothing,omitempty"`
	Augmentation   Augmentation `json:"augmentation,omitzero"`
	// EvalInterval is in steps; 0 evaluates only at the end of each epoch.
	EvalInterval uint64 `json:"eval_interval,omitempty"`
	// EarlyStopping never stops if it is zero.
	EarlyStopping EarlyStopping `json:"early_stopping,omitzero"`
	// Precision is the precision of what is kept for the backward pass: float32, the
	// default, or bf16.
	Precision string `json:"precision,omitempty"`
	// Devices is the number of devices to train on at once, 1 by default.
	Devices int `json:"devices,omitempty"`
}

// Augmentation changes the images of the training split, as dataset.Augmentation
// describes; the zero value does not.
type Augmentation struct {
	Flip bool `json:"flip"`
	Crop int  `json:"crop"`
}

// EarlyStopping ends training after Patience evaluations in a row without a loss
// that is better by more than MinDelta.
type EarlyStopping struct {
	Patience uint64  `json:"patience"`
	MinDelta float64 `json:"min_delta"`
}

// Optimizer is an update rule: adam (the default), adamw or sgd, with the
// constants that the rule has.
type Optimizer struct {
	Name        string  `json:"name"`
	Momentum    float32 `json:"momentum"`
	Nesterov    bool    `json:"nesterov"`
	Beta1       float32 `json:"beta1"`
	Beta2       float32 `json:"beta2"`
	Epsilon     float32 `json:"epsilon"`
	WeightDecay float32 `json:"weight_decay"`
}

// Schedule is a schedule of the learning rate, constant by default, with the
// settings that it has; training.Schedule has the formulas.
type Schedule struct {
	Name        string  `json:"name"`
	WarmupSteps uint64  `json:"warmup_steps"`
	MinFactor   float64 `json:"min_factor"`
	Cycles      uint64  `json:"cycles"`
	Power       float64 `json:"power"`
	StepSize    uint64  `json:"step_size"`
	Gamma       float64 `json:"gamma"`
	Patience    uint64  `json:"patience"`
	Threshold   float64 `json:"threshold"`
}

// ParseTrainingRequest returns the request that a YAML or JSON file holds, with
// some fields set and its defaults filled in, checked against the schema and every
// rule that needs no data. The file must be a request without the settings too.
// file is for messages and for relative data set paths; "-" is standard input.
//
// Every error is a *RequestError, or several of them joined, at most 10 and a
// count of the rest. The request that comes with an error is as much of it as has
// no mistake, in which more mistakes can be found: Sound says what that is.
func ParseTrainingRequest(file string, content []byte, settings ...Setting) (TrainingRequest, error) {
	d, err := parseDocument(file, content)
	if err != nil {
		errs := (&document{root: &node{kind: mapping}}).set(settings)
		return unreadable(), join(file, append(flatten(err), errs...))
	}
	r, errs := d.request()
	if len(settings) == 0 {
		return r, join(file, errs)
	}
	if len(errs) == 0 {
		changed, errs := r.with(settings)
		return changed, join(file, errs)
	}
	wrong := d.set(settings)
	r, all := d.request()
	for _, e := range all {
		if !slices.ContainsFunc(errs, func(of *RequestError) bool { return of.order == 0 && e.order == 0 && of.Error() == e.Error() }) {
			errs = append(errs, e)
		}
	}
	return r, join(file, append(errs, wrong...))
}

// Validate fails as ParseTrainingRequest does. It is for a request that was made in
// Go: its errors have no place in a file.
func (r TrainingRequest) Validate() error {
	r.document = nil
	r = r.withDefaults()
	content, err := r.published()
	if err != nil { // a number that JSON does not have
		if bad := r.precheck(); bad != nil {
			return r.Locate(bad)
		}
		return err
	}
	d, err := parseDocument("", content)
	if err != nil {
		return err
	}
	_, errs := d.request()
	return join("", placeless(errs))
}

// placeless removes the places from errors of a request that is not in a file.
func placeless(errs []*RequestError) []*RequestError {
	for _, e := range errs {
		e.Line, e.Column, e.excerpt = 0, 0, ""
	}
	return errs
}

// File returns the name of the file that the request was parsed from, even if
// fields were set afterwards; "" for a request made in Go.
func (r TrainingRequest) File() string {
	if r.document == nil {
		return r.file
	}
	return r.document.file
}

// Canonical returns the request as JSON with sorted keys, no white space and
// every default filled in. Parsing it gives the same training again, and equal
// requests have equal bytes. How the request is queued is left out: it changes nothing
// about what is trained. It fails for a number that JSON does not have.
func (r TrainingRequest) Canonical() ([]byte, error) {
	r.Job = JobOptions{}
	return r.published()
}

// published returns the canonical form of all of the request.
func (r TrainingRequest) published() ([]byte, error) {
	raw, err := json.Marshal(r.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("canonical form of the request: %w", err)
	}
	// Through a map, whose keys are sorted; numbers stay as written.
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, fmt.Errorf("canonical form of the request: %w", err)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(tree); err != nil {
		return nil, fmt.Errorf("canonical form of the request: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// withDefaults returns the request with every default filled in.
func (r TrainingRequest) withDefaults() TrainingRequest {
	r.Model = r.Model.withDefaults(r.ModelArchitecture.Name)
	c := &r.Config
	c.Optimizer = c.Optimizer.withDefaults()
	c.Schedule = c.Schedule.withDefaults()
	if c.Shards == 0 {
		c.Shards = 1
	}
	if c.CheckpointInterval == 0 {
		c.CheckpointInterval = 1
	}
	if c.GradientAccumulation == 0 {
		c.GradientAccumulation = 1
	}
	if c.Precision == "" {
		c.Precision = string(nn.Float32)
	}
	if c.Devices == 0 {
		c.Devices = 1
	}
	return r
}

func (o Optimizer) withDefaults() Optimizer {
	if o.Name == "" {
		o.Name = string(nn.Adam)
	}
	if o.Name == string(nn.SGD) {
		return o
	}
	if o.Beta1 == 0 {
		o.Beta1 = 0.9
	}
	if o.Beta2 == 0 {
		o.Beta2 = 0.999
	}
	if o.Epsilon == 0 {
		o.Epsilon = 1e-8
	}
	return o
}

func (s Schedule) withDefaults() Schedule {
	if s.Name == "" {
		s.Name = "constant"
	}
	if s.Name == "exponential" && s.StepSize == 0 {
		s.StepSize = 1
	}
	return s
}

// MarshalJSON leaves out fields that the first release did not have if they have
// their defaults, so that older requests keep their canonical form.
func (c TrainingConfig) MarshalJSON() ([]byte, error) {
	type all TrainingConfig
	if c.GradientAccumulation == 1 {
		c.GradientAccumulation = 0
	}
	if c.Precision == string(nn.Float32) {
		c.Precision = ""
	}
	if c.Devices == 1 {
		c.Devices = 0
	}
	return json.Marshal(all(c))
}

// MarshalJSON encodes an object with the constants that the rule has, and with
// others if they are not zero, so that they are seen and refused.
func (o Optimizer) MarshalJSON() ([]byte, error) {
	type all Optimizer
	return marshalWith(all(o), optimizerFields(o.Name))
}

// MarshalJSON encodes an object with the settings that the schedule has, and with
// others if they are not zero, so that they are seen and refused.
func (s Schedule) MarshalJSON() ([]byte, error) {
	type all Schedule
	return marshalWith(all(s), scheduleFields(s.Name))
}

func optimizerFields(name string) []string {
	if name == string(nn.SGD) {
		return []string{"name", "momentum", "nesterov", "weight_decay"}
	}
	return []string{"name", "beta1", "beta2", "epsilon", "weight_decay"}
}

func scheduleFields(name string) []string {
	switch name {
	case "constant_with_warmup", "inverse_sqrt":
		return []string{"name", "warmup_steps"}
	case "linear", "cosine":
		return []string{"name", "warmup_steps", "min_factor"}
	case "cosine_with_restarts":
		return []string{"name", "warmup_steps", "min_factor", "cycles"}
	case "polynomial":
		return []string{"name", "warmup_steps", "min_factor", "power"}
	case "step", "exponential":
		return []string{"name", "warmup_steps", "step_size", "gamma"}
	case "reduce_on_plateau":
		return []string{"name", "warmup_steps", "min_factor", "gamma", "patience", "threshold"}
	}
	return []string{"name"}
}

// marshalWith encodes the named keys of a struct, and others that are not zero.
func marshalWith(value any, keys []string) ([]byte, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	named := make(map[string]bool, len(keys))
	for _, key := range keys {
		named[key] = true
	}
	for key, field := range fields {
		if s := string(field); !named[key] && (s == "0" || s == "false") {
			delete(fields, key)
		}
	}
	return json.Marshal(fields)
}
