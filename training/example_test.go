package training_test

import (
	"errors"
	"fmt"

	"reprise/training"
)

// A run is what its events add up to. An event that cannot have happened is
// refused, and the run stays as it was.
func ExampleTrainingRun_Apply() {
	history := []training.Event{
		training.TrainingStarted{RunID: "run-1", SessionID: "session-1", Hyperparameters: training.Hyperparameters{Epochs: 2, CheckpointInterval: 1}},
		training.ModelInitialized{WeightsSHA256: "…"},
		training.EpochCompleted{Epoch: 1, Step: 45, Metrics: training.Metrics{TrainLoss: 0.9, ValLoss: 0.5, ValAccuracy: 0.91}},
		training.CheckpointCommitted{Checkpoint: training.Checkpoint{SessionID: "session-1", Epoch: 1, Step: 45, Dir: "step-00000045"}},
		training.TrainingInterrupted{Cause: "SIGTERM"},
	}
	var run training.TrainingRun
	for _, event := range history {
		var err error
		if run, err = run.Apply(event); err != nil {
			panic(err)
		}
	}
	step, epoch := run.ResumePoint()
	fmt.Printf("%s, to be resumed at step %d after epoch %d\n", run.Session.State, step, epoch)

	_, err := run.Apply(training.CheckpointCommitted{Checkpoint: training.Checkpoint{SessionID: "session-1", Epoch: 0, Step: 20}})
	fmt.Println(errors.Is(err, training.ErrNonMonotonicCheckpoint))
	// Output:
	// interrupted, to be resumed at step 45 after epoch 1
	// true
}

// The learning rate is a pure function of the step, so that a resumed run needs
// nothing but the step to continue a schedule.
func ExampleLearningRate() {
	rate := training.LearningRate{Value: 0.1, Schedule: training.Schedule{Name: training.Linear, WarmupSteps: 10, TotalSteps: 110}}
	for _, step := range []uint64{0, 9, 60, 110} {
		fmt.Printf("step %d: %.2f\n", step, rate.At(step))
	}
	// Output:
	// step 0: 0.01
	// step 9: 0.10
	// step 60: 0.05
	// step 110: 0.00
}
