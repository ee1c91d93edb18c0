package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"reprise/eventstore"
	"reprise/journal"
	"reprise/nn"
	"reprise/training"
)

// judged trains on another loss, with weights of classes and a balanced order, and is
// judged by a figure that is computed for it.
func judged(h *training.Hyperparameters) {
	h.BatchSize, h.Epochs, h.EvalInterval = 256, 6, 4
	h.Loss = nn.Loss{Name: nn.LossFocal, Gamma: 2}
	h.Monitor, h.ClassWeight, h.Sampler = "precision_macro", `{"3":2}`, training.BalancedSampler
	h.EarlyStopping = training.EarlyStopping{Patience: 3, MinDelta: 0.2}
}

func TestARunIsJudgedByItsFigure(t *testing.T) {
	w := newWorld(t)
	r, _ := w.train(w.request(judged), nil)
	if r.Session.State != training.Completed || r.Stopped == nil || r.Stopped.Monitor != "precision_macro" {
		t.Fatalf("ended %s, early: %+v (%s)", r.Session.State, r.Stopped, r.Reason)
	}
	best, _ := r.BestCheckpoint()
	highest := -1.0
	for _, m := range r.Metrics {
		v, ok := m.Monitored.Value()
		if !ok {
			t.Fatalf("epoch %d has no %s", m.Epoch, r.Session.Hyperparameters.Monitor)
		}
		if highest = max(highest, v); v == highest && m.Epoch > best.Epoch && v > *r.Figures.Classification.Precision.Macro {
			t.Errorf("the best checkpoint is that of epoch %d, epoch %d is better", best.Epoch, m.Epoch)
		}
	}
	if f := r.Figures; f.Step != best.Step || f.Monitor != "precision_macro" || *f.Classification.Precision.Macro != highest {
		t.Errorf("the figures are %s of step %d, the best checkpoint is that of step %d with %v", training.Headline(f.Figures, f.Monitor), f.Step, best.Step, highest)
	}
	if report := verify(t, w, r); !report.FiguresCompared || report.EvaluationsCompared != len(r.Evaluations) || len(r.Evaluations) == 0 {
		t.Errorf("%d of %d evaluations and the figures (%v) were compared", report.EvaluationsCompared, len(r.Evaluations), report.FiguresCompared)
	}
}

func TestAJudgedProcessThatDiesIsRecoveredFrom(t *testing.T) {
	want := reference(t, judged)
	for _, at := range []int64{7, 9, 12, 15} {
		if !diesAt(t, at, at%2 == 0, func(w *world) []training.Event { return w.request(judged) }, want) {
			t.Fatalf("the run ended before append %d", at)
		}
	}
}

// What a run is judged by is recorded with each evaluation, and an event that says
// something else is refused.
func TestAForgedJudgementIsFound(t *testing.T) {
	w := newWorld(t)
	r, _ := w.train(w.request(judged), nil)
	checked := 0
	log := journal.NewRunLog(w.store, time.Now)
	var before journal.RunRecord
	if err := log.Replay(context.Background(), r.ID, func(e eventstore.Event, next journal.RunRecord) error {
		event, err := log.Decode(e)
		if err != nil {
			return err
		}
		switch got := event.(type) {
		case training.EpochCompleted, training.EvaluationCompleted:
			checked++
			if m := bytes.Index(e.Payload, []byte(`,"monitored":0.`)); m < 0 {
				t.Errorf("it is recorded as %s", e.Payload)
			}
		case training.EarlyStopped:
			checked++
			if want := fmt.Sprintf(`{"epoch":%d,"step":%d,"best_val_loss":%v,"best_step":%d,"monitor":"precision_macro"}`, got.Epoch, got.Step, got.Best, got.BestStep); string(e.Payload) != want {
				t.Errorf("it is recorded as %s, want %s", e.Payload, want)
			}
		case training.FiguresComputed:
			checked++
			for name, forge := range map[string]func(*training.FiguresComputed){
				"monitor":    func(e *training.FiguresComputed) { e.Monitor = "accuracy" },
				"no monitor": func(e *training.FiguresComputed) { e.Monitor = "" },
				"figure":     func(e *training.FiguresComputed) { *e.Classification.Precision.Macro /= 2 },
				"undefined":  func(e *training.FiguresComputed) { e.Classification.Precision.Macro = nil },
			} {
				forged := copyOf(t, got)
				if forge(&forged); forged.Contradicts(before.TrainingRun) == "" {
					t.Errorf("%s: the forged event contradicts nothing", name)
				}
			}
		}
		before = next
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := len(r.Metrics) + len(r.Evaluations) + 2; checked != want {
		t.Errorf("%d events checked, want %d", checked, want)
	}
}

func TestMonitoredFiguresAreAbsentUndefinedOrNumbers(t *testing.T) {
	half := 0.5
	for want, m := range map[string]training.Monitored{
		`{"train_loss":0,"val_loss":0,"val_accuracy":0}`:                  {},
		`{"train_loss":0,"val_loss":0,"val_accuracy":0,"monitored":null}`: training.MonitoredOf(nil),
		`{"train_loss":0,"val_loss":0,"val_accuracy":0,"monitored":0.5}`:  training.MonitoredOf(&half),
		`{"train_loss":0,"val_loss":0,"val_accuracy":0,"monitored":0}`:    training.MonitoredOf(new(float64)),
	} {
		raw, err := json.Marshal(training.Metrics{Monitored: m})
		var again training.Metrics
		if err != nil || string(raw) != want || json.Unmarshal(raw, &again) != nil || again.Monitored != m {
			t.Errorf("%+v is written as %s and read as %+v, %v", m, raw, again.Monitored, err)
		}
	}
}
