package integration

import (
	"errors"
	"fmt"
	"testing"

	"reprise/journal"
	"reprise/training"
)

func TestANameMeansOneRun(t *testing.T) {
	var list journal.RunList
	if _, err := list.Resolve("latest"); !errors.Is(err, journal.ErrRunNotFound) {
		t.Errorf("latest of none: %v", err)
	}
	add := func(ids ...string) {
		for _, id := range ids {
			list.Runs = append(list.Runs, journal.RunSummary{RunID: training.RunID(id)})
		}
	}
	add("a", "ab", "b1", "b2", "c0")
	for name, want := range map[string]training.RunID{"a": "a", "ab": "ab", "b2": "b2", "c": "c0", "latest": "c0"} {
		if got, err := list.Resolve(name); err != nil || got != want {
			t.Errorf("%q is %q, %v; want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"", "d", "abc"} {
		if _, err := list.Resolve(name); !errors.Is(err, journal.ErrRunNotFound) {
			t.Errorf("%q: %v", name, err)
		}
	}
	_, err := list.Resolve("b")
	if want := `run "b" is ambiguous: it could be b1, b2; give more of the id`; !errors.Is(err, journal.ErrAmbiguousRun) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	for i := range 100 {
		add(fmt.Sprintf("d%02d", i))
	}
	_, err = list.Resolve("d")
	if want := `run "d" is ambiguous: it could be d95, d96, d97, d98, d99 or one of 95 older ones; give more of the id`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
