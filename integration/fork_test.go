package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"reprise/dataset"
	"reprise/journal"
	"reprise/nn"
	"reprise/training"
)

// fork returns the events that start a fork of a run.
func (w *world) fork(parent journal.RunRecord, cp training.Checkpoint, change func(*training.Hyperparameters)) []training.Event {
	w.t.Helper()
	h := parent.Session.Hyperparameters
	if change != nil {
		change(&h)
	}
	valid, err := h.Validate()
	if err != nil {
		w.t.Fatal(err)
	}
	id := fmt.Sprintf("fork-%d", w.ids.Add(1))
	model := nn.NewModelSpec(nn.ModelID("model-of-"+id), parent.Session.Architecture)
	_, events, err := training.TrainingService{}.ForkTraining(parent.TrainingRun, cp, model, w.data, training.Config{
		RunID: training.RunID(id), SessionID: training.SessionID("session-of-" + id), Hyperparameters: valid,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return events
}

// interruptedOnce trains a run that is interrupted at a step, which commits a
// checkpoint there, and then continues to its end.
func (w *world) interruptedOnce(step uint64, change func(*training.Hyperparameters)) journal.RunRecord {
	w.t.Helper()
	reached, asked := make(chan struct{}), make(chan struct{})
	h, _, _ := w.host(func(c *HostConfig) {
		c.Fault = func(_ training.RunID, at uint64) {
			if at == step {
				close(reached)
				<-asked
			}
		}
	})
	id, err := h.Start(context.Background(), w.request(change))
	if err != nil {
		w.t.Fatal(err)
	}
	<-reached
	h.Interrupt(id, "Ctrl-C")
	close(asked)
	rest(w.t, h, id)
	closeHost(w.t, h)
	h, _, _ = w.host(nil)
	defer closeHost(w.t, h)
	if err := h.Resume(context.Background(), id); err != nil {
		w.t.Fatal(err)
	}
	return rest(w.t, h, id)
}

// A checkpoint has all of the state of training, even one taken within an
// epoch.
func TestAForkWithNothingChangedComesToTheBitsOfItsParent(t *testing.T) {
	for name, change := range map[string]func(*training.Hyperparameters){"plain": nil, "everything": everything, "judged": judged} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			parent := w.interruptedOnce(8, change)
			perEpoch := parent.Session.Hyperparameters.StepsPerEpoch(w.data.Len(dataset.Train))
			within := 0
			for _, cp := range parent.Checkpoints[:len(parent.Checkpoints)-1] {
				if cp.Step%perEpoch != 0 {
					within++
				}
				fork, _ := w.train(w.fork(parent, cp, nil), nil)
				if fork.Session.State != training.Completed {
					t.Fatalf("the fork from step %d is %s: %s", cp.Step, fork.Session.State, fork.Reason)
				}
				sameFrom(t, w, fork, parent)
				report := verify(t, w, fork)
				if report.FromStep != cp.Step || report.Parent == nil || report.Parent.RunID != parent.ID {
					t.Errorf("verified from step %d of %+v", report.FromStep, report.Parent)
				}
			}
			if within == 0 {
				t.Error("no checkpoint within an epoch")
			}
		})
	}
}

// sameFrom fails unless the fork equals the parent from the step on at which
// they part.
func sameFrom(t *testing.T, w *world, fork, parent journal.RunRecord) {
	t.Helper()
	a, _ := fork.LastCheckpoint()
	b, _ := parent.LastCheckpoint()
	if a.WeightsSHA256 != b.WeightsSHA256 || a.Step != b.Step || a.SeriesSHA256 != b.SeriesSHA256 {
		t.Errorf("the fork ends at step %d in %s, its parent at step %d in %s", a.Step, a.WeightsSHA256, b.Step, b.WeightsSHA256)
	}
	if want := parent.Metrics[fork.Session.Parent.Epoch():]; !reflect.DeepEqual(fork.Metrics, want) {
		t.Errorf("epochs %+v, the parent has %+v", fork.Metrics, want)
	}
	if !reflect.DeepEqual(fork.Stopped, parent.Stopped) {
		t.Errorf("stopped %+v, the parent %+v", fork.Stopped, parent.Stopped)
	}
	steps, err := w.workspace.Series(fork.ID).Read()
	if err != nil || uint64(len(steps)) != a.Step {
		t.Errorf("the fork's series has %d of %d steps, %v", len(steps), a.Step, err)
	}
}

func TestAForkTrainsDifferentlyFromTheStepAtWhichItParts(t *testing.T) {
	w := newWorld(t)
	parent, _ := w.train(w.request(nil), nil)
	fork, _ := w.train(w.fork(parent, parent.Checkpoints[0], func(h *training.Hyperparameters) {
		h.LearningRate.Value, h.Epochs, h.Seed, h.ClipNorm, h.CheckpointInterval = 0.001, 5, 77, 1, 3
	}), nil)
	if fork.Session.State != training.Completed || len(fork.Metrics) != 4 || fork.Metrics[0].Epoch != 2 || fork.Metrics[3].Epoch != 5 {
		t.Fatalf("state %s (%s), epochs %+v", fork.Session.State, fork.Reason, fork.Metrics)
	}
	mine, _ := w.workspace.Series(fork.ID).Read()
	its, _ := w.workspace.Series(parent.ID).Read()
	at := parent.Checkpoints[0].Step
	if !reflect.DeepEqual(mine[:at], its[:at]) || mine[at] == its[at] {
		t.Errorf("step %d: %+v in the fork, %+v in the parent", at+1, mine[at], its[at])
	}
	verify(t, w, fork)

	// And a fork of the fork.
	again, _ := w.train(w.fork(fork, fork.Checkpoints[0], nil), nil)
	sameFromCheckpoint(t, again, fork)
	verify(t, w, again)
	verify(t, w, parent) // it was not changed
}

func sameFromCheckpoint(t *testing.T, fork, parent journal.RunRecord) {
	t.Helper()
	a, _ := fork.LastCheckpoint()
	b, _ := parent.LastCheckpoint()
	if a.WeightsSHA256 != b.WeightsSHA256 {
		t.Errorf("the fork's weights are %s, its parent's %s", a.WeightsSHA256, b.WeightsSHA256)
	}
}

func TestAForkWhoseProcessDiesAtAnyEventIsRecovered(t *testing.T) {
	short := func(h *training.Hyperparameters) { h.BatchSize, h.Epochs = 256, 3 }
	starts := func(w *world) []training.Event {
		parent, _ := w.train(w.request(short), nil)
		return w.fork(parent, parent.Checkpoints[0], func(h *training.Hyperparameters) { h.LearningRate.Value = 0.005 })
	}
	w := newWorld(t)
	want, _ := w.train(starts(w), nil)
	for _, after := range []bool{false, true} {
		at := int64(1)
		for ; diesAt(t, at, after, starts, want); at++ {
			if t.Failed() {
				t.Fatalf("died at append %d (after it was stored: %v)", at, after)
			}
		}
		if at < 12 {
			t.Errorf("only %d appends in a whole fork", at-1)
		}
	}
}

func TestAForkInterruptedBeforeItsFirstStepResumesFromItsParent(t *testing.T) {
	w := newWorld(t)
	parent, _ := w.train(w.request(nil), nil)
	cp := parent.Checkpoints[0]
	reached, going := make(chan struct{}), make(chan struct{})
	h, _, _ := w.host(func(c *HostConfig) {
		c.Fault = func(_ training.RunID, step uint64) {
			if step == cp.Step+1 {
				close(reached)
				<-going
				panic("before the first step")
			}
		}
	})
	id, err := h.Start(context.Background(), w.fork(parent, cp, nil))
	if err != nil {
		t.Fatal(err)
	}
	<-reached
	h.Interrupt(id, "Ctrl-C")
	close(going)
	r := rest(t, h, id)
	closeHost(t, h)
	if step, epoch := r.ResumePoint(); r.Session.State != training.Interrupted || step != cp.Step || epoch != cp.Epoch {
		t.Fatalf("state %s, to resume from step %d, epoch %d", r.Session.State, step, epoch)
	}
	h, _, _ = w.host(nil)
	defer closeHost(t, h)
	if err := h.Resume(context.Background(), id); err != nil {
		t.Fatal(err)
	}
	sameFrom(t, w, rest(t, h, id), parent)
}

func TestADamagedParentIsNamedAndKeepsItsForkResumable(t *testing.T) {
	w := newWorld(t)
	parent, _ := w.train(w.request(nil), nil)
	fork, _ := w.train(w.fork(parent, parent.Checkpoints[0], nil), nil)
	file := filepath.Join(w.workspace.CheckpointsDir(parent.ID), parent.Checkpoints[0].Dir, "model.safetensors")
	intact, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bad := append([]byte(nil), intact...)
	bad[len(bad)-1] ^= 1
	if err := os.WriteFile(file, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	v := Verifier{Store: w.store, Workspace: w.workspace, Devices: w.devices()}
	report, err := v.Verify(context.Background(), Verification{Run: fork}, w.data)
	if !errors.Is(err, journal.ErrNotVerified) || !strings.Contains(report.Problem, string(parent.ID)) || report.Verified {
		t.Errorf("verified %v, problem %q, %v", report.Verified, report.Problem, err)
	}
	late, _ := w.train(w.fork(parent, parent.Checkpoints[0], nil), nil)
	if late.Session.State != training.Interrupted || !strings.Contains(late.Reason, string(parent.ID)) {
		t.Errorf("a fork of the damaged checkpoint is %s: %s", late.Session.State, late.Reason)
	}
	if err := os.WriteFile(file, intact, 0o600); err != nil {
		t.Fatal(err)
	}
	h, _, _ := w.host(nil)
	defer closeHost(t, h)
	if err := h.Resume(context.Background(), late.ID); err != nil {
		t.Fatal(err)
	}
	sameFrom(t, w, rest(t, h, late.ID), parent)
}
