package integration

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"reprise/checkpoint"
	"reprise/datadir"
	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/internal/disk"
	"reprise/journal"
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

// removeFiles removes all files of that name from the folders of checkpoints.
func (w *world) removeFiles(name string) {
	w.t.Helper()
	found, err := filepath.Glob(filepath.Join(w.workspace.RunsDir(), "*", "checkpoints", "*", name))
	if err != nil || len(found) == 0 {
		w.t.Fatalf("there is no %s: %v", name, err)
	}
	for _, path := range found {
		if err := os.Remove(path); err != nil {
			w.t.Fatal(err)
		}
	}
}

// lastCommit returns the positions of the last event that commits a checkpoint, and
// of the event of its run before that.
func lastCommit(t *testing.T, store eventstore.Store) (before, commit eventstore.Position) {
	t.Helper()
	events := map[eventstore.AggregateID]eventstore.Position{}
	_, err := eventstore.Walk(t.Context(), store, 0, eventstore.End, func(e eventstore.Event) error {
		if e.Type == (training.CheckpointCommitted{}).EventType() {
			before, commit = events[e.Aggregate], e.Position
		}
		events[e.Aggregate] = e.Position
		return nil
	})
	if err != nil || before == 0 {
		t.Fatalf("no commit, %v", err)
	}
	return before, commit
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
		return datadir.CheckFiles(t.Context(), prefix(t, w.store, eventstore.Position(n)), w.workspace)
	}
	for n, known := range counts {
		var older *datadir.OlderLogError
		if err := check(n); errors.As(err, &older) != (known < all) || (known == all && err != nil) {
			t.Errorf("with %d events and %d of %d checkpoints: %v", n, known, all, err)
		} else if known > 0 && known < all && (int(older.Head) != n || !strings.Contains(err.Error(), "was committed by event ")) {
			t.Errorf("with %d events: %v", n, err)
		}
	}
	// Without marks, the notes say it, unless the log ends just before the commit.
	w.removeFiles("committed.json")
	before, commit := lastCommit(t, w.store)
	for n, known := range counts {
		undecided := int(before) <= n && n < int(commit)
		if err := check(n); (err != nil) != (known < all && !undecided) {
			t.Errorf("without marks, with %d events and %d of %d checkpoints: %v", n, known, all, err)
		} else if known > 0 && err != nil && !strings.Contains(err.Error(), "was written after event ") {
			t.Errorf("without marks, with %d events: %v", n, err)
		}
	}
	// A version without notes left neither. One checkpoint could be litter, two not.
	w.removeFiles("pending.json")
	for n, known := range counts {
		if err := check(n); (err != nil) != (n == 0 || known < all-1) {
			t.Errorf("without marks and notes, with %d events and %d of %d checkpoints: %v", n, known, all, err)
		}
	}
	if settled, err := datadir.SettleFiles(t.Context(), w.store, w.workspace); err != nil || settled.SetAside != nil || settled.Unsettled != nil {
		t.Fatalf("%+v, %v", settled, err)
	}
	for n, known := range counts {
		if err := check(n); (err != nil) != (known < all) {
			t.Errorf("marked afterwards, with %d events and %d of %d checkpoints: %v", n, known, all, err)
		}
	}
	for _, cp := range r.Checkpoints {
		if err := w.workspace.Checkpoints(r.ID).Verify(cp.Ref()); err != nil {
			t.Error(err)
		}
	}
}

// A log that was continued elsewhere has as many events, and not the same.
func TestALogThatTookAnotherWayIsFound(t *testing.T) {
	w := newWorld(t)
	w.train(w.request(nil), nil)
	w.removeFiles("committed.json")
	before, _ := lastCommit(t, w.store)
	other := prefix(t, w.store, before-1)
	log := journal.NewRunLog(other, time.Now)
	list, err := journal.ReadRuns(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	record, err := log.Load(t.Context(), list.Runs[0].RunID)
	if err != nil {
		t.Fatal(err)
	}
	if record, err = log.Append(t.Context(), record, training.TrainingInterrupted{Cause: "elsewhere"}); err != nil {
		t.Fatal(err)
	}
	if record.Position != before {
		t.Fatalf("it ends at %d, not %d", record.Position, before)
	}
	var older *datadir.OlderLogError
	if err := datadir.CheckFiles(t.Context(), other, w.workspace); !errors.As(err, &older) {
		t.Errorf("%v", err)
	}
}

// One that an older version left without its event may have been committed under a
// newer log. It comes back with that log.
func TestACheckpointOfAnOlderVersionIsSetAsideAndComesBack(t *testing.T) {
	w := newWorld(t)
	r, _ := w.train(w.request(nil), nil)
	w.removeFiles("committed.json")
	w.removeFiles("pending.json")
	before, _ := lastCommit(t, w.store)
	last, _ := r.LastCheckpoint()
	aside := filepath.Join(w.workspace.CheckpointsDir(r.ID), last.Dir+".unrecorded")
	old := prefix(t, w.store, before)
	settled, err := datadir.SettleFiles(t.Context(), old, w.workspace)
	if err != nil || !slices.Equal(settled.SetAside, []string{aside}) || settled.Unsettled != nil {
		t.Fatalf("%+v, %v", settled, err)
	}
	if settled, err := datadir.SettleFiles(t.Context(), old, w.workspace); err != nil || settled.SetAside != nil || settled.Unsettled != nil {
		t.Errorf("again: %+v, %v", settled, err)
	}
	// The older log is continued, and comes to the same checkpoint.
	older := &world{t: t, store: old, workspace: w.workspace, data: w.data, driver: w.driver}
	if again := older.resume(r.ID, nil); again.Session.State != training.Completed {
		t.Errorf("%s: %s", again.Session.State, again.Reason)
	}
	if err := os.RemoveAll(filepath.Join(w.workspace.CheckpointsDir(r.ID), last.Dir)); err != nil {
		t.Fatal(err)
	}
	if settled, err := datadir.SettleFiles(t.Context(), w.store, w.workspace); err != nil || settled.SetAside != nil || settled.Unsettled != nil {
		t.Errorf("with the newer log: %+v, %v", settled, err)
	}
	if err := w.workspace.Checkpoints(r.ID).Verify(last.Ref()); err != nil {
		t.Error(err)
	}
}

// What cannot be written or read in one run keeps no other from anything.
func TestFilesThatCannotBeSettledAreNamedAndStopNobody(t *testing.T) {
	w := newWorld(t)
	first, _ := w.train(w.request(nil), nil)
	second, _ := w.train(w.request(nil), nil)
	w.removeFiles("committed.json")
	w.removeFiles("pending.json")
	for name, denied := range map[string]func(op, path string) bool{
		"a folder that cannot be written": func(op, _ string) bool { return op == "create" },
		"a folder that cannot be read":    func(string, string) bool { return true },
	} {
		last, _ := first.LastCheckpoint()
		folder := w.workspace.Checkpoints(first.ID).Path + "/" + last.Dir
		denying := w.workspace
		denying.Disk = &denyingDisk{disk.OS{}, func(op, path string) bool {
			return (path == folder || filepath.Dir(path) == folder) && denied(op, path)
		}}
		settled, err := datadir.SettleFiles(t.Context(), w.store, denying)
		if err != nil || settled.SetAside != nil || len(settled.Unsettled) != 1 {
			t.Fatalf("%s: %+v, %v", name, settled, err)
		}
		if u := settled.Unsettled[0]; u.Run != first.ID || !errors.Is(u, fs.ErrPermission) || !strings.Contains(u.Error(), folder) || !strings.Contains(u.Error(), "permission") {
			t.Errorf("%s: %v", name, u)
		}
		for _, cp := range second.Checkpoints {
			if !w.workspace.Checkpoints(second.ID).Marked(cp.Step) {
				t.Errorf("%s: %s of the other run is not marked", name, cp.Dir)
			}
		}
	}
	// Nothing is swept for it, also under a log that does not have that checkpoint.
	before, _ := lastCommit(t, prefix(t, w.store, eventstore.Position(slices.Index(commits(t, w.store), 3))))
	last, _ := first.LastCheckpoint()
	folder := filepath.Join(w.workspace.CheckpointsDir(first.ID), last.Dir)
	denying := w.workspace
	denying.Disk = &denyingDisk{disk.OS{}, func(_, path string) bool { return path == folder || filepath.Dir(path) == folder }}
	alone := prefix(t, w.store, before)
	if err := os.RemoveAll(w.workspace.RunDir(second.ID)); err != nil {
		t.Fatal(err)
	}
	settled, err := datadir.SettleFiles(t.Context(), alone, denying)
	if err != nil || len(settled.Unsettled) != 1 || settled.SetAside != nil {
		t.Errorf("%+v, %v", settled, err)
	}
	if err := w.workspace.Checkpoints(first.ID).Verify(last.Ref()); err != nil {
		t.Error(err)
	}
}

// denyingDisk refuses some operations, as a system does that gives no permission.
type denyingDisk struct {
	disk.FS
	denied func(op, path string) bool
}

func (d *denyingDisk) check(op, path string) error {
	if d.denied(op, path) {
		return &fs.PathError{Op: op, Path: path, Err: fs.ErrPermission}
	}
	return nil
}

func (d *denyingDisk) OpenFile(name string, flag int, perm fs.FileMode) (disk.File, error) {
	op := "open"
	if flag&os.O_CREATE != 0 {
		op = "create"
	}
	if err := d.check(op, name); err != nil {
		return nil, err
	}
	return d.FS.OpenFile(name, flag, perm)
}

func (d *denyingDisk) Rename(from, to string) error {
	if err := d.check("rename", from); err != nil {
		return err
	}
	return d.FS.Rename(from, to)
}

func (d *denyingDisk) RemoveAll(name string) error {
	if err := d.check("remove", name); err != nil {
		return err
	}
	return d.FS.RemoveAll(name)
}

func (d *denyingDisk) Lstat(name string) (fs.FileInfo, error) {
	if err := d.check("lstat", name); err != nil {
		return nil, err
	}
	return d.FS.Lstat(name)
}

func (d *denyingDisk) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := d.check("readdir", name); err != nil {
		return nil, err
	}
	return d.FS.ReadDir(name)
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
		if err := w.workspace.Checkpoints(r.ID).Verify(cp.Ref()); err != nil {
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
	if settled, err := datadir.SettleFiles(t.Context(), w.store, w.workspace); err != nil || settled.Unsettled != nil {
		t.Errorf("%+v, %v", settled, err)
	}
	if _, err := os.Stat(filepath.Join(runs, string(r.ID), "checkpoints", "step-99999999.old")); err != nil {
		t.Error(err)
	}
	if err := os.MkdirAll(w.workspace.CheckpointsDir("another-run"), 0o755); err != nil {
		t.Fatal(err)
	}
	var older *datadir.OlderLogError
	if err := datadir.CheckFiles(t.Context(), w.store, w.workspace); !errors.As(err, &older) || len(older.Problems) != 1 || !strings.Contains(err.Error(), "another-run") {
		t.Errorf("the files of a run that the log does not have: %v", err)
	}
	if err := datadir.CheckFiles(t.Context(), memory.New(), datadir.Workspace{Dir: t.TempDir()}); err != nil {
		t.Errorf("an empty directory: %v", err)
	}
}

// A caller that needs the list of runs gets the one that the comparison read.
func TestComparingFilesReadsTheLogOnce(t *testing.T) {
	w := newWorld(t)
	if list, err := datadir.CheckFilesOf(t.Context(), w.store, w.workspace); list != nil || err != nil {
		t.Errorf("without files: %+v, %v", list, err)
	}
	w.train(w.request(nil), nil)
	store := &readCounter{Store: w.store}
	want, err := journal.ReadRuns(t.Context(), store)
	if err != nil || store.reads == 0 {
		t.Fatalf("%d reads, %v", store.reads, err)
	}
	once := store.reads
	store.reads = 0
	list, err := datadir.CheckFilesOf(t.Context(), store, w.workspace)
	if err != nil || store.reads != once || !reflect.DeepEqual(list.Runs, want.Runs) {
		t.Errorf("%d reads of the log, %+v, %v", store.reads, list, err)
	}
	var older *datadir.OlderLogError
	if list, err := datadir.CheckFilesOf(t.Context(), prefix(t, w.store, 0), w.workspace); !errors.As(err, &older) || list == nil {
		t.Errorf("an older log: %+v, %v", list, err)
	}
}

// The files of a run that cannot be looked at show nothing, and are named by whoever
// settles them, whether the log has the run or not.
func TestARunFolderThatCannotBeReadIsNamed(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EACCES, syscall.EIO, syscall.ENOENT, syscall.ENOTDIR} {
		w := newWorld(t)
		r, _ := w.train(w.request(nil), nil)
		id := r.ID
		if err := os.MkdirAll(w.workspace.CheckpointsDir("another-run"), 0o755); err != nil {
			t.Fatal(err)
		}
		w.workspace.Disk = &unreadableRuns{disk.OS{}, errno}
		if err := datadir.CheckFiles(t.Context(), w.store, w.workspace); err != nil {
			t.Errorf("%v: %v", errno, err)
		}
		settled, err := datadir.SettleFiles(t.Context(), w.store, w.workspace)
		if err != nil {
			t.Fatal(err)
		}
		var want, got []training.RunID
		if errno == syscall.EACCES || errno == syscall.EIO {
			want = []training.RunID{id, "another-run"}
		}
		for _, u := range settled.Unsettled {
			got = append(got, u.Run)
			if !errors.Is(u, errno) || !strings.Contains(u.Error(), w.workspace.CheckpointsDir(u.Run)) {
				t.Errorf("%v", u)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v: named %q, want %q", errno, got, want)
		}
	}
}

// unreadableRuns is a disk that does not say what is in the folders of runs.
type unreadableRuns struct {
	disk.FS
	err error
}

func (d *unreadableRuns) Stat(path string) (fs.FileInfo, error) {
	if filepath.Base(path) == "checkpoints" {
		return nil, &fs.PathError{Op: "stat", Path: path, Err: d.err}
	}
	return d.FS.Stat(path)
}

// What a newer version notes about a checkpoint may be more than this one knows.
func TestANoteOfANewerVersionIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	r, _ := w.train(w.request(nil), nil)
	files := w.workspace.Checkpoints(r.ID)
	last, ok := r.LastCheckpoint()
	if !ok {
		t.Fatal("there is no checkpoint")
	}
	content, err := files.Read(last.Ref())
	if err != nil {
		t.Fatal(err)
	}
	content.Step += 1000
	ref, err := files.WritePending(content, checkpoint.Pending{RunVersion: 1, Position: 1, Hash: "a"})
	if err != nil {
		t.Fatal(err)
	}
	note := filepath.Join(files.Path, ref.Dir, "pending.json")
	if err := os.WriteFile(note, []byte(`{"format":"reprise.pending","version":2,"position":{"log":7}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	settled, err := datadir.SettleFiles(t.Context(), w.store, w.workspace)
	if err != nil || len(settled.SetAside) > 0 || len(settled.Unsettled) != 1 {
		t.Fatalf("%+v, %v", settled, err)
	}
	text := settled.Unsettled[0].Error()
	if !strings.Contains(text, note+": the checkpoint was written by a newer version of reprise") || strings.Contains(text, "make it readable") {
		t.Error(text)
	}
	if err := files.Verify(ref); err != nil {
		t.Error(err)
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
	to := datadir.Workspace{Dir: t.TempDir()}
	if _, err := datadir.CopyRunFiles(t.Context(), w.store, to, w.workspace, func(uint64, uint64) {}); err != nil {
		t.Fatal(err)
	}
	if err := datadir.CheckFiles(t.Context(), w.store, to); err != nil {
		t.Error(err)
	}
	counts := commits(t, w.store)
	var older *datadir.OlderLogError
	if err := datadir.CheckFiles(t.Context(), prefix(t, w.store, eventstore.Position(len(counts)/2)), to); !errors.As(err, &older) {
		t.Errorf("with half of the log: %v", err)
	}
}

func TestTheFilesOfARunStayBelowRuns(t *testing.T) {
	victim := t.TempDir()
	for name, plant := range map[string]func(w datadir.Workspace) error{
		"the run's folder": func(w datadir.Workspace) error { return os.Symlink(victim, w.RunDir("run-1")) },
		"its checkpoints": func(w datadir.Workspace) error {
			return errors.Join(os.Mkdir(w.RunDir("run-1"), 0o755), os.Symlink(victim, w.CheckpointsDir("run-1")))
		},
	} {
		w := datadir.Workspace{Dir: t.TempDir()}
		if err := errors.Join(os.Mkdir(w.RunsDir(), 0o755), plant(w)); err != nil {
			t.Fatal(err)
		}
		if err := w.CreateRun("run-1"); err == nil {
			t.Errorf("%s is a link that leads out: no error", name)
		}
		if _, err := w.Series("run-1").Create(); err == nil && name == "the run's folder" {
			t.Errorf("%s: a series was made", name)
		}
	}
	// A name that slipped through every check.
	w := datadir.Workspace{Dir: t.TempDir()}
	if err := w.CreateRun("../../pwned"); err == nil {
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
	linked := datadir.Workspace{Dir: t.TempDir()}
	if err := errors.Join(os.Symlink(elsewhere, linked.RunsDir()), linked.CreateRun("run-1")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(elsewhere, "run-1", "checkpoints")); err != nil {
		t.Error(err)
	}
}
