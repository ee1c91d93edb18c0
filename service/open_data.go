package service

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"reprise/api"
	"reprise/dataset"
)

// moreMistakes returns what else is wrong with a request in which mistakes were
// found already: what the sound parts of it say of the data, and how they fit it.
// Nothing is fetched for a request that cannot be trained.
func (s *Service) moreMistakes(ctx context.Context, request api.TrainingRequest, folder string) error {
	request = request.Folds()[0]
	library, done, err := s.library(ctx)
	if err != nil || !request.Sound("dataset_path") {
		return nil // it is not a mistake in the request
	}
	defer done()
	source, err := request.DatasetReference(entryNames(library), folder, stat)
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
	source, err := request.DatasetReference(entryNames(library), folder, stat)
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

// stat fails where there is no file or folder at a path, or none that can be reached.
func stat(path string) error {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if matches, bad := filepath.Glob(path); bad == nil && len(matches) > 0 {
			return nil // of a pattern
		}
	}
	return err
}
