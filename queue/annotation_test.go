package queue_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"reprise/fault"
	"reprise/queue"
)

func tagsOf(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint(prefix, i)
	}
	return list
}

// Tags that are added to others are what is wrong where there are too many then: not the
// others, and not the state of the run.
func TestTooManyTagsAreThoseThatAreAdded(t *testing.T) {
	for _, c := range []struct {
		before, added int
		want          string
	}{
		{31, 1, ""},
		{0, 32, ""},
		{32, 1, "tags: would make 33 tags with the 32 of job.tags, and 32 at most are allowed; add fewer, or remove others"},
		{30, 4, "tags: would make 34 tags with the 30 of job.tags, and 32 at most are allowed; add fewer, or remove others"},
		{33, 1, ""}, // the request itself is wrong
	} {
		before := queue.Annotation{Tags: tagsOf("before", c.before)}
		all, err := queue.Annotation{Name: "n", Tags: tagsOf("added", c.added)}.AddedTo(before)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c.want || len(all.Tags) != c.before+c.added || all.Name != "n" {
			t.Errorf("%d tags added to %d: %d, %q, want %q", c.added, c.before, len(all.Tags), got, c.want)
		}
	}
	job, err := queue.Job{}.ApplyRecorded(queue.JobSubmitted{Job: "j", Submission: queue.Submission{Request: []byte("{}"), Annotation: queue.Annotation{Tags: tagsOf("t", 32)}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = job.Decide(queue.Annotate{Tag: []string{"more"}})
	var wrong *fault.FieldError
	if !errors.As(err, &wrong) || wrong.Field != "tag" || !strings.Contains(err.Error(), "would make 33 tags with the 32 of the run") {
		t.Errorf("the 33rd tag: %v", err)
	}
	if events, err := job.Decide(queue.Annotate{Tag: []string{"more"}, Untag: []string{"t3"}}); err != nil || len(events) != 1 {
		t.Errorf("another tag in place of one: %v, %v", events, err)
	}
}
