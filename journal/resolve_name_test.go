package journal

import (
	"errors"
	"testing"

	"reprise/queue"
	"reprise/training"
)

// A name means the newest of a run and its retries, and is ambiguous only where another run
// has it, too.
func TestANameMeansTheNewestRetry(t *testing.T) {
	jobs := &JobList{}
	add := func(id, retryOf queue.JobID, name string) {
		s := queue.Submission{Request: []byte("{}"), RetryOf: retryOf, Annotation: queue.Annotation{Name: name}}
		events, err := queue.Job{}.Decide(queue.Submit{Job: id, Submission: s})
		if err != nil {
			t.Fatal(err)
		}
		jobs.Jobs = append(jobs.Jobs, JobRecord{Job: queue.Job{}.Apply(events[0]), Version: 1})
		jobs.Spans = append(jobs.Spans, PositionRange{})
		jobs.index = nil
	}
	means := func(name string, want training.RunID) {
		t.Helper()
		if got, err := Resolve(&RunList{}, jobs, name); err != nil || got != want {
			t.Errorf("%s means %q, %v; want %q", name, got, err, want)
		}
	}
	add("a", "", "base")
	means("base", "a")
	add("b", "a", "base")
	add("other", "", "wide")
	means("base", "b")
	add("c", "b", "renamed")
	add("d", "c", "base") // of a retry that has another name
	means("base", "d")
	means("renamed", "c")
	means("a", "a") // an id is an id
	add("e", "a", "base")
	means("base", "e")
	for id, want := range map[queue.JobID]queue.JobID{"a": "e", "e": "e", "other": "other", "nobody": "nobody"} {
		if got := jobs.NewestTry(id); got != want {
			t.Errorf("the newest try of %s is %s, want %s", id, got, want)
		}
	}
	add("f", "", "base")
	if _, err := Resolve(&RunList{}, jobs, "base"); !errors.Is(err, ErrAmbiguousRun) {
		t.Errorf("of another run with the same name: %v", err)
	}
	add("x", "y", "loop") // no host records this, but its resolution ends
	add("y", "x", "loop")
	if got := jobs.NewestTry("x"); got != "x" && got != "y" {
		t.Errorf("the newest of two that retry each other is %s", got)
	}
}
