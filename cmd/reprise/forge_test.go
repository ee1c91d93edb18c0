package main

import (
	"bytes"
	"context"
	cryptorand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"reprise/actor"
	"reprise/api"
	"reprise/datadir"
	"reprise/dataset"
	"reprise/device"
	cpudevice "reprise/device/cpu"
	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/integration"
	"reprise/journal"
	"reprise/nn"
	"reprise/training"
	"reprise/training/loop"
)

// exemptions are the fields that verify does not compare, and why. A name is an
// event's type and the path of the field; a trailing * stands for anything.
func exemptions() map[string]string {
	return map[string]string{
		"training.training_started.v1 model_id":          "drawn at random; nothing else refers to it",
		"training.resource_allocation_failed.v1 reason":  "free text",
		"training.dataset_load_failed.v1 reason":         "free text",
		"training.model_initialization_failed.v1 reason": "free text",
		"training.checkpoint_failed.v1 reason":           "free text",
		"training.training_interrupted.v1 cause":         "free text",
		"training.training_failed.v1 reason":             "free text",
		"device.registered.v1 device.*":                  "describes a machine that may no longer exist",
		"device.released.v1 reason":                      "free text",
		"device.health_changed.v1 *":                     "was measured; nothing else records it",
		"actor.*":                                        "nothing is derived from the events of actors",
		"queue.decided.v1 snapshot.*":                    "inputs of a decision; one that changes it is found",
		"queue.decided.v1 rules":                         "of other rules, nothing is known",
		"queue.job_submitted.v1 *":                       "what a user asked for; owner, priority, devices and labels are compared with each decision about it",
		"queue.settings_changed.v1 *":                    "what an operator set; what a decision was made with is compared with it",
		"queue.job_prepared.v1 *":                        "what the planner of that version found; steps and fingerprint are compared with the run",
		"queue.job_placed.v1 waited_ns":                  "was measured; nothing else records it",
		"queue.job_deferred.v1 *":                        "why, and how long, was decided then",
		"queue.job_stop_requested.v1 code":               "what a user asked for",
		"queue.job_stop_requested.v1 message":            "free text",
		"queue.job_completed.v1 ran_ns":                  "was measured; nothing else records it",
		"queue.job_paused.v1 *":                          "was measured; nothing else records it",
		"queue.job_cancelled.v1 *":                       "why, and how long, was decided then",
		"queue.job_failed.v1 *":                          "free text, and a measured time",
		"queue.job_rejected.v1 *":                        "free text",
		"queue.job_priority_changed.v1 priority":         "what a user asked for; each decision about the job has one that it has had",
		"queue.job_annotated.v1 *":                       "what a user noted",
		"training.checkpoint_failed.v1 step":             "within an epoch, it may have been any step",
		"training.training_failed.v1 step":               "within an epoch, it may have been any step",
	}
}

// exempt returns the exemption that a field has.
func exempt(name string) (string, bool) {
	for pattern := range exemptions() {
		prefix, any := strings.CutSuffix(pattern, "*")
		if name == pattern || any && strings.HasPrefix(name, prefix) {
			return pattern, true
		}
	}
	return "", false
}

// forgery is the world that events are forged in.
type forgery struct {
	t       *testing.T
	events  []eventstore.Event
	dir     string
	data    *dataset.Dataset
	backend device.Driver
	devices *integration.Devices
	runs    []training.RunID
}

const forgedRequest = `model_architecture: [{type: linear, units: 6}, {type: activation, kind: relu}, {type: batch_norm}, {type: dropout, rate: 0.1}, {type: linear, units: 2}]
dataset_path: DATA
dataset: {target: label, validation_fraction: 0.25}
config:
  batch_size: 4
  gradient_accumulation: 2
  learning_rate: 0.01
  epochs: 6
  optimizer: {name: adamw, weight_decay: 0.01}
  schedule: {name: reduce_on_plateau, patience: 2, gamma: 0.5, threshold: 0.01, warmup_steps: 2}
  seed: 3
  shards: 2
  clip_norm: 1
  label_smoothing: 0.1
  eval_interval: 3
  early_stopping: {patience: 6, min_delta: 5}
  monitor: f1_macro
  class_weight: {"yes": 2}
  sampler: balanced
  checkpoint_interval: 2
`

// newForgery records a run that panics after an epoch that no checkpoint covers,
// resumes, and stops early; a fork of it that is interrupted within an epoch and
// resumed; and a run that fails after an epoch that no checkpoint covers.
func newForgery(t *testing.T) *forgery {
	t.Helper()
	f := &forgery{t: t, dir: t.TempDir()}
	file := filepath.Join(t.TempDir(), "table.csv")
	var table strings.Builder
	table.WriteString("a,b,label\n")
	for i := range 43 { // 32 of them for training: no batch is smaller than the others
		fmt.Fprintf(&table, "%d.5,%d.25,%s\n", i%7, (i*i)%11, []string{"yes", "no"}[i%2])
	}
	f.must(os.WriteFile(file, []byte(table.String()), 0o600))
	library, err := dataset.NewLibrary(dataset.Config{CacheDir: t.TempDir()})
	f.must(err)
	request, err := api.ParseTrainingRequest("job.yaml", []byte(strings.Replace(forgedRequest, "DATA", file, 1)))
	f.must(err)
	source, err := request.DatasetReference(nil, "/", func(path string) error {
		_, err := os.Stat(path)
		return err
	})
	f.must(err)
	f.data, err = library.Open(t.Context(), source)
	f.must(err)
	f.backend, err = cpudevice.New(cpudevice.Config{Threads: 1, Features: "auto"})
	f.must(err)
	t.Cleanup(func() { _ = f.backend.Close() })
	f.devices, err = integration.OpenDevices(integration.DevicesConfig{Store: memory.New(), Devices: []device.Driver{f.backend}, Now: time.Now, NewID: cryptorand.Text})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.devices.Close() })

	store := memory.New()
	_, events, err := api.FromExternalRequest(request, source, f.data, api.IDs{Run: "first", Session: "session-1", Model: "model-1"})
	f.must(err)
	var panicked atomic.Bool
	first := f.train(store, events, func(_ training.RunID, step uint64) {
		if step == 14 && !panicked.Swap(true) {
			panic("a test")
		}
	}, 0)
	recorded, err := api.RecordedRequest(first.Request)
	f.must(err)
	longer, err := recorded.With(api.Setting{Field: "config.epochs", Value: "5"},
		api.Setting{Field: "config.early_stopping.patience", Value: "50"})
	f.must(err)
	_, events, err = api.ForkExternalRequest(longer, first.TrainingRun, recorded, first.Checkpoints[0], f.data,
		api.IDs{Run: "fork", Session: "session-2", Model: nn.ModelID("model-2")})
	f.must(err)
	f.train(store, events, nil, 10)
	_, events, err = api.FromExternalRequest(request, source, f.data, api.IDs{Run: "failed", Session: "session-3", Model: "model-3"})
	f.must(err)
	f.train(store, events, func(_ training.RunID, step uint64) {
		if step == 14 {
			panic("a test, again and again")
		}
	}, 0)
	f.runs = []training.RunID{"first", "fork", "failed"}
	_, err = eventstore.Walk(t.Context(), store, 0, eventstore.End, func(e eventstore.Event) error {
		f.events = append(f.events, e)
		return nil
	})
	f.must(err)
	return f
}

func (f *forgery) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// train trains to the end, interrupted before a step unless that is 0.
func (f *forgery) train(
	store eventstore.Store, events []training.Event,
	fault func(training.RunID, uint64), interrupt uint64,
) journal.RunRecord {
	f.t.Helper()
	var host *integration.Host
	var ids atomic.Int64
	var interrupted atomic.Bool
	host, _, err := integration.NewHost(f.t.Context(), integration.HostConfig{
		Store: store, Workspace: datadir.Workspace{Dir: f.dir}, Devices: []device.Driver{f.backend}, Observer: deaf{},
		OpenDataset: func(context.Context, training.Dataset) (*dataset.Dataset, error) { return f.data, nil },
		Now:         time.Now, NewID: func() string { return fmt.Sprintf("%s-%d", events[0].(training.TrainingStarted).RunID, ids.Add(1)) },
		LogActors: true, Restarts: actor.Intensity{Restarts: 3, Period: time.Hour},
		Fault: func(run training.RunID, step uint64) {
			if fault != nil {
				fault(run, step)
			}
			if step == interrupt && !interrupted.Swap(true) {
				host.Interrupt(run, "a test")
			}
		},
	})
	f.must(err)
	id, err := host.Start(f.t.Context(), events)
	f.must(err)
	r, err := host.Wait(f.t.Context(), id)
	f.must(err)
	if interrupt > 0 {
		if r.Session.State != training.Interrupted {
			f.t.Fatalf("the run is %s instead of interrupted: %s", r.Session.State, r.Reason)
		}
		f.must(host.Resume(f.t.Context(), id))
		r, err = host.Wait(f.t.Context(), id)
		f.must(err)
	}
	if want := map[bool]training.State{true: training.Failed, false: training.Completed}[id == "failed"]; r.Session.State != want {
		f.t.Fatalf("the run is %s instead of %s: %s", r.Session.State, want, r.Reason)
	}
	f.must(host.Close())
	return r
}

type deaf struct{}

func (deaf) Stepped(training.RunID, loop.StepResult) {}
func (deaf) Recorded(training.RunID, training.Event) {}

// logOf returns a log of the events, chained by the published rule.
func logOf(t *testing.T, events []eventstore.Event) eventstore.Store {
	t.Helper()
	store := memory.New()
	for _, e := range events {
		if _, err := store.Append(t.Context(), eventstore.Write{
			Aggregate: e.Aggregate, Expected: eventstore.AnyVersion(), Events: []eventstore.NewEvent{e.NewEvent},
		}); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

// verify returns what verify says of a forged log and forged files in dir. Only a
// first event is compared with its request where the log alone is wrong already.
func (f *forgery) verify(events []eventstore.Event, dir string) error {
	f.t.Helper()
	store := logOf(f.t, events)
	_, err := journal.VerifyLog(f.t.Context(), store)
	if err != nil && !slices.ContainsFunc(events, func(e eventstore.Event) bool {
		return e.Type == "training.training_started.v1" && !bytes.Equal(e.Payload, f.events[e.Position-1].Payload)
	}) {
		return err
	}
	for _, id := range f.runs {
		r, unreadable := journal.NewRunLog(store, nil).Load(f.t.Context(), id)
		if unreadable != nil {
			return errors.Join(err, unreadable) // `runs verify` says the same
		}
		v := integration.Verifier{Store: store, Workspace: datadir.Workspace{Dir: dir}, Devices: f.devices, Meaning: api.Meaning}
		_, differs := v.Verify(f.t.Context(), integration.Verification{Run: r}, f.data)
		err = errors.Join(err, differs)
	}
	return err
}

// forged is an event with one thing in it changed.
type forged struct {
	field string
	event eventstore.Event
}

// forgeriesOf returns the event with each field of its payload changed in turn:
// those that its JSON has, and those that it could have.
func forgeriesOf(t *testing.T, e eventstore.Event) []forged {
	t.Helper()
	seen := map[string]bool{}
	var list []forged
	add := func(field string, payload []byte) {
		if bytes.Equal(payload, e.Payload) || seen[field] {
			return
		}
		seen[field] = true
		other := e
		other.Payload = payload
		list = append(list, forged{field, other})
	}
	event, err := journal.EventOf(e)
	if err != nil {
		t.Fatal(err)
	}
	changeFields(reflect.ValueOf(event), func(field string, change func(reflect.Value)) {
		fresh, err := journal.EventOf(e) // shares nothing with the others
		if err != nil {
			t.Fatal(err)
		}
		changed := reflect.New(reflect.TypeOf(fresh)).Elem()
		changed.Set(reflect.ValueOf(fresh))
		change(changed)
		payload, err := json.Marshal(changed.Interface())
		if err != nil {
			t.Fatal(err)
		}
		add(field, payload)
	})
	var tree any
	d := json.NewDecoder(bytes.NewReader(e.Payload))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	changeLeaves("", tree, func(field string) {
		raw, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		other := e
		other.Payload = raw
		if event, err := journal.EventOf(other); err == nil { // in the form of an event, then
			if raw, err = json.Marshal(event); err != nil {
				t.Fatal(err)
			}
		}
		add(field, raw)
	})
	return list
}

// changeFields calls visit for every field of a struct, at any depth, with the
// function that changes it.
func changeFields(v reflect.Value, visit func(string, func(reflect.Value))) {
	var walk func(prefix string, v reflect.Value, find func(reflect.Value) reflect.Value)
	walk = func(prefix string, v reflect.Value, find func(reflect.Value) reflect.Value) {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			at := func(root reflect.Value) reflect.Value { return find(root).Field(i) }
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous {
				walk(prefix, v.Field(i), at)
				continue
			}
			field := strings.TrimPrefix(prefix+"."+name, ".")
			switch kind := f.Type.Kind(); {
			case kind == reflect.Struct:
				walk(field, v.Field(i), at)
			case kind == reflect.Pointer:
				if v.Field(i).IsNil() {
					visit(field, func(root reflect.Value) { at(root).Set(reflect.New(f.Type.Elem())) })
					continue
				}
				if f.Type.Elem().Kind() != reflect.Struct { // its value is a leaf of the JSON
					visit(field+" is null", func(root reflect.Value) { at(root).SetZero() })
					continue
				}
				visit(field, func(root reflect.Value) { at(root).SetZero() })
				walk(field, v.Field(i).Elem(), func(root reflect.Value) reflect.Value { return at(root).Elem() })
			case kind == reflect.Slice && f.Type.Elem().Kind() == reflect.Uint8: // JSON
				visit(field, func(root reflect.Value) { at(root).SetZero() })
			case kind == reflect.Map:
				visit(field, func(root reflect.Value) {
					changed := reflect.MakeMap(f.Type)
					changed.SetMapIndex(reflect.ValueOf("x").Convert(f.Type.Key()), reflect.Zero(f.Type.Elem()))
					at(root).Set(changed)
				})
			case kind == reflect.Slice:
				if v.Field(i).Len() == 0 && f.Type.Elem().Kind() != reflect.Interface {
					visit(field, func(root reflect.Value) { at(root).Set(reflect.MakeSlice(f.Type, 1, 1)) })
					continue
				}
				visit(field, func(root reflect.Value) { at(root).Set(at(root).Slice(0, at(root).Len()-1)) })
			case f.Type.Implements(reflect.TypeFor[json.Marshaler]()) && kind == reflect.String: // a text that holds JSON
				visit(field, func(root reflect.Value) { changeJSON(at(root).Addr().Interface()) })
			default:
				visit(field, func(root reflect.Value) { changeValue(at(root)) })
			}
		}
	}
	walk("", v, func(root reflect.Value) reflect.Value { return root })
}

// changeJSON makes a value another one, which its own rules accept.
func changeJSON(v any) {
	for _, text := range []string{`{"x":{"kind":"ignored"}}`, `["x"]`, `{"no":3}`} {
		if json.Unmarshal([]byte(text), v) == nil {
			return
		}
	}
	panic(fmt.Sprintf("%T: no other value is known", v))
}

// changeValue changes a number by as little as it can be.
func changeValue(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.String:
		v.SetString(changeText(v.String()))
	case reflect.Float32:
		v.SetFloat(float64(math.Nextafter32(float32(v.Float()), math.MaxFloat32)))
	case reflect.Float64:
		v.SetFloat(math.Nextafter(v.Float(), math.MaxFloat64))
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint, reflect.Uint8, reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case reflect.Array:
		changeValue(v.Index(0))
	default:
		panic("cannot change a " + v.Kind().String())
	}
}

// changeText changes a text, a hash to another hash.
func changeText(s string) string {
	if len(s) == 64 {
		return strings.Map(func(r rune) rune {
			if r == 'f' {
				return '0'
			}
			return r + 1 // no hash any more where it is a 9, which nobody minds
		}, s[:1]) + s[1:]
	}
	return s + "x"
}

// changeLeaves changes each value of a JSON tree in turn, and puts it back.
func changeLeaves(path string, node any, visit func(string)) {
	each := func(field string, value any, set func(any)) {
		switch v := value.(type) {
		case map[string]any, []any:
			changeLeaves(field, v, visit)
		case string:
			set(changeText(v))
		case bool:
			set(!v)
		case json.Number:
			if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
				set(n + 1)
			} else {
				x, _ := v.Float64() // it came from JSON
				set(x * 1.5)
			}
		}
		visit(field)
		set(value)
	}
	switch n := node.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(n)) {
			each(strings.TrimPrefix(path+"."+key, "."), n[key], func(v any) { n[key] = v })
		}
	case []any:
		for i := range n {
			each(fmt.Sprintf("%s[%d]", path, i), n[i], func(v any) { n[i] = v })
		}
	}
}

// found fails unless verify has found what was forged in an event, and named the
// field or the event.
func found(t *testing.T, err error, e eventstore.Event, field string) {
	t.Helper()
	name := e.Type + " " + field
	if err == nil {
		t.Errorf("event %d: %s is forged and not found", e.Position, name)
		return
	}
	named := strings.Contains(err.Error(), fmt.Sprintf("event %d (", e.Position))
	for _, word := range strings.FieldsFunc(field, func(r rune) bool { return !unicode.IsLetter(r) }) {
		named = named || len(word) > 3 && strings.Contains(err.Error(), word)
	}
	if e.Version == 1 { // all that follows may no longer fit
		named = named || strings.Contains(err.Error(), string(e.Aggregate))
	}
	if !named {
		t.Errorf("event %d: %s is forged, found is %v", e.Position, name, err)
	}
}

// A forger who knows the published rule recomputes every hash. Whatever field of
// whatever event he changes, verify finds it and names it, or the field has an
// exemption and a reason.
func TestVerifyFindsEachForgedFieldOfEachEvent(t *testing.T) {
	f := newForgery(t)
	if err := f.verify(f.events, f.dir); err != nil {
		t.Fatalf("nothing is forged: %v", err)
	}
	types, used := map[string]bool{}, map[string]bool{}
	n := 0
	forge := func(events []eventstore.Event, verify func([]eventstore.Event) error, only func(string) bool) {
		for i, e := range events {
			if !only(e.Type) {
				continue
			}
			types[e.Type] = true
			for _, forgery := range forgeriesOf(t, e) {
				if exemption, ok := exempt(e.Type + " " + forgery.field); ok {
					used[exemption] = true
					continue
				}
				if n++; testing.Short() && n%4 != 0 {
					continue
				}
				changed := slices.Clone(events)
				changed[i] = forgery.event
				found(t, verify(changed), e, forgery.field)
			}
		}
	}
	forge(f.events, func(events []eventstore.Event) error { return f.verify(events, f.dir) }, func(string) bool { return true })
	for _, kind := range []string{"epoch_reproduced", "early_stopped", "evaluation_completed", "training_interrupted", "training_resumed"} {
		if !types["training."+kind+".v1"] {
			t.Errorf("no %s was recorded", kind)
		}
	}
	// Of every other type there is an event in a golden log, to be compared with
	// the others of its log: TestEveryEventTypeHasAGoldenLog.
	recorded := maps.Clone(types)
	files, err := filepath.Glob("../../integration/testdata/golden/*.jsonl")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d golden logs, %v", len(files), err)
	}
	for _, file := range files {
		forge(importedEvents(t, file), func(events []eventstore.Event) error {
			_, err := journal.VerifyLog(t.Context(), logOf(t, events))
			return err
		}, func(kind string) bool { return !recorded[kind] })
	}
	for exemption := range exemptions() {
		if !used[exemption] {
			t.Errorf("nothing needs the exemption of %s", exemption)
		}
	}
	t.Logf("%d forgeries of events of %d types", n, len(types))
}

func TestTheExemptionsOfVerifyAreDocumented(t *testing.T) {
	raw, err := os.ReadFile("../../docs/durability.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(raw), "| not compared | because |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	documented := map[string]string{}
	for _, row := range strings.Split(table, "\n") {
		cells := strings.Split(row, "|")
		if len(cells) != 4 {
			t.Fatalf("no row of two cells: %q", row)
		}
		documented[strings.ReplaceAll(strings.TrimSpace(cells[1]), "`", "")] = strings.TrimSpace(cells[2])
	}
	if !maps.Equal(documented, exemptions()) {
		t.Errorf("documented is %v\nexempt is %v", documented, exemptions())
	}
}

func importedEvents(t *testing.T, file string) []eventstore.Event {
	t.Helper()
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	store := memory.New()
	if _, err := eventstore.Import(t.Context(), store, in); err != nil {
		t.Fatal(err)
	}
	return eventsOf(t, store)
}

func eventsOf(t *testing.T, store eventstore.Store) []eventstore.Event {
	t.Helper()
	var events []eventstore.Event
	if _, err := eventstore.Walk(t.Context(), store, 0, eventstore.End, func(e eventstore.Event) error {
		events = append(events, e)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return events
}

// The ids in an event's envelope follow from its place.
func TestVerifyFindsForgedIDs(t *testing.T) {
	f := newForgery(t)
	for i, e := range f.events {
		for name, change := range map[string]func(*eventstore.Event){
			"id":          func(e *eventstore.Event) { e.ID = eventstore.DerivedEventID("another") },
			"correlation": func(e *eventstore.Event) { e.Correlation = eventstore.DerivedEventID("another") },
			"no story":    func(e *eventstore.Event) { e.Correlation = "" },
			"causation":   func(e *eventstore.Event) { e.Causation = eventstore.DerivedEventID("another") },
		} {
			events := slices.Clone(f.events)
			change(&events[i])
			if _, err := journal.VerifyLog(t.Context(), logOf(t, events)); !errors.Is(err, journal.ErrNotVerified) ||
				!strings.Contains(err.Error(), fmt.Sprintf("event %d (", e.Position)) {
				t.Errorf("event %d, %s: %v", e.Position, name, err)
			}
		}
	}
}

// A forger may change both ends of a lease.
func TestVerifyFindsALeaseThatWasNotGrantedToItsRun(t *testing.T) {
	f := newForgery(t)
	for name, test := range map[string]struct{ aggregate, old, now, want string }{
		"another lease":      {"run/first", `"lease":"first-`, `"lease":"other-`, "has not granted the lease other-"},
		"another fencing":    {"run/first", `"lease_epoch":1}`, `"lease_epoch":7}`, "has not granted the lease"},
		"of another run":     {"device/", `"holder":"run/fork"`, `"holder":"run/first"`, "has granted"},
		"of a run to come":   {"device/", `"holder":"run/first"`, `"holder":"run/fork"`, "is not a run that had started"},
		"not given back yet": {"run/first", "", "", "has not ended the lease"},
	} {
		events, changed := slices.Clone(f.events), 0
		for i, e := range events {
			if strings.HasPrefix(string(e.Aggregate), test.aggregate) && test.old != "" && bytes.Contains(e.Payload, []byte(test.old)) {
				events[i].Payload = bytes.ReplaceAll(e.Payload, []byte(test.old), []byte(test.now))
				changed++
			}
		}
		if test.old == "" { // the device's event after the run's
			i := slices.IndexFunc(events, func(e eventstore.Event) bool { return e.Type == "device.released.v1" })
			j := slices.IndexFunc(events, func(e eventstore.Event) bool { return e.Type == "training.device_released.v1" })
			released := events[i]
			events = slices.Insert(slices.Delete(events, i, i+1), j, released)
			changed = 2
		}
		_, err := journal.VerifyLog(t.Context(), logOf(t, events))
		if changed < 2 || !errors.Is(err, journal.ErrNotVerified) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %d events are forged, found is %v", name, changed, err)
		}
	}
}

// Bytes that mean the same event are not the ones that were written.
func TestVerifyFindsAPayloadInAnotherForm(t *testing.T) {
	f := newForgery(t)
	for i, e := range f.events {
		for name, payload := range map[string]string{
			"a space":     strings.Replace(string(e.Payload), ":", ": ", 1),
			"a key twice": "{" + strings.TrimSuffix(strings.TrimPrefix(string(e.Payload), "{"), "}") + "," + string(e.Payload[1:]),
		} {
			events := slices.Clone(f.events)
			events[i].Payload = []byte(payload)
			if _, err := journal.VerifyLog(t.Context(), logOf(t, events)); !errors.Is(err, journal.ErrNotVerified) {
				t.Errorf("event %d, %s: %v", e.Position, name, err)
			}
		}
	}
}

// renumbered gives events the ids and causations that they would have had.
func renumbered(events []eventstore.Event) []eventstore.Event {
	out := slices.Clone(events)
	versions := map[eventstore.AggregateID]uint64{}
	ids := map[eventstore.EventID]eventstore.EventID{}
	for i := range out {
		e := &out[i]
		versions[e.Aggregate]++
		old := e.ID
		e.ID = eventstore.DerivedEventID(string(e.Aggregate), strconv.FormatUint(versions[e.Aggregate], 10), e.Type)
		ids[old], e.Causation = e.ID, ids[e.Causation]
	}
	return out
}

// A forger may also leave an event out, and renumber those after it.
func TestVerifyFindsEachMissingEvent(t *testing.T) {
	f := newForgery(t)
	if err := f.verify(renumbered(f.events), f.dir); err != nil {
		t.Fatalf("nothing is forged: %v", err)
	}
	for i, e := range f.events {
		next := slices.IndexFunc(f.events, func(o eventstore.Event) bool { return o.Aggregate == e.Aggregate && o.Version == e.Version+1 })
		if strings.HasPrefix(e.Type, "actor.") || strings.HasPrefix(e.Type, "queue.") || next < 0 {
			continue // nothing is derived from it; or the log is as it was before it
		}
		ends := []string{"training.training_interrupted.v1", "training.training_failed.v1"}
		if e.Type == "training.epoch_reproduced.v1" && slices.Contains(ends, f.events[next].Type) {
			continue // as if it had ended a moment earlier
		}
		event, err := journal.EventOf(e)
		if err != nil {
			t.Fatal(err)
		}
		if _, remark := event.(training.Remark); remark {
			continue // as an older version would have written it
		}
		if err := f.verify(renumbered(slices.Delete(slices.Clone(f.events), i, i+1)), f.dir); err == nil {
			t.Errorf("event %d, %s of %s, is left out and not found", e.Position, e.Type, e.Aggregate)
		}
	}
}
