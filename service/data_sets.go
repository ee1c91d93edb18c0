package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"reprise/api"
	"reprise/datadir"
	"reprise/dataset"
	"reprise/fault"
	"reprise/integration"
	"reprise/internal/disk"
	"reprise/training"
)

// library returns the catalogue and its readers. What it downloads is told to the
// notices of ctx; the function that it returns ends that.
func (s *Service) library(ctx context.Context) (*dataset.Library, func(), error) {
	config := s.config.DataSets()
	config.Images = s.images
	pace := pace{now: s.config.Now}
	var last *api.Download
	config.Progress = func(p dataset.Progress) {
		d := api.Download{Name: p.Name, File: p.File, Done: p.Done, Total: p.Total}
		if due := pace.due(); due || last == nil || last.File != d.File {
			api.Notify(ctx, api.Notice{Download: &d})
		}
		last = &d
	}
	library, err := dataset.NewLibrary(config)
	return library, func() {
		if last != nil {
			last.Ended = true
			api.Notify(ctx, api.Notice{Download: last})
			last = nil
		}
	}, err
}

// openRecorded opens the data of a run as it was read then, and makes sure that it is
// the same.
func openRecorded(ctx context.Context, library *dataset.Library, d training.Dataset) (*dataset.Dataset, error) {
	data, err := library.Reopen(ctx, d.Source(), d.Fingerprint)
	if err != nil {
		return nil, recordedDataError(library, d, err)
	}
	return data, integration.CheckFingerprint(data, d)
}

// recordedDataError says what keeps the data that a run was recorded with from being opened.
// No other data can take their place, whatever err advises.
func recordedDataError(library *dataset.Library, d training.Dataset, err error) error {
	path := d.Source().Path
	_, catalogued := library.Lookup(path)
	switch kind := fault.KindOf(err); {
	case catalogued || kind != fault.Invalid && kind != fault.NotFound && kind != fault.Corrupt:
		return fault.As(kind.Accepted(), fmt.Errorf("the run's data: %w", err))
	case !disk.Exists(path):
		return &datadir.AdvisedError{Err: fault.New(fault.Unavailable, "the run's data are missing: there is no %s", path), Remedy: "put it back, or say where the data are now when the run is resumed"}
	}
	return changedData("the run's data have changed since it began", err)
}

// DataSets implements api.Service.
func (s *Service) DataSets(ctx context.Context, _ api.DataSetsRequest) (_ api.DataSetList, err error) {
	defer explain(ctx, &err)
	library, done, err := s.library(ctx)
	if err != nil {
		return api.DataSetList{}, err
	}
	defer done()
	list := api.DataSetList{DataSets: []api.DataSet{}}
	for _, e := range library.Entries() {
		list.DataSets = append(list.DataSets, api.DataSet{Entry: e, Status: library.Status(e)})
	}
	return list, nil
}

// FetchDataSet implements api.Service.
func (s *Service) FetchDataSet(ctx context.Context, q api.FetchDataSetRequest) (_ api.DataSet, err error) {
	defer explain(ctx, &err)
	library, done, err := s.library(ctx)
	if err != nil {
		return api.DataSet{}, err
	}
	defer done()
	if err := library.Get(ctx, q.Name); err != nil {
		var field *fault.FieldError
		if errors.As(err, &field) && field.Field == dataset.FieldPath {
			named := *field
			named.Field = "name"
			return api.DataSet{}, &named
		}
		return api.DataSet{}, err
	}
	entry, _ := library.Lookup(q.Name)
	return api.DataSet{Entry: entry, Status: library.Status(entry)}, nil
}

// InspectDataSet implements api.Service.
func (s *Service) InspectDataSet(ctx context.Context, q api.InspectDataSetRequest) (_ api.Inspection, err error) {
	defer explain(ctx, &err)
	library, done, err := s.library(ctx)
	if err != nil {
		return api.Inspection{}, err
	}
	defer done()
	source := q.Source()
	if _, ok := library.Lookup(source.Path); !ok {
		if source.Path, err = pathFrom(string(q.Folder), source.Path); err != nil {
			return api.Inspection{}, err
		}
	}
	data, err := library.Open(ctx, source)
	if err != nil {
		return api.Inspection{}, err
	}
	summary, err := data.Inspect()
	if err != nil {
		return api.Inspection{}, err
	}
	samples, err := samplesOf(data, summary, q.Samples)
	if err != nil {
		return api.Inspection{}, err
	}
	x := api.Inspection{
		Summary: api.DataSummary{Summary: summary, Note: dataset.SimilarClasses(data.ClassNames())},
		Samples: samples,
	}
	if entry, ok := library.Lookup(source.Path); ok {
		x.Summary.Entry = &entry
	}
	if summary.Text != nil {
		x.Text = api.Text(summary.Text.Sample)
	}
	return x, nil
}

// pathFrom returns a path that starts from a folder. It stays as it is, and short, where
// it starts from the folder that the service runs in.
func pathFrom(folder, path string) (string, error) {
	if folder == "" || path == "" || filepath.IsAbs(path) {
		return path, nil
	}
	here, err := os.Getwd()
	if err != nil || folder == here {
		return path, err
	}
	return filepath.Join(folder, path), nil
}

// samplesOf returns the first images of the training split, up to n of them.
func samplesOf(data *dataset.Dataset, s dataset.Summary, n int) ([]api.ImageSample, error) {
	if len(s.SampleShape) != 3 {
		return nil, nil
	}
	var list []api.ImageSample
	for i := range min(n, api.MaxInspectedSamples, s.Train.Samples) {
		pixels, class, err := data.AppendRaw(nil, dataset.Train, i)
		if err != nil {
			return nil, err
		}
		list = append(list, api.ImageSample{Class: class, Pixels: pixels})
	}
	return list, nil
}
