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

// datasetCache is the actor that holds the data sets that runs train on. A data set
// is read once, however many runs use it, and dropped when none does.
type datasetCache struct {
	open    OpenDataset
	entries map[training.DatasetID]*cachedDataset
}

type cachedDataset struct {
	data  *dataset.Dataset
	users map[training.RunID]bool
}

func newDatasetCache(open OpenDataset) *datasetCache {
	return &datasetCache{open: open, entries: map[training.DatasetID]*cachedDataset{}}
}

// Receive lends out data sets and takes them back.
func (c *datasetCache) Receive(ctx *actor.Context[datasetMessage], message datasetMessage) error {
	switch m := message.(type) {
	case loadDataset:
		data, err := c.load(ctx.Context(), m.Run, m.Dataset)
		if err != nil {
			return reply(ctx, m.ReplyTo, datasetRefused{Request: m.Request, Err: err})
		}
		return reply(ctx, m.ReplyTo, datasetLoaded{Request: m.Request, Data: data})
	case unloadDataset:
		c.unload(m.Run, m.Dataset)
		return reply(ctx, m.ReplyTo, datasetUnloaded{Request: m.Request, Dataset: m.Dataset})
	case forgetRun:
		for id := range c.entries {
			c.unload(m.Run, id)
		}
	}
	return nil
}

// reply answers a run. One that has ended in the meantime needs no answer; what it
// was lent is returned by forgetRun.
func reply(from actor.Sender, run actor.Ref[RunMessage], answer RunMessage) error {
	if err := actor.Send(from, run, answer); !errors.Is(err, actor.ErrStopped) {
		return err
	}
	return nil
}

func (c *datasetCache) load(ctx context.Context, run training.RunID, d training.Dataset) (*dataset.Dataset, error) {
	held, ok := c.entries[d.ID]
	if !ok {
		data, err := c.open(ctx, d)
		if err != nil {
			return nil, err
		}
		held = &cachedDataset{data: data, users: map[training.RunID]bool{}}
	}
	if err := CheckFingerprint(held.data, d); err != nil {
		return nil, err
	}
	held.users[run] = true
	c.entries[d.ID] = held
	return held.data, nil
}

func (c *datasetCache) unload(run training.RunID, id training.DatasetID) {
	held, ok := c.entries[id]
	if !ok {
		return
	}
	if delete(held.users, run); len(held.users) == 0 {
		delete(c.entries, id)
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
