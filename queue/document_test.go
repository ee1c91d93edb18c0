package queue_test

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"reprise/queue"
)

// keysOf returns the JSON keys of an event, each with a ? if it may be absent.
func keysOf(event reflect.Type) []string {
	var keys []string
	for _, f := range reflect.VisibleFields(event) {
		name, options, tagged := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			continue // embedded
		}
		if tagged && (options == "omitempty" || options == "omitzero") {
			name += "?"
		}
		keys = append(keys, name)
	}
	slices.Sort(keys)
	return keys
}

// docs/event-format.md names every event of a job with its keys, and no other.
func TestTheEventsOfJobsAreDocumented(t *testing.T) {
	document, err := os.ReadFile("../docs/event-format.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(document), "\n## Events of jobs\n")
	section, _, ended := strings.Cut(section, "\n## ")
	if !found || !ended {
		t.Fatal("there is no section of the events of jobs")
	}
	documented := map[string][]string{}
	for line := range strings.SplitSeq(section, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.HasPrefix(cells[1], " `") || strings.Contains(cells[1], "…") {
			continue
		}
		keys := strings.FieldsFunc(strings.ReplaceAll(cells[2], "`", ""), func(r rune) bool { return r == ',' || r == ' ' })
		slices.Sort(keys)
		documented["queue.job_"+strings.Trim(cells[1], " `")+".v1"] = keys
	}
	for _, e := range queue.JobEvents() {
		keys, ok := documented[e.EventType()]
		if want := keysOf(reflect.TypeOf(e)); !ok || !slices.Equal(keys, want) {
			t.Errorf("%s is documented with the keys %v, but has %v", e.EventType(), keys, want)
		}
		delete(documented, e.EventType())
	}
	for kind := range documented {
		t.Errorf("%s is documented but does not exist", kind)
	}
	for _, cause := range []queue.Code{queue.CauseUser, queue.CausePredecessor, queue.CauseMaxDuration, queue.CauseGaveWay, queue.CauseProcessEnded} {
		if !strings.Contains(section, "`"+string(cause)+"`") {
			t.Errorf("the code %s is not documented", cause)
		}
	}
}
