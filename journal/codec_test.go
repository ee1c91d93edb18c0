package journal

import (
	"bytes"
	"errors"
	"strconv"
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
	c := Codec[training.Event]{older: older, decoders: map[string]decoder[training.Event]{
		"training.example.v2": codecOf[training.Event](training.TrainingResumed{}).decoders[training.TrainingResumed{}.EventType()],
	}}
	stored := eventstore.Event{NewEvent: eventstore.NewEvent{Type: "training.example.v1", Payload: []byte(`{"step":7}`)}}
	event, err := c.Decode(stored)
	if err != nil || event != (training.TrainingResumed{FromStep: 7}) || string(stored.Payload) != `{"step":7}` {
		t.Errorf("%+v, %v", event, err)
	}
	if _, err := (Codec[training.Event]{decoders: c.decoders}).Decode(stored); !errors.Is(err, ErrUnknownEvent) {
		t.Errorf("without the upcast: %v", err)
	}
}

func TestAnUnknownEventOrKeyIsRefused(t *testing.T) {
	for _, e := range []eventstore.NewEvent{
		{Type: "training.training_resumed.v9", Payload: []byte(`{}`)},
		{Type: "training.training_resumed.v1", Payload: []byte(`{"from_step":1,"from_epoch":2}`)},
		{Type: "training.training_resumed.v1", Payload: []byte(`{`)},
	} {
		if event, err := runCodec.Decode(eventstore.Event{NewEvent: e}); err == nil {
			t.Errorf("%s %s was read as %+v", e.Type, e.Payload, event)
		}
	}
}

// A log from elsewhere may contain any name; names that become paths are
// checked where they are read.
func TestNamesThatLeadElsewhereAreRefused(t *testing.T) {
	started := func(run, parent string) string {
		s := `{"run_id":` + strconv.Quote(run) + `,"session_id":"s","model_id":"m","architecture":{"input":[1],"layers":[]},"dataset":{},"hyperparameters":{}`
		if parent != "" {
			s += `,"parent":` + parent
		}
		return s + "}"
	}
	parent := func(run, dir string) string {
		return `{"run_id":` + strconv.Quote(run) + `,"checkpoint":{"step":45,"dir":` + strconv.Quote(dir) + `}}`
	}
	const start, commit, resume = "training.training_started.v1", "training.checkpoint_committed.v1", "training.training_resumed.v1"
	for _, c := range []struct {
		aggregate, kind, payload string
		good                     bool
	}{
		{"run/run-1", start, started("run-1", ""), true},
		{"run/run-1", start, started("run-1", parent("run-0", "step-00000045")), true},
		{"run/run-1", commit, `{"step":45,"dir":"step-00000045"}`, true},
		{"run/../../pwned", start, started("../../pwned", ""), false},
		{"run/../../pwned", resume, `{}`, false},
		{"run/", resume, `{}`, false},
		{"run/run-1", start, started("../../pwned", ""), false},
		{"run/run-1", start, started("run-2", ""), false},
		{"run/run-1", start, started("", ""), false},
		{"run/run-1", start, started("run-1", parent("../../pwned", "step-00000045")), false},
		{"run/run-1", start, started("run-1", parent("run-0", "../../run-2/checkpoints/step-00000045")), false},
		{"run/run-1", commit, `{"step":45,"dir":"../../../pwned"}`, false},
		{"run/run-1", commit, `{"step":45,"dir":"/etc"}`, false},
		{"run/run-1", commit, `{"step":45,"dir":""}`, false},
		{"run/run-1", commit, `{"step":45,"dir":"step-00000046"}`, false},
	} {
		stored := eventstore.Event{Aggregate: eventstore.AggregateID(c.aggregate), Version: 1, NewEvent: eventstore.NewEvent{Type: c.kind, Payload: []byte(c.payload)}}
		if _, err := runCodec.Decode(stored); (err == nil) != c.good {
			t.Errorf("%s %s %s: %v", c.aggregate, c.kind, c.payload, err)
		}
	}
}
