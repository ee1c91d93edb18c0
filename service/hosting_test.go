package service

import (
	"testing"

	"reprise/api"
	"reprise/training"
)

// Feeds of runs at rest outlive their hosting, which must not stay in memory with them.
func TestTheFeedOfARunAtRestLetsGoOfItsHosting(t *testing.T) {
	s := newService(t)
	r, _ := requests(t, 1, 4)
	var runs []string
	for submitted, err := range s.Submit(t.Context(), r) {
		if err != nil || submitted.Error != nil {
			t.Fatal(err, submitted.Error)
		}
		runs = append(runs, string(submitted.RunID))
	}
	for range 2 { // the second time from the feed of a run at rest
		ended := false
		for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: runs}) {
			if err != nil {
				t.Fatal(err)
			}
			ended = ended || u.End != nil
		}
		if err := s.Finish(t.Context(), func([]training.RunID) {}); err != nil {
			t.Fatal(err)
		}
		f := s.feed(training.RunID(runs[0]))
		if !ended || f == nil || !f.atRest() || s.hostingOf(f) != nil {
			t.Errorf("ended %v, and its feed has a hosting or is gone", ended)
		}
	}
	if _, err := s.Interrupt(t.Context(), api.InterruptRequest{Runs: runs, Cause: "a test"}); err != nil {
		t.Error(err)
	}
}
