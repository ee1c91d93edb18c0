// Package servicetest is the contract of api.Service as tests: every implementation
// passes [Run], and gives the same [Transcript] of the same data directory.
//
// The data directories are made of recorded event logs. A new operation needs a line in
// calls, or the suite fails.
package servicetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"reprise/api"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/training"
)

// Harness is what the suite needs.
type Harness struct {
	// Logs is the folder of recorded event logs, as JSON lines.
	Logs string
	// Store makes a new event log at a path.
	Store func(path string) (eventstore.Store, error)
	// Open returns the service over a data directory, and closes it when the test ends.
	Open func(t testing.TB, dir string) api.Service
}

// Names returns the names of the recorded logs.
func (h Harness) Names(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(h.Logs, "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no logs in %s: %v", h.Logs, err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".jsonl")
	}
	return files
}

// Dir returns a new data directory with a recorded log.
func (h Harness) Dir(t testing.TB, name string) string {
	t.Helper()
	dir := t.TempDir()
	from, err := os.Open(filepath.Join(h.Logs, name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = from.Close() }() // it was only read
	store, err := h.Store(filepath.Join(dir, "events.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := eventstore.Import(context.Background(), store, from); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Run runs the contract.
func Run(t *testing.T, h Harness) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"every operation is called", everyOperation},
		{"a data directory that does not exist is empty", empty},
		{"every run of every log is shown", everyRun},
		{"errors have a kind and name fields", errorsNameFields},
		{"a canceled call ends", canceled},
		{"many large requests are all checked", large},
		{"a call whose deadline has passed says so", late},
		{"a stream can be broken off", brokenOff},
		{"calls run at the same time", concurrent},
		{"runs train and are followed to their ends", trained},
		{"a request with folds is a run for each", folded},
		{"a run that is interrupted is resumed", interrupted},
		{"data that were moved are found", movedData},
		{"a run is resumed on data that were moved", resumedOnMovedData},
		{"runs are followed with the others of the process", followedWithOthers},
		{"the queue is shared as it is set", shared},
		{"a lease lasts as long as its stream", leased},
		{"a warning comes before the answer", warning},
		{"figures are those of the run", figures},
		{"a verification says what differs", verification},
		{"a range without a checkpoint is refused", verifiedRange},
		{"a text needs a language model and its files", generation},
		{"all of a request for text is checked at once", generationRequest},
		{"a model is exported in pieces of its files", exportedModel},
		{"a model predicts and is evaluated", usedModels},
		{"pictures show what is on record", plotted},
		{"data sets are listed, fetched and inspected", dataSets},
		{"the newest events, and those that pass a filter", tail},
		{"a log that is followed is waited for", follow},
		{"a replay ends in the run's state", replay},
		{"a log is verified, also against a head", verify},
		{"an export is the log", exportedLog},
		{"read models are rebuilt", rebuild},
		{"a backup is a data directory with the same log", backup},
		{"a data directory that another process holds", inUse},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, h) })
	}
}

// call is a call of an operation.
type call struct{ operation, request string }

// digits is a training request, in YAML that is within JSON.
const digits = `model_architecture: mlp\ndataset_path: digits\nmodel: {hidden: [4]}\n` +
	`config: {batch_size: 480, learning_rate: 0.01, epochs: 2, seed: 3}\n`

// calls returns at least one call of each operation, with a good and a bad request
// where both exist.
func calls() []call {
	return slices.Concat(logCalls(), recordCalls(), modelCalls(), []call{
		{"runs.list", `{}`},
		{"runs.show", `{"run":"latest"}`},
		{"runs.show", `{"run":"latest","at":"1000000"}`},
		{"runs.show", `{"run":"no such run"}`},
		{"runs.compare", `{"runs":["latest"]}`},
		{"runs.compare", `{"runs":["no such run","latest"]}`},
		{"runs.compare", `{"group":"no such group"}`},
		{"runs.annotate", `{"run":"no such run","name":"n"}`},
		{"runs.annotate", `{"run":"latest","name":"latest","tag":[""],"untag":["a"]}`},
		{"runs.validate", `{"folder":"/","file":{"name":"-","content":"` + digits + `"}}`},
		{"runs.validate", `{"folder":"/","file":{"name":"-","content":"` + digits + `"},"settings":{"values":["config.epochs=0"]}}`},
		{"runs.submit", `{"folder":"/","files":[]}`},
		{"runs.submit", `{"folder":"/","files":[{"name":"a","content":"` + digits + `"},{"name":"b","content":"{}"}]}`},
		{"runs.fork", `{"run":"no such run"}`},
		{"runs.fork", `{"run":"latest","from":1000000}`},
		{"runs.resume", `{"runs":["no such run"]}`},
		{"runs.follow", `{"runs":["latest"]}`},
		{"runs.follow", `{"runs":["no such run"]}`},
		{"runs.interrupt", `{"runs":["latest"],"cause":"a test"}`},
		{"runs.interrupt", `{"runs":["latest"]}`},
		{"runs.cancel", `{"runs":["no such run"],"cause":"a test"}`},
		{"runs.cancel", `{"runs":["latest"]}`},
		{"runs.cancel", `{"group":"no such group","cause":"a test"}`},
		{"runs.pause", `{"runs":["latest"],"all":true,"cause":"a test"}`},
		{"runs.pause", `{"runs":["no such run"],"cause":"a test"}`},
		{"runs.priority", `{"runs":["latest"],"priority":1000000}`},
		{"runs.priority", `{"cause":"a test","priority":1}`},
		{"runs.delete", `{"runs":["no such run"]}`},
		{"runs.delete", `{"tags":["no such tag"],"dry_run":true}`},
		{"runs.retry", `{"runs":["no such run"]}`},
		{"runs.retry", `{}`},
		{"actors.list", `{}`},
		{"actors.trace", `{"actor":"run"}`},
		{"tell", `{"to":"run/r","type":"pause"}`},
		{"events.list", `{"run":"latest"}`},
		{"events.list", `{"run":"no such run"}`},
		{"state", `{}`},
		{"state", `{"at":"0"}`},
		{"state", `{"at":"7"}`},
		{"state", `{"at":"2001-02-03T04:05:06Z"}`},
		{"queue", `{}`},
		{"queue.set", `{}`},
		{"queue.set", `{"shares":{"ada":0},"quotas":{"ada":-1},"labels":{"no such device":["a","a"],"cpu0":["b"]}}`},
		{"devices", `{}`},
		{"devices.lease", `{"kind":"verification","run":"latest","workload":{"name":"a test","memory":{"size":64},"shared":true}}`},
		{"devices.lease", `{"kind":"run","run":"","workload":{"memory":{"size":-1}}}`},
	})
}

// Transcript returns what a service gives to the same calls, one JSON value a line. It
// is the same for every implementation over the same data directory; no answer may
// depend on the moment.
func Transcript(t testing.TB, s api.Service) string {
	t.Helper()
	var out bytes.Buffer
	to := json.NewEncoder(&out)
	for _, c := range calls() {
		i := slices.IndexFunc(api.Operations(), func(o api.Operation) bool { return o.Name == c.operation })
		if i < 0 {
			t.Fatalf("there is no operation %s", c.operation)
		}
		fmt.Fprintf(&out, "# %s %s\n", c.operation, c.request)
		err := api.Operations()[i].Call(t.Context(), s,
			func(request any) error { return json.Unmarshal([]byte(c.request), request) },
			func(item any) error { return to.Encode(item) })
		if err != nil {
			if e, ok := err.(*api.Error); !ok { //nolint:errorlint // a wrapped one would not cross a wire as it is
				t.Errorf("%s %s: %T is not an *api.Error: %v", c.operation, c.request, err, err)
			} else if err := to.Encode(e); err != nil {
				t.Error(err)
			}
		}
	}
	return out.String()
}

func everyOperation(t *testing.T, h Harness) {
	for _, o := range api.Operations() {
		if !slices.ContainsFunc(calls(), func(c call) bool { return c.operation == o.Name }) {
			t.Errorf("%s is not called: add a line to calls", o.Name)
		}
	}
	for _, name := range h.Names(t) {
		s := h.Open(t, h.Dir(t, name))
		if got := Transcript(t, s); strings.Contains(got, `"kind":"internal"`) {
			t.Errorf("%s: an error of an unknown kind:\n%s", name, got)
		}
	}
}

func empty(t *testing.T, h Harness) {
	s := h.Open(t, filepath.Join(t.TempDir(), "none"))
	if list, err := s.Runs(t.Context(), api.RunsRequest{}); err != nil || list.Runs == nil || len(list.Runs) > 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if r, err := s.State(t.Context(), api.StateRequest{}); err != nil || r.State.Position != 0 || r.State.Time != nil || r.Headline != "" {
		t.Errorf("%+v, %v", r, err)
	}
	var e *api.Error
	if _, err := s.Run(t.Context(), api.RunRequest{Run: "latest"}); !errors.As(err, &e) || e.Fault != fault.NotFound || e.Code != api.NoRuns {
		t.Errorf("%v", err)
	}
}

// selected returns the runs that a request asks for.
func selected(t *testing.T, s api.Service, q api.RunsRequest) []training.RunID {
	t.Helper()
	list, err := s.Runs(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var ids []training.RunID
	for _, r := range list.Runs {
		ids = append(ids, r.RunID)
	}
	return ids
}

func everyRun(t *testing.T, h Harness) {
	shown := 0
	for _, name := range h.Names(t) {
		s := h.Open(t, h.Dir(t, name))
		list, err := s.Runs(t.Context(), api.RunsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		state, err := s.State(t.Context(), api.StateRequest{})
		if err != nil || len(state.State.Runs) != len(list.Runs) {
			t.Fatalf("%s: the state has %d runs, the list %d: %v", name, len(state.State.Runs), len(list.Runs), err)
		}
		for _, state := range api.RunStates() {
			var want []training.RunID
			for _, r := range list.Runs {
				if r.State == state {
					want = append(want, r.RunID)
				}
			}
			if got := selected(t, s, api.RunsRequest{State: state}); !slices.Equal(got, want) {
				t.Errorf("%s: %s runs are %q, want %q", name, state, got, want)
			}
		}
		for _, q := range []api.RunsRequest{{Group: "none of them"}, {Owner: "none of them"}} {
			if got := selected(t, s, q); len(got) > 0 {
				t.Errorf("%s: %+v gives %q", name, q, got)
			}
		}
		if _, err := s.Runs(t.Context(), api.RunsRequest{State: "trained"}); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "running") {
			t.Errorf("a state that there is not: %v", err)
		}
		for _, r := range list.Runs {
			report, err := s.Run(t.Context(), api.RunRequest{Run: string(r.RunID)})
			if err != nil || report.Details.RunID != r.RunID || report.Details.State != r.State || report.Position != state.State.End {
				t.Errorf("%s: run %s is %+v, %v", name, r.RunID, report, err)
			}
			var last, updated api.Event
			versions := map[eventstore.AggregateID]eventstore.Version{}
			for e, err := range s.Events(t.Context(), api.EventsRequest{Run: string(r.RunID)}) {
				if err != nil {
					t.Fatal(err)
				}
				versions[e.Aggregate]++
				if e.Version != versions[e.Aggregate] || e.Position <= last.Position || !json.Valid(e.Payload) {
					t.Errorf("%s: %+v follows %+v", name, e, last)
				}
				last = e
				if r.Epochs == 0 || e.Aggregate == eventstore.AggregateID("run/"+r.RunID) { // its own, once it has begun
					updated = e
				}
			}
			if !updated.Time.Equal(r.UpdatedAt) {
				t.Errorf("%s: run %s was updated at %v, its last event is of %v", name, r.RunID, r.UpdatedAt, updated.Time)
			}
			if jobs := versions[eventstore.AggregateID("job/"+r.RunID)]; (jobs > 0) != (r.Job != nil) {
				t.Errorf("%s: run %s has %d events of its job, which is %+v", name, r.RunID, jobs, r.Job)
			}
			if shown++; r.Epochs == 0 { // only its job is recorded, of which there is no report in the past
				continue
			}
			before, err := s.Run(t.Context(), api.RunRequest{Run: string(r.RunID), At: api.AtPosition(last.Position - 1)})
			if err != nil || before.Position != last.Position-1 {
				t.Errorf("%s: run %s before its last event: %+v, %v", name, r.RunID, before, err)
			}
		}
	}
	if shown < 5 {
		t.Errorf("only %d runs were shown", shown)
	}
}

func errorsNameFields(t *testing.T, h Harness) {
	s := h.Open(t, h.Dir(t, "digits"))
	_, future := s.State(t.Context(), api.StateRequest{At: api.AtPosition(1 << 40)})
	_, early := s.Run(t.Context(), api.RunRequest{Run: "latest", At: api.AtPosition(0)})
	for _, err := range []error{future, early} {
		var e *api.Error
		if !errors.As(err, &e) || fault.KindOf(err) != fault.Invalid || len(e.Mistakes) != 1 || e.Mistakes[0].Field != "at" ||
			e.Mistakes[0].Value == "" || e.Mistakes[0].Fix == "" || strings.Contains(err.Error(), "--") {
			t.Errorf("%#v", err)
		}
	}
	_, unknown := s.Run(t.Context(), api.RunRequest{Run: "no such run"})
	var e *api.Error
	if !errors.As(unknown, &e) || e.Fault != fault.NotFound || e.Code != api.RunNotFound || errors.Unwrap(e) != nil {
		t.Errorf("%#v", unknown)
	}
	for _, err := range s.Events(t.Context(), api.EventsRequest{Run: "no such run"}) {
		if err == nil || err.Error() != unknown.Error() {
			t.Errorf("a stream says %v, a call %v", err, unknown)
		}
	}
}

func canceled(t *testing.T, h Harness) {
	s := h.Open(t, h.Dir(t, "digits"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Runs(ctx, api.RunsRequest{})
	if fault.KindOf(err) != fault.Canceled || !errors.Is(err, context.Canceled) || !errors.As(err, new(*api.Error)) {
		t.Errorf("%#v", err)
	}
	if _, err := s.Runs(t.Context(), api.RunsRequest{}); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func large(t *testing.T, h Harness) {
	s := h.Open(t, h.Dir(t, "digits"))
	r := api.SubmitRequest{Folder: "/"}
	for i := range 20 {
		r.Files = append(r.Files, api.RequestFile{Name: api.Text(fmt.Sprintf("%d.yaml", i)), Content: api.Text(strings.Repeat("#", api.MaxRequestBytes+1))})
	}
	answers := 0
	for _, err := range s.Submit(t.Context(), r) {
		answers++
		if fault.KindOf(err) != fault.Invalid || strings.Count(err.Error(), "is larger than 1048576 bytes") != len(r.Files) {
			t.Errorf("%v", err)
		}
	}
	if answers != 1 {
		t.Errorf("%d answers", answers)
	}
}

func late(t *testing.T, h Harness) {
	s := h.Open(t, h.Dir(t, "digits"))
	ctx, cancel := context.WithDeadlineCause(t.Context(), time.Unix(0, 0), errors.New("another cause"))
	defer cancel()
	_, err := s.Runs(ctx, api.RunsRequest{})
	errs := []error{err}
	for _, err := range s.Events(ctx, api.EventsRequest{Run: "latest"}) {
		errs = append(errs, err)
	}
	for _, err := range errs {
		if e := new(api.Error); !errors.As(err, &e) || e.Fault != fault.Unavailable || e.Code != "" || e.Error() != context.DeadlineExceeded.Error() {
			t.Errorf("%#v", err)
		}
	}
	if len(errs) != 2 {
		t.Errorf("%d errors of two calls", len(errs))
	}
}

func brokenOff(t *testing.T, h Harness) {
	s := h.Open(t, h.Dir(t, "digits"))
	for range 3 {
		for e, err := range s.Events(t.Context(), api.EventsRequest{Run: "latest"}) {
			if err != nil || e.Version != 1 {
				t.Errorf("%+v, %v", e, err)
			}
			break
		}
	}
}

func concurrent(t *testing.T, h Harness) {
	s := h.Open(t, h.Dir(t, "life"))
	want := Transcript(t, s)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if got := Transcript(t, s); got != want {
				t.Errorf("at the same time\n%s\nalone\n%s", got, want)
			}
		})
	}
	wait.Wait()
}

func warning(t *testing.T, h Harness) {
	dir := h.Dir(t, "digits")
	if err := os.MkdirAll(filepath.Join(dir, "runs", "20261231-000000-zzzz", "checkpoints"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := h.Open(t, dir)
	var notices []api.Notice
	ctx := api.WithNotices(t.Context(), func(n api.Notice) { notices = append(notices, n) })
	if _, err := s.Runs(ctx, api.RunsRequest{}); err != nil {
		t.Fatal(err)
	}
	if len(notices) != 1 || !strings.Contains(notices[0].Warning, "20261231-000000-zzzz") {
		t.Errorf("the files of a run that the log does not have: %+v", notices)
	}
}
