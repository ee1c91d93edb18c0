package integration

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/training"
)

// prefix returns a log of the first events of another one.
func prefix(t *testing.T, of eventstore.Store, events eventstore.Position) eventstore.Store {
	t.Helper()
	older := memory.New()
	_, err := eventstore.Walk(t.Context(), of, 0, events, func(e eventstore.Event) error {
		_, err := older.Append(t.Context(), eventstore.Write{Aggregate: e.Aggregate, Expected: eventstore.AnyVersion(), Events: []eventstore.NewEvent{e.NewEvent}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return older
}

// commits returns for each position of the log how many checkpoints the events up
// to it have committed.
func commits(t *testing.T, store eventstore.Store) []int {
	t.Helper()
	counts := []int{0}
	_, err := eventstore.Walk(t.Context(), store, 0, eventstore.End, func(e eventstore.Event) error {
		n := counts[len(counts)-1]
		if e.Type == (training.CheckpointCommitted{}).EventType() {
			n++
		}
		counts = append(counts, n)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return counts
}

func (w *world) removeMarks() {
	w.t.Helper()
	marks, err := filepath.Glob(filepath.Join(w.workspace.RunsDir(), "*", "checkpoints", "*", "committed.json"))
	if err != nil || len(marks) == 0 {
		w.t.Fatalf("there are no marks: %v", err)
	}
	for _, mark := range marks {
		if err := os.Remove(mark); err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestALogThatIsOlderThanTheFilesIsFound(t *testing.T) {
	w := newWorld(t)
	r, _ := w.train(w.request(nil), nil)
	counts := commits(t, w.store)
	all := counts[len(counts)-1]
	if all != 3 {
		t.Fatalf("%d checkpoints", all)
	}
	check := func(n int) error {
		return CheckFiles(t.Context(), prefix(t, w.store, eventstore.Position(n)), w.workspace)
	}
	for n, known := range counts {
		var older *OlderLogError
		if err := check(n); errors.As(err, &older) != (known < all) || (known == all && err != nil) {
			t.Errorf("with %d events and %d of %d checkpoints: %v", n, known, all, err)
		} else if known > 0 && known < all && (int(older.Head) != n || !strings.Contains(err.Error(), "was committed by event ")) {
			t.Errorf("with %d events: %v", n, err)
		}
	}
	// Versions before marks existed left none. One checkpoint could be litter,
	// two could not.
	w.removeMarks()
	for n, known := range counts {
		if err := check(n); (err != nil) != (n == 0 || known < all-1) {
			t.Errorf("without marks, with %d events and %d of %d checkpoints: %v", n, known, all, err)
		}
	}
	if err := MarkCheckpoints(t.Context(), w.store, w.workspace); err != nil {
		t.Fatal(err)
	}
	for n, known := range counts {
		if err := check(n); (err != nil) != (known < all) {
			t.Errorf("marked afterwards, with %d events and %d of %d checkpoints: %v", n, known, all, err)
		}
	}
	for _, cp := range r.Checkpoints {
		if err := w.workspace.Checkpoints(r.ID).Verify(CheckpointRef(cp)); err != nil {
			t.Error(err)
		}
	}
}

// Even if CheckFiles is not called first.
func TestAHostOfAnOlderLogSweepsNothingThatWasCommitted(t *testing.T) {
	w := newWorld(t)
	r, _ := w.train(w.request(nil), nil)
	counts := commits(t, w.store)
	first := 0
	for counts[first] < 1 {
		first++
	}
	old := &world{t: t, workspace: w.workspace, data: w.data, driver: w.driver}
	old.store = prefix(t, w.store, eventstore.Position(first))
	h, _, _ := old.host(nil)
	if err := h.Resume(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), closeDeadline)
	defer cancel()
	record, err := h.Wait(ctx, r.ID)
	if err == nil && record.Session.State == training.Completed {
		t.Error("it trained over what was committed")
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	for _, cp := range r.Checkpoints {
		if err := w.workspace.Checkpoints(r.ID).Verify(CheckpointRef(cp)); err != nil {
			t.Error(err)
		}
	}
}

func TestUserFilesInRunsAreNotASignOfAnOlderLog(t *testing.T) {
	w := newWorld(t)
	r, _ := w.train(w.request(nil), nil)
	runs := w.workspace.RunsDir()
	for _, folder := range []string{
		string(r.ID) + ".bak/checkpoints", "Old Runs/checkpoints", "notes", ".reprise-partial-0123456789abcdef/content",
		string(r.ID) + "/checkpoints/step-99999999.old", string(r.ID) + "/checkpoints/notes",
	} {
		if err := os.MkdirAll(filepath.Join(runs, filepath.FromSlash(folder)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile(filepath.Join(runs, "file"), nil, 0o600),
		os.WriteFile(filepath.Join(w.workspace.CheckpointsDir(r.ID), "step-99999999"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(CheckFiles(t.Context(), w.store, w.workspace), MarkCheckpoints(t.Context(), w.store, w.workspace)); err != nil {
		t.Error(err)
	}
	if err := os.MkdirAll(w.workspace.CheckpointsDir("another-run"), 0o755); err != nil {
		t.Fatal(err)
	}
	var older *OlderLogError
	if err := CheckFiles(t.Context(), w.store, w.workspace); !errors.As(err, &older) || len(older.Problems) != 1 || !strings.Contains(err.Error(), "another-run") {
		t.Errorf("the files of a run that the log does not have: %v", err)
	}
	if err := CheckFiles(t.Context(), memory.New(), Workspace{Dir: t.TempDir()}); err != nil {
		t.Errorf("an empty directory: %v", err)
	}
}

// Who has the list of runs has the log read no second time, unless something is
// missing in the list.
func TestFilesAreComparedWithAListThatWasRead(t *testing.T) {
	w := newWorld(t)
	w.train(w.request(nil), nil)
	store := &readCounter{Store: w.store}
	list, err := ReadRuns(t.Context(), store)
	if err != nil || store.reads == 0 {
		t.Fatalf("%d reads, %v", store.reads, err)
	}
	store.reads = 0
	if err := CheckFilesOf(t.Context(), store, w.workspace, list); err != nil || store.reads != 0 {
		t.Errorf("%d reads of the log, %v", store.reads, err)
	}
	if err := CheckFilesOf(t.Context(), store, w.workspace, &RunList{}); err != nil || store.reads == 0 {
		t.Errorf("with an earlier list: %d reads, %v", store.reads, err)
	}
	var older *OlderLogError
	if err := CheckFilesOf(t.Context(), prefix(t, w.store, 0), w.workspace, list); err != nil {
		t.Errorf("a list that has everything: %v", err)
	}
	if err := CheckFilesOf(t.Context(), prefix(t, w.store, 0), w.workspace, &RunList{}); !errors.As(err, &older) {
		t.Errorf("an older log: %v", err)
	}
}

// readCounter counts the reads of events.
type readCounter struct {
	eventstore.Store
	reads int
}

func (s *readCounter) Read(ctx context.Context, after eventstore.Position, limit int) ([]eventstore.Event, error) {
	s.reads++
	return s.Store.Read(ctx, after, limit)
}

// A copy belongs to its log as the original does.
func TestCopiedCheckpointsAreMarked(t *testing.T) {
	w := newWorld(t)
	w.train(w.request(nil), nil)
	to := Workspace{Dir: t.TempDir()}
	if _, err := CopyRunFiles(t.Context(), w.store, to, w.workspace, func(uint64, uint64) {}); err != nil {
		t.Fatal(err)
	}
	if err := CheckFiles(t.Context(), w.store, to); err != nil {
		t.Error(err)
	}
	counts := commits(t, w.store)
	var older *OlderLogError
	if err := CheckFiles(t.Context(), prefix(t, w.store, eventstore.Position(len(counts)/2)), to); !errors.As(err, &older) {
		t.Errorf("with half of the log: %v", err)
	}
}

func TestTheFilesOfARunStayBelowRuns(t *testing.T) {
	victim := t.TempDir()
	for name, plant := range map[string]func(w Workspace) error{
		"the run's folder": func(w Workspace) error { return os.Symlink(victim, w.RunDir("run-1")) },
		"its checkpoints": func(w Workspace) error {
			return errors.Join(os.Mkdir(w.RunDir("run-1"), 0o755), os.Symlink(victim, w.CheckpointsDir("run-1")))
		},
	} {
		w := Workspace{Dir: t.TempDir()}
		if err := errors.Join(os.Mkdir(w.RunsDir(), 0o755), plant(w)); err != nil {
			t.Fatal(err)
		}
		if err := w.createRun("run-1"); err == nil {
			t.Errorf("%s is a link that leads out: no error", name)
		}
		if _, err := w.Series("run-1").Create(); err == nil && name == "the run's folder" {
			t.Errorf("%s: a series was made", name)
		}
	}
	// A name that slipped through every check.
	w := Workspace{Dir: t.TempDir()}
	if err := w.createRun("../../pwned"); err == nil {
		t.Error("a run was made outside")
	}
	if _, err := w.Series("../../pwned").Read(); err == nil {
		t.Error("a series was read outside")
	}
	if left, err := os.ReadDir(victim); err != nil || len(left) > 0 {
		t.Errorf("made outside: %v, %v", left, err)
	}
	// The user may keep all of them on another disk.
	elsewhere := t.TempDir()
	linked := Workspace{Dir: t.TempDir()}
	if err := errors.Join(os.Symlink(elsewhere, linked.RunsDir()), linked.createRun("run-1")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(elsewhere, "run-1", "checkpoints")); err != nil {
		t.Error(err)
	}
}
