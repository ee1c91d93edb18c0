package loop

import (
	"errors"
	"math"
	"strings"
	"testing"

	"reprise/dataset"
	"reprise/fault"
	"reprise/kernel/cpu"
	"reprise/nn"
	"reprise/tensor"
	"reprise/training"
)

// digitsSession returns a session that trains a small model of the digits.
func digitsSession(t *testing.T) (training.TrainingSession, *dataset.Dataset) {
	t.Helper()
	library, err := dataset.NewLibrary(dataset.Config{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	data, err := library.Open(t.Context(), dataset.Source{Path: "digits"})
	if err != nil {
		t.Fatal(err)
	}
	return training.TrainingSession{
		ID: "session", ModelID: "model", Architecture: nn.MLP(data.SampleShape(), []int{24}, "", data.Classes()),
		Dataset: training.Dataset{
			ID: "digits", Path: "digits", Fingerprint: data.Fingerprint(),
			Training: data.Len(dataset.Train), Validation: data.Len(dataset.Validation),
			SampleShape: data.SampleShape(), Classes: data.Classes(),
		},
		Hyperparameters: training.Hyperparameters{
			BatchSize: 64, Epochs: 3, Seed: 9, Shards: 2, CheckpointInterval: 1, Optimizer: nn.Optimizer{Name: nn.Adam},
			LearningRate: training.LearningRate{Value: 0.02, Schedule: training.Schedule{Name: training.Constant}},
		},
	}, data
}

// A validation loss is defined by its blocks of 256 samples; how many of them are
// computed at a time changes no bit.
func TestMetricsDoNotDependOnTheRowsEvaluatedAtATime(t *testing.T) {
	session, data := digitsSession(t)
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
		x, err := NewExecutionWith(session, plan, data, backend, NewTrainer)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		if err := x.Reset(); err != nil {
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
	session, _ := digitsSession(t)
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
	digits, _ := digitsSession(t)
	for _, test := range []struct {
		batch, accumulation int
		want                string
	}{
		{3_000_000, 0, "config.batch_size: 3000000 is too large for the model: it must be at most 2097151, as one sample has up to [1024] values between two layers; use smaller batches"},
		{30_000_000, 0, "config.batch_size: 30000000 is too large for the model: it must be between 1 and 16777216; use a size such as 32"},
		{1000, 3000, "config.gradient_accumulation: 3000 makes a step of 3000000 samples, which must be at most 2097151, " +
			"as one sample has up to [1024] values between two layers; use fewer or smaller batches"},
	} {
		session := training.TrainingSession{Architecture: nn.MLP(tensor.Shape{4}, []int{1024}, "", 2), Dataset: digits.Dataset, Hyperparameters: digits.Hyperparameters}
		session.Hyperparameters.BatchSize, session.Hyperparameters.GradientAccumulation = test.batch, test.accumulation
		session.Dataset.Training = math.MaxInt32
		_, err := PlanOf(session)
		var bad *fault.FieldError
		if !errors.As(err, &bad) || bad.Error() != test.want {
			t.Errorf("got  %v\nwant %s", err, test.want)
		}
	}
	// What is not about the step is left as it is.
	session := training.TrainingSession{Architecture: nn.MLP(tensor.Shape{4}, []int{1024}, "", 2), Dataset: digits.Dataset, Hyperparameters: digits.Hyperparameters}
	session.Hyperparameters.LabelSmoothing = 1
	var field *fault.FieldError
	if _, err := PlanOf(session); !errors.As(err, &field) || !strings.HasPrefix(err.Error(), "label_smoothing") {
		t.Errorf("another field: %v", err)
	}
}
