package integration

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"reprise/actor"
	"reprise/dataset"
	"reprise/device"
	cpudevice "reprise/device/cpu"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/journal"
	"reprise/nn"
	"reprise/queue"
	"reprise/tensor"
	"reprise/training"
)

// TestWriteGoldenLogs writes the golden logs that it knows if they do not exist
// yet, and the states of those that have none; then pin them in goldenFiles.
// Golden logs of whole runs are exports of the binary (`reprise events
// export`).
//
//	REPRISE_WRITE_GOLDEN=1 go test ./integration -run TestWriteGoldenLogs
func TestWriteGoldenLogs(t *testing.T) {
	if os.Getenv("REPRISE_WRITE_GOLDEN") == "" {
		t.Skip("REPRISE_WRITE_GOLDEN is not set")
	}
	for name, live := range map[string]func(*world){"life": goldenLife, "failures": goldenFailures, "actors": goldenActors, "queue": goldenQueue, "changes": goldenChanges, "jobs": goldenJobs, "figures": goldenBest, "notes": goldenNotes, "kept": goldenKept, "settings": goldenSettings} {
		file := filepath.Join(goldenFolder, name+".jsonl")
		if _, err := os.Stat(file); err == nil {
			continue
		}
		w := newWorld(t)
		live(w)
		f, err := os.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		_, err = eventstore.Export(context.Background(), w.store, f)
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range goldenLogs(t) {
		file := filepath.Join(goldenFolder, strings.TrimSuffix(name, ".jsonl")+".state.json")
		if _, err := os.Stat(file); err == nil {
			continue
		}
		store, head := golden(t, name)
		state, err := journal.StateAt(context.Background(), store, eventstore.End)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, indented(t, goldenStateOf(state, head)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// goldenLife is a run with every option that is interrupted, whose process dies
// between an epoch and its checkpoint, and that stops early; and a fork of it.
func goldenLife(w *world) {
	ctx := context.Background()
	events := w.request(everything)
	id := events[0].(training.TrainingStarted).RunID
	store := w.store
	completed := 0
	// The process dies right after its third epoch is recorded.
	w.store = &choosy{Store: store, dies: func(writes []eventstore.Write) bool {
		for _, e := range writes[0].Events {
			if e.Type == (training.EpochCompleted{}).EventType() {
				completed++
			}
		}
		return completed > 3
	}}
	h, _, _ := w.host(nil)
	if _, err := h.Start(ctx, events); err != nil {
		w.t.Fatal(err)
	}
	_, _ = h.Wait(ctx, id)
	_ = h.Close() // it cannot record anything
	w.store = store
	h, _, _ = w.host(nil)
	if err := h.Resume(ctx, id); err != nil {
		w.t.Fatal(err)
	}
	r := rest(w.t, h, id)
	closeHost(w.t, h)
	w.train(w.fork(r, r.Checkpoints[0], func(h *training.Hyperparameters) { h.Epochs = 3; h.Precision = "" }), nil)
}

// choosy is a store that dies at the first append that it does not accept.
type choosy struct {
	eventstore.Store
	dies func([]eventstore.Write) bool
	dead bool
}

func (c *choosy) Append(ctx context.Context, writes ...eventstore.Write) ([]eventstore.Event, error) {
	if c.dead = c.dead || c.dies(writes); c.dead {
		return nil, errDied
	}
	return c.Store.Append(ctx, writes...)
}

// goldenActors has the events of actors: a run panics and is restarted.
func goldenActors(w *world) {
	panicked := false
	w.train(w.request(func(h *training.Hyperparameters) { h.BatchSize, h.Epochs = 512, 2 }), func(c *HostConfig) {
		c.LogActors = true
		c.Fault = func(training.RunID, uint64) {
			if !panicked {
				panicked = true
				panic("a bit flipped in the arithmetic unit")
			}
		}
	})
	// Rare events: an actor that does not stop in time, events that were lost.
	log := startActorLog(w.store, time.Now, "other")
	log.observe(actor.ActorAbandoned{Path: "/run-1/run", At: time.Now()})
	log.observe(actor.EventsLost{Count: 3})
	if err := log.close(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}

// goldenQueue has the decisions about three runs on one device, one of them too large
// for it.
func goldenQueue(w *world) {
	h, _, ids := w.crowd(2, nil)
	for _, id := range ids {
		rest(w.t, h, id)
	}
	closeHost(w.t, h)
	small, err := cpudevice.New(cpudevice.Config{Threads: 1, Features: "auto", MemoryLimit: 64 * tensor.KiB})
	if err != nil {
		w.t.Fatal(err)
	}
	defer small.Close()
	w.train(w.request(seeded(3)), func(c *HostConfig) { c.Devices = []device.Driver{small} })
}

// goldenChanges has the decisions about five runs on one device, one of which leaves
// while it waits.
func goldenChanges(w *world) {
	fault, reached, resume := holdAt(6)
	h, _, ids := w.crowd(5, func(c *HostConfig) { c.Fault = fault })
	<-reached
	w.untilWaiting(ids[1:]...)
	h.Interrupt(ids[2], "Ctrl-C")
	rest(w.t, h, ids[2])
	close(resume)
	for _, id := range ids {
		rest(w.t, h, id)
	}
	closeHost(w.t, h)
}

// goldenJobs has every event of jobs: one is deferred and completes, one comes after it,
// one is paused while it runs, resumed and cancelled, one fails and one is rejected.
func goldenJobs(w *world) {
	ctx := context.Background()
	var tried atomic.Bool
	var running *stepGate
	h := w.jobHost(func(c *HostConfig) {
		running = newStepGate(c, "c", 5)
		c.Prepare = func(ctx context.Context, id queue.JobID, s queue.Submission) ([]training.Event, error) {
			switch {
			case id == "a" && !tried.Swap(true):
				return nil, fault.New(fault.Unavailable, "the network is down")
			case id == "d":
				return w.requestOf("d", func(h *training.Hyperparameters) {
					h.BatchSize, h.Epochs, h.Optimizer, h.LearningRate.Value = 512, 1, nn.Optimizer{Name: nn.SGD}, 1e30
				}), nil
			case id == "e":
				return nil, fault.New(fault.Invalid, "config.epochs: must be at least 1")
			}
			return w.prepare(ctx, id, s)
		}
	})
	after := jobRequest{Seed: 2}.job("b")
	after.After, after.Owner, after.Group, after.Priority, after.Name, after.MaxDuration = []queue.JobID{"a"}, "ann", "sweep", 3, "b.yaml", time.Hour
	w.submit(h, jobRequest{Seed: 1}.job("a"), after)
	w.ended(h, "b", queue.StateCompleted)
	w.submit(h, jobRequest{Seed: 3}.job("c"))
	<-running.reached
	err := errors.Join(h.SetPriority(ctx, Target{Job: "c"}, 2), h.Pause(ctx, Target{Job: "c"}, "room for others"))
	close(running.open)
	w.ended(h, "c", queue.StatePaused)
	err = errors.Join(err, h.Unpause(ctx, Target{Job: "c"}), h.Cancel(ctx, Target{Job: "c"}, "not needed"))
	w.ended(h, "c", queue.StateCancelled)
	w.submit(h, jobRequest{}.job("d"), jobRequest{}.job("e"))
	w.ended(h, "d", queue.StateFailed)
	w.ended(h, "e", queue.StateRejected)
	closeHost(w.t, h)
	if err != nil {
		w.t.Fatal(err)
	}
}

// goldenNotes has a run with notes, which are changed after its end.
func goldenNotes(w *world) {
	ctx := context.Background()
	h := w.jobHost(nil)
	noted := jobRequest{Seed: 1}.job("noted")
	noted.Annotation = queue.Annotation{Name: "baseline", Tags: []string{"paper"}, Note: "as agreed"}
	w.submit(h, noted)
	w.ended(h, "noted", queue.StateCompleted)
	name := ""
	err := errors.Join(h.Annotate(ctx, "noted", queue.Annotate{Tag: []string{"small"}}), h.Annotate(ctx, "noted", queue.Annotate{Name: &name, Untag: []string{"paper"}}))
	closeHost(w.t, h)
	if err != nil {
		w.t.Fatal(err)
	}
}

// goldenKept has a run that keeps its last and its best checkpoint, and is deleted.
func goldenKept(w *world) {
	h := w.jobHost(func(c *HostConfig) {
		c.Prepare = func(context.Context, queue.JobID, queue.Submission) ([]training.Event, error) {
			return w.requestOf("kept", func(h *training.Hyperparameters) {
				h.BatchSize, h.Epochs, h.Keep = 512, 3, training.Keep{Last: 1}
			}), nil
		}
	})
	w.submit(h, jobRequest{}.job("kept"))
	w.ended(h, "kept", queue.StateCompleted)
	rest(w.t, h, "kept")
	err := h.Delete(context.Background(), "kept")
	closeHost(w.t, h)
	if err != nil {
		w.t.Fatal(err)
	}
}

// goldenSettings has decisions that were made with what an operator had set.
func goldenSettings(w *world) {
	hold, reached, resume := holdRun("ada-1")
	h := w.jobHost(func(c *HostConfig) { c.Fault = hold })
	id, two, half := w.driver.Describe().ID(), 2, 0.5
	w.set(h, queue.SettingsChange{
		Shares: map[string]*float64{"ada": &half}, Quotas: map[string]*int{"bob": &two}, Labels: map[device.ID][]string{id: {"fast", "local"}},
	})
	labelled := owned("bob-1", "bob")
	labelled.Labels = []string{"fast"}
	w.submit(h, owned("ada-1", "ada"))
	<-reached
	w.submit(h, labelled)
	w.untilWaiting("bob-1")
	w.set(h, queue.SettingsChange{Shares: map[string]*float64{"ada": nil}})
	close(resume)
	w.ended(h, "ada-1", queue.StateCompleted)
	w.ended(h, "bob-1", queue.StateCompleted)
	closeHost(w.t, h)
}

// goldenBest has the figures of a checkpoint that is not the last one.
func goldenBest(w *world) { w.train(w.request(overshooting), nil) }

// goldenFailures has every way in which a run fails, and a device's health.
func goldenFailures(w *world) {
	small, err := cpudevice.New(cpudevice.Config{Threads: 1, Features: "auto", MemoryLimit: 64 * tensor.KiB})
	if err != nil {
		w.t.Fatal(err)
	}
	defer small.Close()
	short := func(h *training.Hyperparameters) { h.BatchSize, h.Epochs = 512, 2 }
	w.train(w.request(short), func(c *HostConfig) { c.Devices = []device.Driver{small} })
	w.train(w.request(short), func(c *HostConfig) {
		c.OpenDataset = func(context.Context, training.Dataset) (*dataset.Dataset, error) {
			return nil, errors.New("digits: the disk was pulled out")
		}
	})
	w.train(w.request(func(h *training.Hyperparameters) {
		short(h)
		h.Optimizer, h.LearningRate.Value = nn.Optimizer{Name: nn.SGD}, 1e30
	}), nil)
	// A checkpoint that cannot be written: something else has its folder's name.
	events := w.request(short)
	id := events[0].(training.TrainingStarted).RunID
	w.train(events, func(c *HostConfig) {
		c.Fault = func(training.RunID, uint64) {
			if err := errors.Join(os.RemoveAll(w.workspace.CheckpointsDir(id)), os.WriteFile(w.workspace.CheckpointsDir(id), nil, 0o600)); err != nil {
				w.t.Error(err)
			}
		}
	})
	// A fork whose model is not the one in its parent's checkpoint.
	parent, _ := w.train(w.request(short), nil)
	started := w.fork(parent, parent.Checkpoints[0], nil)[0].(training.TrainingStarted)
	started.Architecture = nn.MLP(w.data.SampleShape(), []int{25}, "", w.data.Classes())
	w.train([]training.Event{started}, nil)

	log := journal.NewDeviceLog(w.store, time.Now)
	state, err := journal.StateAt(context.Background(), w.store, eventstore.End)
	if err != nil {
		w.t.Fatal(err)
	}
	changed, err := state.Devices[0].Ledger.SetHealth(device.Degraded, "hot")
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := log.Append(context.Background(), state.Devices[0], changed...); err != nil {
		w.t.Fatal(err)
	}
}
