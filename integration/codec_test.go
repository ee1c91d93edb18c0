package integration

import (
	"bytes"
	"errors"
	"testing"

	"reprise/eventstore"
	"reprise/training"
)

// An event of an older version is read as the newest one; the stored event, which
// the hash chain covers, stays as it is.
func TestAnOlderEventIsReadThroughItsUpcasts(t *testing.T) {
	older, err := eventstore.NewUpcasters(eventstore.Upcast{
		From: "training.example.v1", To: "training.example.v2",
		Payload: func(p []byte) ([]byte, error) { return bytes.Replace(p, []byte("step"), []byte("from_step"), 1), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	c := codec[training.Event]{older: older, decoders: map[string]decoder[training.Event]{
		"training.example.v2": as[training.TrainingResumed, training.Event],
	}}
	stored := eventstore.Event{NewEvent: eventstore.NewEvent{Type: "training.example.v1", Payload: []byte(`{"step":7}`)}}
	event, err := c.decode(stored)
	if err != nil || event != (training.TrainingResumed{FromStep: 7}) || string(stored.Payload) != `{"step":7}` {
		t.Errorf("%+v, %v", event, err)
	}
	if _, err := (codec[training.Event]{decoders: c.decoders}).decode(stored); !errors.Is(err, ErrUnknownEvent) {
		t.Errorf("without the upcast: %v", err)
	}
}

func TestAnUnknownEventOrKeyIsRefused(t *testing.T) {
	for _, e := range []eventstore.NewEvent{
		{Type: "training.training_resumed.v9", Payload: []byte(`{}`)},
		{Type: "training.training_resumed.v1", Payload: []byte(`{"from_step":1,"from_epoch":2}`)},
		{Type: "training.training_resumed.v1", Payload: []byte(`{`)},
	} {
		if event, err := trainingCodec.decode(eventstore.Event{NewEvent: e}); err == nil {
			t.Errorf("%s %s was read as %+v", e.Type, e.Payload, event)
		}
	}
}
