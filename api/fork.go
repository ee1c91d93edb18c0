package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"reprise/dataset"
	"reprise/fault"
	"reprise/training"
)

// RecordedRequest returns the request in the canonical JSON of a run's record. It is
// not in a file: its errors have no place.
func RecordedRequest(canonical []byte) (TrainingRequest, error) {
	r, err := ParseTrainingRequest("", canonical)
	if err != nil {
		return TrainingRequest{}, fmt.Errorf("the recorded request: %w", err)
	}
	r.document = nil
	return r, nil
}

// ForkExternalRequest starts a session that continues from a checkpoint of another
// run, with training.TrainingService.ForkTraining. The request r is that run's,
// with some fields set; data is the run's data.
//
// A field that does not fit the checkpoint is named in a *RequestError, as is any
// other mistake. Nothing has happened then.
func ForkExternalRequest(r TrainingRequest, parent training.TrainingRun, parentRequest TrainingRequest, cp training.Checkpoint,
	data *dataset.Dataset, ids IDs) (training.TrainingSession, []training.Event, error) {
	changed := r.CheckFork(parentRequest)
	model, config, err := r.translate(data, ids)
	if err != nil {
		return training.TrainingSession{}, nil, together(changed, r.Locate(r.allMistakes(data, err)))
	}
	session, events, err := training.TrainingService{}.ForkTraining(parent, cp, model, data, config)
	if err != nil {
		err = r.Locate(r.allMistakes(data, blame(err, parentRequest, r)))
	}
	if err := together(changed, err); err != nil {
		return training.TrainingSession{}, nil, err
	}
	return session, events, nil
}

// together is Join, but leaves a single error as it is.
func together(a, b error) error {
	if a != nil && b != nil {
		return Join(a, b)
	}
	return joined(a, b)
}

// CheckFork fails where the request would change the data or the initial weights of the
// one that it was made of, with each field that would. It may be a request that came with an error:
// what its sound parts say is checked.
func (r TrainingRequest) CheckFork(parent TrainingRequest) error {
	was, now := TrainingRequest{DatasetPath: parent.DatasetPath, Dataset: parent.Dataset}, TrainingRequest{DatasetPath: r.DatasetPath, Dataset: r.Dataset}
	if !r.Sound("dataset_path") {
		now.DatasetPath = was.DatasetPath
	}
	if !r.Sound("dataset") {
		now.Dataset = was.Dataset
	}
	var errs []error
	if r.Sound("model.init") && r.Model.Init != parent.Model.Init {
		errs = append(errs, r.at("model.init", RequestError{Value: shorten(r.Model.Init),
			Problem: "would change the initial weights, and a fork begins with those of its checkpoint", Fix: "leave it out, or train a new run"}))
	}
	if was.DatasetPath == now.DatasetPath && was.Dataset == now.Dataset {
		return joined(errs...)
	}
	for _, c := range changes(was, now) {
		if strings.HasPrefix(c.Field, "dataset") {
			errs = append(errs, r.at(c.Field, RequestError{Value: string(c.To),
				Problem: "would change the data, whose order and epochs the checkpoint is in the middle of",
				Fix:     "leave it out: a fork trains on its parent's data"}))
		}
	}
	return joined(errs...)
}

// blame names the field of the model that was set wherever the model does not fit
// its checkpoint.
func blame(err error, parent, fork TrainingRequest) error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, part := range several.Unwrap() {
			errs = append(errs, blame(part, parent, fork))
		}
		return joined(errs...)
	}
	var field *fault.FieldError
	if !errors.As(err, &field) || field.Field != "model_architecture" {
		return err
	}
	list := changes(parent, fork)
	slices.SortStableFunc(list, func(a, b Change) int { // sizes follow from the architecture
		return cmp.Compare(b2i(b.Field == "model_architecture"), b2i(a.Field == "model_architecture"))
	})
	for _, c := range list {
		if strings.HasPrefix(c.Field, "model") {
			blamed := *field
			blamed.Field, blamed.Value = c.Field, string(c.To)
			blamed.Problem = "gives the model " + field.Value + ", which " + field.Problem
			return &blamed
		}
	}
	return err
}

// Change is a field in which two requests differ.
type Change struct {
	Field string `json:"field"`
	// From and To are null if the request does not have the field.
	From json.RawMessage `json:"from"`
	To   json.RawMessage `json:"to"`
}

// Changes returns the fields in which two requests in canonical JSON differ, in
// alphabetical order.
func Changes(from, to []byte) ([]Change, error) {
	var trees [2]any
	for i, raw := range [][]byte{from, to} {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		if err := d.Decode(&trees[i]); err != nil {
			return nil, fmt.Errorf("compare requests: %w", err)
		}
	}
	return difference(nil, "", trees[0], trees[1]), nil
}

// changes is Changes for two requests that have a canonical form.
func changes(from, to TrainingRequest) []Change {
	a, errA := from.Canonical()
	b, errB := to.Canonical()
	if errA != nil || errB != nil {
		return nil
	}
	list, _ := Changes(a, b) // they are JSON
	return list
}

func difference(list []Change, field string, from, to any) []Change {
	a, aMap := from.(map[string]any)
	b, bMap := to.(map[string]any)
	if !aMap || !bMap {
		if reflect.DeepEqual(from, to) {
			return list
		}
		x, _ := json.Marshal(from) // it came from JSON
		y, _ := json.Marshal(to)
		return append(list, Change{Field: field, From: x, To: y})
	}
	var keys []string
	for key := range a {
		keys = append(keys, key)
	}
	for key := range b {
		if _, both := a[key]; !both {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		list = difference(list, child(field, key), a[key], b[key])
	}
	return list
}
