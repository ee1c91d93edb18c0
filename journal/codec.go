package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"reprise/eventstore"
	"reprise/fault"
	"reprise/training"
)

// ErrUnknownEvent is returned for an event of a type that this version of
// Reprise does not know: the log was written by a newer one.
var ErrUnknownEvent = fault.New(fault.Internal, "unknown event type; the log was written by a newer version of reprise")

// Typed is what the events of every context have in common.
type Typed interface{ EventType() string }

// Encode returns the envelope type and payload of an event.
func Encode(e Typed) (string, []byte, error) {
	payload, err := json.Marshal(e)
	if err != nil {
		return "", nil, fmt.Errorf("encode %s: %w", e.EventType(), err)
	}
	return e.EventType(), payload, nil
}

// Decoder turns a payload into an event of context E.
type Decoder[E Typed] func(payload []byte) (E, error)

// as decodes into the concrete event T, refusing fields that T does not have.
func as[T, E Typed](payload []byte) (E, error) {
	var event T
	var none E
	if err := decodeStrictly(payload, &event); err != nil {
		return none, fmt.Errorf("decode %s: %w", event.EventType(), err)
	}
	return any(event).(E), nil
}

// strictDecoder refuses unknown fields, as only a json.Decoder does. It reads
// one payload after the other: its buffer costs more than a payload.
type strictDecoder struct {
	payload bytes.Reader
	json    *json.Decoder
}

var strictDecoders = sync.Pool{New: func() any {
	d := &strictDecoder{}
	d.json = json.NewDecoder(&d.payload)
	d.json.DisallowUnknownFields()
	return d
}}

func decodeStrictly(payload []byte, into any) error {
	d := strictDecoders.Get().(*strictDecoder)
	begin := d.json.InputOffset()
	d.payload.Reset(payload)
	err := d.json.Decode(into)
	d.payload.Reset(nil)
	if err == nil && d.json.InputOffset() == begin+int64(len(payload)) {
		strictDecoders.Put(d) // nothing is left in its buffer
	}
	return err
}

// Codec reads the events of context E: the newest version of every type by its
// Decoder, an older one after the upcasts that lead there. Nobody writes to one
// that is in use.
type Codec[E Typed] struct {
	Decoders map[string]Decoder[E]
	older    eventstore.Upcasters
	// check, if not nil, fails for an event that no program of ours has written:
	// a log may have come from anywhere.
	check func(eventstore.Event, E) error
}

// Decode returns the event of an envelope, or ErrUnknownEvent.
func (c Codec[E]) Decode(e eventstore.Event) (E, error) {
	var none E
	kind, payload, err := c.older.Newest(e)
	if err != nil {
		return none, err
	}
	decode, ok := c.Decoders[kind]
	if !ok {
		return none, fmt.Errorf("event %d of %s, %q: %w", e.Version, e.Aggregate, e.Type, ErrUnknownEvent)
	}
	event, err := decode(payload)
	if err == nil && c.check != nil {
		err = c.check(e, event)
	}
	if err != nil {
		return none, fmt.Errorf("event %d of %.80q: %w", e.Version, e.Aggregate, err)
	}
	return event, nil
}

func trainingEvent[T training.Event](decoders map[string]Decoder[training.Event]) {
	var event T
	decoders[event.EventType()] = as[T, training.Event]
}

// trainingCodec reads every event that a run's log may hold. All are at their
// first version: there are no upcasts yet.
var trainingCodec = Codec[training.Event]{Decoders: TrainingDecoders(), check: checkNames}

// TrainingCodec returns the codec of the events of runs.
func TrainingCodec() Codec[training.Event] { return trainingCodec }

// checkNames fails unless every name in the event of a run that becomes part of a
// path is one of ours: that of the run, in the aggregate and in the event, that
// of a fork's parent, and those of checkpoints' folders. This is where the names
// of a log enter; nothing checks them later.
func checkNames(e eventstore.Event, event training.Event) error {
	id, ofRun := RunOf(e.Aggregate)
	if ofRun {
		if err := id.Validate(); err != nil {
			return err
		}
	}
	switch event := event.(type) {
	case training.TrainingStarted:
		if ofRun && event.RunID != id {
			return fmt.Errorf("the event is of run %q", event.RunID)
		}
		if parent := event.Parent; parent != nil {
			if err := parent.RunID.Validate(); err != nil {
				return fmt.Errorf("parent: %w", err)
			}
			if err := parent.Checkpoint.Ref().Validate(); err != nil {
				return fmt.Errorf("parent: %w", err)
			}
		}
	case training.CheckpointCommitted:
		return event.Checkpoint.Ref().Validate()
	}
	return nil
}

// TrainingDecoders has every event of a run, in its newest version.
func TrainingDecoders() map[string]Decoder[training.Event] {
	d := map[string]Decoder[training.Event]{}
	trainingEvent[training.TrainingStarted](d)
	trainingEvent[training.ResourceAllocated](d)
	trainingEvent[training.ResourceAllocationFailed](d)
	trainingEvent[training.DatasetLoaded](d)
	trainingEvent[training.DatasetLoadFailed](d)
	trainingEvent[training.ModelInitialized](d)
	trainingEvent[training.ModelInitializationFailed](d)
	trainingEvent[training.EpochCompleted](d)
	trainingEvent[training.EpochReproduced](d)
	trainingEvent[training.EvaluationCompleted](d)
	trainingEvent[training.EarlyStopped](d)
	trainingEvent[training.CheckpointCommitted](d)
	trainingEvent[training.CheckpointFailed](d)
	trainingEvent[training.TrainingInterrupted](d)
	trainingEvent[training.TrainingResumed](d)
	trainingEvent[training.TrainingFailed](d)
	trainingEvent[training.TrainingCompleted](d)
	trainingEvent[training.DeviceReleased](d)
	trainingEvent[training.DatasetUnloaded](d)
	trainingEvent[training.RunFailed](d)
	return d
}

// EventOf returns the domain's event of an envelope: a training.Event, a
// device.Event, an ActorEvent or a QueueEvent. It fails with ErrUnknownEvent for any other.
func EventOf(e eventstore.Event) (any, error) {
	switch {
	case strings.HasPrefix(string(e.Aggregate), DevicePrefix):
		return deviceCodec.Decode(e)
	case strings.HasPrefix(string(e.Aggregate), ActorsPrefix):
		return actorCodec.Decode(e)
	case e.Aggregate == QueueAggregate:
		return queueCodec.Decode(e)
	}
	return trainingCodec.Decode(e)
}
