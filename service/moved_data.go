package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"reprise/api"
	"reprise/checkpoint"
	"reprise/dataset"
	"reprise/dataset/preprocess"
	"reprise/fault"
	"reprise/internal/figures"
	"reprise/journal"
	"reprise/training"
)

// fieldDataset is the field of api.MovedData that says where data are now.
const fieldDataset = "dataset"

// dataOf opens the data of a run: where the request says that they are now, with the event
// that records it, or else where they were last, without one.
func (s *Service) dataOf(ctx context.Context, run journal.RunRecord, to api.MovedData) (*dataset.Dataset, *training.DatasetMoved, error) {
	if to.Dataset == "" {
		data, err := s.shelf.recorded(ctx, s, run.Dataset())
		return data, nil, err
	}
	library, done, err := s.library(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer done()
	source, err := movedSource(library, run, to)
	if err != nil {
		return nil, nil, err
	}
	moved := run.Dataset().MovedTo(source)
	v := volume{source: source, fingerprint: moved.Fingerprint, files: stampOf(library, source)}
	data, err := s.shelf.openThere(ctx, v, func() (*dataset.Dataset, error) {
		data, err := library.Reopen(ctx, source, moved.Fingerprint)
		switch {
		case fault.KindOf(err) == fault.Invalid || fault.KindOf(err) == fault.NotFound:
			return nil, notTheData(run, to, "cannot be read as "+describeData(run)+": "+problemsOf(err))
		case err != nil:
			return nil, err
		case data.Fingerprint() != moved.Fingerprint:
			return nil, notTheData(run, to, fmt.Sprintf("does not hold %s: %s (fingerprint %s, and the run's is %s)",
				describeData(run), figures.And(s.differences(run, data)), shortened(data.Fingerprint()), shortened(moved.Fingerprint)))
		}
		return data, nil
	})
	if err != nil || source == run.Dataset().Source() {
		return data, nil, err
	}
	return data, &moved, nil
}

// movedSource returns how to open the data of a run at another place. Files that belong to
// a table and are no longer where they were are taken from the same place beside it.
func movedSource(library *dataset.Library, run journal.RunRecord, to api.MovedData) (dataset.Source, error) {
	source := run.Dataset().Source()
	from, path := source.Path, string(to.Dataset)
	if _, catalogued := library.Lookup(path); catalogued {
		source.Path = path
		return source, nil
	}
	path, err := pathFrom(string(to.Folder), filepath.FromSlash(path))
	if err == nil {
		path, err = filepath.Abs(path) // it is recorded
	}
	if err != nil {
		return source, err
	}
	if err := stat(path); err != nil {
		problem := "does not exist"
		if !errors.Is(err, os.ErrNotExist) {
			problem = "cannot be used: " + err.Error()
		}
		return source, notTheData(run, to, problem)
	}
	source.Path = path
	split := &source.Table.Split
	for _, beside := range []*string{&split.ValidationPath, &split.TestPath, &source.Table.Root} {
		if *beside == "" || stat(*beside) == nil {
			continue
		}
		if rel, err := filepath.Rel(filepath.Dir(from), *beside); err == nil && filepath.IsLocal(rel) {
			if moved := filepath.Join(filepath.Dir(path), rel); stat(moved) == nil {
				*beside = moved
			}
		}
	}
	return source, nil
}

// notTheData is the error about a place that does not have the data of a run.
func notTheData(run journal.RunRecord, to api.MovedData, problem string) error {
	return &fault.FieldError{Field: fieldDataset, Value: fault.ShowPath(string(to.Dataset)), Problem: problem,
		Fix: fmt.Sprintf("name where the data are that were at %s", fault.ShowPath(run.Session.Dataset.Path))}
}

func describeData(run journal.RunRecord) string { return fmt.Sprintf("the data of run %s", run.ID) }

// shortened returns the beginning of a hash, which tells it from another one.
func shortened(hash string) string { return hash[:min(len(hash), 12)] }

// differences says in what data differ from those of a run: in rows and columns, or else in
// values.
func (s *Service) differences(run journal.RunRecord, data *dataset.Dataset) []string {
	was := run.Session.Dataset
	rows := "sample"
	if was.Target != "" {
		rows = "row"
	}
	var list []string
	differ := func(is, had int, what, purpose string) {
		if is != had {
			list = append(list, fmt.Sprintf("it has %s%s instead of %d", figures.Plural(is, what), purpose, had))
		}
	}
	differ(data.Len(dataset.Train), was.Training, rows, " for training")
	differ(data.Len(dataset.Validation), was.Validation, rows, " for validation")
	names := s.differentColumns(run, data)
	if list = append(list, names...); names == nil && !slices.Equal(data.SampleShape(), was.SampleShape) {
		list = append(list, fmt.Sprintf("a sample has the shape %v instead of %v", data.SampleShape(), was.SampleShape))
	}
	if n := len(data.ClassNames()); was.Classes > 0 && n != was.Classes {
		list = append(list, fmt.Sprintf("it has %d classes instead of %d", n, was.Classes))
	}
	if list == nil {
		list = []string{fmt.Sprintf("it has as many %ss, and other values or names in them", rows)}
	}
	return list
}

// differentColumns compares the names of columns with those in the document that the last
// checkpoint of a run has, if it has one.
func (s *Service) differentColumns(run journal.RunRecord, data *dataset.Dataset) []string {
	var content checkpoint.Content
	last, ok := run.LastCheckpoint()
	if !ok && run.Session.Parent != nil {
		last, ok = run.Session.Parent.Checkpoint, true
		run.ID = run.Session.Parent.RunID
	}
	if ok {
		content, _ = s.workspace.Checkpoints(run.ID).Read(last.Ref()) // without it, less is said
	}
	was, errWas := preprocess.Parse(content.Preprocessing)
	is, errIs := preprocess.Parse(data.Preprocessing())
	if errWas != nil || errIs != nil {
		return nil
	}
	had, has := columnsOf(was), columnsOf(is)
	var list []string
	for _, c := range []struct {
		names, others []string
		what          string
	}{{had, has, "it lacks"}, {has, had, "it also has"}} {
		only := slices.DeleteFunc(slices.Clone(c.names), func(name string) bool { return slices.Contains(c.others, name) })
		if n := len(only); n > 0 {
			for i := range only {
				only[i] = fault.Quote(only[i])
			}
			const most = 5
			if n > most {
				only = append(only[:most], fmt.Sprintf("%d more", n-most))
			}
			column := "column"
			if n > 1 {
				column = "columns"
			}
			list = append(list, fmt.Sprintf("%s the %s %s", c.what, column, figures.And(only)))
		}
	}
	return list
}

// columnsOf returns the names of the columns that a document knows.
func columnsOf(d preprocess.Document) []string {
	var names []string
	for _, c := range d.Columns {
		names = append(names, c.Name)
	}
	return append(names, d.Ignored...)
}
