package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reprise/checkpoint"
	"reprise/datadir"
	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/internal/disk/disktest"
	"reprise/journal"
	"reprise/training"
)

// mortalStore is the store of a process that dies when its disk does.
type mortalStore struct {
	eventstore.Store
	disk *disktest.Disk
}

func (s *mortalStore) Append(ctx context.Context, writes ...eventstore.Write) ([]eventstore.Event, error) {
	if s.disk.Struck() {
		return nil, disktest.ErrCut
	}
	return s.Store.Append(ctx, writes...)
}

// commitUnder trains a run on a disk that is cut at an operation; -1 for never. It
// returns what the log has then.
func commitUnder(w *world, at int) (*disktest.Disk, eventstore.Store) {
	w.t.Helper()
	d := disktest.New(w.t.TempDir())
	if at >= 0 {
		d.Inject(at, disktest.Cut)
	}
	log := memory.New()
	mortal := &world{t: w.t, store: &mortalStore{log, d}, workspace: datadir.Workspace{Dir: d.Root(), Disk: d}, data: w.data, driver: w.driver}
	h, _, _ := mortal.host(nil)
	id, err := h.Start(w.t.Context(), mortal.request(nil))
	if err != nil {
		w.t.Fatal(err)
	}
	_, _ = h.Wait(w.t.Context(), id)
	_ = h.Close() // of a dead process
	return d, log
}

// TestNoInterruptedCommitUnderAnOlderLogLosesACheckpoint ends a process at every
// operation of the commit of a checkpoint, by a kill or with the power, and then puts
// back every older log, and every log of a process that continued from it. Whatever
// was committed stays, and the older log is named, but for the one that ends just
// before the commit: that is what a crash before the commit leaves, too.
func TestNoInterruptedCommitUnderAnOlderLogLosesACheckpoint(t *testing.T) {
	w := newWorld(t)
	undisturbed, log := commitUnder(w, -1)
	list, err := journal.ReadRuns(t.Context(), log)
	if err != nil || len(list.Runs) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	id := list.Runs[0].RunID
	record, err := journal.NewRunLog(log, nil).Load(t.Context(), id)
	if err != nil || record.Session.State != training.Completed || len(record.Checkpoints) != 3 {
		t.Fatalf("%s with %d checkpoints, %v", record.Session.State, len(record.Checkpoints), err)
	}
	second := record.Checkpoints[1].Dir
	ops := undisturbed.Log()
	first := slices.IndexFunc(ops, func(o disktest.Op) bool { return strings.Contains(o.Path, second) })
	end := slices.IndexFunc(ops, func(o disktest.Op) bool { return strings.Contains(o.Path, record.Checkpoints[2].Dir) })
	if first < 0 || end < first+20 {
		t.Fatalf("the second checkpoint takes the operations %d to %d", first, end)
	}
	named, continued := 0, 0
	for at := first; at < end; at++ {
		if ops[at].Kind == disktest.Reads {
			continue // a cut there leaves what the one before it does
		}
		d, log := commitUnder(w, at)
		if !d.Struck() {
			t.Fatalf("operation %d (%s) did not happen", at, ops[at])
		}
		for _, survival := range []disktest.Survival{disktest.Killed(), disktest.Strict()} {
			n, c := w.underOlderLogs(fmt.Sprintf("%s, then %s", ops[at], survival), d, survival, log, id)
			named, continued = named+n, continued+c
		}
	}
	t.Logf("%d operations; an older log was named %d times, and the run continued %d times", end-first, named, continued)
	if named == 0 || continued == 0 {
		t.Error("nothing was tried")
	}
}

// underOlderLogs puts every beginning of a log beside what is left of a disk.
func (w *world) underOlderLogs(what string, d *disktest.Disk, survival disktest.Survival, log eventstore.Store, id training.RunID) (named, continued int) {
	t := w.t
	t.Helper()
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	newest, err := journal.NewRunLog(log, nil).Load(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	counts := commits(t, log)
	before, commit := lastCommit(t, log)
	for n := head.Position; n > 0 && counts[n] > 0; n-- {
		left, err := d.After(survival, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		old := &world{t: t, store: prefix(t, log, n), workspace: datadir.Workspace{Dir: left.Root(), Disk: left}, data: w.data, driver: w.driver}
		old.ids.Store(int64(1000 * n))
		where := fmt.Sprintf("%s, with %d of %d events", what, n, head.Position)
		_, err = datadir.SettleFiles(t.Context(), old.store, old.workspace)
		// A run may be resumed by a host that did not ask.
		swept, sweepErr := sweepRun(t.Context(), old, id)
		old.verify(where+", swept", newest)
		var older *datadir.OlderLogError
		switch {
		case errors.As(err, &older):
			named++
			if counts[n] == len(newest.Checkpoints) && n == head.Position {
				t.Errorf("%s: %v", where, err)
			}
			for _, name := range append(swept.Removed, swept.SetAside...) {
				if strings.HasPrefix(name, "step-") {
					t.Errorf("%s: %s was swept (%v)", where, name, sweepErr)
				}
			}
		case err != nil:
			t.Fatalf("%s: %v", where, err)
		case counts[n] < len(newest.Checkpoints) && (n < before || n >= commit):
			t.Errorf("%s: it passes for the newest log", where)
		case sweepErr != nil:
			t.Errorf("%s: %v", where, sweepErr)
		default:
			continued++
			if r := old.resume(id, nil); r.Session.State != training.Completed {
				t.Errorf("%s: the run is %s: %s", where, r.Session.State, r.Reason)
			}
			// And once more, so that whatever counts as litter by now is swept.
			if swept, err := sweepRun(t.Context(), old, id); err != nil || swept.SetAside != nil {
				t.Errorf("%s: %+v, %v", where, swept, err)
			}
		}
		old.verify(where, newest)
		if left, _ := filepath.Glob(filepath.Join(left.Root(), "runs", "*", "checkpoints", ".*")); err == nil && len(left) > 0 {
			t.Errorf("%s: left over: %q", where, left)
		}
		_ = os.RemoveAll(left.Root())
	}
	return named, continued
}

// verify fails unless all checkpoints of the record are there.
func (w *world) verify(where string, r journal.RunRecord) {
	w.t.Helper()
	for _, cp := range r.Checkpoints {
		if err := w.workspace.Checkpoints(r.ID).Verify(cp.Ref()); err != nil {
			w.t.Errorf("%s: %v", where, err)
		}
	}
}

// sweepRun does what a run does when it is resumed.
func sweepRun(ctx context.Context, w *world, id training.RunID) (checkpoint.Swept, error) {
	log := journal.NewRunLog(w.store, nil)
	record, err := log.Load(ctx, id)
	if err != nil {
		return checkpoint.Swept{}, err
	}
	keep := make([]checkpoint.Ref, len(record.Checkpoints))
	for i, cp := range record.Checkpoints {
		keep[i] = cp.Ref()
	}
	return w.workspace.Checkpoints(id).Sweep(keep, datadir.Judge(ctx, log, id))
}
