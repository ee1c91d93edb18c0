package eventstore

import (
	"errors"
	"testing"
	"time"
)

// The worked example of docs/event-format.md.
func TestHashOfTheDocumentedExample(t *testing.T) {
	first := Seal(NewEvent{
		ID: "00000000-0000-8000-8000-000000000001", Type: "example.happened.v1",
		Time: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Payload: []byte(`{"answer":42}`),
	}, "example/1", 1, 1, Hash{})
	const want = "c044317522943313f47c0b6785c9ca35e78bcb7ee298b20a774aa5b8a54fdec5"
	if first.Hash.String() != want {
		t.Errorf("hash %s, documented %s", first.Hash, want)
	}
}

func TestDerivedEventIDIsAStableUUIDv8(t *testing.T) {
	id := DerivedEventID("run/1", "7", "type")
	if len(id) != 36 || id[14] != '8' || id[8] != '-' {
		t.Errorf("%s is no UUID of version 8", id)
	}
	if id != DerivedEventID("run/1", "7", "type") || id == DerivedEventID("run/17", "", "type") {
		t.Error("the id does not follow from its parts alone")
	}
}

func TestChainNamesTheFirstBrokenLink(t *testing.T) {
	e := func(name string) NewEvent { return NewEvent{ID: EventID(name), Type: "t", Time: time.Unix(1, 0)} }
	one := Seal(e("1"), "a", 1, 1, Hash{})
	two := Seal(e("2"), "a", 2, 2, one.Hash)
	changed := two
	changed.Payload = []byte("x")
	for name, broken := range map[string]Event{
		"changed":         changed,
		"unlinked":        Seal(e("2"), "a", 2, 2, Hash{1}),
		"skipped":         Seal(e("3"), "a", 2, 3, one.Hash),
		"version skipped": Seal(e("2"), "a", 3, 2, one.Hash),
	} {
		c := NewChain()
		if err := c.Add(one); err != nil {
			t.Fatal(err)
		}
		var corrupt *CorruptionError
		if err := c.Add(broken); !errors.As(err, &corrupt) || corrupt.Position != 2 {
			t.Errorf("%s: %v", name, err)
		}
		if err := c.Add(two); err != nil {
			t.Errorf("%s: the right event was refused afterwards: %v", name, err)
		}
	}
}
