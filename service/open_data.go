package service

import (
	"context"
	"errors"
	"sync"

	"reprise/api"
	"reprise/dataset"
	"reprise/fault"
	"reprise/training"
)

// openRequested opens the data that a request names, with relative paths from the
// folder. A mistake in the request or the files is the user's to correct; a missing
// network is not.
func (s *Service) openRequested(ctx context.Context, request api.TrainingRequest, folder string) (dataset.Source, *dataset.Dataset, error) {
	library, done, err := s.library(ctx)
	if err != nil {
		return dataset.Source{}, nil, err
	}
	defer done()
	source, err := request.DatasetReference(entryNames(library), folder)
	if err != nil {
		return dataset.Source{}, nil, invalid(err)
	}
	data, err := library.Open(ctx, source)
	if fault.KindOf(err) == fault.Invalid {
		err = invalid(request.Locate(err))
	}
	return source, data, err
}

// moreMistakes returns what else is wrong with a request in which mistakes were
// found already: what the sound parts of it say of the data, and how they fit it.
// Nothing is fetched for a request that cannot be trained.
func (s *Service) moreMistakes(ctx context.Context, request api.TrainingRequest, folder string) error {
	library, done, err := s.library(ctx)
	if err != nil || !request.Sound("dataset_path") {
		return nil // it is not a mistake in the request
	}
	defer done()
	source, err := request.DatasetReference(entryNames(library), folder)
	if err != nil || !request.Sound("dataset") {
		return err
	}
	if notFetched(library, source) {
		return nil
	}
	data, err := library.Open(ctx, source)
	if err == nil {
		err = request.CheckData(data)
	}
	if located := request.Locate(err); errors.As(located, new(*api.RequestError)) {
		return located
	}
	return nil // it would come again once the mistakes are mended
}

// mustFetch reports whether the data of a request has to be fetched first.
func (s *Service) mustFetch(ctx context.Context, request api.TrainingRequest, folder string) bool {
	library, done, err := s.library(ctx)
	if err != nil {
		return false
	}
	defer done()
	source, err := request.DatasetReference(entryNames(library), folder)
	return err == nil && notFetched(library, source)
}

// offline reports whether nothing may be fetched from the network, now or later.
func (s *Service) offline() bool { return s.config.DataSets().GoProxy == "off" }

func notFetched(library *dataset.Library, source dataset.Source) bool {
	entry, ok := library.Lookup(source.Path)
	return ok && library.Status(entry) == dataset.StatusNotFetched
}

func entryNames(library *dataset.Library) []string {
	var names []string
	for _, e := range library.Entries() {
		names = append(names, e.Name)
	}
	return names
}

// shelf keeps the data that was opened last: requests that are trained together mostly
// share theirs. Other data is opened again when it is needed, since that of all of them
// might not fit into memory. It is safe for concurrent use.
type shelf struct {
	mu     sync.Mutex
	source dataset.Source
	data   *dataset.Dataset // nil for none
}

// requested is Service.openRequested.
func (f *shelf) requested(ctx context.Context, s *Service, request api.TrainingRequest, folder string) (dataset.Source, *dataset.Dataset, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	library, done, err := s.library(ctx)
	if err != nil {
		return dataset.Source{}, nil, err
	}
	defer done()
	if source, err := request.DatasetReference(entryNames(library), folder); err == nil && f.data != nil && source == f.source {
		return source, f.data, nil
	}
	source, data, err := s.openRequested(ctx, request, folder)
	if err == nil {
		f.source, f.data = source, data
	}
	return source, data, err
}

// recorded is OpenRecorded.
func (f *shelf) recorded(ctx context.Context, s *Service, d training.Dataset) (*dataset.Dataset, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.data != nil && f.data.Fingerprint() == d.Fingerprint {
		return f.data, nil
	}
	library, done, err := s.library(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	data, err := OpenRecorded(ctx, library, d)
	if err == nil {
		f.source, f.data = d.Source(), data
	}
	return data, err
}

// clear forgets the data.
func (f *shelf) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.source, f.data = dataset.Source{}, nil
}
