package training

import (
	"errors"
	"strings"
	"testing"

	"reprise/fault"
	"reprise/nn"
	"reprise/tensor"
)

func parentRun() (TrainingRun, Checkpoint) {
	cp := Checkpoint{SessionID: "s", Epoch: 2, Step: 20, Dir: "step-00000020"}
	return TrainingRun{ID: "parent", Checkpoints: []Checkpoint{cp}, Session: TrainingSession{
		ID: "s", Dataset: Dataset{Training: 100},
		Architecture: nn.MLP(tensor.Shape{4}, []int{8}, "", 3),
		Hyperparameters: Hyperparameters{
			BatchSize: 10, Epochs: 4, Shards: 1, CheckpointInterval: 1,
			Optimizer: nn.Optimizer{Name: nn.Adam}, LearningRate: LearningRate{Value: 0.1, Schedule: Schedule{Name: Constant}},
		},
	}}, cp
}

func TestAForkIsRefusedWhatItsCheckpointCannotServe(t *testing.T) {
	for _, c := range []struct {
		field, says string
		change      func(*TrainingSession)
	}{
		{"config.batch_size", "batches of 10", func(s *TrainingSession) { s.Hyperparameters.BatchSize = 20 }},
		{"config.gradient_accumulation", "10 samples", func(s *TrainingSession) { s.Hyperparameters.GradientAccumulation = 2 }},
		{"config.epochs", "nothing to train", func(s *TrainingSession) { s.Hyperparameters.Epochs = 2 }},
		{"config.optimizer.name", "[m v]", func(s *TrainingSession) { s.Hyperparameters.Optimizer = nn.Optimizer{Name: nn.SGD} }},
		{"model_architecture", "layers.0.weight [8 4]", func(s *TrainingSession) { s.Architecture = nn.MLP(tensor.Shape{4}, []int{9}, "", 3) }},
		{"model_architecture", "no further weights", func(s *TrainingSession) { s.Architecture = nn.MLP(tensor.Shape{4}, []int{8, 3}, "", 3) }},
	} {
		parent, cp := parentRun()
		fork := parent.Session
		fork.Parent = &Parent{RunID: parent.ID, Checkpoint: cp}
		if err := checkFork(parent, fork); err != nil {
			t.Fatalf("nothing changed: %v", err)
		}
		c.change(&fork)
		var bad *fault.FieldError
		if err := checkFork(parent, fork); !errors.As(err, &bad) || bad.Field != c.field || !strings.Contains(bad.Problem, c.says) {
			t.Errorf("%s: %v, want a field error that says %q", c.field, err, c.says)
		}
	}
}

func TestAForkMayChangeWhatTheCheckpointDoesNotHold(t *testing.T) {
	for name, change := range map[string]func(*TrainingSession){
		"adamw has adam's moments": func(s *TrainingSession) { s.Hyperparameters.Optimizer.Name = nn.AdamW },
		"another activation":       func(s *TrainingSession) { s.Architecture = nn.MLP(tensor.Shape{4}, []int{8}, "tanh", 3) },
		"seed, rate and length": func(s *TrainingSession) {
			s.Hyperparameters.Seed, s.Hyperparameters.LearningRate.Value, s.Hyperparameters.Epochs = 8, 0.2, 3
		},
	} {
		parent, cp := parentRun()
		fork := parent.Session
		fork.Parent = &Parent{RunID: parent.ID, Checkpoint: cp}
		change(&fork)
		if err := checkFork(parent, fork); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAForkOfARunThatStoppedEarlyMustSayWhatIsToChange(t *testing.T) {
	parent, cp := parentRun()
	parent.Session.Hyperparameters.EarlyStopping = EarlyStopping{Patience: 1}
	parent.Stopped = &EarlyStopped{Epoch: 2, Step: 20}
	fork := parent.Session
	fork.Parent = &Parent{RunID: parent.ID, Checkpoint: cp}
	var bad *fault.FieldError
	if err := checkFork(parent, fork); !errors.As(err, &bad) || bad.Field != "config.early_stopping" {
		t.Errorf("with the same patience: %v", err)
	}
	fork.Hyperparameters.EarlyStopping.Patience = 5
	if err := checkFork(parent, fork); err != nil {
		t.Errorf("with more patience: %v", err)
	}
}

// A fork's books begin where its parent's checkpoint stands.
func TestAForkCountsOnFromItsParent(t *testing.T) {
	parent, cp := parentRun()
	started := TrainingStarted{
		RunID: "fork", SessionID: "f", Dataset: Dataset{ID: "d", Training: 100},
		Hyperparameters: parent.Session.Hyperparameters, Parent: &Parent{RunID: parent.ID, Checkpoint: cp},
	}
	run, err := TrainingRun{}.Apply(started)
	if err != nil {
		t.Fatal(err)
	}
	saga, _, err := TrainingSaga{}.Handle(started)
	if err != nil {
		t.Fatal(err)
	}
	held := Allocation{Device: "cpu0", Lease: "l", Epoch: 1}
	last := Checkpoint{SessionID: "f", Epoch: 3, Step: 30}
	for _, e := range []Event{
		ResourceAllocated{held}, DatasetLoaded{Dataset: "d"}, ModelInitialized{Step: 20},
		EpochCompleted{Epoch: 3, Step: 30}, CheckpointCommitted{last},
	} {
		if run, err = run.Apply(e); err != nil {
			t.Fatal(err)
		}
		if saga, _, err = saga.Handle(e); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := run.Epoch(2); ok {
		t.Error("epoch 2 is the parent's")
	}
	if m, ok := run.Epoch(3); !ok || m.Step != 30 || saga.Context.CheckpointStep != 30 || saga.Context.Epoch != 3 {
		t.Errorf("epoch 3: %+v, saga %+v", m, saga.Context)
	}
	for _, e := range []Event{EpochCompleted{Epoch: 1, Step: 10}, EpochCompleted{Epoch: 3, Step: 30}, CheckpointCommitted{cp}} {
		if _, err := run.Apply(e); err == nil {
			t.Errorf("%+v was taken", e)
		}
	}
	fresh, err := TrainingRun{}.Apply(started)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fresh.AddCheckpoint(Checkpoint{SessionID: "f", Epoch: 2, Step: 20}); !errors.Is(err, ErrNonMonotonicCheckpoint) {
		t.Errorf("a checkpoint at the parent's place: %v", err)
	}
	if e, err := fresh.Resume(); err != nil || e != (TrainingResumed{FromStep: 20}) {
		t.Errorf("resumes with %+v, %v", e, err)
	}
}

func TestACheckpointOfAnotherRunIsNotForkedFrom(t *testing.T) {
	parent, cp := parentRun()
	cp.WeightsSHA256 = "other"
	_, _, err := TrainingService{}.ForkTraining(parent, cp, nn.ModelSpec{}, nil, Config{})
	if !errors.Is(err, ErrInvalidCheckpoint) {
		t.Errorf("%v, want %v", err, ErrInvalidCheckpoint)
	}
}

// A schedule that a fork leaves as it was means what it meant when its parent
// was recorded; a changed one is counted exactly.
func TestAForkKeepsTheScheduleOfAnEarlierRelease(t *testing.T) {
	was := Schedule{Name: CosineWithRestarts, TotalSteps: 198, Cycles: 22}
	now := was
	now.ExactCycles = true
	if got := inherit(was, now); got != was {
		t.Errorf("unchanged: %+v", got)
	}
	now.Cycles = 23
	if got := inherit(was, now); got != now {
		t.Errorf("changed: %+v", got)
	}
}
