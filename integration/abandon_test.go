package integration

import (
	"context"
	"io/fs"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"reprise/device"
	"reprise/internal/disk"
	"reprise/kernel"
	"reprise/training"
)

// gate stops whoever comes to a place for the nth time, until it is opened.
type gate struct {
	place string
	nth   int64

	seen          atomic.Int64
	once          sync.Once
	reached, open chan struct{}
}

func newGate(place string, nth int64) *gate {
	return &gate{place: place, nth: nth, reached: make(chan struct{}), open: make(chan struct{})}
}

func (g *gate) pass(place string) {
	if strings.HasPrefix(place, g.place) && g.seen.Add(1) == g.nth {
		close(g.reached)
		<-g.open
	}
}

func (g *gate) lift() { g.once.Do(func() { close(g.open) }) }

// slow is a device that takes as long as a gate is closed.
type slow struct {
	device.Driver
	gate *gate
}

func (d *slow) Allocate(elements int) (kernel.Memory, error) {
	d.gate.pass("allocate")
	return d.Driver.Allocate(elements)
}

func (d *slow) Prepare(p *kernel.Program, m kernel.Memory) (kernel.Executable, error) {
	x, err := d.Driver.Prepare(p, m)
	if err != nil {
		return nil, err
	}
	return &slowExecutable{Executable: x, name: p.Name, gate: d.gate}, nil
}

type slowExecutable struct {
	kernel.Executable
	name string
	gate *gate
}

func (x *slowExecutable) Run(s kernel.Scalars) error {
	x.gate.pass(x.name)
	return x.Executable.Run(s)
}

func (x *slowExecutable) RunUntil(s kernel.Scalars, stop func() error) error {
	x.gate.pass(x.name)
	return kernel.RunUntil(x.Executable, s, stop)
}

// slowDisk takes as long as a gate is closed to open a file of a checkpoint.
type slowDisk struct {
	disk.FS
	gate *gate
}

func (d *slowDisk) OpenFile(name string, flag int, perm fs.FileMode) (disk.File, error) {
	if strings.Contains(name, "model.safetensors") {
		d.gate.pass("disk")
	}
	return d.FS.OpenFile(name, flag, perm)
}

// until waits for what other goroutines bring about.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// An interrupted run gives back its device once InterruptPatience has passed, whatever
// it is at, and can be resumed to the bits that it has undisturbed.
func TestAnInterruptedRunGivesBackItsDeviceSoon(t *testing.T) {
	evaluating := func(h *training.Hyperparameters) { h.EvalInterval = 5 }
	want := reference(t, evaluating)
	for name, c := range map[string]struct {
		gate *gate
		// step is that of the checkpoint that the run keeps.
		step uint64
		// passed is how long the run is at it after the interruption.
		passed time.Duration
		// freed says that the device is given back while the gate is closed.
		freed bool
	}{
		"preparing":                        {gate: newGate("allocate", 1), passed: InterruptPatience},
		"a step":                           {gate: newGate("gradient", 8), step: 7, passed: InterruptPatience},
		"a step that ends in time":         {gate: newGate("gradient", 8), step: 8, passed: InterruptPatience / 2},
		"an update":                        {gate: newGate("update", 8), step: 8, passed: InterruptPatience},
		"an evaluation":                    {gate: newGate("evaluation", 2), passed: InterruptPatience},
		"an evaluation that ends in time":  {gate: newGate("evaluation", 2), step: 5, passed: InterruptPatience / 2},
		"writing the last checkpoint":      {gate: newGate("disk", 1), step: 7, freed: true},
		"an evaluation after a checkpoint": {gate: newGate("evaluation", 12), step: 23, passed: InterruptPatience},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var passed atomic.Int64
			reached, asked := make(chan struct{}), make(chan struct{})
			h, _, _ := w.host(func(config *HostConfig) {
				config.Devices = []device.Driver{&slow{w.driver, c.gate}}
				config.Now = func() time.Time { return time.Now().Add(time.Duration(passed.Load())) }
				config.Workspace.Disk = &slowDisk{disk.OS{}, c.gate}
				if c.freed {
					config.Fault = func(_ training.RunID, step uint64) {
						if step == c.step {
							close(reached)
							<-asked
						}
					}
				}
			})
			defer closeHost(t, h)
			defer c.gate.lift()
			id, err := h.Start(context.Background(), w.request(evaluating))
			if err != nil {
				t.Fatal(err)
			}
			if c.freed {
				<-reached
			} else {
				<-c.gate.reached
			}
			h.Interrupt(id, "the test says so")
			passed.Store(int64(c.passed))
			if c.freed {
				close(asked)
				<-c.gate.reached
				until(t, "the device is given back", func() bool { l := w.recorded(); return l.Epoch() == 1 && len(l.Leases()) == 0 })
			}
			c.gate.lift()
			r := rest(t, h, id)
			last, _ := r.LastCheckpoint()
			if r.Session.State != training.Interrupted || !strings.Contains(r.Reason, "the test says so") || last.Step != c.step {
				t.Fatalf("the run is %s with a checkpoint at step %d, want %d: %s", r.Session.State, last.Step, c.step, r.Reason)
			}
			if left := w.recorded().Leases(); len(left) != 0 {
				t.Errorf("leases %v are left", left)
			}
			if err := h.Resume(context.Background(), id); err != nil {
				t.Fatal(err)
			}
			r = rest(t, h, id)
			sameOutcome(t, r, want)
			verify(t, w, r)
		})
	}
}

// A run that waits for its device, or its data, is interrupted at once.
func TestAWaitingRunIsInterruptedAtOnce(t *testing.T) {
	w := newWorld(t)
	g := newGate("gradient", 3)
	h, _, _ := w.host(func(c *HostConfig) { c.Devices = []device.Driver{&slow{w.driver, g}} })
	defer closeHost(t, h)
	defer g.lift()
	first, err := h.Start(context.Background(), w.request(nil))
	if err != nil {
		t.Fatal(err)
	}
	<-g.reached
	second, err := h.Start(context.Background(), w.request(nil))
	if err != nil {
		t.Fatal(err)
	}
	h.Interrupt(second, "not now")
	if r := rest(t, h, second); r.Session.State != training.Interrupted || r.Reason != "not now" {
		t.Errorf("%s: %s", r.Session.State, r.Reason)
	}
	g.lift()
	if r := rest(t, h, first); r.Session.State != training.Completed {
		t.Errorf("%s: %s", r.Session.State, r.Reason)
	}
}
