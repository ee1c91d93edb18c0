package training

import (
	"fmt"
	"slices"

	"reprise/device"
)

// SagaState is the state of a run's saga.
type SagaState string

// The states of a saga.
const (
	AllocatingResources SagaState = "allocating_resources"
	LoadingData         SagaState = "loading_data"
	InitializingModel   SagaState = "initializing_model"
	Training            SagaState = "training"
	Checkpointing       SagaState = "checkpointing"
	SagaCompleted       SagaState = "completed"
	Compensating        SagaState = "compensating"
	SagaFailed          SagaState = "failed"
)

// SagaContext is what a saga has to remember, and what it might have to undo.
type SagaContext struct {
	SessionID        SessionID    `json:"session_id"`
	RequiredDevices  int          `json:"required_devices"`
	AllocatedDevices []Allocation `json:"allocated_devices"`
	Dataset          DatasetID    `json:"dataset"`
	LoadedDatasets   []DatasetID  `json:"loaded_datasets"`
	// CheckpointPath is the folder of the last committed checkpoint, or ""; a
	// fork's CheckpointEpoch and CheckpointStep are its parent's until it has one.
	CheckpointPath string `json:"checkpoint_path"`

	Epochs             uint64 `json:"epochs"`
	CheckpointInterval uint64 `json:"checkpoint_interval"`
	// Epoch counts the epochs that the weights have been trained for.
	Epoch           uint64 `json:"epoch"`
	CheckpointEpoch uint64 `json:"checkpoint_epoch"`
	CheckpointStep  uint64 `json:"checkpoint_step"`
	// Paused is set while the run is interrupted: the saga waits in
	// allocating_resources, releases what it holds, and asks for nothing.
	Paused bool `json:"paused"`
	// Reason is why the saga is compensating or has failed.
	Reason string `json:"reason,omitempty"`
	// Worker is the one that hosts the run, or did last; "" is the only one.
	Worker string `json:"worker,omitempty"`
}

// TrainingSaga leads a run from its first device to its last checkpoint: devices,
// data, model, epochs, checkpoints. When something fails, it releases everything
// again. It is a value: Handle returns a new one and never changes the old.
type TrainingSaga struct {
	State   SagaState   `json:"state"`
	Context SagaContext `json:"context"`
}

// Command is something a saga wants done: one of the structs below. The saga
// learns of the outcome from an event.
type Command interface{ sagaCommand() }

// The commands of a saga, and the events that answer them.
type (
	// AllocateDevice is answered by ResourceAllocated or ResourceAllocationFailed.
	AllocateDevice struct{}
	// LoadDataset is answered by DatasetLoaded or DatasetLoadFailed.
	LoadDataset struct{ Dataset DatasetID }
	// InitializeModel starts from the last checkpoint if there is one, and is
	// answered by ModelInitialized or ModelInitializationFailed.
	InitializeModel struct{}
	// TrainEpoch trains to the end of the given epoch. It is answered by
	// EpochCompleted, EpochReproduced or TrainingFailed; before that, by an
	// EvaluationCompleted for each evaluation within the epoch, and by EarlyStopped
	// if the epoch is to be the last.
	TrainEpoch struct{ Epoch uint64 }
	// CreateCheckpoint is answered by CheckpointCommitted or CheckpointFailed.
	CreateCheckpoint struct{}
	// CompleteRun is answered by TrainingCompleted.
	CompleteRun struct{}
	// ReleaseDevice is answered by DeviceReleased, even if the device was released before.
	ReleaseDevice struct{ Allocation Allocation }
	// UnloadDataset is answered by DatasetUnloaded, even if the data set was not loaded.
	UnloadDataset struct{ Dataset DatasetID }
	// FailRun is answered by RunFailed.
	FailRun struct{ Reason string }
)

func (AllocateDevice) sagaCommand()   {}
func (LoadDataset) sagaCommand()      {}
func (InitializeModel) sagaCommand()  {}
func (TrainEpoch) sagaCommand()       {}
func (CreateCheckpoint) sagaCommand() {}
func (CompleteRun) sagaCommand()      {}
func (ReleaseDevice) sagaCommand()    {}
func (UnloadDataset) sagaCommand()    {}
func (FailRun) sagaCommand()          {}

// Handle returns the saga after the event and the commands that follow from
// it. An event that does not fit the state gives ErrInvalidTransition and the
// unchanged saga. Releasing a device or data set twice is not an error.
func (s TrainingSaga) Handle(event Event) (TrainingSaga, []Command, error) {
	next, err := s.Apply(event)
	if err != nil {
		return s, nil, err
	}
	return next, next.Commands(), nil
}

// Apply is Handle for callers that need no commands, such as a replay.
func (s TrainingSaga) Apply(event Event) (TrainingSaga, error) {
	next := s
	if err := next.handle(event); err != nil {
		return s, err
	}
	return next, nil
}

// Commands returns what the saga wants done in its present state. It is a function
// of the state alone, so that after a crash the saga itself says what is still to be
// done.
func (s TrainingSaga) Commands() []Command {
	c := s.Context
	switch {
	case s.State == SagaCompleted, s.State == SagaFailed, c.Paused:
		return s.releases()
	case s.State == Compensating:
		if held := s.releases(); len(held) > 0 {
			return held
		}
		return []Command{FailRun{Reason: c.Reason}}
	}
	switch s.State {
	case AllocatingResources:
		return []Command{AllocateDevice{}}
	case LoadingData:
		return []Command{LoadDataset{Dataset: c.Dataset}}
	case InitializingModel:
		return []Command{InitializeModel{}}
	case Training:
		return []Command{TrainEpoch{Epoch: c.Epoch + 1}}
	case Checkpointing:
		if c.CheckpointEpoch == c.Epochs {
			return []Command{CompleteRun{}}
		}
		return []Command{CreateCheckpoint{}}
	default: // not started yet
		return nil
	}
}

func (s TrainingSaga) releases() []Command {
	var commands []Command
	for _, a := range s.Context.AllocatedDevices {
		commands = append(commands, ReleaseDevice{Allocation: a})
	}
	for _, d := range s.Context.LoadedDatasets {
		commands = append(commands, UnloadDataset{Dataset: d})
	}
	return commands
}

// handle changes the saga in place, but not its lists, which others may share. The
// events that are legal in several states come first, then those of the present
// state.
func (s *TrainingSaga) handle(event Event) error {
	c := &s.Context
	switch e := event.(type) {
	case TrainingStarted:
		return s.start(e)
	case DeviceReleased:
		c.AllocatedDevices = slices.DeleteFunc(slices.Clone(c.AllocatedDevices), func(a Allocation) bool { return a == e.Allocation })
		return nil
	case DatasetUnloaded:
		c.LoadedDatasets = slices.DeleteFunc(slices.Clone(c.LoadedDatasets), func(d DatasetID) bool { return d == e.Dataset })
		return nil
	case TrainingInterrupted:
		if !s.active() {
			return s.unexpected(event)
		}
		s.pause()
		return nil
	case DatasetMoved: // before a run that has stopped continues
		if !s.active() && !c.Paused {
			return s.unexpected(event)
		}
		return nil
	case TrainingFailed:
		if !s.active() && !c.Paused {
			return s.unexpected(event)
		}
		s.compensate(e.Reason)
		return nil
	case Remark:
		if !s.active() {
			return s.unexpected(event)
		}
		return nil
	case ResourceAllocated, ResourceAllocationFailed, TrainingResumed,
		DatasetLoaded, DatasetLoadFailed, ModelInitialized, ModelInitializationFailed,
		EpochCompleted, EpochReproduced, EvaluationCompleted, EarlyStopped,
		CheckpointCommitted, CheckpointFailed, TrainingCompleted, RunFailed:
		// They fit one state or two.
	}
	switch s.State {
	case AllocatingResources:
		return s.handleAllocating(event)
	case LoadingData, InitializingModel:
		return s.handlePreparing(event)
	case Training:
		return s.handleTraining(event)
	case Checkpointing:
		return s.handleCheckpointing(event)
	case Compensating:
		if e, ok := event.(RunFailed); ok && len(s.releases()) == 0 {
			s.State, c.Reason = SagaFailed, e.Reason
			return nil
		}
	default: // it has ended
	}
	return s.unexpected(event)
}

// active reports whether the saga is under way: it has not ended, is not
// compensating and is not paused.
func (s *TrainingSaga) active() bool {
	switch s.State {
	case AllocatingResources, LoadingData, InitializingModel, Training, Checkpointing:
		return !s.Context.Paused
	default:
		return false
	}
}

func (s *TrainingSaga) start(e TrainingStarted) error {
	if s.State != "" {
		return s.unexpected(e)
	}
	s.State = AllocatingResources
	s.Context = SagaContext{
		SessionID: e.SessionID, RequiredDevices: 1, Dataset: e.Dataset.ID,
		Epochs: e.Hyperparameters.Epochs, CheckpointInterval: e.Hyperparameters.CheckpointInterval,
		// A fork begins where its parent was at the checkpoint.
		Epoch: e.Parent.Epoch(), CheckpointEpoch: e.Parent.Epoch(), CheckpointStep: e.Parent.Step(),
		Worker: e.Worker,
	}
	return nil
}

func (s *TrainingSaga) handleAllocating(event Event) error {
	c := &s.Context
	switch e := event.(type) {
	case TrainingResumed:
		if !c.Paused || len(s.releases()) > 0 || e.FromStep != c.CheckpointStep {
			return s.unexpected(event)
		}
		c.Paused, c.Worker = false, e.Worker
		return nil
	case ResourceAllocated:
		if c.Paused || slices.ContainsFunc(c.AllocatedDevices, func(a Allocation) bool { return a.Device == e.Device }) {
			return s.unexpected(event)
		}
		c.AllocatedDevices = append(slices.Clip(c.AllocatedDevices), e.Allocation)
		if len(c.AllocatedDevices) >= c.RequiredDevices {
			s.State = LoadingData
		}
		return nil
	case ResourceAllocationFailed:
		if c.Paused {
			return s.unexpected(event)
		}
		s.compensate(e.Reason)
		return nil
	default:
		return s.unexpected(event)
	}
}

func (s *TrainingSaga) handlePreparing(event Event) error {
	switch e := event.(type) {
	case DatasetLoaded:
		if s.State != LoadingData {
			return s.unexpected(event)
		}
		s.Context.LoadedDatasets = append(slices.Clip(s.Context.LoadedDatasets), e.Dataset)
		s.State = InitializingModel
		return nil
	case DatasetLoadFailed:
		if s.State != LoadingData {
			return s.unexpected(event)
		}
		s.compensate(e.Reason)
		return nil
	case ModelInitialized:
		if s.State != InitializingModel || e.Step != s.Context.CheckpointStep {
			return s.unexpected(event)
		}
		s.State = Training
		if s.Context.Epoch == s.Context.Epochs {
			s.State = Checkpointing // only CompleteRun was missing
		}
		return nil
	case ModelInitializationFailed:
		if s.State != InitializingModel {
			return s.unexpected(event)
		}
		s.compensate(e.Reason)
		return nil
	default:
		return s.unexpected(event)
	}
}

func (s *TrainingSaga) handleTraining(event Event) error {
	switch e := event.(type) {
	case EpochCompleted:
		return s.endEpoch(event, e.Epoch)
	case EpochReproduced:
		return s.endEpoch(event, e.Epoch)
	case EvaluationCompleted:
		return nil
	case EarlyStopped:
		if e.Epoch != s.Context.Epoch+1 || e.Epoch > s.Context.Epochs {
			return s.unexpected(event)
		}
		s.Context.Epochs = e.Epoch
		return nil
	case CheckpointCommitted: // between two epochs' ends, before an interruption
		return s.commit(event, e.Checkpoint)
	case CheckpointFailed:
		s.pause()
		return nil
	default:
		return s.unexpected(event)
	}
}

func (s *TrainingSaga) endEpoch(event Event, epoch uint64) error {
	c := &s.Context
	if epoch != c.Epoch+1 {
		return s.unexpected(event)
	}
	c.Epoch = epoch
	if epoch == c.Epochs || c.CheckpointInterval > 0 && epoch%c.CheckpointInterval == 0 {
		s.State = Checkpointing
	}
	return nil
}

func (s *TrainingSaga) handleCheckpointing(event Event) error {
	c := &s.Context
	switch e := event.(type) {
	case CheckpointCommitted:
		if err := s.commit(event, e.Checkpoint); err != nil {
			return err
		}
		if c.CheckpointEpoch < c.Epochs {
			s.State = Training
		}
		return nil
	case CheckpointFailed:
		s.pause()
		return nil
	case TrainingCompleted:
		if c.CheckpointEpoch != c.Epochs {
			return s.unexpected(event)
		}
		s.State = SagaCompleted
		return nil
	default:
		return s.unexpected(event)
	}
}

func (s *TrainingSaga) commit(event Event, cp Checkpoint) error {
	c := &s.Context
	if cp.Epoch != c.Epoch || cp.Step <= c.CheckpointStep {
		return s.unexpected(event)
	}
	c.CheckpointPath, c.CheckpointEpoch, c.CheckpointStep = cp.Dir, cp.Epoch, cp.Step
	return nil
}

// pause sends the saga back to its first state, where it waits for TrainingResumed.
// What was trained since the last checkpoint has to be trained again.
func (s *TrainingSaga) pause() {
	s.State, s.Context.Paused = AllocatingResources, true
	s.Context.Epoch = s.Context.CheckpointEpoch
}

func (s *TrainingSaga) compensate(reason string) {
	s.State, s.Context.Paused, s.Context.Reason = Compensating, false, reason
}

func (s *TrainingSaga) unexpected(event Event) error {
	state := string(s.State)
	if s.Context.Paused {
		state += " (interrupted)"
	}
	return fmt.Errorf("%s in saga state %q: %w", event.EventType(), state, ErrInvalidTransition)
}

// Begun reports whether anything was done since the run started or was resumed.
func (s TrainingSaga) Begun() bool {
	return s.State != AllocatingResources || len(s.releases()) > 0
}

// Holds reports whether the run still holds the device.
func (s TrainingSaga) Holds(id device.ID) bool {
	return slices.ContainsFunc(s.Context.AllocatedDevices, func(a Allocation) bool { return a.Device == id })
}

// UnderWay reports whether the saga is neither paused nor ending.
func (s TrainingSaga) UnderWay() bool {
	switch s.State {
	case SagaCompleted, SagaFailed, Compensating:
		return false
	default:
		return !s.Context.Paused
	}
}
