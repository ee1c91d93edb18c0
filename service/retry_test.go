package service

import (
	"fmt"
	"slices"
	"testing"

	"reprise/api"
	"reprise/queue"
	"reprise/training"
)

// Retries are made in the order of submission, so that one comes after the retry of what
// it was to run after, and answered in the order of the request.
func TestRetriesAreAnsweredInTheOrderGiven(t *testing.T) {
	s := newService(t)
	submit := func(job string) training.RunID {
		r, _ := requests(t, 200, 4)
		r.Files[0].Content += api.Text(job)
		for u, err := range s.Submit(t.Context(), r) {
			if err != nil || u.Error != nil {
				t.Fatal(err, u.Error)
			}
			return u.RunID
		}
		t.Fatal("nothing was submitted")
		return ""
	}
	finish := func() {
		t.Helper()
		if err := s.Finish(t.Context(), func([]training.RunID) {}); err != nil {
			t.Fatal(err)
		}
	}
	cancel := func(id training.RunID) {
		t.Helper()
		if _, err := s.Cancel(t.Context(), api.CancelRequest{Target: api.Target{Runs: []string{string(id)}}, Cause: "a test"}); err != nil {
			t.Fatal(err)
		}
	}
	a := submit("")
	b := submit(fmt.Sprintf("job: {after: [%s]}\n", a))
	cancel(a) // and b with it
	finish()
	answer, err := s.Retry(t.Context(), api.RetryRequest{Target: api.Target{Runs: []string{string(b), "nobody", string(a)}}})
	if err == nil {
		t.Errorf("a run that does not exist was retried: %+v", answer)
	}
	answer, err = s.Retry(t.Context(), api.RetryRequest{Target: api.Target{Runs: []string{string(b), string(a)}}})
	if err != nil || len(answer.Runs) != 2 {
		t.Fatal(answer, err)
	}
	if got := []training.RunID{answer.Runs[0].RetryOf, answer.Runs[1].RetryOf}; !slices.Equal(got, []training.RunID{b, a}) {
		t.Errorf("answered for %v, asked for %s and %s", got, b, a)
	}
	again, before := answer.Runs[0].RunID, answer.Runs[1].RunID
	h, err := s.hold(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	job, err := h.host.Job(t.Context(), queue.JobID(again))
	s.release(h)
	if after := job.Submission().After; err != nil || !slices.Equal(after, []queue.JobID{queue.JobID(before)}) {
		t.Errorf("the retry of the second comes after %v (%v), want %s", after, err, before)
	}
	cancel(before)
	finish()
}
