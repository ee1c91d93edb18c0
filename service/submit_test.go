package service

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"reprise/api"
	"reprise/datadir"
	"reprise/dataset"
	"reprise/device"
	"reprise/device/cpu"
	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/eventstore/sqlite"
	"reprise/fault"
	"reprise/queue"
	"reprise/training"
)

// newService returns a service over a new data directory.
func newService(t *testing.T) *Service {
	t.Helper()
	s, err := New(Config{
		Dir: filepath.Join(t.TempDir(), "data"), Now: time.Now,
		OpenReadOnly:   func(path string) (eventstore.Store, error) { return sqlite.OpenReadOnly(path) },
		OpenForWriting: func(path string) (eventstore.Store, error) { return sqlite.Open(path, sqlite.Config{}) },
		EmptyLog:       func() eventstore.Store { return memory.New() },
		Copies: Copies{
			Backup: sqlite.Backup, Restore: sqlite.Restore,
			OpenWreck: func(ctx context.Context, path string) (Wreck, error) { return sqlite.OpenWreck(ctx, path) },
		},
		OpenDevices: func() ([]device.Driver, func() error, error) {
			d, err := cpu.New(cpu.Config{})
			return []device.Driver{d}, d.Close, err
		},
		DataSets: func() dataset.Config { return dataset.Config{GoProxy: "off", SystemDir: "none"} },
		Random:   rand.Reader, Process: 7, Command: "a test", User: func() string { return "ada" },
		Serve: func(context.Context, *Service) (func() error, error) { return func() error { return nil }, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// requests are training requests on a table of their own.
func requests(t *testing.T, epochs int, hidden ...int) (r api.SubmitRequest, table string) {
	t.Helper()
	folder := t.TempDir()
	r.Folder = api.Text(folder)
	rows := "x,kind\n"
	for i := range 40 {
		rows += fmt.Sprintf("%d,%c\n", i, 'a'+i%2)
	}
	table = filepath.Join(folder, "table.csv")
	if err := os.WriteFile(table, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, n := range hidden {
		r.Files = append(r.Files, api.RequestFile{Name: api.Text(fmt.Sprintf("hidden-%d.yaml", n)), Content: api.Text(fmt.Sprintf(
			"model_architecture: mlp\nmodel: {hidden: [%d]}\ndataset_path: table.csv\ndataset: {target: kind}\nconfig: {batch_size: 4, learning_rate: 0.002, epochs: %d}\n",
			n, epochs))})
	}
	return r, table
}

// filesOf returns files without content.
func filesOf(names ...string) (files []api.RequestFile) {
	for _, name := range names {
		files = append(files, api.RequestFile{Name: api.Text(name)})
	}
	return files
}

func TestAMistakeInSeveralRequestsIsSaidOnce(t *testing.T) {
	names := []string{"a.yaml", "b.yaml", "b.yaml", "-"}
	everywhere := errors.New("setting config.epochs=0: 0 must be at least 1")
	own := &api.RequestError{File: "b.yaml", Line: 3, Column: 1, Field: "config", Problem: "is missing", Fix: "add it"}
	some := errors.New("setting model.hidden=[0]: is too small")
	err := joinMistakes(filesOf(names...), []error{
		invalid(everywhere), invalid(errors.Join(own, everywhere, some)), invalid(errors.Join(own, everywhere, some)), invalid(errors.Join(everywhere, some)),
	})
	want := everywhere.Error() + "\n" + own.Error() + "\nb.yaml and -: " + some.Error()
	if err.Error() != want || fault.KindOf(err) != fault.Invalid {
		t.Errorf("%v\n%v\nwant\n%s", fault.KindOf(err), err, want)
	}
	if err := joinMistakes(filesOf(names...), make([]error, 4)); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	if err := joinMistakes(filesOf("a.yaml"), []error{syscall.ENOSPC}); fault.KindOf(err) != fault.Exhausted || err.Error() != "no space left on device" {
		t.Errorf("%v, %v", fault.KindOf(err), err)
	}
}

func TestRunsOfOneSubmissionHaveDifferentIDs(t *testing.T) {
	drawn := []training.RunID{"a", "a", "b", "a", "b", "c"}
	draw := withoutRepeats(func() training.RunID {
		id := drawn[0]
		drawn = drawn[1:]
		return id
	})
	if got := []training.RunID{draw(), draw(), draw()}; !slices.Equal(got, []training.RunID{"a", "b", "c"}) {
		t.Errorf("drew %q", got)
	}
}

func TestRequestsThatAreCheckedTogetherReadTheirDataOnce(t *testing.T) {
	s := newService(t)
	defer s.shelf.use()()
	r, table := requests(t, 1, 4, 8, 4)
	jobs, err := s.prepare(t.Context(), r, false)
	if err != nil || len(jobs) != 3 {
		t.Fatalf("%d jobs, %v", len(jobs), err)
	}
	ids := map[training.RunID]bool{}
	for i, j := range jobs {
		started, ok := j.events[0].(training.TrainingStarted)
		if ids[started.RunID] = true; j.data != nil || !ok || started.RunID == "" {
			t.Errorf("job %d is %+v", i, j)
		}
	}
	if err := os.Remove(table); err != nil || len(ids) != 3 { // what was read is enough
		t.Fatal(ids, err)
	}
	held := s.shelf.data
	for _, j := range jobs {
		if data, err := s.shelf.recorded(t.Context(), s, j.session.Dataset); data != held || err != nil {
			t.Errorf("other data: %v", err)
		}
	}
	other := jobs[0].session.Dataset
	other.Fingerprint = "another"
	if _, err := s.shelf.recorded(t.Context(), s, other); err == nil || s.shelf.data != held {
		t.Errorf("data that is gone was read: %v", err)
	}
}

func TestAMistakeOutweighsWhatMayPassUnlessTheNetworkIsDown(t *testing.T) {
	mistake := &fault.FieldError{Field: "config.epochs", Problem: "must be at least 1"}
	for _, c := range []struct {
		other error
		want  fault.Kind
	}{
		{&dataset.OfflineError{Name: "mnist"}, fault.Unavailable}, {syscall.ENOSPC, fault.Invalid},
	} {
		if err := joinMistakes(filesOf("a", "b"), []error{c.other, mistake}); fault.KindOf(err) != c.want {
			t.Errorf("%v: %v, want %v", c.other, fault.KindOf(err), c.want)
		}
	}
}

// The request fitted its file once: whatever is wrong with the file may pass.
func TestAFileThatIsAwayOrChangedDoesNotRejectItsJob(t *testing.T) {
	s := newService(t)
	r, table := requests(t, 1, 4)
	jobs, err := s.prepare(t.Context(), r, false)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func() error{
		"missing":          func() error { return os.Remove(table) },
		"half-written":     func() error { return os.WriteFile(table, append(whole[:20:20], '"'), 0o600) },
		"empty":            func() error { return os.WriteFile(table, nil, 0o600) },
		"not a table":      func() error { return errors.Join(os.Remove(table), os.Mkdir(table, 0o700)) },
		"without target":   func() error { return os.WriteFile(table, []byte("x,y\n1,2\n3,4\n"), 0o600) },
		"with one class":   func() error { return os.WriteFile(table, []byte("x,kind\n1,a\n2,a\n3,a\n4,a\n"), 0o600) },
		"with few samples": func() error { return os.WriteFile(table, whole[:len("x,kind\n0,a\n")], 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := damage(); err != nil {
				t.Fatal(err)
			}
			_, err := s.prepareJob(t.Context(), "later", jobs[0].submit.Submission, true)
			const begin, end = "its data have changed since it was submitted: ", "; put them back as they were"
			if text := datadir.Advise(err).Error(); fault.KindOf(err) != fault.Unavailable || !strings.HasPrefix(text, begin) || !strings.HasSuffix(text, end) ||
				strings.Contains(text, "dataset_path") || strings.Count(text, "; ") != 1 {
				t.Errorf("to prepare it: %v, %s", fault.KindOf(err), text)
			}
			if _, err := s.prepare(t.Context(), r, false); fault.KindOf(err) != fault.Invalid { // nothing was accepted
				t.Errorf("to submit it: %v, %v", fault.KindOf(err), err)
			}
			if err := errors.Join(os.RemoveAll(table), os.WriteFile(table, whole, 0o600)); err != nil {
				t.Fatal(err)
			}
			if events, err := s.prepareJob(t.Context(), "later", jobs[0].submit.Submission, true); err != nil || len(events) == 0 {
				t.Errorf("with the file as it was: %v", err)
			}
		})
	}
}

// Data of the catalogue never changes, and a request that cannot be read never will be.
func TestAMistakeThatNoDataMendsRejectsAJob(t *testing.T) {
	s := newService(t)
	for name, content := range map[string]string{
		"another target": "model_architecture: mlp\nmodel: {hidden: [4]}\ndataset_path: wine\ndataset: {target: nothing}\nconfig: {batch_size: 4, learning_rate: 0.002, epochs: 1}\n",
		"another model":  "model_architecture: cnn\nmodel: {channels: [4]}\ndataset_path: wine\nconfig: {batch_size: 4, learning_rate: 0.002, epochs: 1}\n",
	} {
		request, err := api.ParseTrainingRequest("r.yaml", []byte(content))
		if err != nil {
			t.Fatal(name, err)
		}
		recorded, err := request.Canonical()
		if err != nil {
			t.Fatal(name, err)
		}
		if _, err := s.prepareJob(t.Context(), "later", queue.Submission{Request: recorded}, true); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v, %v", name, fault.KindOf(err), err)
		}
	}
	if _, err := s.prepareJob(t.Context(), "later", queue.Submission{Request: []byte("{")}, true); fault.KindOf(err) == fault.Unavailable || err == nil {
		t.Errorf("no request: %v, %v", fault.KindOf(err), err)
	}
}

// A caller that has to know its runs even without an answer gives them their ids.
func TestRunsHaveTheIDsThatTheirCallerHasChosen(t *testing.T) {
	s := newService(t)
	r, _ := requests(t, 1, 4, 8)
	submit := func(ids ...training.RunID) (runs []training.RunID, err error) {
		r.RunIDs = ids
		for submitted, err := range s.Submit(t.Context(), r) {
			if err == nil && submitted.Error != nil {
				err = submitted.Error
			}
			if err != nil {
				return runs, err
			}
			runs = append(runs, submitted.RunID)
		}
		return runs, nil
	}
	if runs, err := submit("mine", "yours"); err != nil || !slices.Equal(runs, []training.RunID{"mine", "yours"}) {
		t.Fatalf("%v, %v", runs, err)
	}
	for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: []string{"mine", "yours"}}) {
		if err != nil || u.End != nil && u.End.Details.State != training.Completed {
			t.Fatal(u.End, err)
		}
	}
	for _, c := range []struct {
		ids   []training.RunID
		kind  fault.Kind
		names []string
	}{
		{[]training.RunID{"one"}, fault.Invalid, []string{"run_ids"}},
		{[]training.RunID{"new", "latest"}, fault.Invalid, []string{"run_ids[1]", "means the newest run"}},
		{[]training.RunID{"new", "../up"}, fault.Invalid, []string{"run_ids[1]"}},
		{[]training.RunID{"", ""}, fault.Invalid, []string{"run_ids[0]", "run_ids[1]"}},
		{[]training.RunID{"new", "new"}, fault.Invalid, []string{"run_ids[1]"}},
		{[]training.RunID{"mine", "new"}, fault.Conflict, []string{"mine"}},
	} {
		runs, err := submit(c.ids...)
		if len(runs) > 0 || fault.KindOf(err) != c.kind {
			t.Errorf("%q: %v, %v (%v)", c.ids, runs, err, fault.KindOf(err))
		}
		for _, name := range c.names {
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%q: %v does not name %s", c.ids, err, name)
			}
		}
	}
	if forked, err := s.Fork(t.Context(), api.ForkRequest{Run: "mine", NewRun: "fork", Settings: api.Settings{Values: []api.Text{"config.epochs=2"}}}); err != nil || forked.RunID != "fork" {
		t.Errorf("%+v, %v", forked, err)
	}
	if _, err := s.Fork(t.Context(), api.ForkRequest{Run: "mine", NewRun: "../up"}); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "new_run") {
		t.Errorf("%v", err)
	}
}
