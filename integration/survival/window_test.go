package survival

import (
	"context"
	"errors"
	"testing"

	"reprise/eventstore"
	"reprise/eventstore/sqlite"
	"reprise/integration"
	"reprise/internal/disk"
	"reprise/training"
)

// errDead is what a store returns whose process is dead.
var errDead = errors.New("the process is dead")

// dying is the store of a process that dies at the moment when a checkpoint has
// its name and its event is to be appended: after commits of them, nothing is
// appended any more.
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

// A checkpoint without its event is no sign of an older log, however often a
// process dies at that moment: each life removes what the one before it left.
func TestDyingBetweenACheckpointAndItsEventLooksLikeNoOlderLog(t *testing.T) {
	j, err := newJob(t.Context(), t.TempDir(), 3, 700)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.driver.Close() }()
	undisturbed, err := j.live(t.Context(), disk.OS{}, "", dataDir(diskDir(t)), 0, newJournal())
	if err != nil {
		t.Fatal(err)
	}
	w := integration.Workspace{Dir: dataDir(diskDir(t))}
	if err := disk.MkdirAll(disk.OS{}, w.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for life, commits := range []int{0, 0, 1, 0, 0, 100} {
		if err := dieAfter(t, j, w, life+1, commits); err != nil {
			t.Fatalf("life %d: %v", life+1, err)
		}
	}
	store, err := sqlite.OpenReadOnly(w.EventsPath())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	record, err := integration.NewRunLog(store, clock(99)).Load(t.Context(), runID)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := outcomeOf(record), outcomeOf(undisturbed); got != want {
		t.Errorf("it came out as %+v, undisturbed as %+v", got, want)
	}
	if err := checkFiles(t.Context(), store, w); err != nil {
		t.Error(err)
	}
}

// dieAfter is the life of a process that dies after so many committed
// checkpoints. It looks at what is left.
func dieAfter(t *testing.T, j *job, w integration.Workspace, life, commits int) (err error) {
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
	host, err := j.host(t.Context(), mortal, w, life)
	if err != nil {
		return err
	}
	log := integration.NewRunLog(store, clock(life))
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
		t.Errorf("life %d left %+v, and not one checkpoint without event and mark", life, left)
	}
	return integration.CheckFiles(t.Context(), store, w)
}
