package integration

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"reprise/datadir"
	"reprise/dataset"
	"reprise/device"
	"reprise/eventstore"
	"reprise/eventstore/sqlite"
	"reprise/journal"
	"reprise/nn"
	"reprise/tensor"
	"reprise/training"
)

var (
	largeLogDir    = flag.String("large-log", "", "a data directory to write a large log to, or to read an existing one from")
	largeLogRuns   = flag.Int("large-log-runs", 5000, "the runs of the large log")
	largeLogEpochs = flag.Int("large-log-epochs", 96, "the epochs of each run of the large log: two events each")
)

// writeRuns appends that many runs, each taken from start to end on one device:
// 9 events, and two for every epoch.
func writeRuns(t testing.TB, store eventstore.Store, runs, epochs int) {
	t.Helper()
	ctx := context.Background()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { now = now.Add(time.Second); return now }
	log, ledger := journal.NewRunLog(store, clock), journal.NewDeviceLog(store, clock)
	cpu, err := device.New(device.Description{ID: "cpu0", Name: "a processor", Kind: device.CPU, Slots: 2, Units: 1,
		Health: device.Healthy, Memory: device.MemoryInfo{Total: 1 << 30, Available: 1 << 30}})
	if err != nil {
		t.Fatal(err)
	}
	d := journal.DeviceRecord{ID: "cpu0"}
	record := func(events []device.Event, err error) {
		t.Helper()
		if err == nil {
			d, err = ledger.Append(ctx, d, events...)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	record(d.Ledger.Register(cpu))
	for i := range runs {
		id := training.RunID(fmt.Sprintf("20260101-000000-%06x", i))
		var r journal.RunRecord
		add := func(events ...training.Event) {
			t.Helper()
			for batch := range slices.Chunk(events, eventstore.MaxBatch) {
				if r, err = log.Append(ctx, r, batch...); err != nil {
					t.Fatal(err)
				}
			}
		}
		start, events, end := partsOfARun(id, epochs)
		add(start)
		record(d.Ledger.Acquire(string(journal.AggregateOf(id)), device.LeaseID(fmt.Sprint("lease-", i)),
			device.Workload{Name: "train", Memory: device.MemoryRequirement{Size: 1 << 20}}))
		lease := d.Ledger.Leases()[0]
		held := training.Allocation{Device: "cpu0", Lease: lease.ID, Epoch: lease.Epoch}
		add(training.ResourceAllocated{Allocation: held})
		add(events...)
		record(d.Ledger.Release(lease, "the run has ended"))
		add(training.DeviceReleased{Allocation: held}, end)
	}
}

// wholeRun returns the events of a run that completes.
func wholeRun(id training.RunID, held training.Allocation, epochs int) []training.Event {
	start, events, end := partsOfARun(id, epochs)
	return append(append([]training.Event{start, training.ResourceAllocated{Allocation: held}}, events...),
		training.DeviceReleased{Allocation: held}, end)
}

// partsOfARun returns the same without the events of its lease.
func partsOfARun(id training.RunID, epochs int) (start training.Event, events []training.Event, end training.Event) {
	const perEpoch = 100
	session := training.SessionID("session-" + string(id))
	sum := func(epoch int) string { return fmt.Sprintf("%064x", epoch) }
	start = training.TrainingStarted{
		RunID: id, SessionID: session, ModelID: "mlp", Architecture: nn.MLP(tensor.Shape{64}, []int{128, 64}, "relu", 10),
		Dataset: training.Dataset{ID: "digits", Path: "builtin:digits", Fingerprint: sum(0), Training: 1000, Validation: 200},
		Hyperparameters: training.Hyperparameters{
			BatchSize: 10, Epochs: uint64(epochs), CheckpointInterval: 1, Seed: 1, Optimizer: nn.Optimizer{Name: "adamw"},
			LearningRate: training.LearningRate{Value: 0.001, Schedule: training.Schedule{TotalSteps: uint64(epochs * perEpoch)}},
		},
		Request: []byte(`{"data":{"path":"builtin:digits"},"note":"` + strings.Repeat("a request has some length. ", 20) + `"}`),
	}
	events = []training.Event{
		training.DatasetLoaded{Dataset: "digits", Fingerprint: sum(0)},
		training.ModelInitialized{WeightsSHA256: sum(0)},
	}
	var m training.Metrics
	for e := 1; e <= epochs; e++ {
		step := uint64(e * perEpoch)
		m = training.Metrics{TrainLoss: 2.3 / float64(e), ValLoss: 2.4 / float64(e), ValAccuracy: 1 - 0.9/float64(e)}
		events = append(events,
			training.EpochCompleted{Epoch: uint64(e), Step: step, Metrics: m},
			training.CheckpointCommitted{Checkpoint: training.Checkpoint{
				SessionID: session, Epoch: uint64(e), Step: step, Dir: fmt.Sprintf("step-%08d", step), Loss: m.TrainLoss,
				ManifestSHA256: sum(e), WeightsSHA256: sum(e), SeriesSHA256: sum(e),
			}})
	}
	completed := training.TrainingCompleted{Epoch: uint64(epochs), Step: uint64(epochs * perEpoch), WeightsSHA256: sum(epochs), Metrics: m}
	return start, append(events, completed), training.DatasetUnloaded{Dataset: "digits"}
}

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
	writeRuns(t, store, *largeLogRuns, *largeLogEpochs)
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
