package integration

import (
	"context"
	"fmt"

	"reprise/actor"
	"reprise/dataset"
	"reprise/training"
)

// OpenDataset opens the data that a session was recorded with.
type OpenDataset func(ctx context.Context, d training.Dataset) (*dataset.Dataset, error)

// datasetShelf is the actor that holds the data sets that runs train on. A set
// is read once, however many runs use it, and forgotten with its last user.
type datasetShelf struct {
	open  OpenDataset
	shelf map[training.DatasetID]*shelved
}

type shelved struct {
	data  *dataset.Dataset
	users int
}

func newDatasetShelf(open OpenDataset) *datasetShelf {
	return &datasetShelf{open: open, shelf: map[training.DatasetID]*shelved{}}
}

// Receive lends out data sets and takes them back.
func (s *datasetShelf) Receive(ctx *actor.Context[datasetMessage], message datasetMessage) error {
	switch m := message.(type) {
	case loadDataset:
		data, err := s.load(ctx.Context(), m.Dataset)
		if err != nil {
			return m.ReplyTo.Tell(datasetRefused{Request: m.Request, Reason: err.Error()})
		}
		return m.ReplyTo.Tell(datasetLoaded{Request: m.Request, Data: data})
	case unloadDataset:
		if held, ok := s.shelf[m.Dataset]; ok {
			if held.users--; held.users <= 0 {
				delete(s.shelf, m.Dataset)
			}
		}
		return m.ReplyTo.Tell(datasetUnloaded{Request: m.Request, Dataset: m.Dataset})
	}
	return nil
}

func (s *datasetShelf) load(ctx context.Context, d training.Dataset) (*dataset.Dataset, error) {
	held, ok := s.shelf[d.ID]
	if !ok {
		data, err := s.open(ctx, d)
		if err != nil {
			return nil, err
		}
		held = &shelved{data: data}
	}
	if err := CheckFingerprint(held.data, d); err != nil {
		return nil, err
	}
	held.users++
	s.shelf[d.ID] = held
	return held.data, nil
}

// CheckFingerprint fails unless the data is what the session was started with.
func CheckFingerprint(data *dataset.Dataset, want training.Dataset) error {
	if got := data.Fingerprint(); got != want.Fingerprint {
		return fmt.Errorf("data set %s has changed: its content is %s, the run was started on %s; put the original data back to go on",
			want.Path, got, want.Fingerprint)
	}
	return nil
}
