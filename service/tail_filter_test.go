package service

import (
	"testing"

	"reprise/api"
	"reprise/journal"
)

// A filter that no event can pass names what was meant.
func TestFiltersOfEventsAreBeginningsOfKnownNames(t *testing.T) {
	for _, c := range []struct{ given, want string }{
		{"training.epoch_completed", ""},
		{"training.epoch_completed.v1", ""},
		{"queue.", ""},
		{"", ""},
		{"training.epoch_finished", "did you mean training.epoch_completed?"},
		{"epoch_complete", "did you mean training.epoch_completed?"},
		{"zzz", "use the beginning of one, such as actor., device., queue. or training."},
	} {
		got := ""
		if w := beginsNone("type", c.given, journal.EventTypes(), "type of an event", api.TailRequest{}); w != nil {
			got = w.err.Error()
		}
		want := c.want
		if want != "" {
			want = `type: "` + c.given + `" is not the beginning of any type of an event; ` + want
		}
		if got != want {
			t.Errorf("type %q: %q, want %q", c.given, got, want)
		}
	}
	for given, want := range map[string]string{
		"run/2026": "", "ru": "", "device/cpu0": "", "queue": "",
		"runs/":       `aggregate: "runs/" is not the beginning of any kind of aggregate; did you mean run/?`,
		"models/2026": `aggregate: "models/2026" is not the beginning of any kind of aggregate; use the beginning of one, such as actors/, device/, job/, queue, queue-settings or run/`,
	} {
		got := ""
		if w := beginsNone("aggregate", given, journal.AggregatePrefixes(), "kind of aggregate", api.TailRequest{}); w != nil {
			got = w.err.Error()
		}
		if got != want {
			t.Errorf("aggregate %q: %q, want %q", given, got, want)
		}
	}
}
