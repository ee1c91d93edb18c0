package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"reprise/api"
	"reprise/dataset"
	"reprise/fault"
	"reprise/training"
)

// maxJobs bounds the requests of one command: as many runs as a host lets wait.
const maxJobs = 1000

// prepareAll is prepare for several request files, with the same settings for each.
// Everything that is wrong with any of them is reported at once. The jobs come without
// their data, which shelf opens again when a run needs it.
func (env *environment) prepareAll(ctx context.Context, files, set []string, s *shelf) ([]job, error) {
	settings := parseSettings(set)
	requests, errs := make([]api.TrainingRequest, len(files)), make([]error, len(files))
	sound := true
	for i, file := range files {
		if requests[i], errs[i] = env.parseJob(ctx, file, slices.Contains(files[:i], "-"), settings); errs[i] != nil {
			errs[i] = invalid(errs[i])
			sound = false
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	jobs := make([]job, len(files))
	draw := withoutRepeats(func() training.RunID { return newRunID(env.now()) })
	for i, request := range requests {
		// Nothing is fetched where the command will be refused anyway.
		if errs[i] != nil || !sound && env.mustFetch(request) {
			continue
		}
		if jobs[i], errs[i] = ready(ctx, request, draw(), s.requested); errs[i] == nil {
			env.noteClasses(files[i], jobs[i].data)
		}
		jobs[i].file, jobs[i].data = files[i], nil
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return jobs, joinMistakes(files, errs)
}

// withoutRepeats returns a function that draws until it gets what it did not get before:
// few characters of a run's id are random, and requests are checked within a second.
func withoutRepeats[T comparable](draw func() T) func() T {
	drawn := map[T]bool{}
	return func() T {
		v := draw()
		for drawn[v] {
			v = draw()
		}
		drawn[v] = true
		return v
	}
}

// parseJob reads and parses one of several request files.
func (env *environment) parseJob(
	ctx context.Context, file string, stdinRead bool, settings []api.Setting,
) (api.TrainingRequest, error) {
	if file == "-" && stdinRead {
		return api.TrainingRequest{}, errors.New("JOB -: standard input can be read only once; give - once")
	}
	return env.parse(ctx, file, settings)
}

// joinMistakes returns the errors of the files as one. What is wrong with several
// files, such as a bad --set, is said once. If any of them is the user's to correct, so
// is the whole, unless something may pass by itself, such as a network that is down.
func joinMistakes(files []string, errs []error) error {
	type mistake struct {
		err   error
		files []string // that it is about, where it does not say so itself
	}
	var list []*mistake
	known := map[string]*mistake{}
	var refused, passing bool
	for i, err := range errs {
		refused = refused || fault.KindOf(err) == fault.Invalid
		passing = passing || errors.As(err, new(*dataset.OfflineError))
		for _, part := range fault.Parts(err) {
			text := part.Error()
			m := known[text]
			if m == nil {
				m = &mistake{err: part}
				known[text] = m
				list = append(list, m)
			}
			named := strings.HasPrefix(text, files[i]+":") || strings.HasPrefix(text, files[i]+" ") || strings.HasPrefix(text, "JOB "+files[i]+":")
			if !named && !slices.Contains(m.files, files[i]) {
				m.files = append(m.files, files[i])
			}
		}
	}
	distinct := len(slices.Compact(slices.Sorted(slices.Values(files))))
	var all []error
	for _, m := range list {
		if n := len(m.files); n > 0 && n < distinct {
			m.err = fmt.Errorf("%s: %w", andList(m.files), m.err)
		}
		all = append(all, m.err)
	}
	joined := errors.Join(all...)
	switch {
	case passing:
		return fault.As(fault.Unavailable, joined)
	case refused:
		return invalid(joined)
	}
	return joined
}

// mustFetch reports whether the data of a request has to be fetched first.
func (env *environment) mustFetch(request api.TrainingRequest) bool {
	library, done, err := env.library()
	if err != nil {
		return false
	}
	defer done()
	source, err := env.sourceOf(library, request)
	if err != nil {
		return false
	}
	entry, ok := library.Lookup(source.Path)
	return ok && library.Status(entry) == dataset.StatusNotFetched
}

// shelf keeps the data that was opened last: requests that are trained together mostly
// share theirs. Other data is opened again when it is needed, since that of all of them
// might not fit into memory. It is safe for concurrent use.
type shelf struct {
	env *environment

	mu     sync.Mutex
	source dataset.Source
	data   *dataset.Dataset // nil for none
}

// requested is environment.openRequested.
func (s *shelf) requested(ctx context.Context, request api.TrainingRequest) (dataset.Source, *dataset.Dataset, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	library, done, err := s.env.library()
	if err != nil {
		return dataset.Source{}, nil, err
	}
	defer done()
	if source, err := s.env.sourceOf(library, request); err == nil && s.data != nil && source == s.source {
		return source, s.data, nil
	}
	source, data, err := s.env.openRequested(ctx, request)
	if err == nil {
		s.source, s.data = source, data
	}
	return source, data, err
}

// recorded is environment.openRecorded. While it opens one data set, others can be
// opened.
func (s *shelf) recorded(ctx context.Context, d training.Dataset) (*dataset.Dataset, error) {
	s.mu.Lock()
	kept := s.data
	s.mu.Unlock()
	if kept != nil && kept.Fingerprint() == d.Fingerprint {
		return kept, nil
	}
	data, err := s.env.openRecorded(ctx, d)
	if err == nil {
		s.mu.Lock()
		s.source, s.data = d.Source(), data
		s.mu.Unlock()
	}
	return data, err
}

// sourceOf returns what the request says of its data.
func (env *environment) sourceOf(library *dataset.Library, request api.TrainingRequest) (dataset.Source, error) {
	here, err := os.Getwd()
	if err != nil {
		return dataset.Source{}, err
	}
	return request.DatasetReference(entryNames(library), here)
}
