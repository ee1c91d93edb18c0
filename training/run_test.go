package training

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"reprise/device"
)

// The mission's test of the same name.
func TestTrainingAggregateMaintainsInvariants(t *testing.T) {
	run := TrainingRun{ID: "run", Session: TrainingSession{ID: "test_session", State: Running}}

	run, err := run.AddCheckpoint(Checkpoint{SessionID: "test_session", Epoch: 1, Step: 10, Loss: 0.5})
	if err != nil {
		t.Fatalf("a valid checkpoint was refused: %v", err)
	}
	refused := []struct {
		name string
		cp   Checkpoint
		want error
	}{
		{"earlier epoch", Checkpoint{SessionID: "test_session", Epoch: 0, Step: 20, Loss: 0.6}, ErrNonMonotonicCheckpoint},
		{"same place", Checkpoint{SessionID: "test_session", Epoch: 1, Step: 10}, ErrNonMonotonicCheckpoint},
		{"later epoch, earlier step", Checkpoint{SessionID: "test_session", Epoch: 2, Step: 9}, ErrNonMonotonicCheckpoint},
		{"another session's", Checkpoint{SessionID: "other", Epoch: 2, Step: 20}, ErrInvalidCheckpoint},
	}
	for _, c := range refused {
		after, err := run.AddCheckpoint(c.cp)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if len(after.Checkpoints) != 1 {
			t.Errorf("%s: the refused checkpoint was kept", c.name)
		}
	}
	if run, err = run.AddCheckpoint(Checkpoint{SessionID: "test_session", Epoch: 1, Step: 15}); err != nil {
		t.Errorf("a checkpoint within the second epoch was refused: %v", err)
	}
	if last, _ := run.LastCheckpoint(); last.Step != 15 {
		t.Errorf("last checkpoint is at step %d, want 15", last.Step)
	}
}

func TestAddCheckpointLeavesTheOldRunAlone(t *testing.T) {
	base := TrainingRun{Session: TrainingSession{ID: "s"}}
	one, _ := base.AddCheckpoint(Checkpoint{SessionID: "s", Epoch: 1, Step: 1})
	a, _ := one.AddCheckpoint(Checkpoint{SessionID: "s", Epoch: 2, Step: 2, Dir: "a"})
	b, _ := one.AddCheckpoint(Checkpoint{SessionID: "s", Epoch: 2, Step: 2, Dir: "b"})
	if a.Checkpoints[1].Dir != "a" || b.Checkpoints[1].Dir != "b" || len(one.Checkpoints) != 1 {
		t.Error("two histories share the memory of their checkpoints")
	}
}

func TestCanResumeUnlessTheSessionHasEnded(t *testing.T) {
	for state, want := range map[State]bool{
		Initializing: true, Running: true, Interrupted: true, Completed: false, Failed: false,
	} {
		if got := (TrainingSession{State: state}).CanResume(); got != want {
			t.Errorf("CanResume in %s = %v, want %v", state, got, want)
		}
		_, err := TrainingRun{ID: "r", Session: TrainingSession{State: state}}.Resume()
		if want != (err == nil) || (!want && !errors.Is(err, ErrCannotResume)) {
			t.Errorf("Resume in %s: %v", state, err)
		}
	}
}

func TestARepeatedEpochMustComeOutTheSame(t *testing.T) {
	run := startedRun(t)
	first := EpochMetrics{Epoch: 1, Step: 4, Metrics: Metrics{TrainLoss: 0.25, ValLoss: 0.5, ValAccuracy: 0.75}}
	event, err := run.RecordEpoch(first)
	if err != nil {
		t.Fatal(err)
	}
	if run, err = run.Apply(event); err != nil {
		t.Fatal(err)
	}
	if event, err = run.RecordEpoch(first); err != nil || event != (EpochReproduced{Epoch: 1, Step: 4}) {
		t.Errorf("the same figures gave %v, %v", event, err)
	}
	differs := first
	differs.TrainLoss = 0.2500000000000001
	if _, err = run.RecordEpoch(differs); !errors.Is(err, ErrNotReproducible) {
		t.Errorf("other figures gave %v, want ErrNotReproducible", err)
	}
	if _, err = run.Apply(event); err != nil || len(run.Metrics) != 1 {
		t.Errorf("history has %d rows, %v", len(run.Metrics), err)
	}
}

func TestARunRefusesWhatCannotHaveHappened(t *testing.T) {
	run := startedRun(t)
	if _, err := run.Apply(EpochCompleted{Epoch: 2}); !errors.Is(err, ErrInvalidTransition) {
		t.Errorf("epoch 2 before epoch 1: %v", err)
	}
	if _, err := run.Apply(TrainingStarted{RunID: "again"}); !errors.Is(err, ErrInvalidTransition) {
		t.Errorf("a second start: %v", err)
	}
	if _, err := (TrainingRun{}).Apply(RunFailed{}); !errors.Is(err, ErrInvalidTransition) {
		t.Errorf("an event before the start: %v", err)
	}
	done, err := run.Apply(TrainingCompleted{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := done.Apply(EpochCompleted{Epoch: 1}); !errors.Is(err, ErrInvalidTransition) {
		t.Errorf("an epoch after the end: %v", err)
	}
	if _, err := done.Apply(DeviceReleased{}); err != nil {
		t.Errorf("a release after the end: %v", err)
	}
}

// Two events applied to the same run, whose lists have room to grow in, give two
// runs that know nothing of each other.
func TestApplyingAnEventChangesNoOtherRun(t *testing.T) {
	run := startedRun(t)
	for e := uint64(1); e <= 5; e++ { // lists of 5 have room for more
		for _, event := range []Event{
			EvaluationCompleted{Evaluation{Step: e}}, EpochCompleted{Epoch: e, Step: e},
			CheckpointCommitted{Checkpoint{SessionID: "session", Epoch: e, Step: e}},
		} {
			var err error
			if run, err = run.Extend(event); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, pair := range [][2]Event{
		{EpochCompleted{Epoch: 6, Step: 60}, EpochCompleted{Epoch: 6, Step: 61}},
		{EvaluationCompleted{Evaluation{Step: 60}}, EvaluationCompleted{Evaluation{Step: 61}}},
		{CheckpointCommitted{Checkpoint{SessionID: "session", Epoch: 6, Step: 60}}, CheckpointCommitted{Checkpoint{SessionID: "session", Epoch: 6, Step: 61}}},
	} {
		one, err := run.Apply(pair[0])
		if err != nil {
			t.Fatal(err)
		}
		before := fmt.Sprintf("%+v", one)
		if _, err := run.Apply(pair[1]); err != nil {
			t.Fatal(err)
		}
		if after := fmt.Sprintf("%+v", one); after != before {
			t.Errorf("%T made\n%s\nof\n%s", pair[1], after, before)
		}
	}
	if room := cap(run.Metrics) - len(run.Metrics); room == 0 || cap(run.Checkpoints) == len(run.Checkpoints) || cap(run.Evaluations) == len(run.Evaluations) {
		t.Error("the lists had no room to grow in: nothing was tested")
	}
}

func startedRun(t *testing.T) TrainingRun {
	t.Helper()
	run, err := (TrainingRun{}).Apply(started(3, 1))
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func started(epochs, interval uint64) TrainingStarted {
	return TrainingStarted{
		RunID: "run", SessionID: "session", ModelID: "model", Dataset: Dataset{ID: "digits"},
		Hyperparameters: Hyperparameters{BatchSize: 8, Epochs: epochs, Shards: 1, CheckpointInterval: interval},
	}
}

// life is a dumb world that answers a saga's commands, with crashes and
// failures drawn by rapid, and keeps its own books of what is held.
type life struct {
	run     TrainingRun
	folded  TrainingRun // the same, by Extend
	saga    TrainingSaga
	step    uint64
	leases  device.Epoch
	held    map[Allocation]bool
	loaded  map[DatasetID]bool
	history []Event
}

func (l *life) record(t *rapid.T, e Event) {
	run, err := l.run.Apply(e)
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	saga, _, err := l.saga.Handle(e)
	if err != nil {
		t.Fatalf("saga: %v", err)
	}
	if l.folded, err = l.folded.Extend(e); err != nil || !reflect.DeepEqual(l.folded, run) {
		t.Fatalf("extended, the run is %+v, %v; applied, %+v", l.folded, err, run)
	}
	l.run, l.saga = run, saga
	l.history = append(l.history, e)
}

// obey carries out one command; fails says whether it goes wrong.
func (l *life) obey(t *rapid.T, c Command, fails bool) {
	const stepsPerEpoch = 4
	switch c := c.(type) {
	case AllocateDevice:
		if fails {
			l.record(t, ResourceAllocationFailed{Reason: "none free"})
			return
		}
		l.leases++
		a := Allocation{Device: "cpu0", Lease: "lease", Epoch: l.leases}
		l.held[a] = true
		l.record(t, ResourceAllocated{a})
	case LoadDataset:
		if fails {
			l.record(t, DatasetLoadFailed{Reason: "gone"})
			return
		}
		l.loaded[c.Dataset] = true
		l.record(t, DatasetLoaded{Dataset: c.Dataset})
	case InitializeModel:
		last, _ := l.run.LastCheckpoint()
		if fails {
			l.record(t, ModelInitializationFailed{Reason: "corrupt"})
			return
		}
		l.step = last.Step
		l.record(t, ModelInitialized{Step: last.Step})
	case TrainEpoch:
		if fails {
			l.record(t, TrainingFailed{Step: l.step, Reason: "NaN"})
			return
		}
		l.step = c.Epoch * stepsPerEpoch
		e, err := l.run.RecordEpoch(EpochMetrics{Epoch: c.Epoch, Step: l.step})
		if err != nil {
			t.Fatal(err)
		}
		l.record(t, e)
	case CreateCheckpoint:
		if fails {
			l.record(t, CheckpointFailed{Step: l.step, Reason: "disk full"})
			return
		}
		l.record(t, CheckpointCommitted{Checkpoint{SessionID: "session", Epoch: l.saga.Context.Epoch, Step: l.step}})
	case CompleteRun:
		l.record(t, TrainingCompleted{Epoch: l.saga.Context.Epoch, Step: l.step})
	case ReleaseDevice:
		delete(l.held, c.Allocation)
		l.record(t, DeviceReleased{c.Allocation})
	case UnloadDataset:
		delete(l.loaded, c.Dataset)
		l.record(t, DatasetUnloaded{c.Dataset})
	case FailRun:
		l.record(t, RunFailed{Reason: c.Reason})
	}
}

func TestEveryRunEndsHoldingNothingWhateverCrashesOrFails(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &life{held: map[Allocation]bool{}, loaded: map[DatasetID]bool{}}
		epochs := rapid.Uint64Range(1, 6).Draw(t, "epochs")
		l.record(t, started(epochs, rapid.Uint64Range(1, 4).Draw(t, "interval")))
		crashes := rapid.IntRange(0, 6).Draw(t, "crashes")
		failures := rapid.IntRange(0, 1).Draw(t, "failures")
		for turn := 0; ; turn++ {
			if turn > 500 {
				t.Fatalf("no end in sight: saga %+v", l.saga)
			}
			commands := l.saga.Commands()
			if len(commands) == 0 {
				if !l.saga.Context.Paused {
					break
				}
				e, err := l.run.Resume()
				if err != nil {
					t.Fatal(err)
				}
				l.record(t, e)
				continue
			}
			if crashes > 0 && l.saga.active() && rapid.IntRange(0, 3).Draw(t, "crash") == 0 {
				crashes--
				l.record(t, TrainingInterrupted{Cause: "kill -9"})
				continue
			}
			fails := failures > 0 && rapid.IntRange(0, 5).Draw(t, "fails") == 0
			if fails {
				failures--
			}
			l.obey(t, commands[0], fails)
		}
		checkEnd(t, l, epochs)
	})
}

func checkEnd(t *rapid.T, l *life, epochs uint64) {
	if len(l.held) > 0 || len(l.loaded) > 0 {
		t.Fatalf("ended holding %v and %v", l.held, l.loaded)
	}
	switch l.run.Session.State {
	case Completed:
		if l.saga.State != SagaCompleted || uint64(len(l.run.Metrics)) != epochs {
			t.Fatalf("completed with saga %s and %d of %d epochs", l.saga.State, len(l.run.Metrics), epochs)
		}
		if last, _ := l.run.LastCheckpoint(); last.Epoch != epochs {
			t.Fatalf("completed with its last checkpoint at epoch %d of %d", last.Epoch, epochs)
		}
	case Failed:
		if l.saga.State != SagaFailed || l.run.Reason == "" {
			t.Fatalf("failed with saga %s and reason %q", l.saga.State, l.run.Reason)
		}
	default:
		t.Fatalf("ended %s", l.run.Session.State)
	}
	var replayed TrainingSaga
	for _, e := range l.history {
		var err error
		if replayed, _, err = replayed.Handle(e); err != nil {
			t.Fatalf("replay: %v", err)
		}
	}
	if replayed.State != l.saga.State || replayed.Context.CheckpointStep != l.saga.Context.CheckpointStep {
		t.Fatalf("replayed saga %+v differs from the live one %+v", replayed, l.saga)
	}
}
