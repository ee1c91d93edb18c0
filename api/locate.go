package api

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"reprise/dataset"
	"reprise/fault"
	"reprise/nn"
)

// Locate returns err as a *RequestError where it is the domain's complaint
// about something that the request says: with its place in the file, the line
// and a caret, or with the setting. The result unwraps to err. Several
// complaints that are joined are located one by one. Any other error, a
// *RequestError and nil are returned as they are.
func (r TrainingRequest) Locate(err error) error {
	if located := r.locateAll(err); located != nil {
		return join(r.File(), located)
	}
	return err
}

// locateAll returns the parts of an error with their places, in the order of the
// request; nil where a part is not about what the request says, or is located.
func (r TrainingRequest) locateAll(err error) []*RequestError {
	var located *RequestError
	if err == nil || errors.As(err, &located) {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var list []*RequestError
		for _, part := range joined.Unwrap() {
			parts := r.locateAll(part)
			if parts == nil {
				return nil
			}
			list = append(list, parts...)
		}
		sortErrors(list)
		return list
	}
	e := r.locate(err)
	if e == nil {
		return nil
	}
	e.cause = err
	return []*RequestError{e}
}

func (r TrainingRequest) locate(err error) *RequestError {
	var field *fault.FieldError
	var layer *nn.LayerError
	var data *dataset.DataError
	switch {
	case errors.As(err, &layer):
		return r.locateLayer(layer)
	case errors.As(err, &data):
		// The mistake is in the data's file, at the place that the message names.
		return r.at("dataset_path", RequestError{Problem: strings.TrimSuffix(data.Error(), "; "+data.Fix), Fix: data.Fix})
	case errors.As(err, &field) && field.Example != "":
		return r.locateOmitted(field)
	case errors.As(err, &field):
		return r.at(requestField(field.Field), RequestError{Value: field.Value, Problem: field.Problem, Fix: field.Fix})
	}
	return nil
}

// locateOmitted returns the place of an option of the data that was left out, with what
// to write, where the data set says what it could be.
func (r TrainingRequest) locateOmitted(e *fault.FieldError) *RequestError {
	field, fix := requestField(e.Field), e.Fix
	option := e.Field + ": " + scalar(e.Example)
	add := "write " + option + " in dataset"
	switch {
	case r.Dataset == (DatasetOptions{}):
		add = "add: dataset: {" + option + "}"
	case e.Field != dataset.FieldTask || r.Dataset.Task == "":
		add = "add " + option + " to dataset"
	}
	if e.Field == dataset.FieldTask {
		fix = strings.Replace(fix, "choose the task "+e.Example, add, 1)
		fix = strings.Replace(fix, ", or classification ", ", or task: classification ", 1)
	} else {
		fix += "; " + add
	}
	place := field
	if e.Field == dataset.FieldTask && r.Dataset.Task == "" && r.Dataset.Target != "" {
		place = requestField(dataset.FieldTarget) // the task was left out; the column is named here
	}
	located := r.at(place, RequestError{Value: e.Value, Problem: e.Problem, Fix: fix})
	located.Field = field
	return located
}

// scalar writes a text in YAML, in quotes where it would be something else without
// them.
func scalar(text string) string {
	var n node
	if n.plainScalar(text); n.kind == textual && text != "" && strings.Trim(text, " ") == text &&
		strings.TrimFunc(text, func(r rune) bool {
			return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(" _.()/%", r)
		}) == "" {
		return text
	}
	return string(quote(text))
}

// requestField returns the key of the request that a field of a dataset.Source
// or dataset.Augmentation comes from; any other field is its own.
func requestField(field string) string {
	switch field {
	case dataset.FieldPath:
		return "dataset_path"
	case dataset.FieldTask, dataset.FieldTarget, dataset.FieldValidationFraction,
		dataset.FieldTokenizer, dataset.FieldVocabulary, dataset.FieldContext:
		return "dataset." + field
	case dataset.FieldEncoding, dataset.FieldSeparator, dataset.FieldMissing, dataset.FieldRoot:
		return "dataset." + field
	case dataset.FieldFlip, dataset.FieldCrop:
		return "config." + field
	}
	switch top, _, _ := strings.Cut(field, "."); top {
	case dataset.FieldColumns, dataset.FieldSplit, dataset.FieldImage:
		return "dataset." + field
	}
	return field
}

// at gives an error the place of a field or, for one that was left out, of what
// stands for it: see node.standIn. It returns nil for a field that no request has.
func (r TrainingRequest) at(field string, e RequestError) *RequestError {
	top, _, _ := strings.Cut(field, ".")
	if !slices.Contains([]string{"model_architecture", "model", "dataset_path", "dataset", "config", "job"}, top) {
		return nil
	}
	e.Field = field
	if r.document == nil {
		return &e
	}
	n := r.document.root.find(strings.Split(strings.NewReplacer("[", ".", "]", "").Replace(field), "."))
	switch {
	case n == r.document.root:
		return r.document.fail(n.standIn(top), e)
	case n.kind == mapping || n.kind == list:
		return r.document.fail(n.key, e)
	}
	return r.document.fail(n.at, e)
}

// locateLayer returns the place that a layer of the architecture comes from.
func (r TrainingRequest) locateLayer(bad *nn.LayerError) *RequestError {
	if r.document == nil {
		return (*document)(nil).layerError(nil, bad, bad.Index)
	}
	root := r.document.root
	architecture := root.get("model_architecture")
	if architecture.kind == list {
		return r.document.layerError(architecture, bad, bad.Index)
	}
	// A layer of a named architecture comes from an entry of channels or hidden.
	key, index := r.origin(bad.Index)
	if sizes := root.get("model").get(key); sizes != nil && index >= 0 && index < len(sizes.items) {
		return r.document.layerError(sizes, bad, index)
	}
	return r.document.layerError(architecture, bad, -1)
}

// origin returns the list of sizes, and the index in it, that a layer of an mlp or
// cnn was made for; see nn.MLP and nn.CNN.
func (r TrainingRequest) origin(layer int) (key string, index int) {
	size := 2 // linear, activation
	switch r.ModelArchitecture.Name {
	case CNN:
		convolutions := 3 * len(r.Model.Channels) // convolution, activation, pooling
		if layer < convolutions {
			return "channels", layer / 3
		}
		layer -= convolutions
	case MLP:
		if r.Model.BatchNorm {
			size++
		}
		if r.Model.Dropout > 0 {
			size++
		}
	default:
		return "", 0
	}
	// Only the linear layer can be wrong, so it does not matter whether a flatten
	// layer comes before the first one.
	return "hidden", layer / size
}

// layerError points at entry index of a list, or at the list itself, for a
// layer that is wrong.
func (d *document) layerError(sizes *node, bad *nn.LayerError, index int) *RequestError {
	e := RequestError{Field: "model_architecture", Problem: bad.Error(), Fix: bad.Fix, cause: bad}
	e.Problem = strings.TrimSuffix(e.Problem, "; "+bad.Fix)
	if sizes == nil {
		return &e
	}
	n := sizes
	if index >= 0 && index < len(sizes.items) {
		n = sizes.items[index]
	}
	value, found := n.inner(bad.Field)
	n = value
	if found && bad.Want != "" {
		e.Value, e.Problem = cmp.Or(shorten(n.written), bad.Got), doesNotFit+bad.Want
	}
	e.Field = n.field
	return d.fail(n.at, e)
}

// inner returns the value in a layer that a path such as "body[0].units" names, and
// whether there is one; if not, the innermost layer on the path.
func (n *node) inner(path string) (*node, bool) {
	layer := n
	for step := range strings.SplitSeq(path, ".") {
		key, rest, nested := strings.Cut(step, "[")
		value := layer.get(strings.Trim(key, `"`))
		if value == nil {
			return layer, false
		}
		if !nested {
			return value, true
		}
		i, err := strconv.Atoi(strings.TrimSuffix(rest, "]"))
		if err != nil || i < 0 || i >= len(value.items) {
			return layer, false
		}
		layer = value.items[i]
	}
	return layer, true
}

// doesNotFit comes between a value and what nn wants instead.
const doesNotFit = "does not fit: want "
