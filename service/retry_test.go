package service

import (
	"fmt"
	"slices"
	"testing"

	"reprise/api"
	"reprise/fault"
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

// A caller that must know its new runs even if it gets no answer chooses their ids. Where
// they are not enough, the service draws others.
func TestRetriesHaveTheIDsThatTheirCallerHasChosen(t *testing.T) {
	s := newService(t)
	r, _ := requests(t, 200, 4)
	r.Files[0].Content += "job: {group: sweep}\n"
	var old []string
	for range 3 {
		for u, err := range s.Submit(t.Context(), r) {
			if err != nil || u.Error != nil {
				t.Fatal(err, u.Error)
			}
			old = append(old, string(u.RunID))
		}
	}
	if _, err := s.Cancel(t.Context(), api.CancelRequest{Target: api.Target{All: true}, Cause: "a test"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(t.Context(), func([]training.RunID) {}); err != nil {
		t.Fatal(err)
	}
	retry := func(target api.Target, ids ...training.RunID) ([]training.RunID, error) {
		answer, err := s.Retry(t.Context(), api.RetryRequest{Target: target, RunIDs: ids})
		var got []training.RunID
		for _, run := range answer.Runs {
			if run.Error != nil {
				t.Error(run.Error)
			}
			got = append(got, run.RunID)
		}
		return got, err
	}
	got, err := retry(api.Target{Runs: old[:1]}, "one", training.RunID(old[1])) // one is enough, whatever the others are
	if err != nil || !slices.Equal(got, []training.RunID{"one"}) {
		t.Errorf("%v, %v", got, err)
	}
	got, err = retry(api.Target{Group: "sweep"}, "two")
	if err != nil || len(got) != 2 || got[0] != "two" || got[1] == "two" || got[1] == "one" {
		t.Errorf("%v, %v", got, err)
	}
	for _, c := range []struct {
		ids  []training.RunID
		want fault.Kind
	}{
		{[]training.RunID{training.RunID(old[1])}, fault.Conflict},
		{[]training.RunID{"three", "three"}, fault.Invalid},
		{[]training.RunID{"../up"}, fault.Invalid},
	} {
		if got, err := retry(api.Target{Runs: old[:1]}, c.ids...); fault.KindOf(err) != c.want || len(got) != 0 {
			t.Errorf("%v: %v, %v", c.ids, got, err)
		}
	}
}
