package integration

import (
	"testing"

	"reprise/kernel/cpu"
	"reprise/training"
)

// A validation loss is defined by its blocks of 256 samples; how many of them are
// computed at a time changes no bit.
func TestMetricsDoNotDependOnTheRowsEvaluatedAtATime(t *testing.T) {
	w := newWorld(t)
	started := w.request(nil)[0].(training.TrainingStarted)
	session := training.TrainingSession{
		ID: started.SessionID, ModelID: started.ModelID, Architecture: started.Architecture,
		Dataset: started.Dataset, Hyperparameters: started.Hyperparameters,
	}
	backend, err := cpu.NewBackend(cpu.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close()
	evaluate := func(rows int) training.Evaluation {
		plan, err := planEvaluating(session, rows)
		if err != nil {
			t.Fatal(err)
		}
		x, err := newExecution(session, plan, w.data, backend, newNNTrainer)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		if err := x.reset(); err != nil {
			t.Fatal(err)
		}
		if _, err := x.Train(); err != nil {
			t.Fatal(err)
		}
		e, err := x.Evaluate()
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	want := evaluate(evalBlock)
	for _, rows := range []int{1, 3, 7, 100, 255, session.Dataset.Validation} {
		if got := evaluate(rows); got != want {
			t.Errorf("%d rows at a time: %+v, with a block at a time %+v", rows, got, want)
		}
	}
}

// Evaluation is planned for no more samples than there are.
func TestEvaluationIsPlannedForTheSamplesThereAre(t *testing.T) {
	w := newWorld(t)
	started := w.request(nil)[0].(training.TrainingStarted)
	session := training.TrainingSession{Architecture: started.Architecture, Dataset: started.Dataset, Hyperparameters: started.Hyperparameters}
	for validation, want := range map[int]int{0: 1, 1: 1, 5: 5, 256: 256, 1000: 256} {
		session.Dataset.Validation = validation
		plan, err := PlanOf(session)
		if err != nil {
			t.Fatal(err)
		}
		if got := plan.Config().EvalBatchSize; got != want {
			t.Errorf("%d validation samples: %d at a time, want %d", validation, got, want)
		}
	}
}
