package eventstore

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func add(suffix string) func([]byte) ([]byte, error) {
	return func(p []byte) ([]byte, error) { return fmt.Appendf(nil, "%s+%s", p, suffix), nil }
}

func TestUpcastsReachTheNewestVersionAndLeaveTheEventAlone(t *testing.T) {
	u, err := NewUpcasters(Upcast{"x.happened.v2", "x.happened.v3", add("3")}, Upcast{"x.happened.v1", "x.happened.v2", add("2")})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ stored, newest, payload string }{
		{"x.happened.v1", "x.happened.v3", "p+2+3"},
		{"x.happened.v2", "x.happened.v3", "p+3"},
		{"x.happened.v3", "x.happened.v3", "p"},
		{"y.happened.v1", "y.happened.v1", "p"},
	} {
		e := Seal(NewEvent{ID: "1", Type: c.stored, Time: time.Unix(1, 0), Payload: []byte("p")}, "a", 1, 1, Hash{})
		newest, payload, err := u.Newest(e)
		if err != nil || newest != c.newest || string(payload) != c.payload {
			t.Errorf("%s: %s %q, %v", c.stored, newest, payload, err)
		}
		if err := e.Check(); err != nil || !bytes.Equal(e.Payload, []byte("p")) {
			t.Errorf("%s was changed: %v", c.stored, err)
		}
	}
	var none Upcasters
	if newest, _, err := none.Newest(Event{NewEvent: NewEvent{Type: "x.v1"}}); err != nil || newest != "x.v1" {
		t.Errorf("without upcasts: %s, %v", newest, err)
	}
}

func TestFailingUpcastNamesTheEvent(t *testing.T) {
	broken := errors.New("broken")
	u, err := NewUpcasters(Upcast{"x.v1", "x.v2", func([]byte) ([]byte, error) { return nil, broken }})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = u.Newest(Event{NewEvent: NewEvent{Type: "x.v1"}, Aggregate: "run/1", Version: 7})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "event 7 of run/1") {
		t.Error(err)
	}
}

func TestUpcastsThatAreNotAStepToTheNextVersionAreRefused(t *testing.T) {
	id := add("")
	for _, steps := range [][]Upcast{
		{{"x.v1", "x.v3", id}},
		{{"x.v2", "x.v1", id}},
		{{"x.v1", "y.v2", id}},
		{{"x.v1", "x.v1", id}},
		{{"x.v01", "x.v2", id}},
		{{"x", "x.v1", id}},
		{{".v1", ".v2", id}},
		{{"x.v1", "x.v2", nil}},
		{{"x.v1", "x.v2", id}, {"x.v1", "x.v2", id}},
	} {
		if _, err := NewUpcasters(steps...); err == nil {
			t.Errorf("%q to %q: accepted", steps[0].From, steps[0].To)
		}
	}
}
