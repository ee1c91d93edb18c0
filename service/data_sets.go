package service

import (
	"context"
	"fmt"

	"reprise/api"
	"reprise/dataset"
	"reprise/fault"
	"reprise/integration"
	"reprise/training"
)

// library returns the catalogue and its readers. What it downloads is told to the
// notices of ctx; the function that it returns ends that.
func (s *Service) library(ctx context.Context) (*dataset.Library, func(), error) {
	config := s.config.DataSets()
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

// OpenRecorded opens the data of a run as it was read then, and makes sure that it is
// the same.
func OpenRecorded(ctx context.Context, library *dataset.Library, d training.Dataset) (*dataset.Dataset, error) {
	data, err := library.Reopen(ctx, d.Source(), d.Fingerprint)
	if err != nil {
		return nil, fault.As(fault.KindOf(err).Accepted(), fmt.Errorf("the run's data: %w", err))
	}
	return data, integration.CheckFingerprint(data, d)
}
