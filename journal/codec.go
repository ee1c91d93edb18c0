package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
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

// decoder turns a payload into an event of context E.
type decoder[E Typed] func(payload []byte) (E, error)

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
// decoder, an older one after the upcasts that lead there. Nobody writes to one
// that is in use.
type Codec[E Typed] struct {
	decoders map[string]decoder[E]
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
	decode, ok := c.decoders[kind]
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

// codecOf returns the codec of a closed set of events, given one of each type. There
// are no upcasts yet: all events are in their first version.
func codecOf[E Typed](events ...E) Codec[E] { return Codec[E]{decoders: decodersOf(events...)} }

func decodersOf[E Typed](events ...E) map[string]decoder[E] {
	decoders := make(map[string]decoder[E], len(events))
	for _, e := range events {
		t := reflect.TypeOf(e)
		decoders[e.EventType()] = func(payload []byte) (E, error) {
			event := reflect.New(t)
			if err := decodeStrictly(payload, event.Interface()); err != nil {
				var none E
				return none, fmt.Errorf("decode %s: %w", e.EventType(), err)
			}
			return event.Elem().Interface().(E), nil
		}
	}
	return decoders
}

// runCodec reads every event that a run's log may hold.
var runCodec = Codec[training.Event]{decoders: decodersOf(training.Events()...), check: checkNames}

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
		if init := event.Init; init != nil && init.RunID != "" {
			if err := init.RunID.Validate(); err != nil {
				return fmt.Errorf("init: %w", err)
			}
		}
	case training.CheckpointCommitted:
		return event.Checkpoint.Ref().Validate()
	case training.ResourceAllocated, training.ResourceAllocationFailed, training.DeviceReleased,
		training.DatasetLoaded, training.DatasetLoadFailed, training.DatasetUnloaded,
		training.ModelInitialized, training.ModelInitializationFailed,
		training.EpochCompleted, training.EpochReproduced, training.EvaluationCompleted, training.EarlyStopped,
		training.CheckpointFailed, training.TrainingInterrupted, training.TrainingResumed,
		training.TrainingFailed, training.TrainingCompleted, training.RunFailed, training.Remark:
		// None of their names becomes part of a path.
	}
	return nil
}
