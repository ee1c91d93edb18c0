package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"reprise/dataset"
	"reprise/nn"
	"reprise/training"
)

// TrainingRequest is what a user asks to be trained. The zero value of an optional
// field stands for its default. Its JSON form is the published one; see Schema.
type TrainingRequest struct {
	ModelArchitecture ModelArchitecture `json:"model_architecture"`
	// Model has the sizes of a named architecture; a list of layers has none.
	Model Model `json:"model,omitzero"`
	// DatasetPath is a name of the catalogue, a folder or a file, as written;
	// DatasetReference makes it absolute.
	DatasetPath string         `json:"dataset_path"`
	Dataset     DatasetOptions `json:"dataset,omitzero"`
	Config      TrainingConfig `json:"config"`
	// Job says how to queue it. It is not part of the canonical form.
	Job JobOptions `json:"job,omitzero"`

	document *document                     // where it was written; nil for a request made in Go
	file     string                        // that it comes from, if it has no document: see With
	wrong    map[string]bool               // the fields that a mistake was found in
	valid    training.ValidHyperparameters // of the config as it was parsed
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
	// The rest is for tables, and has its meaning in dataset.TableOptions.
	Columns   dataset.ColumnSpecs  `json:"columns,omitempty"`
	Missing   dataset.Texts        `json:"missing,omitempty"`
	Encoding  string               `json:"encoding,omitempty"`
	Separator string               `json:"separator,omitempty"`
	Split     dataset.SplitOptions `json:"split,omitzero"`
	// Root is the folder that the paths of images in a table start from.
	Root string `json:"root,omitempty"`
	// Image says what becomes of the images of files.
	Image dataset.ImageOptions `json:"image,omitzero"`
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

	// Devices is the number of devices to train on at once, 1 by default.
	Devices int `json:"devices,omitempty"`
	// Options are 0, "" or false by default; a GradientAccumulation of 1 and a
	// Precision of float32 say the same.
	training.Options
}

// Optimizer is an update rule: adam (the default), adamw or sgd, with the constants
// that the rule has.
type Optimizer nn.Optimizer

// Schedule is a schedule of the learning rate, constant by default, with the settings
// that it has; training.Schedule has the formulas. TotalSteps and ExactCycles are not
// for a request to say.
type Schedule training.Schedule

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
		if _, bad := r.precheck(); bad != nil {
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
	c.Optimizer = Optimizer(nn.Optimizer(c.Optimizer).WithDefaults())
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
		c.Precision = nn.Float32
	}
	if c.Devices == 0 {
		c.Devices = 1
	}
	return r
}

func (s Schedule) withDefaults() Schedule {
	s.Name = cmp.Or(s.Name, training.Constant)
	if s.Name == training.Exponential && s.StepSize == 0 {
		s.StepSize = 1
	}
	return s
}

// MarshalJSON leaves out the options that have their defaults, so that requests that
// are older than an option keep their canonical form.
func (c TrainingConfig) MarshalJSON() ([]byte, error) {
	type all TrainingConfig
	c.Options = c.Recorded()
	if c.Devices == 1 {
		c.Devices = 0
	}
	return json.Marshal(struct {
		all
		// Its min_delta has been part of the canonical form from the beginning.
		EarlyStopping earlyStopping `json:"early_stopping,omitzero"`
	}{all(c), earlyStopping(c.EarlyStopping)})
}

type earlyStopping training.EarlyStopping

// MarshalJSON encodes both settings, even at 0.
func (e earlyStopping) MarshalJSON() ([]byte, error) {
	return marshalWith(training.EarlyStopping(e), "patience", "min_delta")
}

// MarshalJSON encodes an object with the constants of the rule that the first release
// had, and with others if they are not zero.
func (o Optimizer) MarshalJSON() ([]byte, error) {
	return marshalWith(nn.Optimizer(o), recordedConstants(o.Name)...)
}

// MarshalJSON encodes an object with the settings that the schedule has, and with
// others if they are not zero, so that they are seen and refused.
func (s Schedule) MarshalJSON() ([]byte, error) {
	return marshalWith(training.Schedule(s), recordedSettings(s.Name)...)
}

// recordedConstants returns the keys of an optimizer that its canonical form has even
// if they are zero. The list is closed: a new constant is absent at zero, so that
// older requests keep their form.
func recordedConstants(name nn.OptimizerName) []string {
	if name == nn.SGD {
		return []string{"name", "momentum", "nesterov", "weight_decay"}
	}
	return []string{"name", "beta1", "beta2", "epsilon", "weight_decay"}
}

// recordedSettings is recordedConstants for a schedule.
func recordedSettings(name training.ScheduleName) []string {
	switch name {
	case training.Constant:
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

// marshalWith encodes a struct and, if its tags leave out some of the named keys for
// being zero, these too.
func marshalWith(value any, keys ...string) ([]byte, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	v := reflect.ValueOf(value)
	for i := range v.NumField() {
		key := jsonKey(v.Type().Field(i))
		if _, present := fields[key]; present || !slices.Contains(keys, key) {
			continue
		}
		if fields[key], err = json.Marshal(v.Field(i).Interface()); err != nil {
			return nil, err
		}
	}
	return json.Marshal(fields)
}

// jsonKey returns the key of a field in JSON; "" for one that has none.
func jsonKey(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return key
}
