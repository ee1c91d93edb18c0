package datadir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"reprise/eventstore"
	"reprise/fault"
)

// boundStore is the event store of a data directory that has to stay where it is:
// once another file, or none, has the name of the one that was opened, nothing that is
// appended would ever be read.
type boundStore struct {
	eventstore.Store
	path   string
	opened fs.FileInfo
}

func bound(store eventstore.Store, path string) (eventstore.Store, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return &boundStore{store, path, info}, nil
}

// ErrDataDirGone says that the data directory is not the one that was opened.
var ErrDataDirGone = fault.New(fault.Unavailable, "the data directory was removed or replaced while this process was using it")

// Append fails with ErrDataDirGone, and appends nothing, where that has happened.
func (s *boundStore) Append(ctx context.Context, writes ...eventstore.Write) ([]eventstore.Event, error) {
	switch now, err := os.Stat(s.path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %s is gone", ErrDataDirGone, s.path)
	case err == nil && !os.SameFile(now, s.opened):
		return nil, fmt.Errorf("%w: %s is another file", ErrDataDirGone, s.path)
	}
	return s.Store.Append(ctx, writes...)
}
