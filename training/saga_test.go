package training

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
)

// The mission's test of the same name, carried on to the end: everything held
// is released, once however often it is reported, and the saga fails.
func TestSagaCompensationOnFailure(t *testing.T) {
	gpu0, gpu1 := Allocation{Device: "gpu0", Epoch: 1}, Allocation{Device: "gpu1", Epoch: 4}
	saga := TrainingSaga{State: Training, Context: SagaContext{
		SessionID:        "test",
		AllocatedDevices: []Allocation{gpu0, gpu1},
		LoadedDatasets:   []DatasetID{"dataset1"},
	}}

	saga, commands := handle(t, saga, TrainingFailed{Reason: "OOM"})
	if saga.State != Compensating {
		t.Fatalf("state %s, want compensating", saga.State)
	}
	want := []Command{ReleaseDevice{gpu0}, ReleaseDevice{gpu1}, UnloadDataset{"dataset1"}}
	if !reflect.DeepEqual(commands, want) {
		t.Fatalf("commands %v, want %v", commands, want)
	}
	if _, _, err := saga.Handle(RunFailed{Reason: "OOM"}); !errors.Is(err, ErrInvalidTransition) {
		t.Errorf("failed while still holding devices: %v", err)
	}
	saga, _ = handle(t, saga, DeviceReleased{gpu1})
	saga, _ = handle(t, saga, DatasetUnloaded{"dataset1"})
	saga, commands = handle(t, saga, DeviceReleased{gpu1})
	if want := []Command{ReleaseDevice{gpu0}}; !reflect.DeepEqual(commands, want) {
		t.Errorf("after a repeated release: commands %v, want %v", commands, want)
	}
	if !saga.Holds("gpu0") || saga.Holds("gpu1") {
		t.Error("the saga's books are wrong")
	}
	saga, commands = handle(t, saga, DeviceReleased{gpu0})
	if want := []Command{FailRun{Reason: "OOM"}}; !reflect.DeepEqual(commands, want) {
		t.Errorf("commands %v, want %v", commands, want)
	}
	saga, commands = handle(t, saga, RunFailed{Reason: "OOM"})
	if saga.State != SagaFailed || len(commands) != 0 {
		t.Errorf("state %s with commands %v, want failed without any", saga.State, commands)
	}
}

func TestSagaWalksThroughItsStates(t *testing.T) {
	a := Allocation{Device: "cpu0", Lease: "l", Epoch: 1}
	cp := func(epoch, step uint64) Event {
		return CheckpointCommitted{Checkpoint{SessionID: "session", Epoch: epoch, Step: step, Dir: "step"}}
	}
	walk := []struct {
		event   Event
		state   SagaState
		command Command
	}{
		{started(3, 2), AllocatingResources, AllocateDevice{}},
		{ResourceAllocated{a}, LoadingData, LoadDataset{"digits"}},
		{DatasetLoaded{Dataset: "digits"}, InitializingModel, InitializeModel{}},
		{ModelInitialized{}, Training, TrainEpoch{1}},
		{EpochCompleted{Epoch: 1, Step: 4}, Training, TrainEpoch{2}},
		{EpochCompleted{Epoch: 2, Step: 8}, Checkpointing, CreateCheckpoint{}},
		{cp(2, 8), Training, TrainEpoch{3}},
		{cp(2, 10), Training, TrainEpoch{3}},
		{TrainingInterrupted{"Ctrl-C"}, AllocatingResources, ReleaseDevice{a}},
		{DeviceReleased{a}, AllocatingResources, UnloadDataset{"digits"}},
		{DatasetUnloaded{"digits"}, AllocatingResources, nil},
		{TrainingResumed{FromStep: 10}, AllocatingResources, AllocateDevice{}},
		{ResourceAllocated{a}, LoadingData, LoadDataset{"digits"}},
		{DatasetLoaded{Dataset: "digits"}, InitializingModel, InitializeModel{}},
		{ModelInitialized{Step: 10}, Training, TrainEpoch{3}},
		{EpochCompleted{Epoch: 3, Step: 12}, Checkpointing, CreateCheckpoint{}},
		{cp(3, 12), Checkpointing, CompleteRun{}},
		{TrainingCompleted{}, SagaCompleted, ReleaseDevice{a}},
		{DeviceReleased{a}, SagaCompleted, UnloadDataset{"digits"}},
		{DatasetUnloaded{"digits"}, SagaCompleted, nil},
	}
	var saga TrainingSaga
	for i, w := range walk {
		var commands []Command
		saga, commands = handle(t, saga, w.event)
		var first Command
		if len(commands) > 0 {
			first = commands[0]
		}
		if saga.State != w.state || first != w.command {
			t.Fatalf("%d, %s: state %s and command %#v, want %s and %#v", i, w.event.EventType(), saga.State, first, w.state, w.command)
		}
	}
	if saga.Context.CheckpointPath != "step" {
		t.Errorf("checkpoint path %q", saga.Context.CheckpointPath)
	}
}

func TestSagaRefusesEventsThatDoNotFitAndStaysAsItWas(t *testing.T) {
	a := Allocation{Device: "cpu0"}
	base := SagaContext{Epochs: 3, CheckpointInterval: 1, RequiredDevices: 1}
	paused := base
	paused.Paused = true
	holding := paused
	holding.AllocatedDevices = []Allocation{a}
	cases := []struct {
		name  string
		saga  TrainingSaga
		event Event
	}{
		{"an epoch skipped", TrainingSaga{Training, base}, EpochCompleted{Epoch: 2}},
		{"an epoch while allocating", TrainingSaga{AllocatingResources, base}, EpochCompleted{Epoch: 1}},
		{"a lease while interrupted", TrainingSaga{AllocatingResources, paused}, ResourceAllocated{a}},
		{"resumed while still holding", TrainingSaga{AllocatingResources, holding}, TrainingResumed{}},
		{"resumed while not interrupted", TrainingSaga{AllocatingResources, base}, TrainingResumed{}},
		{"resumed from another step", TrainingSaga{AllocatingResources, paused}, TrainingResumed{FromStep: 7}},
		{"a model from another step", TrainingSaga{InitializingModel, base}, ModelInitialized{Step: 3}},
		{"a checkpoint without progress", TrainingSaga{Checkpointing, base}, CheckpointCommitted{}},
		{"completed before the last epoch", TrainingSaga{Checkpointing, base}, TrainingCompleted{}},
		{"interrupted after its end", TrainingSaga{SagaCompleted, base}, TrainingInterrupted{}},
		{"interrupted while compensating", TrainingSaga{Compensating, base}, TrainingInterrupted{}},
		{"failed after its end", TrainingSaga{SagaFailed, base}, TrainingFailed{}},
		{"started twice", TrainingSaga{Training, base}, started(1, 1)},
	}
	for _, c := range cases {
		got, commands, err := c.saga.Handle(c.event)
		if !errors.Is(err, ErrInvalidTransition) || commands != nil || !reflect.DeepEqual(got, c.saga) {
			t.Errorf("%s: %v, %v, %v", c.name, got.State, commands, err)
		}
	}
}

func TestHandleLeavesTheOldSagaAlone(t *testing.T) {
	a, b := Allocation{Device: "a"}, Allocation{Device: "b"}
	old := TrainingSaga{Training, SagaContext{AllocatedDevices: []Allocation{a, b}}}
	handle(t, old, DeviceReleased{a})
	if !reflect.DeepEqual(old.Context.AllocatedDevices, []Allocation{a, b}) {
		t.Errorf("the old saga now holds %v", old.Context.AllocatedDevices)
	}
}

func handle(t *testing.T, s TrainingSaga, e Event) (TrainingSaga, []Command) {
	t.Helper()
	next, commands, err := s.Handle(e)
	if err != nil {
		t.Fatalf("%s: %v", e.EventType(), err)
	}
	return next, commands
}

func TestEveryFailureCompensates(t *testing.T) {
	held := SagaContext{AllocatedDevices: []Allocation{{Device: "cpu0", Epoch: 1}}, LoadedDatasets: []DatasetID{"digits"}}
	for _, c := range []struct {
		state SagaState
		event Event
	}{
		{AllocatingResources, ResourceAllocationFailed{Reason: "why"}},
		{LoadingData, DatasetLoadFailed{Reason: "why"}},
		{InitializingModel, ModelInitializationFailed{Reason: "why"}},
		{Training, TrainingFailed{Reason: "why"}},
	} {
		saga, commands := handle(t, TrainingSaga{State: c.state, Context: held}, c.event)
		if saga.State != Compensating || saga.Context.Reason != "why" || len(commands) != 2 {
			t.Errorf("%s in %s: state %s, reason %q, commands %v", c.event.EventType(), c.state, saga.State, saga.Context.Reason, commands)
		}
	}
}

// An event that no state of the saga takes could never be recorded.
func TestEveryEventFitsSomeStateOfTheSaga(t *testing.T) {
	a := Allocation{Device: "cpu0", Lease: "l", Epoch: 1}
	samples := map[string]Event{}
	for _, e := range Events() {
		samples[e.EventType()] = e
	}
	for _, e := range []Event{ // those of which not every one fits
		started(1, 1), ResourceAllocated{a}, DeviceReleased{a}, DatasetLoaded{Dataset: "digits"}, DatasetUnloaded{"digits"},
		EpochCompleted{Epoch: 1}, EpochReproduced{Epoch: 1}, EarlyStopped{Epoch: 1},
		CheckpointCommitted{Checkpoint{Epoch: 1, Step: 10}},
	} {
		samples[e.EventType()] = e
	}
	fits := map[string]bool{}
	seen := map[string]bool{}
	next := []TrainingSaga{{}}
	for len(next) > 0 {
		saga := next[0]
		next = next[1:]
		for kind, e := range samples {
			after, err := saga.Apply(e)
			if err != nil {
				continue
			}
			fits[kind] = true
			if key := fmt.Sprintf("%+v", after); !seen[key] {
				seen[key] = true
				next = append(next, after)
			}
		}
	}
	for kind := range samples {
		if !fits[kind] {
			t.Errorf("%s fits no state of the saga", kind)
		}
	}
}
