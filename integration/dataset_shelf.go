package integration

import (
	"context"
	"errors"
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
	users map[training.RunID]bool
}

func newDatasetShelf(open OpenDataset) *datasetShelf {
	return &datasetShelf{open: open, shelf: map[training.DatasetID]*shelved{}}
}

// Receive lends out data sets and takes them back.
func (s *datasetShelf) Receive(ctx *actor.Context[datasetMessage], message datasetMessage) error {
	switch m := message.(type) {
	case loadDataset:
		data, err := s.load(ctx.Context(), m.Run, m.Dataset)
		if err != nil {
			return reply(ctx, m.ReplyTo, datasetRefused{Request: m.Request, Err: err})
		}
		return reply(ctx, m.ReplyTo, datasetLoaded{Request: m.Request, Data: data})
	case unloadDataset:
		s.unload(m.Run, m.Dataset)
		return reply(ctx, m.ReplyTo, datasetUnloaded{Request: m.Request, Dataset: m.Dataset})
	case forgetRun:
		for id := range s.shelf {
			s.unload(m.Run, id)
		}
	}
	return nil
}

// reply answers a run. A run that has ended meanwhile does not need it;
// forgetRun takes back what it got.
func reply(from actor.Sender, run actor.Ref[RunMessage], answer RunMessage) error {
	if err := actor.Send(from, run, answer); !errors.Is(err, actor.ErrStopped) {
		return err
	}
	return nil
}

func (s *datasetShelf) load(ctx context.Context, run training.RunID, d training.Dataset) (*dataset.Dataset, error) {
	held, ok := s.shelf[d.ID]
	if !ok {
		data, err := s.open(ctx, d)
		if err != nil {
			return nil, err
		}
		held = &shelved{data: data, users: map[training.RunID]bool{}}
	}
	if err := CheckFingerprint(held.data, d); err != nil {
		return nil, err
	}
	held.users[run] = true
	s.shelf[d.ID] = held
	return held.data, nil
}

func (s *datasetShelf) unload(run training.RunID, id training.DatasetID) {
	held, ok := s.shelf[id]
	if !ok {
		return
	}
	if delete(held.users, run); len(held.users) == 0 {
		delete(s.shelf, id)
	}
}

// CheckFingerprint fails unless the data is what the session was started with.
func CheckFingerprint(data *dataset.Dataset, want training.Dataset) error {
	if got := data.Fingerprint(); got != want.Fingerprint {
		return fmt.Errorf("data set %s has changed: its content is %s, the run was started on %s; put the original data back to continue",
			want.Path, got, want.Fingerprint)
	}
	return nil
}
