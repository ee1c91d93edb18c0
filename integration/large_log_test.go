package integration

import (
	"context"
	"errors"
	"flag"
	"path/filepath"
	"testing"
	"time"

	"reprise/datadir"
	"reprise/dataset"
	"reprise/eventstore/sqlite"
	"reprise/journal/journaltest"
	"reprise/training"
)

var (
	largeLogDir    = flag.String("large-log", "", "a data directory to write a large log to, or to read an existing one from")
	largeLogRuns   = flag.Int("large-log-runs", 5000, "the runs of the large log")
	largeLogEpochs = flag.Int("large-log-epochs", 96, "the epochs of each run of the large log: two events each")
)

// TestWriteALargeLog writes the log that the times of large logs are measured
// on; see docs/large-logs.md.
func TestWriteALargeLog(t *testing.T) {
	if *largeLogDir == "" {
		t.Skip("no -large-log DIR")
	}
	store, err := sqlite.Open(filepath.Join(*largeLogDir, "events.db"), sqlite.Config{Unsynced: true})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := journaltest.WriteRuns(t.Context(), store, *largeLogRuns, *largeLogEpochs); err != nil {
		t.Fatal(err)
	}
	head, err := store.Head(t.Context())
	t.Logf("%d events, %v", head.Position, err)
}

// TestStartOnALargeLog starts hosts on the log that TestWriteALargeLog left and
// reports how long each part took.
func TestStartOnALargeLog(t *testing.T) {
	if *largeLogDir == "" {
		t.Skip("no -large-log DIR")
	}
	took := func(what string, since time.Time) { t.Logf("%-26s %6.2f s", what, time.Since(since).Seconds()) }
	for range 3 {
		began := time.Now()
		store, err := sqlite.Open(filepath.Join(*largeLogDir, "events.db"), sqlite.Config{})
		if err != nil {
			t.Fatal(err)
		}
		took("open the event store", began)
		hosted := time.Now()
		h, _, err := NewHost(t.Context(), HostConfig{
			Store: store, Workspace: datadir.Workspace{Dir: t.TempDir()}, Now: time.Now,
			NewID: func() string { return "20260101-host" },
			OpenDataset: func(context.Context, training.Dataset) (*dataset.Dataset, error) {
				return nil, errors.New("no run is resumed")
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		took("NewHost", hosted)
		took("ready after", began)
		closeHost(t, h)
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
