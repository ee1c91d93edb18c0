package integration

import (
	"errors"
	"math"
	"strings"
	"testing"

	"reprise/fault"
	"reprise/kernel/cpu"
	"reprise/nn"
	"reprise/tensor"
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

// A step that no device could compute is answered with the field of the request
// that makes it so large, the largest value, and what to do.
func TestAStepThatIsTooLargeNamesTheFieldThatMakesItSo(t *testing.T) {
	w := newWorld(t)
	started := w.request(nil)[0].(training.TrainingStarted)
	for _, test := range []struct {
		batch, accumulation int
		want                string
	}{
		{3_000_000, 0, "config.batch_size: 3000000 is too large for the model: it must be at most 2097151, as one sample has up to [1024] values between two layers; use smaller batches"},
		{30_000_000, 0, "config.batch_size: 30000000 is too large for the model: it must be between 1 and 16777216; use a size such as 32"},
		{1000, 3000, "config.gradient_accumulation: 3000 makes a step of 3000000 samples, which must be at most 2097151, " +
			"as one sample has up to [1024] values between two layers; use fewer or smaller batches"},
	} {
		session := training.TrainingSession{Architecture: nn.MLP(tensor.Shape{4}, []int{1024}, "", 2), Dataset: started.Dataset, Hyperparameters: started.Hyperparameters}
		session.Hyperparameters.BatchSize, session.Hyperparameters.GradientAccumulation = test.batch, test.accumulation
		session.Dataset.Training = math.MaxInt32
		_, err := PlanOf(session)
		var bad *fault.FieldError
		if !errors.As(err, &bad) || bad.Error() != test.want {
			t.Errorf("got  %v\nwant %s", err, test.want)
		}
	}
	// What is not about the step is left as it is.
	session := training.TrainingSession{Architecture: nn.MLP(tensor.Shape{4}, []int{1024}, "", 2), Dataset: started.Dataset, Hyperparameters: started.Hyperparameters}
	session.Hyperparameters.LabelSmoothing = 1
	var field *fault.FieldError
	if _, err := PlanOf(session); !errors.As(err, &field) || !strings.HasPrefix(err.Error(), "label_smoothing") {
		t.Errorf("another field: %v", err)
	}
}
