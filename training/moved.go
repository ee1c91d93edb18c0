package training

import (
	"fmt"

	"reprise/dataset"
)

// DatasetMoved records that a run reads its data from another place from now on. The data
// are the same: they have the fingerprint that the run was started with. What the first
// event says of their place stays.
type DatasetMoved struct {
	// Path is a catalogue name, folder, file or pattern, as Dataset.Path.
	Path string `json:"path"`
	// ValidationPath, TestPath and Root are those of the table's options, where it has them.
	ValidationPath string `json:"validation_path,omitempty"`
	TestPath       string `json:"test_path,omitempty"`
	Root           string `json:"root,omitempty"`
	// Fingerprint is that of the data that were found there.
	Fingerprint string `json:"fingerprint"`
}

// EventType returns "training.dataset_moved.v1".
func (DatasetMoved) EventType() string { return "training.dataset_moved.v1" }

func (DatasetMoved) trainingEvent() {}

// Remark names the new place.
func (e DatasetMoved) Remark() string { return "to " + e.Path }

// Contradicts finds data that are not the run's, and places that they do not have.
func (e DatasetMoved) Contradicts(r TrainingRun) string {
	d := r.Session.Dataset
	if e.Fingerprint != d.Fingerprint {
		return fmt.Sprintf("fingerprint: recorded %s, the run was started on %s", e.Fingerprint, d.Fingerprint)
	}
	for _, place := range []struct {
		field, was, now string
	}{
		{"path", d.Path, e.Path}, {"validation_path", d.Table.Split.ValidationPath, e.ValidationPath},
		{"test_path", d.Table.Split.TestPath, e.TestPath}, {"root", d.Table.Root, e.Root},
	} {
		if (place.was == "") != (place.now == "") {
			return fmt.Sprintf("%s: recorded %q, the run was started with %q", place.field, place.now, place.was)
		}
	}
	return ""
}

// MovedTo returns the event for data that are now where source says.
func (d Dataset) MovedTo(source dataset.Source) DatasetMoved {
	split := source.Table.Split
	return DatasetMoved{Path: source.Path, ValidationPath: split.ValidationPath, TestPath: split.TestPath, Root: source.Table.Root, Fingerprint: d.Fingerprint}
}

// At returns the data where an event says that they are; nil stands for where they were.
func (d Dataset) At(e *DatasetMoved) Dataset {
	if e != nil {
		d.Path, d.Table.Root = e.Path, e.Root
		d.Table.Split.ValidationPath, d.Table.Split.TestPath = e.ValidationPath, e.TestPath
	}
	return d
}

// Dataset returns the data of the run, where they are now.
func (r TrainingRun) Dataset() Dataset { return r.Session.Dataset.At(r.Moved) }
