package queue_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"reprise/fault"
	"reprise/queue"
)

// named returns a job of a group in a state.
func named(t testing.TB, id queue.JobID, group string, state queue.State, after ...queue.JobID) queue.Job {
	t.Helper()
	s := submission()
	s.Group, s.After = group, after
	commands := to(state)
	commands[0] = queue.Submit{Job: id, Submission: s}
	var j queue.Job
	for _, c := range commands {
		if p, places := c.(queue.Place); places && len(after) > 0 {
			for _, a := range after {
				j = carry(t, j, queue.EndPredecessor{Job: a, State: queue.StateCompleted})
			}
			c = p
		}
		j = carry(t, j, c)
	}
	return j
}

// carry returns the job after a command, which must be possible.
func carry(t testing.TB, j queue.Job, c queue.Command) queue.Job {
	t.Helper()
	events, err := j.Decide(c)
	if err != nil {
		t.Fatalf("%T: %v", c, err)
	}
	for _, e := range events {
		j = j.Apply(e)
	}
	return j
}

// changed returns the jobs after changes, by id.
func changed(jobs []queue.Job, changes []queue.Change) map[queue.JobID]queue.Job {
	all := map[queue.JobID]queue.Job{}
	for _, j := range jobs {
		all[j.ID()] = j
	}
	for _, c := range changes {
		for _, e := range c.Events {
			all[c.Job] = all[c.Job].Apply(e)
		}
	}
	return all
}

func TestAGroupIsRetriedTogether(t *testing.T) {
	jobs := []queue.Job{
		named(t, "a", "g", queue.StateFailed), named(t, "b", "g", queue.StateCancelled, "a", "z"), named(t, "c", "g", queue.StateCompleted),
		named(t, "d", "g", queue.StateRunning), named(t, "e", "", queue.StateFailed),
	}
	submits, _, err := queue.RetryGroup(jobs, "g", map[queue.JobID]queue.JobID{"a": "a2", "b": "b2"}, anything)
	if err != nil || len(submits) != 2 || submits[0].Job != "a2" || submits[0].RetryOf != "a" || submits[1].Job != "b2" || submits[1].RetryOf != "b" ||
		!slices.Equal(submits[1].After, []queue.JobID{"a2", "z"}) || submits[1].Group != "g" {
		t.Fatalf("%+v, %v", submits, err)
	}
	if after := jobs[1].After(); !slices.Equal(after, []queue.JobID{"a", "z"}) {
		t.Errorf("the old job was changed: it comes after %v", after)
	}
	for _, s := range submits {
		jobs = append(jobs, carry(t, queue.Job{}, s))
	}
	if _, _, err := queue.RetryGroup(jobs, "g", nil, anything); fault.KindOf(err) != fault.Conflict {
		t.Errorf("retried twice: %v", err)
	}
	jobs[len(jobs)-2] = carry(t, jobs[len(jobs)-2], queue.Cancel{Cause: byUser()})
	if list, err := queue.Retryable(jobs, "g"); err != nil || len(list) != 1 || list[0].ID() != "a2" {
		t.Errorf("after the retry was cancelled: %v, %v", list, err)
	}
	if _, _, err := queue.RetryGroup(jobs, "g", nil, anything); fault.KindOf(err) != fault.Invalid {
		t.Errorf("without ids: %v", err)
	}
	for _, state := range []queue.State{queue.StateCompleted, queue.StateRunning, queue.StatePaused} {
		if _, err := named(t, "x", "", state).Retry(); fault.KindOf(err) != fault.Conflict {
			t.Errorf("a job that is %s: %v", state, err)
		}
	}
}

// anything admits every job.
func anything(queue.Submission) error { return nil }

// A job of a group that cannot be retried keeps none of the others from it but those that
// are to run after it, wherever these come in the order of submission.
func TestTheRetryOfAGroupLeavesOutWhatCannotBeRetried(t *testing.T) {
	retry := carry(t, queue.Job{}, queue.Submit{Job: "r", Submission: queue.Submission{Request: []byte(`{}`), Group: "g", RetryOf: "a", After: []queue.JobID{"o"}}})
	retry = carry(t, retry, queue.Cancel{Cause: byUser()})
	jobs := []queue.Job{
		named(t, "o", "", queue.StateCancelled), named(t, "a", "g", queue.StateFailed),
		named(t, "b", "g", queue.StateCancelled, "a"), // its predecessor's retry, r, comes later and is refused
		named(t, "c", "g", queue.StateFailed), named(t, "d", "g", queue.StateCancelled, "c"),
		named(t, "n", "g", queue.StateFailed), named(t, "p", "g", queue.StateCancelled, "n", "d"), retry,
	}
	ids := map[queue.JobID]queue.JobID{"b": "b2", "c": "c2", "d": "d2", "n": "n2", "p": "p2", "r": "r2"}
	submits, refused, err := queue.RetryGroup(jobs, "g", ids, func(s queue.Submission) error {
		if s.RetryOf == "n" {
			return fault.New(fault.Invalid, "no device takes it")
		}
		return nil
	})
	if err != nil || len(submits) != 2 || submits[0].Job != "c2" || submits[1].Job != "d2" || !slices.Equal(submits[1].After, []queue.JobID{"c2"}) {
		t.Errorf("%+v, %v", submits, err)
	}
	why := map[queue.JobID]string{
		"b": "run r, which was cancelled", "n": "no device takes it", "p": "run n, which was not trained to its end", "r": "run o, which was cancelled",
	}
	var order []queue.JobID
	for _, r := range refused {
		order = append(order, r.Job)
		if !strings.Contains(r.Err.Error(), why[r.Job]) {
			t.Errorf("%s: %v", r.Job, r.Err)
		}
	}
	if !slices.Equal(order, []queue.JobID{"b", "n", "p", "r"}) || len(ids) != 6 {
		t.Errorf("refused were %v, with the ids %v", order, ids)
	}
}

func TestWhatFollowsTheEndOfAJob(t *testing.T) {
	jobs := []queue.Job{
		named(t, "a", "", queue.StateCompleted), named(t, "b", "", queue.StateFailed),
		named(t, "c", "", queue.StateQueued, "a"), named(t, "d", "", queue.StateSubmitted, "a", "b"),
		named(t, "e", "", queue.StatePaused, "d"), named(t, "f", "", queue.StatePreparing, "c"),
	}
	changes, err := queue.Follow(jobs)
	if err != nil {
		t.Fatal(err)
	}
	all := changed(jobs, changes)
	for id, want := range map[queue.JobID]queue.State{"c": queue.StateQueued, "d": queue.StateCancelled, "e": queue.StateCancelled, "f": queue.StatePreparing} {
		if all[id].State() != want {
			t.Errorf("%s is %s, want %s", id, all[id].State(), want)
		}
	}
	if len(all["c"].After()) != 0 || len(all["f"].After()) != 1 {
		t.Errorf("c comes after %v, f after %v", all["c"].After(), all["f"].After())
	}
	if c := all["e"].Cause(); c.Code != queue.CausePredecessor || !strings.Contains(c.Message, "job d, which was cancelled") {
		t.Errorf("e: %+v", c)
	}
}

// Nothing is left waiting for a job that has ended, in whatever order the jobs are, and
// following again changes nothing.
func TestFollowLeavesNobodyWaitingForAnEnd(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var jobs []queue.Job
		for i := range rapid.IntRange(1, 8).Draw(r, "jobs") {
			var after []queue.JobID
			for p := range i {
				if rapid.IntRange(0, 2).Draw(r, "after") == 0 {
					after = append(after, queue.JobID(fmt.Sprint("r", p)))
				}
			}
			states := []queue.State{queue.StateSubmitted, queue.StateQueued, queue.StatePaused, queue.StateCancelled, queue.StateRejected}
			if after == nil {
				states = queue.States()
			}
			jobs = append(jobs, named(t, queue.JobID(fmt.Sprint("r", i)), "", rapid.SampledFrom(states).Draw(r, "state"), after...))
		}
		changes, err := queue.Follow(jobs)
		if err != nil {
			r.Fatal(err)
		}
		all := changed(jobs, changes)
		var next []queue.Job
		for _, j := range jobs {
			j = all[j.ID()]
			next = append(next, j)
			for _, p := range j.After() {
				if !j.State().Ended() && all[p].State().Ended() {
					r.Fatalf("%s is %s and waits for %s, which is %s", j.ID(), j.State(), p, all[p].State())
				}
			}
		}
		if again, err := queue.Follow(next); err != nil || len(again) > 0 {
			r.Fatalf("followed again: %+v, %v", again, err)
		}
		if other, _ := queue.Follow(rapid.Permutation(jobs).Draw(r, "order")); !reflect.DeepEqual(other, changes) {
			r.Fatalf("in another order: %+v, want %+v", other, changes)
		}
	})
}

// The retry of a job follows the retries of those that it runs after.
func TestARetryRunsAfterTheRetriesOfOthers(t *testing.T) {
	retryOf := func(id, of queue.JobID, state queue.State) queue.Job {
		j := carry(t, queue.Job{}, queue.Submit{Job: id, Submission: queue.Submission{Request: []byte(`{}`), RetryOf: of}})
		if state == queue.StateCancelled {
			j = carry(t, j, queue.Cancel{Cause: byUser()})
		}
		return j
	}
	b := named(t, "b", "", queue.StateCancelled, "a", "z")
	a := named(t, "a", "", queue.StateCancelled)
	for _, c := range []struct {
		jobs []queue.Job
		want []queue.JobID // nil: refused
		name string        // in the error
	}{
		{[]queue.Job{a, b}, nil, "run a"},
		{[]queue.Job{a, b, retryOf("c", "a", queue.StateCancelled)}, nil, "run c"},
		{[]queue.Job{a, b, retryOf("c", "a", queue.StateSubmitted)}, []queue.JobID{"c", "z"}, ""},
		{[]queue.Job{a, b, retryOf("c", "a", queue.StateCancelled), retryOf("d", "a", queue.StateSubmitted)}, []queue.JobID{"d", "z"}, ""},
		{[]queue.Job{a, b, retryOf("c", "a", queue.StateCancelled), retryOf("d", "c", queue.StateSubmitted)}, []queue.JobID{"d", "z"}, ""},
		// The order is that of submission: ids of the same second are in any order.
		{[]queue.Job{a, b, retryOf("d", "a", queue.StateCancelled), retryOf("c", "a", queue.StateSubmitted)}, []queue.JobID{"c", "z"}, ""},
		{[]queue.Job{a, b, retryOf("Z", "a", queue.StateSubmitted)}, []queue.JobID{"Z", "z"}, ""},
	} {
		s, err := queue.RetryAfterRetries(b, c.jobs)
		if c.want == nil {
			if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), c.name) {
				t.Errorf("%v: %v", c.name, err)
			}
		} else if err != nil || !slices.Equal(s.After, c.want) || s.RetryOf != "b" {
			t.Errorf("%+v, %v, want after %v", s, err, c.want)
		}
	}
}

// A job of a group may have been retried on its own before.
func TestTheRetryOfAGroupFollowsThatOfOneOfItsJobs(t *testing.T) {
	retryOf := func(of queue.Job, id queue.JobID, state queue.State) queue.Job {
		s, err := of.Retry()
		if err != nil {
			t.Fatal(err)
		}
		j := carry(t, queue.Job{}, queue.Submit{Job: id, Submission: s})
		for _, c := range to(state)[1:] {
			j = carry(t, j, c)
		}
		return j
	}
	a, b := named(t, "a", "g", queue.StateFailed), named(t, "b", "g", queue.StateCancelled, "a")
	outside := named(t, "o", "", queue.StateFailed)
	c := named(t, "c", "g", queue.StateCancelled, "o")
	for name, test := range map[string]struct {
		jobs    []queue.Job
		retried []queue.JobID // nil: refused
		after   []queue.JobID // of the retry of b or c
		refused bool          // is c
	}{
		"it trains":             {[]queue.Job{a, b, retryOf(a, "a2", queue.StateRunning)}, []queue.JobID{"b"}, []queue.JobID{"a2"}, false},
		"it has completed":      {[]queue.Job{a, b, retryOf(a, "a2", queue.StateCompleted)}, []queue.JobID{"b"}, []queue.JobID{"a2"}, false},
		"it has failed, too":    {[]queue.Job{a, b, retryOf(a, "a2", queue.StateFailed)}, []queue.JobID{"b", "a2"}, []queue.JobID{"new-a2"}, false},
		"a smaller id":          {[]queue.Job{a, b, retryOf(a, "A", queue.StateRunning)}, []queue.JobID{"b"}, []queue.JobID{"A"}, false},
		"outside the group":     {[]queue.Job{outside, c, retryOf(outside, "o2", queue.StateRunning)}, []queue.JobID{"c"}, []queue.JobID{"o2"}, false},
		"outside, not retried":  {[]queue.Job{outside, c}, nil, nil, true},
		"the group before that": {[]queue.Job{a, b, retryOf(a, "a2", queue.StateRunning), retryOf(b, "b2", queue.StatePreparing)}, nil, nil, false},
	} {
		ids := map[queue.JobID]queue.JobID{}
		list, _ := queue.Retryable(test.jobs, "g") // RetryGroup fails like it
		for _, j := range list {
			ids[j.ID()] = "new-" + j.ID()
		}
		submits, refused, err := queue.RetryGroup(test.jobs, "g", ids, anything)
		if test.refused {
			if err != nil || len(submits) > 0 || len(refused) != 1 || refused[0].Job != "c" || !strings.Contains(refused[0].Err.Error(), "run o, which was not trained to its end") {
				t.Errorf("%s: %+v, %v, %v", name, submits, refused, err)
			}
			continue
		}
		if test.retried == nil {
			if fault.KindOf(err) != fault.Conflict {
				t.Errorf("%s: %+v, %v", name, submits, err)
			}
			continue
		}
		var retried []queue.JobID
		for _, s := range submits {
			retried = append(retried, s.RetryOf)
			if s.RetryOf != "a2" && !slices.Equal(s.After, test.after) {
				t.Errorf("%s: the retry of %s comes after %v, want %v", name, s.RetryOf, s.After, test.after)
			}
		}
		if err != nil || !slices.Equal(retried, test.retried) {
			t.Errorf("%s: retried are %v, want %v; %v", name, retried, test.retried, err)
		}
	}
}
