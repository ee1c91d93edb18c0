package survival

import (
	"context"
	"errors"
	"testing"

	"reprise/datadir"
	"reprise/eventstore"
	"reprise/eventstore/sqlite"
	"reprise/internal/disk"
	"reprise/journal"
	"reprise/training"
)

// errDead is what the store of a dead process returns.
var errDead = errors.New("the process is dead")

// dying is the store of a process that dies when a checkpoint has its name and
// its event is about to be appended: after so many commits, nothing is appended
// any more.
type dying struct {
	eventstore.Store
	commits int
	dead    bool
}

func (s *dying) Append(ctx context.Context, writes ...eventstore.Write) ([]eventstore.Event, error) {
	for _, w := range writes {
		for _, e := range w.Events {
			if e.Type == (training.CheckpointCommitted{}).EventType() {
				s.dead = s.dead || s.commits == 0
				s.commits--
			}
		}
	}
	if s.dead {
		return nil, errDead
	}
	return s.Store.Append(ctx, writes...)
}

// A checkpoint without its event is not a sign of an older log, however often a
// process dies at that point: each process removes what the one before it left.
func TestDyingBetweenACheckpointAndItsEventDoesNotLookLikeAnOlderLog(t *testing.T) {
	j, err := newJob(t.Context(), t.TempDir(), 3, 700)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.driver.Close() }()
	undisturbed, err := j.live(t.Context(), disk.OS{}, "", dataDir(diskDir(t)), 0, newWitness())
	if err != nil {
		t.Fatal(err)
	}
	w := datadir.Workspace{Dir: dataDir(diskDir(t))}
	if err := disk.MkdirAll(disk.OS{}, w.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for process, commits := range []int{0, 0, 1, 0, 0, 100} {
		if err := dieAfter(t, j, w, process+1, commits); err != nil {
			t.Fatalf("process %d: %v", process+1, err)
		}
	}
	store, err := sqlite.OpenReadOnly(w.EventsPath())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	record, err := journal.NewRunLog(store, clock(99)).Load(t.Context(), runID)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := outcomeOf(record), outcomeOf(undisturbed); got != want {
		t.Errorf("the run ended with %+v, undisturbed with %+v", got, want)
	}
	if err := checkFiles(t.Context(), store, w); err != nil {
		t.Error(err)
	}
}

// dieAfter runs a process that dies after so many committed checkpoints, and
// checks what is left.
func dieAfter(t *testing.T, j *job, w datadir.Workspace, process, commits int) (err error) {
	t.Helper()
	store, err := sqlite.Open(w.EventsPath(), sqlite.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := openFiles(t.Context(), store, w); err != nil {
		return err
	}
	mortal := &dying{Store: store, commits: commits}
	host, err := j.host(t.Context(), mortal, w, process)
	if err != nil {
		return err
	}
	log := journal.NewRunLog(store, clock(process))
	_, lived := j.goOn(t.Context(), host, log, runID)
	_ = host.Close() // of a dead process
	record, err := log.Load(t.Context(), runID)
	if err != nil {
		return err
	}
	if !mortal.dead {
		return lived
	}
	last, _ := record.LastCheckpoint()
	left, err := w.Checkpoints(runID).Uncommitted(last.Step)
	if err != nil {
		return err
	}
	if len(left) != 1 || left[0].Marked {
		t.Errorf("process %d left %+v instead of one checkpoint without event and mark", process, left)
	}
	return datadir.CheckFiles(t.Context(), store, w)
}
