package integration

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"reprise/actor"
	"reprise/datadir"
	"reprise/dataset"
	"reprise/device"
	cpudevice "reprise/device/cpu"
	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/fault"
	"reprise/journal"
	"reprise/kernel"
	"reprise/nn"
	"reprise/tensor"
	"reprise/training"
	"reprise/training/loop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is what outlives a process: the event log and the data directory.
type world struct {
	t         *testing.T
	store     eventstore.Store
	workspace datadir.Workspace
	data      *dataset.Dataset
	driver    device.Driver
	ids       atomic.Int64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	driver, err := cpudevice.New(cpudevice.Config{Threads: 2, Features: "auto"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = driver.Close() })
	return &world{
		t: t, store: memory.New(), workspace: datadir.Workspace{Dir: t.TempDir()}, data: digits(t), driver: driver,
	}
}

func digits(t *testing.T) *dataset.Dataset {
	t.Helper()
	library, err := dataset.NewLibrary(dataset.Config{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	data, err := library.Open(context.Background(), dataset.Source{Path: "digits"})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// witness records what an observer is told.
type witness struct {
	mu     sync.Mutex
	steps  []uint64
	events []training.Event
}

func (j *witness) Stepped(_ training.RunID, s loop.StepResult) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.steps = append(j.steps, s.Step)
}

func (j *witness) Recorded(_ training.RunID, e training.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

func (j *witness) count(kind string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, e := range j.events {
		if e.EventType() == kind {
			n++
		}
	}
	return n
}

// host starts a process of the world, with changes to its configuration.
func (w *world) host(change func(*HostConfig)) (*Host, *witness, Recovery) {
	w.t.Helper()
	j := &witness{}
	h, recovery, err := w.tryHost(func(c *HostConfig) {
		if c.Observer = j; change != nil {
			change(c)
		}
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return h, j, recovery
}

// tryHost is host for a process that may not be able to start.
func (w *world) tryHost(change func(*HostConfig)) (*Host, Recovery, error) {
	config := HostConfig{
		Store: w.store, Workspace: w.workspace, Devices: []device.Driver{w.driver},
		OpenDataset: func(context.Context, training.Dataset) (*dataset.Dataset, error) { return w.data, nil },
		Now:         time.Now,
		NewID:       func() string { return fmt.Sprintf("id-%d", w.ids.Add(1)) },
	}
	change(&config)
	return NewHost(context.Background(), config)
}

// devices leases the world's device to whoever is not a run, and keeps nothing.
func (w *world) devices() *Devices {
	w.t.Helper()
	d, err := OpenDevices(DevicesConfig{
		Store: memory.New(), Devices: []device.Driver{w.driver}, Now: time.Now,
		NewID: func() string { return fmt.Sprintf("id-%d", w.ids.Add(1)) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := d.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return d
}

// Request returns the events that start a run of three epochs.
func (w *world) request(change func(*training.Hyperparameters)) []training.Event {
	w.t.Helper()
	return w.requestOf(fmt.Sprintf("run-%d", w.ids.Add(1)), change)
}

// requestOf is Request for a run of this id.
func (w *world) requestOf(id string, change func(*training.Hyperparameters)) []training.Event {
	w.t.Helper()
	h := training.Hyperparameters{
		BatchSize: 64, Epochs: 3, Seed: 9, Shards: 2, CheckpointInterval: 1,
		Optimizer:    nn.Optimizer{Name: nn.Adam},
		LearningRate: training.LearningRate{Value: 0.02, Schedule: training.Schedule{Name: training.Cosine}},
	}
	if change != nil {
		change(&h)
	}
	valid, err := h.Validate()
	if err != nil {
		w.t.Fatal(err)
	}
	arch := nn.MLP(w.data.SampleShape(), []int{24}, "", w.data.Classes())
	if h.EvalInterval > 0 { // everything
		arch.Layers = slices.Insert(arch.Layers, 2, nn.Layer(nn.BatchNorm{}), nn.Layer(nn.Dropout{Rate: 0.1}))
	}
	model := nn.NewModelSpec(nn.ModelID("model-of-"+id), arch)
	_, events, err := training.TrainingService{}.StartTraining(model, w.data, training.Config{
		RunID: training.RunID(id), SessionID: training.SessionID("session-of-" + id), Hyperparameters: valid,
		Dataset: training.Dataset{
			ID: "digits", Path: "digits", Fingerprint: w.data.Fingerprint(),
			Training: w.data.Len(dataset.Train), Validation: w.data.Len(dataset.Validation),
			SampleShape: w.data.SampleShape(), Classes: w.data.Classes(),
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if h.Freeze != "" { // transfer
		events = w.initialised(training.RunID(id), arch, events)
	}
	return events
}

// rest waits until the run is at rest.
func rest(t *testing.T, h *Host, id training.RunID) journal.RunRecord {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := h.Wait(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func closeHost(t *testing.T, h *Host) {
	t.Helper()
	if err := h.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// train runs a request in its own process until it is at rest.
func (w *world) train(events []training.Event, change func(*HostConfig)) (journal.RunRecord, *witness) {
	w.t.Helper()
	h, j, _ := w.host(change)
	defer closeHost(w.t, h)
	id, err := h.Start(context.Background(), events)
	if err != nil {
		w.t.Fatal(err)
	}
	return rest(w.t, h, id), j
}

// resume resumes a run in its own process and waits until it is at rest.
func (w *world) resume(id training.RunID, change func(*HostConfig)) journal.RunRecord {
	w.t.Helper()
	h, _, _ := w.host(change)
	defer closeHost(w.t, h)
	if err := h.Resume(context.Background(), id); err != nil {
		w.t.Fatal(err)
	}
	return rest(w.t, h, id)
}

// checkReleased fails if the run, or anybody else, still holds something.
func (w *world) checkReleased(r journal.RunRecord) {
	w.t.Helper()
	if c := r.Saga.Context; len(c.AllocatedDevices) > 0 || len(c.LoadedDatasets) > 0 {
		w.t.Errorf("the saga in %s still holds %v and %v", r.Saga.State, c.AllocatedDevices, c.LoadedDatasets)
	}
	state, err := journal.StateAt(context.Background(), w.store, eventstore.End)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range state.Devices {
		if leases := d.Ledger.Leases(); len(leases) > 0 {
			w.t.Errorf("device %s is still held: %v", d.ID, leases)
		}
	}
}

// reference is the outcome of the request trained without disturbance.
func reference(t *testing.T, change func(*training.Hyperparameters)) journal.RunRecord {
	t.Helper()
	w := newWorld(t)
	r, _ := w.train(w.request(change), nil)
	if r.Session.State != training.Completed {
		t.Fatalf("the reference run is %s: %s", r.Session.State, r.Reason)
	}
	return r
}

// sameOutcome compares the results of training.
func sameOutcome(t *testing.T, got, want journal.RunRecord) {
	t.Helper()
	a, _ := got.LastCheckpoint()
	b, _ := want.LastCheckpoint()
	if a.WeightsSHA256 != b.WeightsSHA256 || a.Step != b.Step {
		t.Errorf("step %d gave weights %s; undisturbed, step %d gave %s", a.Step, a.WeightsSHA256, b.Step, b.WeightsSHA256)
	}
	if !reflect.DeepEqual(got.Metrics, want.Metrics) {
		t.Errorf("metrics %+v, undisturbed %+v", got.Metrics, want.Metrics)
	}
	if !reflect.DeepEqual(got.Figures, want.Figures) {
		t.Errorf("figures %+v, undisturbed %+v", got.Figures, want.Figures)
	}
}

func TestARunTrainsToItsEnd(t *testing.T) {
	w := newWorld(t)
	r, j := w.train(w.request(nil), nil)
	if r.Session.State != training.Completed || r.Saga.State != training.SagaCompleted {
		t.Fatalf("state %s, saga %s: %s", r.Session.State, r.Saga.State, r.Reason)
	}
	w.checkReleased(r)
	if len(r.Metrics) != 3 || r.Metrics[2].ValAccuracy < 0.8 || len(r.Checkpoints) != 3 {
		t.Errorf("metrics %+v, %d checkpoints", r.Metrics, len(r.Checkpoints))
	}
	if want := int(r.Session.Hyperparameters.TotalSteps(w.data.Len(dataset.Train))); len(j.steps) != want {
		t.Errorf("%d steps, want %d", len(j.steps), want)
	}
	verify(t, w, r)
}

// verify trains the run again and fails unless the result is the same.
func verify(t *testing.T, w *world, r journal.RunRecord) VerifyReport {
	t.Helper()
	v := Verifier{Store: w.store, Workspace: w.workspace, Devices: w.devices()}
	report, err := v.Verify(context.Background(), Verification{Run: r}, w.data)
	if err != nil || !report.Verified {
		t.Errorf("verification: %v", err)
	}
	return report
}

func TestAPanicRestartsTheRunFromTheLastCheckpoint(t *testing.T) {
	want := reference(t, nil)
	w := newWorld(t)
	var panics atomic.Int32
	r, j := w.train(w.request(nil), func(c *HostConfig) {
		c.Fault = func(_ training.RunID, step uint64) {
			// Once in the second epoch, twice in the third.
			if n := panics.Load(); (n == 0 && step == 30) || ((n == 1 || n == 2) && step == 60) {
				panics.Add(1)
				panic("a bit flipped in the arithmetic unit")
			}
		}
	})
	if r.Session.State != training.Completed || panics.Load() != 3 {
		t.Fatalf("state %s after %d panics: %s", r.Session.State, panics.Load(), r.Reason)
	}
	sameOutcome(t, r, want)
	w.checkReleased(r)
	if r.Interruptions != 3 || j.count("training.training_interrupted.v1") != 3 {
		t.Errorf("%d interruptions on record", r.Interruptions)
	}
	verify(t, w, r)
}

func TestARunThatKeepsPanickingFailsAndAffectsNothingElse(t *testing.T) {
	w := newWorld(t)
	broken := w.request(nil)
	h, j, _ := w.host(func(c *HostConfig) {
		c.Restarts = actor.Intensity{Restarts: 2, Period: time.Hour}
		c.Fault = func(run training.RunID, step uint64) {
			if run == broken[0].(training.TrainingStarted).RunID && step == 30 {
				panic("always here")
			}
		}
	})
	defer closeHost(t, h)
	id, err := h.Start(context.Background(), broken)
	if err != nil {
		t.Fatal(err)
	}
	r := rest(t, h, id)
	if r.Session.State != training.Failed || r.Saga.State != training.SagaFailed || !strings.Contains(r.Reason, "always here") {
		t.Errorf("state %s, saga %s, reason %q", r.Session.State, r.Saga.State, r.Reason)
	}
	if got := j.count("training.training_interrupted.v1"); got != 2 {
		t.Errorf("%d restarts, want 2", got)
	}
	w.checkReleased(r)
	if err := h.Resume(context.Background(), id); !errors.Is(err, training.ErrCannotResume) {
		t.Errorf("resuming the failed run: %v", err)
	}
	other, err := h.Start(context.Background(), w.request(nil))
	if err != nil {
		t.Fatal(err)
	}
	if r := rest(t, h, other); r.Session.State != training.Completed {
		t.Errorf("the next run is %s: %s", r.Session.State, r.Reason)
	}
}

func TestAnInterruptedRunContinuesToTheSameBits(t *testing.T) {
	long := func(h *training.Hyperparameters) { h.CheckpointInterval = 3 }
	want := reference(t, long)
	w := newWorld(t)
	reached, asked := make(chan struct{}), make(chan struct{})
	h, _, _ := w.host(func(c *HostConfig) {
		c.Fault = func(_ training.RunID, step uint64) {
			if step == 30 {
				close(reached)
				<-asked // or the run could end first
			}
		}
	})
	id, err := h.Start(context.Background(), w.request(long))
	if err != nil {
		t.Fatal(err)
	}
	<-reached
	h.Interrupt(id, "Ctrl-C")
	close(asked)
	r := rest(t, h, id)
	last, ok := r.LastCheckpoint()
	if r.Session.State != training.Interrupted || r.Reason != "Ctrl-C" || !ok || last.Step < 29 {
		t.Errorf("state %s, reason %q, last checkpoint %+v", r.Session.State, r.Reason, last)
	}
	w.checkReleased(r)
	closeHost(t, h)

	h, _, recovery := w.host(nil)
	defer closeHost(t, h)
	if len(recovery.Interrupted)+len(recovery.Failed)+recovery.Leases != 0 {
		t.Errorf("a requested interruption left %+v", recovery)
	}
	if err := h.Resume(context.Background(), id); err != nil {
		t.Fatal(err)
	}
	r = rest(t, h, id)
	sameOutcome(t, r, want)
	w.checkReleased(r)
	verify(t, w, r)
}

func TestARunThatNoDeviceTakesIsInterruptedAndContinuesElsewhere(t *testing.T) {
	want := reference(t, nil)
	w := newWorld(t)
	small, err := cpudevice.New(cpudevice.Config{Threads: 1, Features: "auto", MemoryLimit: 64 * tensor.KiB})
	if err != nil {
		t.Fatal(err)
	}
	defer small.Close()
	r, _ := w.train(w.request(nil), func(c *HostConfig) { c.Devices = []device.Driver{small} })
	if r.Session.State != training.Interrupted || !strings.Contains(r.Reason, "memory") || !strings.Contains(r.Reason, "use a machine that has such a device") {
		t.Errorf("state %s, reason %q", r.Session.State, r.Reason)
	}
	if r.Interruptions != 1 {
		t.Errorf("interrupted %d times", r.Interruptions)
	}
	w.checkReleased(r)
	sameOutcome(t, w.resume(r.ID, nil), want)
}

func TestARunWhoseDataIsGoneTakesNoDeviceAndCanBeResumed(t *testing.T) {
	want := reference(t, nil)
	w := newWorld(t)
	r, j := w.train(w.request(nil), func(c *HostConfig) {
		c.OpenDataset = func(context.Context, training.Dataset) (*dataset.Dataset, error) {
			return nil, &fs.PathError{Op: "open", Path: "/mnt/digits", Err: fs.ErrNotExist}
		}
	})
	if r.Session.State != training.Interrupted || r.Reason != "open /mnt/digits: file does not exist; put it back" || j.count("training.resource_allocated.v1") != 0 {
		t.Errorf("state %s, reason %q, %d devices taken", r.Session.State, r.Reason, j.count("training.resource_allocated.v1"))
	}
	w.checkReleased(r)
	sameOutcome(t, w.resume(r.ID, nil), want)
}

// A device's error may pass: only a run that panics every time fails.
func TestARunWhoseDeviceNeverWorksIsInterruptedAndCanBeResumed(t *testing.T) {
	want := reference(t, nil)
	w := newWorld(t)
	r, _ := w.train(w.request(nil), func(c *HostConfig) {
		c.Restarts = actor.Intensity{Restarts: 2, Period: time.Hour}
		c.Devices = []device.Driver{&failingDevice{Driver: c.Devices[0]}}
	})
	if r.Session.State != training.Interrupted || !strings.Contains(r.Reason, "a bit flipped") {
		t.Errorf("state %s, reason %q", r.Session.State, r.Reason)
	}
	w.checkReleased(r)
	sameOutcome(t, w.resume(r.ID, nil), want)
}

// failingDevice fails everything that it is asked to execute.
type failingDevice struct{ device.Driver }

func (d *failingDevice) Prepare(p *kernel.Program, m kernel.Memory) (kernel.Executable, error) {
	x, err := d.Driver.Prepare(p, m)
	return failingExecutable{x}, err
}

type failingExecutable struct{ kernel.Executable }

func (failingExecutable) Run(kernel.Scalars) error { return errors.New("a bit flipped in the bus") }

func TestALossThatIsNotFiniteFailsTheRunAndIsNeverCheckpointed(t *testing.T) {
	w := newWorld(t)
	r, _ := w.train(w.request(func(h *training.Hyperparameters) {
		h.Optimizer = nn.Optimizer{Name: nn.SGD}
		h.LearningRate.Value = 1e30
	}), nil)
	if r.Session.State != training.Failed || !strings.Contains(r.Reason, "step ") || !strings.Contains(r.Reason, "layers.") {
		t.Errorf("state %s, reason %q", r.Session.State, r.Reason)
	}
	if len(r.Checkpoints) != 0 {
		t.Errorf("%d checkpoints of a diverged run", len(r.Checkpoints))
	}
	w.checkReleased(r)
}

// dying is a store that dies, with its process, after a number of appends,
// either before or after the append is stored: a process that is killed does
// not know which.
type dying struct {
	eventstore.Store
	left   atomic.Int64
	after  bool
	died   chan struct{}
	closed sync.Once
}

var errDied = errors.New("killed")

func (d *dying) Append(ctx context.Context, writes ...eventstore.Write) ([]eventstore.Event, error) {
	n := d.left.Add(-1)
	if n > 0 {
		return d.Store.Append(ctx, writes...)
	}
	if n == 0 && d.after {
		_, _ = d.Store.Append(ctx, writes...)
	}
	d.closed.Do(func() { close(d.died) })
	return nil, errDied
}

// A process may die at any event that it records, before or after the event is
// stored. The next one finds the saga unfinished, releases what it held,
// continues, and arrives at exactly the same bits.
func TestAProcessThatDiesAtAnyEventIsRecoveredFrom(t *testing.T) {
	every2 := func(h *training.Hyperparameters) { h.CheckpointInterval, h.BatchSize, h.Epochs = 2, 256, 4 }
	t.Run("plain", func(t *testing.T) { diesAnywhere(t, every2, 15) })
	t.Run("everything", func(t *testing.T) { diesAnywhere(t, everything, 15) })
	t.Run("transfer", func(t *testing.T) { diesAnywhere(t, transfer, 15) })
}

// everything has each option whose state must survive: batch statistics,
// dropout, augmentation, accumulation, evaluations within epochs, a schedule and
// an early end that depend on them.
func everything(h *training.Hyperparameters) {
	h.CheckpointInterval, h.BatchSize, h.Epochs = 2, 128, 9
	h.GradientAccumulation, h.ClipNorm, h.LabelSmoothing = 2, 0.5, 0.1
	h.Precision = nn.BF16
	h.Augmentation = dataset.Augmentation{Flip: true, Crop: 1}
	h.EvalInterval = 4
	h.EarlyStopping = training.EarlyStopping{Patience: 5, MinDelta: 0.3}
	h.LearningRate.Schedule = training.Schedule{Name: training.ReduceOnPlateau, Gamma: 0.5, Patience: 1, Threshold: 0.3}
}

func TestEverythingTrainsStopsEarlyAndVerifies(t *testing.T) {
	w := newWorld(t)
	r, j := w.train(w.request(everything), nil)
	if r.Session.State != training.Completed || r.Stopped == nil || r.Stopped.Epoch != uint64(len(r.Metrics)) || len(r.Metrics) >= 9 {
		t.Fatalf("ended %s after %d epochs, early: %+v (%s)", r.Session.State, len(r.Metrics), r.Stopped, r.Reason)
	}
	if len(r.Evaluations) < len(r.Metrics) || j.count("training.evaluation_completed.v1") != len(r.Evaluations) {
		t.Errorf("%d evaluations within %d epochs", len(r.Evaluations), len(r.Metrics))
	}
	series, err := w.workspace.Series(r.ID).Read()
	if err != nil {
		t.Fatal(err)
	}
	rates := map[float32]bool{}
	for _, s := range series {
		rates[s.LearningRate] = true
	}
	if len(rates) < 2 {
		t.Errorf("the rate never fell: %v", rates)
	}
	best, ok := r.BestCheckpoint()
	if !ok {
		t.Fatal("no best checkpoint")
	}
	for _, cp := range r.Checkpoints {
		m, _ := r.TrainingRun.Epoch(cp.Epoch)
		b, _ := r.TrainingRun.Epoch(best.Epoch)
		if m.Step == cp.Step && m.ValLoss < b.ValLoss {
			t.Errorf("the best checkpoint is that of epoch %d, epoch %d has a lower loss", best.Epoch, cp.Epoch)
		}
	}
	if report := verify(t, w, r); report.EvaluationsCompared != len(r.Evaluations) {
		t.Errorf("%d of %d evaluations were compared", report.EvaluationsCompared, len(r.Evaluations))
	}
}

func TestAReductionOfTheLearningRateIsRecordedWithItsEvaluation(t *testing.T) {
	w := newWorld(t)
	r, _ := w.train(w.request(everything), nil)
	steps, err := w.workspace.Series(r.ID).Read()
	if err != nil {
		t.Fatal(err)
	}
	var before journal.RunRecord
	reductions := 0
	log := journal.NewRunLog(w.store, time.Now)
	if err := log.Replay(context.Background(), r.ID, func(e eventstore.Event, next journal.RunRecord) error {
		event, err := log.Decode(e)
		if got, ok := event.(training.LearningRateReduced); ok {
			reductions++
			if want := fmt.Sprintf(`{"step":%d,"reductions":%d,"from":%v,"to":%v}`, got.Step, reductions, got.From, got.To); string(e.Payload) != want {
				t.Errorf("it is recorded as %s, want %s", e.Payload, want)
			}
			if what := got.Contradicts(before.TrainingRun); what != "" {
				t.Errorf("%+v: %s", got, what)
			}
			for _, forge := range []func(*training.LearningRateReduced){
				func(e *training.LearningRateReduced) { e.Step++ }, func(e *training.LearningRateReduced) { e.Reductions++ },
				func(e *training.LearningRateReduced) { e.From *= 2 }, func(e *training.LearningRateReduced) { e.To /= 2 },
			} {
				forged := got
				if forge(&forged); forged.Contradicts(before.TrainingRun) == "" {
					t.Errorf("the forged %+v contradicts nothing", forged)
				}
			}
			if int(got.Step) < len(steps) && (steps[got.Step-1].LearningRate != got.From || steps[got.Step].LearningRate != got.To) {
				t.Errorf("%+v, but the steps around it have the rates %v and %v", got, steps[got.Step-1].LearningRate, steps[got.Step].LearningRate)
			}
		}
		before = next
		return err
	}); err != nil {
		t.Fatal(err)
	}
	falls := 0
	for i := 1; i < len(steps); i++ {
		if steps[i].LearningRate < steps[i-1].LearningRate {
			falls++
		}
	}
	if falls == 0 || reductions < falls || reductions > falls+1 { // the last evaluation has no step after it
		t.Errorf("%d reductions are recorded, but the rate of the steps fell %d times", reductions, falls)
	}
	if _, err := journal.VerifyLog(context.Background(), w.store); err != nil {
		t.Error(err)
	}
}

// diesAnywhere lets a run's process die at each of its appends.
func diesAnywhere(t *testing.T, change func(*training.Hyperparameters), least int64) {
	want := reference(t, change)
	starts := func(w *world) []training.Event { return w.request(change) }
	for _, after := range []bool{false, true} {
		at, every := int64(1), int64(1)
		if testing.Short() {
			every = 3
		}
		for ; diesAt(t, at, after, starts, want); at += every {
			if t.Failed() {
				t.Fatalf("died at append %d (after it was stored: %v)", at, after)
			}
		}
		if at < least {
			t.Errorf("only %d appends in a whole run", at-1)
		}
		t.Logf("died at each of %d appends (after it was stored: %v)", at-1, after)
	}
}

// diesAt trains a run in a process that dies at an append, and continues in
// another. It reports false if the run ended with fewer appends.
func diesAt(t *testing.T, at int64, after bool, starts func(*world) []training.Event, want journal.RunRecord) bool {
	w := newWorld(t)
	events := starts(w)
	store := &dying{Store: w.store, after: after, died: make(chan struct{})}
	store.left.Store(at)
	id := events[0].(training.TrainingStarted).RunID
	h, _, err := NewHost(context.Background(), HostConfig{
		Store: store, Workspace: w.workspace, Devices: []device.Driver{w.driver}, Observer: &witness{},
		OpenDataset: func(context.Context, training.Dataset) (*dataset.Dataset, error) { return w.data, nil },
		Now:         time.Now, NewID: func() string { return fmt.Sprintf("id-%d", w.ids.Add(1)) },
		Restarts: actor.Intensity{Restarts: 1, Period: time.Hour},
	})
	if err == nil {
		if _, err = h.Start(context.Background(), events); err == nil {
			select {
			case <-store.died:
			case <-h.run(id).done:
			}
		}
		_ = h.Close() // it cannot record anything
	}
	select {
	case <-store.died:
	default:
		if err != nil {
			t.Fatal(err)
		}
		return false
	}
	w.goOn(id, events, want)
	return true
}

// goOn is what the user does after a crash.
func (w *world) goOn(id training.RunID, events []training.Event, want journal.RunRecord) {
	w.t.Helper()
	h, _, _ := w.host(nil)
	defer closeHost(w.t, h)
	record, err := h.log.Load(context.Background(), id)
	switch {
	case errors.Is(err, journal.ErrRunNotFound): // it died before the run was recorded
		_, err = h.Start(context.Background(), events)
	case err == nil && record.Session.CanResume():
		err = h.Resume(context.Background(), id)
	case err == nil:
		sameOutcome(w.t, record, want)
		w.checkReleased(record)
		return
	}
	if err != nil {
		w.t.Fatal(err)
	}
	r := rest(w.t, h, id)
	if r.Session.State != training.Completed {
		w.t.Fatalf("state %s: %s", r.Session.State, r.Reason)
	}
	sameOutcome(w.t, r, want)
	w.checkReleased(r)
	verify(w.t, w, r)
}

func TestVerifyNamesTheFirstCheckpointThatDiffers(t *testing.T) {
	w := newWorld(t)
	r, _ := w.train(w.request(nil), nil)
	forged := r
	forged.Checkpoints = slices.Clone(r.Checkpoints)
	for i := 1; i < 3; i++ {
		forged.Checkpoints[i].WeightsSHA256 = strings.Repeat("0", 64)
	}
	v := Verifier{Store: w.store, Workspace: w.workspace, Devices: w.devices()}
	report, err := v.Verify(context.Background(), Verification{Run: forged}, w.data)
	step := fmt.Sprintf("step %d", forged.Checkpoints[1].Step)
	if !errors.Is(err, journal.ErrNotVerified) || report.Verified || !strings.Contains(report.Problem, step) {
		t.Errorf("%v; %+v", err, report)
	}
	if report.Checkpoints[0].Problem != "" || report.Checkpoints[1].Problem == "" || report.Checkpoints[2].Problem == "" {
		t.Errorf("verdicts %+v", report.Checkpoints)
	}
	metrics := r
	metrics.Metrics = slices.Clone(r.Metrics)
	metrics.Metrics[1].TrainLoss += 1e-12
	if _, err := v.Verify(context.Background(), Verification{Run: metrics}, w.data); !errors.Is(err, journal.ErrNotVerified) || !strings.Contains(err.Error(), "epoch 2") {
		t.Errorf("other metrics: %v", err)
	}
}

func TestAModelOfOtherDataIsNotTrained(t *testing.T) {
	w := newWorld(t)
	model := nn.NewModelSpec("m", nn.MLP(tensor.Shape{3}, nil, "", w.data.Classes()))
	_, _, err := training.TrainingService{}.StartTraining(model, w.data, training.Config{})
	var field *fault.FieldError
	if !errors.As(err, &field) || field.Field != "model_architecture" {
		t.Errorf("%v", err)
	}
}
