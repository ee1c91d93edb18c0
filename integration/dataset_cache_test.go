package integration

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"reprise/actor"
	"reprise/dataset"
	"reprise/device"
	cpudevice "reprise/device/cpu"
	"reprise/journal"
	"reprise/training"
)

// shelfOf is an OpenDataset whose calls for some paths wait until a test lets them go.
type shelfOf struct {
	data *dataset.Dataset
	// begun is sent the path of each call that waits, left that of each that returns.
	begun, left chan string
	// gate is what calls of a path wait for.
	gate map[string]chan error
	// deaf are the paths whose calls ignore that nobody waits any more.
	deaf  map[string]bool
	calls atomic.Int64
}

func newShelfOf(data *dataset.Dataset, slow ...string) *shelfOf {
	s := &shelfOf{data: data, begun: make(chan string, 100), left: make(chan string, 100), gate: map[string]chan error{}, deaf: map[string]bool{}}
	for _, path := range slow {
		s.gate[path] = make(chan error, 1)
	}
	return s
}

func (s *shelfOf) open(ctx context.Context, d training.Dataset) (*dataset.Dataset, error) {
	s.calls.Add(1)
	gate, slow := s.gate[d.Path]
	if !slow {
		return s.data, nil
	}
	s.begun <- d.Path
	defer func() { s.left <- d.Path }()
	done := ctx.Done()
	if s.deaf[d.Path] {
		done = nil
	}
	select {
	case err := <-gate:
		return s.data, err
	case <-done:
		return nil, ctx.Err()
	}
}

// of returns the events of a request whose data is recorded under another path.
func (w *world) of(path string) []training.Event {
	w.t.Helper()
	events := w.request(func(h *training.Hyperparameters) { h.Epochs = 1 })
	started := events[0].(training.TrainingStarted)
	started.Dataset.Path = path
	events[0] = started
	return events
}

// withDevices gives a host as many devices as runs are to train at the same time.
func (w *world) withDevices(n int, shelf *shelfOf) func(*HostConfig) {
	return func(c *HostConfig) {
		c.OpenDataset = shelf.open
		for i := 1; i < n; i++ {
			d, err := cpudevice.New(cpudevice.Config{ID: device.ID(fmt.Sprintf("cpu%d", i)), Threads: 1, Features: "auto"})
			if err != nil {
				w.t.Fatal(err)
			}
			w.t.Cleanup(func() { _ = d.Close() })
			c.Devices = append(c.Devices, d)
		}
	}
}

func (w *world) start(h *Host, events []training.Event) training.RunID {
	w.t.Helper()
	id, err := h.Start(context.Background(), events)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// next returns what is sent next.
func next[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(time.Minute):
		t.Fatal("nothing was sent for a minute")
		panic("unreachable")
	}
}

func TestASlowDatasetDelaysNoOtherRun(t *testing.T) {
	w := newWorld(t)
	shelf := newShelfOf(w.data, "slow")
	h, _, _ := w.host(w.withDevices(2, shelf))
	defer closeHost(t, h)
	slow := w.start(h, w.of("slow"))
	next(t, shelf.begun)
	other := rest(t, h, w.start(h, w.of("fast"))) // it loads, trains, unloads and completes
	if other.Session.State != training.Completed {
		t.Fatalf("state %s: %s", other.Session.State, other.Reason)
	}
	shelf.gate["slow"] <- nil
	r := rest(t, h, slow)
	if r.Session.State != training.Completed || r.Interruptions != 0 {
		t.Errorf("state %s after %d interruptions: %s", r.Session.State, r.Interruptions, r.Reason)
	}
	w.checkReleased(r)
	sameOutcome(t, r, other)
}

func TestADatasetIsOpenedOnceForAllRunsThatAsk(t *testing.T) {
	w := newWorld(t)
	shelf := newShelfOf(w.data, "slow")
	h, _, _ := w.host(w.withDevices(3, shelf))
	defer closeHost(t, h)
	var runs []training.RunID
	for range 3 {
		runs = append(runs, w.start(h, w.of("slow")))
	}
	next(t, shelf.begun)
	waitUntil(t, h, "datasets", 3) // all three have asked
	h.Interrupt(runs[0], "one of them leaves")
	if r := rest(t, h, runs[0]); r.Session.State != training.Interrupted {
		t.Errorf("the run that left is %s", r.Session.State)
	}
	shelf.gate["slow"] <- nil
	for _, id := range runs[1:] {
		r := rest(t, h, id)
		if r.Session.State != training.Completed {
			t.Errorf("state %s: %s", r.Session.State, r.Reason)
		}
		w.checkReleasedBy(r)
	}
	if n := shelf.calls.Load(); n != 1 {
		t.Errorf("opened %d times", n)
	}
	if r := rest(t, h, w.start(h, w.of("slow2"))); r.Session.State != training.Completed {
		t.Errorf("state %s: %s", r.Session.State, r.Reason)
	}
}

// waitUntil waits until an actor of the host has handled so many messages.
func waitUntil(t *testing.T, h *Host, name string, handled uint64) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		for _, child := range h.Actors().Children {
			if child.Path == "/"+name && child.Handled >= handled && child.Depth == 0 {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatalf("/%s did not handle %d messages: %+v", name, handled, h.Actors())
		}
	}
}

func (w *world) checkReleasedBy(r journal.RunRecord) {
	w.t.Helper()
	if c := r.Saga.Context; len(c.AllocatedDevices) > 0 || len(c.LoadedDatasets) > 0 {
		w.t.Errorf("run %s still holds %v and %v", r.ID, c.AllocatedDevices, c.LoadedDatasets)
	}
}

func TestTheLastRunThatLeavesEndsTheOpening(t *testing.T) {
	w := newWorld(t)
	shelf := newShelfOf(w.data, "slow")
	h, _, _ := w.host(w.withDevices(1, shelf))
	defer closeHost(t, h)
	id := w.start(h, w.of("slow"))
	next(t, shelf.begun)
	h.Interrupt(id, "Ctrl-C")
	r := rest(t, h, id)
	if r.Session.State != training.Interrupted || r.Reason != "Ctrl-C" {
		t.Errorf("state %s: %s", r.Session.State, r.Reason)
	}
	w.checkReleased(r)
	next(t, shelf.left) // its context is done
	// It can be opened again.
	if err := h.Resume(context.Background(), id); err != nil {
		t.Fatal(err)
	}
	next(t, shelf.begun)
	shelf.gate["slow"] <- nil
	if r := rest(t, h, id); r.Session.State != training.Completed {
		t.Errorf("state %s: %s", r.Session.State, r.Reason)
	}
}

// Whoever comes while a canceled call has not returned yet is served by it if it still
// succeeds, and by another call if not; two calls for the same data never overlap.
func TestARunThatComesAfterTheOpeningWasCanceledIsServed(t *testing.T) {
	for _, result := range []error{nil, context.Canceled} {
		t.Run(fmt.Sprint(result), func(t *testing.T) {
			w := newWorld(t)
			shelf := newShelfOf(w.data, "slow")
			shelf.deaf["slow"] = true
			h, _, _ := w.host(w.withDevices(1, shelf))
			defer closeHost(t, h)
			first := w.start(h, w.of("slow"))
			next(t, shelf.begun)
			h.Interrupt(first, "Ctrl-C")
			rest(t, h, first)
			waitUntil(t, h, "datasets", 2) // it has asked, and was forgotten
			second := w.start(h, w.of("slow"))
			waitUntil(t, h, "datasets", 3)
			if n := shelf.calls.Load(); n != 1 {
				t.Errorf("%d calls for one data set", n)
			}
			shelf.gate["slow"] <- result
			if result != nil {
				next(t, shelf.begun)
				shelf.gate["slow"] <- nil
			}
			if r := rest(t, h, second); r.Session.State != training.Completed {
				t.Errorf("state %s: %s", r.Session.State, r.Reason)
			}
		})
	}
}

func TestAPanicWhileDataIsOpenedIsTheFailureOfItsRunOnly(t *testing.T) {
	w := newWorld(t)
	shelf := newShelfOf(w.data, "slow")
	h, _, _ := w.host(func(c *HostConfig) {
		w.withDevices(3, shelf)(c)
		c.Restarts = actor.Intensity{Restarts: 1, Period: time.Hour}
		c.OpenDataset = func(ctx context.Context, d training.Dataset) (*dataset.Dataset, error) {
			if d.Path == "broken" {
				panic("a defect of the reader")
			}
			return shelf.open(ctx, d)
		}
	})
	defer closeHost(t, h)
	slow := w.start(h, w.of("slow"))
	next(t, shelf.begun)
	broken := rest(t, h, w.start(h, w.of("broken")))
	if broken.Session.State != training.Failed || !strings.Contains(broken.Reason, "a defect of the reader") {
		t.Errorf("state %s: %s", broken.Session.State, broken.Reason)
	}
	w.checkReleasedBy(broken)
	shelf.gate["slow"] <- nil
	if r := rest(t, h, slow); r.Session.State != training.Completed || r.Interruptions != 0 {
		t.Errorf("another run is %s after %d interruptions: %s", r.Session.State, r.Interruptions, r.Reason)
	}
	for _, child := range h.Actors().Children {
		if child.Path == "/datasets" && child.Restarts != 0 {
			t.Errorf("the cache was restarted %d times", child.Restarts)
		}
	}
}

func TestARunIsRefusedDataWithAnotherFingerprint(t *testing.T) {
	w := newWorld(t)
	shelf := newShelfOf(w.data)
	h, _, _ := w.host(w.withDevices(1, shelf))
	defer closeHost(t, h)
	events := w.of("fast")
	started := events[0].(training.TrainingStarted)
	started.Dataset.Fingerprint = strings.Repeat("0", 64)
	events[0] = started
	r := rest(t, h, w.start(h, events))
	if r.Session.State != training.Interrupted || !strings.Contains(r.Reason, "data set fast has changed") {
		t.Errorf("state %s: %s", r.Session.State, r.Reason)
	}
	w.checkReleased(r)
}

func TestAClosingHostLeavesAnOpeningBehindThatDoesNotEnd(t *testing.T) {
	w := newWorld(t)
	shelf := newShelfOf(w.data, "slow")
	shelf.deaf["slow"] = true
	h, _, _ := w.host(w.withDevices(1, shelf))
	id := w.start(h, w.of("slow"))
	next(t, shelf.begun)
	closeHost(t, h)
	r, err := h.Wait(context.Background(), id)
	if err != nil || r.Session.State != training.Interrupted {
		t.Errorf("state %s, %v", r.Session.State, err)
	}
	w.checkReleased(r)
	shelf.gate["slow"] <- nil
	next(t, shelf.left)
}
