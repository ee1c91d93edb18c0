package servicetest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reprise/api"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/internal/flock"
)

// logCalls are the calls of api.LogService. What writes is called in tests of its own.
func logCalls() []call {
	return []call{
		{"events.list", `{"run":"latest"}`},
		{"events.list", `{"run":"no such run"}`},
		{"events.tail", `{"newest":3}`},
		{"events.tail", `{"run":"latest","type":"training.","after":0}`},
		{"events.tail", `{"run":"no such run"}`},
		{"events.tail", `{"newest":3,"after":0}`},
		{"events.replay", `{"run":"latest"}`},
		{"events.replay", `{"run":"no such run"}`},
		{"events.verify", `{}`},
		{"events.verify", `{"head":"x"}`},
		{"events.verify", `{"public_key":"x"}`},
		{"events.head", `{}`},
		{"events.head", `{"current":true}`},
		{"events.export", `{}`},
		{"projections.list", `{}`},
		{"projections.rebuild", `{"projections":["no such","nor this"]}`},
		{"backup", `{"folder":"relative"}`},
		{"backup", `{"folder":"/"}`},
	}
}

func tail(t *testing.T, h Harness) {
	s := h.Open(t, h.Dir(t, "life"))
	all := collect(t, s, api.TailRequest{After: new(eventstore.Position)})
	if len(all) < 10 {
		t.Fatalf("%d events", len(all))
	}
	for i, e := range all {
		if e.Position != eventstore.Position(i+1) {
			t.Fatalf("event %d is at position %d", i+1, e.Position)
		}
	}
	newest := collect(t, s, api.TailRequest{Newest: 3})
	if len(newest) != 3 || newest[0].Position != all[len(all)-3].Position {
		t.Errorf("the newest 3 are %+v", newest)
	}
	if rest := collect(t, s, api.TailRequest{}); len(rest) > 0 {
		t.Errorf("no old events were asked for: %+v", rest)
	}
	leases := 0
	for _, e := range all {
		if e.Type == "device.leased.v1" {
			leases++
		}
	}
	if got := collect(t, s, api.TailRequest{Newest: 1000, Aggregate: "device/", Type: "device.leased"}); len(got) != leases || leases == 0 {
		t.Errorf("%d leases, want %d", len(got), leases)
	}
	run := collect(t, s, api.TailRequest{Newest: 1000, Run: "latest"})
	i := 0
	for e, err := range s.Events(t.Context(), api.EventsRequest{Run: "latest"}) {
		if err != nil || i >= len(run) || e.ID != run[i].ID {
			t.Fatalf("event %d of the run: %v", i, err)
		}
		i++
	}
}

func collect(t *testing.T, s api.Service, r api.TailRequest) []api.Event {
	t.Helper()
	var list []api.Event
	for e, err := range s.Tail(t.Context(), r) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

// follow makes the log while it is already followed.
func follow(t *testing.T, h Harness) {
	made := h.Dir(t, "digits")
	dir := filepath.Join(t.TempDir(), "later")
	s := h.Open(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	renamed := make(chan error, 1)
	go func() { renamed <- os.Rename(made, dir) }()
	last := eventstore.Position(0)
	var ended error
	for e, err := range s.Tail(ctx, api.TailRequest{Follow: true, After: new(eventstore.Position)}) {
		if err != nil {
			ended = err
			break
		}
		if e.Position != last+1 {
			t.Fatalf("position %d follows %d", e.Position, last)
		}
		if last = e.Position; last == 10 {
			cancel()
		}
	}
	if fault.KindOf(ended) != fault.Canceled || !errors.As(ended, new(*api.Error)) || last < 10 {
		t.Errorf("after position %d: %v", last, ended)
	}
	if err := <-renamed; err != nil {
		t.Error(err)
	}
}

func replay(t *testing.T, h Harness) {
	for _, name := range h.Names(t) {
		s := h.Open(t, h.Dir(t, name))
		list, err := s.Runs(t.Context(), api.RunsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list.Runs {
			report, err := s.Run(t.Context(), api.RunRequest{Run: string(r.RunID)})
			if err != nil {
				t.Fatal(err)
			}
			if r.Epochs == 0 { // only its job is recorded
				continue
			}
			var last api.ReplayStep
			for step, err := range s.Replay(t.Context(), api.ReplayRequest{Run: string(r.RunID)}) {
				if err != nil {
					t.Fatal(err)
				}
				if step.Event.Version != last.Event.Version+1 || step.State.Waits == nil {
					t.Errorf("%s: %+v follows %+v", name, step, last)
				}
				last = step
			}
			if last.State.Checkpoints != len(report.Details.Checkpoints) || last.State.Epochs != len(report.Details.History) ||
				last.State.Saga.State != report.Details.Saga.State {
				t.Errorf("%s: run %s ends with %+v, and is %+v", name, r.RunID, last.State, report.Details)
			}
		}
	}
}

func verify(t *testing.T, h Harness) {
	s := h.Open(t, h.Dir(t, "life"))
	head, err := s.Head(t.Context(), api.HeadRequest{})
	if err != nil {
		t.Fatal(err)
	}
	end := head.Attestation.Head
	updates := 0
	check := func(r api.VerifyLogRequest) api.LogVerdict {
		t.Helper()
		var result *api.LogVerification
		for u, err := range s.VerifyLog(t.Context(), r) {
			if err != nil || result != nil || u.Done > u.Of {
				t.Fatalf("%+v, %v", u, err)
			}
			result = u.Result
			updates++
		}
		if result == nil {
			t.Fatal("no result")
		}
		return result.Verdict
	}
	if v := check(api.VerifyLogRequest{}); !v.Verified || v.Events != end.Position || v.HeadHash != end.Hash || v.Problem != nil || v.Head != nil {
		t.Errorf("%+v", v)
	}
	if updates < 2 {
		t.Error("there is no progress")
	}
	if v := check(api.VerifyLogRequest{Head: string(head.Attestation.Text())}); !v.Verified || v.Head == nil || v.Head.Head != end {
		t.Errorf("%+v", v)
	}
	other := head.Attestation
	other.Head.Hash[0] ^= 1
	if v := check(api.VerifyLogRequest{Head: string(other.Text())}); v.Verified || v.Problem == nil || !strings.Contains(v.Problem.What, "rewritten") {
		t.Errorf("%+v", v)
	}
	for field, r := range map[string]api.VerifyLogRequest{
		"head":       {Head: string(head.Attestation.Text()), PublicKey: "x"},
		"public_key": {PublicKey: "x"},
	} {
		for _, err := range s.VerifyLog(t.Context(), r) {
			var e *api.Error
			if !errors.As(err, &e) || e.Fault != fault.Invalid || len(e.Mistakes) != 1 || e.Mistakes[0].Field != field ||
				e.Mistakes[0].Fix == "" || strings.Contains(err.Error(), "--") {
				t.Errorf("%s: %v", field, err)
			}
		}
	}
	empty := h.Open(t, filepath.Join(t.TempDir(), "none"))
	var e *api.Error
	if _, err := empty.Head(t.Context(), api.HeadRequest{}); !errors.As(err, &e) || e.Code != api.NoEvents || e.Fault != fault.Invalid {
		t.Errorf("the head of nothing: %v", err)
	}
}

func exportedLog(t *testing.T, h Harness) {
	for _, name := range h.Names(t) {
		s := h.Open(t, h.Dir(t, name))
		var out bytes.Buffer
		var end *api.LogSummary
		for part, err := range s.Export(t.Context(), api.ExportRequest{}) {
			if err != nil || end != nil {
				t.Fatalf("%s: after the end %+v: %v", name, end, err)
			}
			out.Write(part.Data)
			end = part.End
		}
		head, err := s.Head(t.Context(), api.HeadRequest{})
		if err != nil || end == nil || end.Events != head.Attestation.Head.Position || end.HeadHash != head.Attestation.Head.Hash {
			t.Fatalf("%s: %+v, want %+v, %v", name, end, head, err)
		}
		recorded, err := os.ReadFile(filepath.Join(h.Logs, name+".jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), recorded) {
			t.Errorf("%s: the export is not what the log was made from", name)
		}
	}
}

func rebuild(t *testing.T, h Harness) {
	s := h.Open(t, h.Dir(t, "life"))
	list, err := s.Projections(t.Context(), api.ProjectionsRequest{})
	if err != nil || len(list.Projections) == 0 {
		t.Fatalf("%+v, %v", list, err)
	}
	all, err := s.RebuildProjections(t.Context(), api.RebuildRequest{})
	if err != nil || len(all.Projections) != len(list.Projections) {
		t.Fatalf("%+v, %v", all, err)
	}
	name := list.Projections[0].Name
	one, err := s.RebuildProjections(t.Context(), api.RebuildRequest{Projections: []string{name}})
	if err != nil || len(one.Projections) != 1 || one.Projections[0].Name != name || !one.Projections[0].Same {
		t.Errorf("%+v, %v", one, err)
	}
	list, err = s.Projections(t.Context(), api.ProjectionsRequest{})
	if err != nil || list.Projections[0].Lag != 0 || list.Projections[0].Position != all.Projections[0].Events {
		t.Errorf("%+v, %v", list, err)
	}
	var e *api.Error
	_, err = s.RebuildProjections(t.Context(), api.RebuildRequest{Projections: []string{"none", name, "nor this"}})
	if !errors.As(err, &e) || e.Fault != fault.Invalid || len(e.Mistakes) != 2 || e.Mistakes[1].Value != "nor this" {
		t.Errorf("%v", err)
	}
}

func backup(t *testing.T, h Harness) {
	dir := untilCheckpoint(t, h, "life")
	s := h.Open(t, dir)
	head, err := s.Head(t.Context(), api.HeadRequest{})
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "copy")
	var report *api.BackupReport
	for u, err := range s.Backup(t.Context(), api.BackupRequest{Folder: to}) {
		if err != nil || report != nil {
			t.Fatalf("%+v, %v", u, err)
		}
		report = u.Result
	}
	if end := head.Attestation.Head; report == nil || report.From != dir || report.To != to || report.Position != end.Position ||
		report.HeadHash != end.Hash || report.Runs != 1 || report.Checkpoints != 0 {
		t.Fatalf("%+v, want %+v", report, end)
	}
	if copied, err := h.Open(t, to).Head(t.Context(), api.HeadRequest{}); err != nil || copied.Attestation.Head != head.Attestation.Head {
		t.Errorf("the copy ends at %+v, %v", copied, err)
	}

	without := h.Open(t, h.Dir(t, "life")) // without the files that its events refer to
	none := filepath.Join(t.TempDir(), "none")
	for name, c := range map[string]struct {
		service api.Service
		folder  string
		kind    fault.Kind
	}{
		"a folder that exists":      {s, to, fault.Invalid},
		"in the data directory":     {s, filepath.Join(dir, "copy"), fault.Invalid},
		"below no folder":           {s, filepath.Join(none, "copy"), fault.Invalid},
		"no log":                    {h.Open(t, none), none, fault.Invalid},
		"checkpoints without files": {without, none, fault.Corrupt},
	} {
		failures := 0
		for _, err := range c.service.Backup(t.Context(), api.BackupRequest{Folder: c.folder}) {
			if err != nil {
				failures++
			}
			if err != nil && fault.KindOf(err) != c.kind {
				t.Errorf("%s: %v is %v", name, err, fault.KindOf(err))
			}
		}
		if failures != 1 {
			t.Errorf("%s: %d errors", name, failures)
		}
	}
	if names, err := os.ReadDir(filepath.Dir(none)); err != nil || len(names) > 0 {
		t.Errorf("backups that failed left %v, %v", names, err)
	}
}

// untilCheckpoint returns a new data directory with the events of a recorded log before
// its first checkpoint, which therefore has no files.
func untilCheckpoint(t *testing.T, h Harness, name string) string {
	t.Helper()
	open := func(dir string) eventstore.Store {
		store, err := h.Store(filepath.Join(dir, "events.db"))
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	dir := t.TempDir()
	from, to := open(h.Dir(t, name)), open(dir)
	_, err := eventstore.Refill(t.Context(), to, func(yield func(eventstore.Event, error) bool) {
		page, err := from.Read(t.Context(), 0, 1000)
		if err != nil {
			yield(eventstore.Event{}, err)
			return
		}
		for _, e := range page {
			if strings.HasPrefix(e.Type, "training.checkpoint_committed") || !yield(e, nil) {
				return
			}
		}
	})
	if err := errors.Join(err, from.Close(), to.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// inUse holds the lock of a data directory, as a process does that trains in it.
func inUse(t *testing.T, h Harness) {
	dir := h.Dir(t, "digits")
	s := h.Open(t, dir)
	lock, err := flock.Acquire(filepath.Join(dir, "lock"), flock.Info{PID: 4711, Command: "somebody"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.RebuildProjections(t.Context(), api.RebuildRequest{})
	var e *api.Error
	if !errors.As(err, &e) || e.Fault != fault.Unavailable || e.Code != api.DirInUse || e.Path != dir || !strings.Contains(err.Error(), "process 4711") {
		t.Errorf("%v", err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RebuildProjections(t.Context(), api.RebuildRequest{}); err != nil {
		t.Errorf("once nobody holds it: %v", err)
	}
}
