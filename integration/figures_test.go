package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reprise/eventstore"
	"reprise/journal"
	"reprise/metrics"
	"reprise/training"
)

// copyOf returns a copy of an event that shares nothing with it.
func copyOf(t *testing.T, e training.FiguresComputed) training.FiguresComputed {
	t.Helper()
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var out training.FiguresComputed
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// overshooting lets the learning rate grow until it is too large, so that the best
// checkpoint is not the last one.
func overshooting(h *training.Hyperparameters) {
	h.BatchSize, h.Epochs, h.CheckpointInterval = 128, 6, 1
	h.LearningRate = training.LearningRate{Value: 1, Schedule: training.Schedule{Name: training.ConstantWithWarmup, WarmupSteps: 70}}
}

func TestTheFiguresOfTheBestCheckpointAreRecordedWithTheEnd(t *testing.T) {
	w := newWorld(t)
	r, _ := w.train(w.request(overshooting), nil)
	best, _ := r.BestCheckpoint()
	if last, _ := r.LastCheckpoint(); best.Step == last.Step {
		t.Fatal("the best checkpoint is the last one: this shows nothing")
	}
	f := r.Figures
	if f == nil || f.Step != best.Step || f.Epoch != best.Epoch || f.Classification == nil {
		t.Fatalf("figures %+v, the best checkpoint is %+v", f, best)
	}
	var before journal.RunRecord
	var events []string
	log := journal.NewRunLog(w.store, time.Now)
	if err := log.Replay(context.Background(), r.ID, func(e eventstore.Event, next journal.RunRecord) error {
		events = append(events, e.Type)
		event, err := log.Decode(e)
		if got, ok := event.(training.FiguresComputed); ok {
			checkForgedFigures(t, got, before.TrainingRun)
			if what := got.Contradicts(next.TrainingRun); what == "" {
				t.Error("figures may be recorded twice")
			}
			start := fmt.Sprintf(`{"epoch":%d,"step":%d,"classification":{"samples":%d,"accuracy":%v,`, best.Epoch, best.Step, r.Session.Dataset.Validation, *got.Classification.Accuracy)
			if !strings.HasPrefix(string(e.Payload), start) {
				t.Errorf("it is recorded as %.60s", e.Payload)
			}
		}
		before = next
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if end := "training.figures_computed.v1 training.training_completed.v1 training.device_released.v1"; !strings.Contains(strings.Join(events, " "), end) {
		t.Errorf("events %v", events)
	}
	if report := verify(t, w, r); !report.FiguresCompared {
		t.Error("the figures were not computed again")
	}
}

// checkForgedFigures forges what the events before it say of the figures.
func checkForgedFigures(t *testing.T, got training.FiguresComputed, before training.TrainingRun) {
	t.Helper()
	if what := got.Contradicts(before); what != "" {
		t.Errorf("%+v: %s", got, what)
	}
	for name, forge := range map[string]func(*training.FiguresComputed){
		"step":     func(e *training.FiguresComputed) { e.Step++ },
		"epoch":    func(e *training.FiguresComputed) { e.Epoch++ },
		"samples":  func(e *training.FiguresComputed) { e.Classification.Samples++ },
		"accuracy": func(e *training.FiguresComputed) { *e.Classification.Accuracy += 0.01 },
		"undefined": func(e *training.FiguresComputed) {
			e.Classification.Accuracy = nil
		},
		"no classes":      func(e *training.FiguresComputed) { e.Classification = nil },
		"no baseline":     func(e *training.FiguresComputed) { e.MajorityClass = nil },
		"another task":    func(e *training.FiguresComputed) { e.Text = &metrics.Text{} },
		"another's base":  func(e *training.FiguresComputed) { e.TokenFrequencies = &metrics.Text{} },
		"a target":        func(e *training.FiguresComputed) { e.Targets = make([]metrics.Target, 1) },
		"not unavailable": func(e *training.FiguresComputed) { e.Unavailable = "no reason" },
	} {
		forged := copyOf(t, got)
		if forge(&forged); forged.Contradicts(before) == "" {
			t.Errorf("%s: the forged event contradicts nothing", name)
		}
	}
	early := before
	early.Checkpoints = early.Checkpoints[:len(early.Checkpoints)-1]
	if got.Contradicts(early) == "" {
		t.Error("figures may come before the last checkpoint")
	}
}

func TestTheLargestFiguresFitIntoAnEvent(t *testing.T) {
	for _, classes := range []int{training.MaxTestConfused, metrics.MaxConfused, metrics.MaxListed} {
		tally := metrics.NewClassTally(classes)
		logits := make([]float32, classes)
		for i := range 4 * classes {
			for c := range logits {
				logits[c] = float32((i*c*7919)%1009) / 100
			}
			if err := tally.AddLogits(i%classes, logits); err != nil {
				t.Fatal(err)
			}
		}
		c := tally.Figures()
		for i := range c.Classes {
			c.Classes[i].Name = strings.Repeat("<", 100) // which takes six bytes each
		}
		for _, row := range c.Confusion {
			for i := range row {
				row[i] = 123456 // as with eight billion samples
			}
		}
		f := metrics.Figures{Classification: &c, MajorityClass: &metrics.ClassBaseline{Trained: make([]int, classes)}}
		e := training.FiguresComputed{Figures: f, Test: &training.TestFigures{Figures: f.WithoutConfusion(training.MaxTestConfused)}}
		raw, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) > eventstore.MaxPayload {
			t.Errorf("figures of %d classes take %d bytes, an event at most %d", classes, len(raw), eventstore.MaxPayload)
		}
		t.Logf("figures of %d classes take %d bytes", classes, len(raw))
	}
}

func TestVerifyComputesTheFiguresAgain(t *testing.T) {
	w := newWorld(t)
	r, _ := w.train(w.request(nil), nil)
	for name, forge := range map[string]func(*training.FiguresComputed){
		"classification.matthews":          func(e *training.FiguresComputed) { *e.Classification.Matthews += 1e-15 },
		"classification.confusion[3][4]":   func(e *training.FiguresComputed) { e.Classification.Confusion[3][4]++ },
		"classification.classes[0].name":   func(e *training.FiguresComputed) { e.Classification.Classes[0].Name = "zero" },
		"classification.pr_auc.macro":      func(e *training.FiguresComputed) { e.Classification.PRAUC.Macro = nil },
		"majority_class.log_loss":          func(e *training.FiguresComputed) { *e.MajorityClass.LogLoss *= 2 },
		"classification.top_k[0].accuracy": func(e *training.FiguresComputed) { *e.Classification.TopK[0].Accuracy = 0 },
	} {
		forged, f := r, copyOf(t, *r.Figures)
		forge(&f)
		forged.Figures = &f
		v := Verifier{Store: w.store, Workspace: w.workspace, Devices: w.devices()}
		report, err := v.Verify(context.Background(), Verification{Run: forged}, w.data)
		if !errors.Is(err, journal.ErrNotVerified) || !strings.Contains(report.Problem, "figures_computed") || !strings.Contains(report.Problem, name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARunWhoseBestCheckpointIsGoneCompletesWithoutFigures(t *testing.T) {
	want := reference(t, overshooting)
	best, _ := want.BestCheckpoint()
	w := newWorld(t)
	events := w.request(overshooting)
	id := events[0].(training.TrainingStarted).RunID
	r, _ := w.train(events, func(c *HostConfig) {
		c.Fault = func(_ training.RunID, step uint64) {
			if step == best.Step+1 {
				if err := os.RemoveAll(filepath.Join(w.workspace.CheckpointsDir(id), best.Dir)); err != nil {
					t.Error(err)
				}
			}
		}
	})
	f := r.Figures
	if r.Session.State != training.Completed || f == nil || f.Step != best.Step || f.Classification != nil || !strings.Contains(f.Unavailable, "checkpoint is missing") {
		t.Fatalf("the run is %s: %s; figures %+v", r.Session.State, r.Reason, f)
	}
	if _, err := journal.VerifyLog(context.Background(), w.store); err != nil {
		t.Error(err)
	}
}
