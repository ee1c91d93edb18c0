package survival

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"reprise/actor"
	"reprise/datadir"
	"reprise/dataset"
	"reprise/device"
	cpudevice "reprise/device/cpu"
	"reprise/eventstore"
	"reprise/eventstore/sqlite"
	"reprise/integration"
	"reprise/internal/disk"
	"reprise/internal/stepseries"
	"reprise/journal"
	"reprise/nn"
	"reprise/training"
	"reprise/training/loop"
)

// checkpointPages makes SQLite move its write-ahead log into the file several
// times even in the shortest run.
const checkpointPages = 12

// runID is the id of the only run.
const runID training.RunID = "run-1"

// job is what all runs of these tests train: a small perceptron on the embedded
// digits.
type job struct {
	data   *dataset.Dataset
	driver device.Driver
	epochs uint64
	// batch is the number of samples of a step.
	batch int
}

func newJob(ctx context.Context, cache string, epochs uint64, batch int) (*job, error) {
	library, err := dataset.NewLibrary(dataset.Config{CacheDir: cache})
	if err != nil {
		return nil, err
	}
	data, err := library.Open(ctx, dataset.Source{Path: "digits"})
	if err != nil {
		return nil, err
	}
	driver, err := cpudevice.New(cpudevice.Config{Threads: 1, Features: "auto"})
	if err != nil {
		return nil, err
	}
	return &job{data: data, driver: driver, epochs: epochs, batch: batch}, nil
}

// request returns the events that start a run of the job.
func (j *job) request(id training.RunID) ([]training.Event, error) {
	h := training.Hyperparameters{
		BatchSize: j.batch, Epochs: j.epochs, Seed: 9, Shards: 1, CheckpointInterval: 1,
		Optimizer:    nn.Optimizer{Name: nn.Adam},
		LearningRate: training.LearningRate{Value: 0.02, Schedule: training.Schedule{Name: training.Cosine}},
	}
	h.Keep = training.Keep{Last: 1} // so that checkpoints are removed, too
	valid, err := h.Validate()
	if err != nil {
		return nil, err
	}
	model := nn.NewModelSpec(nn.ModelID("model-of-"+id), nn.MLP(j.data.SampleShape(), []int{4}, "", j.data.Classes()))
	_, events, err := training.TrainingService{}.StartTraining(model, j.data, training.Config{
		RunID: id, SessionID: training.SessionID("session-of-" + id), Hyperparameters: valid,
		Dataset: training.Dataset{
			ID: "digits", Path: "digits", Fingerprint: j.data.Fingerprint(),
			Training: j.data.Len(dataset.Train), Validation: j.data.Len(dataset.Validation),
			SampleShape: j.data.SampleShape(), Classes: j.data.Classes(),
		},
	})
	return events, err
}

// host returns a host of the job on the store, which first puts right what dead
// processes left. process numbers the processes, so that their ids differ.
func (j *job) host(ctx context.Context, store eventstore.Store, w datadir.Workspace, process int) (*integration.Host, error) {
	var ids atomic.Int64
	host, _, err := integration.NewHost(ctx, integration.HostConfig{
		Store: store, Workspace: w, Devices: []device.Driver{j.driver}, Observer: deaf{}, Now: clock(process),
		OpenDataset: func(context.Context, training.Dataset) (*dataset.Dataset, error) { return j.data, nil },
		NewID:       func() string { return fmt.Sprintf("id-%d-%d", process, ids.Add(1)) },
		Restarts:    actor.Intensity{Restarts: 3, Period: 24 * time.Hour},
	})
	return host, err
}

// clock returns a separate clock for each process, so that processes that do
// the same write the same.
func clock(process int) func() time.Time {
	var ticks atomic.Int64
	begin := time.Date(2026, 1, 1, process, 0, 0, 0, time.UTC)
	return func() time.Time { return begin.Add(time.Duration(ticks.Add(1)) * time.Millisecond) }
}

type deaf struct{}

func (deaf) Stepped(training.RunID, loop.StepResult) {}
func (deaf) Recorded(training.RunID, training.Event) {}

// goOn starts the run, or resumes it, and waits until it is at rest.
func (j *job) goOn(ctx context.Context, host *integration.Host, log *journal.RunLog, id training.RunID) (journal.RunRecord, error) {
	record, err := log.Load(ctx, id)
	switch {
	case errors.Is(err, journal.ErrRunNotFound):
		events, err := j.request(id)
		if err == nil {
			_, err = host.Start(ctx, events)
		}
		if err != nil {
			return record, err
		}
	case err != nil:
		return record, err
	case record.Session.State == training.Completed:
		return record, nil
	default:
		if err := host.Resume(ctx, id); err != nil {
			return record, err
		}
	}
	return host.Wait(ctx, id)
}

// live runs a process on a disk, which ends when its run is at rest or when
// nothing works any more.
func (j *job) live(ctx context.Context, files disk.FS, vfs, dir string, process int, acks *witness) (record journal.RunRecord, err error) {
	w := datadir.Workspace{Dir: dir, Disk: files}
	if err := disk.MkdirAll(files, dir, 0o755); err != nil {
		return record, err
	}
	store, err := sqlite.Open(w.EventsPath(), sqlite.Config{Disk: files, VFS: vfs, CheckpointPages: checkpointPages})
	if err != nil {
		return record, err
	}
	kept := &journalled{Store: store, witness: acks}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := openFiles(ctx, kept, w); err != nil {
		return record, err
	}
	host, err := j.host(ctx, kept, w, process)
	if err != nil {
		return record, err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	return j.goOn(ctx, host, journal.NewRunLog(kept, clock(process)), runID)
}

// witness is a client's own record of what it gave a store and what the store
// acknowledged.
type witness struct {
	mu        sync.Mutex
	submitted map[eventstore.EventID][]eventstore.NewEvent
	acked     map[eventstore.Position]eventstore.Event
}

func newWitness() *witness {
	return &witness{submitted: map[eventstore.EventID][]eventstore.NewEvent{}, acked: map[eventstore.Position]eventstore.Event{}}
}

// count returns the number of acknowledged events.
func (j *witness) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.acked)
}

// journalled is a store whose client keeps a witness.
type journalled struct {
	eventstore.Store
	witness *witness
}

func (s *journalled) Append(ctx context.Context, writes ...eventstore.Write) ([]eventstore.Event, error) {
	s.witness.mu.Lock()
	for _, w := range writes {
		for _, e := range w.Events {
			s.witness.submitted[e.ID] = append(s.witness.submitted[e.ID], e)
		}
	}
	s.witness.mu.Unlock()
	events, err := s.Store.Append(ctx, writes...)
	s.witness.mu.Lock()
	defer s.witness.mu.Unlock()
	for _, e := range events {
		s.witness.acked[e.Position] = e
	}
	return events, err
}

// check reads the whole log and fails unless it has every acknowledged event
// exactly once, unchanged and in its place, and nothing that was not submitted.
func (j *witness) check(ctx context.Context, store eventstore.Store) error {
	head, err := store.Verify(ctx)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	found := 0
	ids := map[eventstore.EventID]bool{}
	for after := eventstore.Position(0); after < head.Position; {
		page, err := store.Read(ctx, after, 1000)
		if err != nil {
			return err
		}
		for _, e := range page {
			after = e.Position
			switch acked, known := j.acked[e.Position]; {
			case ids[e.ID]:
				return fmt.Errorf("event %s is in the log twice", e.ID)
			case known && (acked.Hash != e.Hash || acked.ID != e.ID):
				return fmt.Errorf("event %d was acknowledged as %s, and is %s", e.Position, acked.ID, e.ID)
			case known:
				found++
			case !slices.ContainsFunc(j.submitted[e.ID], e.Equal):
				return fmt.Errorf("event %d (%s) was never appended", e.Position, e.ID)
			}
			ids[e.ID] = true
		}
	}
	if found != len(j.acked) {
		return fmt.Errorf("LOST: %d of %d acknowledged events are gone; the log ends at %d", len(j.acked)-found, len(j.acked), head.Position)
	}
	return nil
}

// openFiles does what the command does when it opens a data directory for
// writing.
func openFiles(ctx context.Context, store eventstore.Store, w datadir.Workspace) error {
	settled, err := datadir.SettleFiles(ctx, store, w)
	if err == nil && len(settled.SetAside) > 0 {
		err = fmt.Errorf("set aside: %q", settled.SetAside)
	}
	return err
}

// checkFiles fails unless every recorded checkpoint, and the series up to the
// last, are what was written, and nothing suggests that the log is an older
// one.
func checkFiles(ctx context.Context, store eventstore.Store, w datadir.Workspace) error {
	state, err := journal.StateAt(ctx, store, eventstore.End)
	if err != nil {
		return err
	}
	for _, r := range state.Runs {
		for _, c := range r.Kept() {
			if err := w.Checkpoints(r.ID).Verify(c.Ref()); err != nil {
				return fmt.Errorf("LOST: %w", err)
			}
		}
		if last, ok := r.LastCheckpoint(); ok {
			if err := w.Series(r.ID).Verify(stepseries.Digest{Records: last.Step, SHA256: last.SeriesSHA256}); err != nil {
				return fmt.Errorf("LOST: %w", err)
			}
		}
	}
	return datadir.CheckFiles(ctx, store, w)
}

// outcome is the part of a run's result that must not depend on what happened.
type outcome struct {
	state   training.State
	weights string
	step    uint64
	metrics string
}

func outcomeOf(r journal.RunRecord) outcome {
	last, _ := r.LastCheckpoint()
	return outcome{r.Session.State, last.WeightsSHA256, last.Step, fmt.Sprint(r.Metrics)}
}

// dataDir is the data directory on a disk whose root is known.
func dataDir(root string) string { return filepath.Join(root, "data") }
