package api

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"reprise/dataset"
	"reprise/training"
)

// Meaning returns the first event of a run as it has to be according to the request
// in it and to the data: the model, the hyperparameters, the description of the data
// and the canonical form of the request itself. Identities, the parent of a fork,
// what was taken as initial weights and the folder that a relative dataset_path was looked
// up in do not follow from them and stay as recorded.
//
// It applies no rule by which requests are refused: a run may be older than the
// rule.
func Meaning(recorded training.TrainingStarted, data *dataset.Dataset) (training.TrainingStarted, error) {
	if len(recorded.Request) == 0 {
		return recorded, errors.New("it is missing")
	}
	d, err := parseDocument("", recorded.Request)
	if err != nil {
		return recorded, err
	}
	r, errs := decodeRequest(d, nil)
	if len(errs) > 0 {
		return recorded, join("", placeless(errs))
	}
	r = r.withDefaults()
	meant := recorded
	if meant.Request, err = r.Canonical(); err != nil {
		return recorded, err
	}
	meant.Hyperparameters = r.Hyperparameters(data.Len(dataset.Train))
	if meant.Architecture, err = r.Architecture(data); err != nil {
		return recorded, fmt.Errorf("model_architecture: %w", err)
	}
	if err := meansInit(r.Model.Init, recorded); err != nil {
		return recorded, err
	}
	source := r.source()
	if refersTo(r.DatasetPath, recorded.Dataset.Path) {
		source.Path = recorded.Dataset.Path
	}
	for _, paths := range [][2]*string{
		{&source.Table.Split.ValidationPath, &recorded.Dataset.Table.Split.ValidationPath},
		{&source.Table.Split.TestPath, &recorded.Dataset.Table.Split.TestPath},
		{&source.Table.Root, &recorded.Dataset.Table.Root},
	} {
		if *paths[0] != "" && refersTo(*paths[0], *paths[1]) {
			*paths[0] = *paths[1]
		}
	}
	meant.Dataset, err = describe(source, data)
	if name := filepath.Base(recorded.Dataset.Path); name != data.Name() && strings.HasPrefix(string(recorded.Dataset.ID), name+"@") {
		meant.Dataset.ID = training.DatasetID(name + "@" + data.Fingerprint()) // the data were moved since
	}
	if recorded.Dataset.Preprocessing == "" {
		// Older versions recorded no document for most data. Where it was removed from the
		// record of a newer run, that run's checkpoints have one too many.
		meant.Dataset.Preprocessing = ""
	}
	return meant, err
}

// meansInit fails unless the initial weights on record are those that a request asks for.
// What they are, their hash says.
func meansInit(from string, recorded training.TrainingStarted) error {
	init := recorded.Init
	switch {
	case recorded.Parent != nil && init != nil:
		return errors.New("init: a fork begins with a checkpoint")
	case recorded.Parent != nil:
		return nil
	case (from == "") != (init == nil):
		return fmt.Errorf("model.init: it is %q, and what is recorded of the initial weights says otherwise", from)
	case init == nil, from == init.Path, init.Path == "" && from == string(init.RunID):
		return nil
	}
	return fmt.Errorf("model.init: it is %q, recorded are weights of %s", from, init.Origin())
}

// refersTo reports whether a dataset_path, which may be relative to a folder that is
// not recorded, may have led to the recorded path.
func refersTo(path, recorded string) bool {
	path = filepath.Clean(filepath.FromSlash(path))
	if path == recorded {
		return true
	}
	if filepath.IsAbs(path) || !filepath.IsAbs(recorded) {
		return false
	}
	up := ".." + string(filepath.Separator)
	for strings.HasPrefix(path, up) {
		path = strings.TrimPrefix(path, up)
	}
	return path == "." || path == ".." || strings.HasSuffix(recorded, string(filepath.Separator)+path)
}
