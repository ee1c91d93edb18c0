package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"reprise/fault"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// A process may die right before or after any append, also while its job is asked to
// pause or to be cancelled. The next process brings the job to where it goes on: it can be
// resumed, unless it was paused or has ended, and ends with the bits that it has alone;
// what was asked of it stays asked.
func TestAProcessThatDiesAtAnyEventOfAJobIsRecoveredFrom(t *testing.T) {
	r := jobRequest{Seed: 3, Epochs: 2}
	want := reference(t, r.change)
	seen := map[queue.State]int{}
	for _, ask := range []string{"", "pause", "cancel"} {
		for _, after := range []bool{false, true} {
			at := int64(1)
			for ; ; at++ {
				state, died := diesInAJob(t, r, want, ask, at, after)
				if !died {
					break
				}
				seen[state]++
			}
			if at < 15 {
				t.Errorf("asked to %q, a process made only %d appends", ask, at)
			}
		}
	}
	for _, state := range queue.States() {
		if seen[state] == 0 && state != queue.StateFailed && state != queue.StateRejected {
			t.Errorf("no process died while its job was %s", state)
		}
	}
}

// diesInAJob lets a process die at an append, and returns the state of its job then; false
// if it did not get that far.
func diesInAJob(t *testing.T, r jobRequest, want journal.RunRecord, ask string, at int64, after bool) (queue.State, bool) {
	w := newWorld(t)
	store := &dying{Store: w.store, after: after, died: make(chan struct{})}
	store.left.Store(at)
	var asked atomic.Bool
	var h *Host
	reached, told := make(chan struct{}), make(chan struct{})
	continues := sync.OnceFunc(func() { close(told) })
	h, _, err := w.tryHost(func(c *HostConfig) {
		c.Store, c.Prepare = store, w.prepare
		c.Fault = func(_ training.RunID, step uint64) {
			if step == 7 && ask != "" && !asked.Swap(true) {
				close(reached)
				<-told
			}
		}
	})
	if err != nil { // it died before it had begun
		return "", true
	}
	if _, err := h.Submit(t.Context(), r.job("it")); err == nil {
		ended := make(chan error, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		first := h
		go func() {
			_, err := first.WaitJob(ctx, "it")
			ended <- err
		}()
		select {
		case <-reached:
			switch ask {
			case "pause":
				_ = h.Pause(ctx, Target{Job: "it"}, "asked")
			case "cancel":
				_ = h.Cancel(ctx, Target{Job: "it"}, "asked")
			}
			continues()
			select {
			case err = <-ended:
			case <-store.died:
			}
		case err = <-ended:
		case <-store.died:
		}
		if errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("append %d: %v", at, err)
		}
	}
	continues()
	_ = h.Close() // it may not be able to record anything
	died := store.left.Load() <= 0
	before, err := journal.NewJobLog(w.store, time.Now).Load(t.Context(), "it")
	if err != nil && fault.KindOf(err) != fault.NotFound {
		t.Fatal(err)
	}
	state := before.Job.State()
	stop, stops := before.Job.Stop()

	h = w.jobHost(nil)
	defer func() {
		closeHost(t, h)
		w.nothingLeft()
	}()
	if state == "" {
		if _, err := h.Job(t.Context(), "it"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("append %d: a job that was not recorded: %v", at, err)
		}
		return state, died
	}
	job, err := h.Job(t.Context(), "it")
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case stops && stop.To == queue.StateCancelled && job.State() != queue.StateCancelled && job.State() != queue.StateCompleted,
		stops && stop.To == queue.StatePaused && job.State() != queue.StatePaused && job.State() != queue.StateCompleted,
		(state.Ended() || state == queue.StatePaused) && job.State() != state,
		job.State().HasDevices() || job.State() == queue.StatePreparing:
		t.Errorf("append %d: a job that was %s, to be %q, is %s", at, state, stop.To, job.State())
	}
	if !job.State().Ended() {
		if err := h.Resume(t.Context(), "it"); err != nil {
			t.Fatalf("append %d: %v", at, err)
		}
		job = w.ended(h, "it", queue.StateCompleted)
	}
	if job.State() == queue.StateCompleted {
		sameOutcome(t, w.record("it"), want)
	}
	return state, died
}

// Jobs that were submitted before their process died wait to be resumed; those of other
// workers are left alone.
func TestRecoveryLeavesTheJobsOfOtherWorkersAlone(t *testing.T) {
	w := newWorld(t)
	log := journal.NewJobLog(w.store, time.Now)
	text := jobRequest{Seed: 1}.job("").Submission
	for _, s := range []queue.Submit{{Job: "here", Submission: text}, {Job: "there", Submission: text, Worker: "w2"}} {
		events, err := queue.Job{}.Decide(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := log.Append(t.Context(), journal.JobChange{ID: s.Job, Events: append(events, queue.JobPreparing{})}); err != nil {
			t.Fatal(err)
		}
	}
	h, _, recovery := w.host(func(c *HostConfig) { c.Prepare = w.prepare })
	if len(recovery.Jobs) != 1 || recovery.Jobs[0] != "here" {
		t.Errorf("recovered %v", recovery.Jobs)
	}
	for id, want := range map[queue.JobID]queue.State{"here": queue.StateSubmitted, "there": queue.StatePreparing} {
		if j, err := h.Job(t.Context(), id); err != nil || j.State() != want {
			t.Errorf("job %s is %s, %v", id, j.State(), err)
		}
	}
	if err := h.Cancel(t.Context(), Target{Job: "there"}, ""); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "w2") {
		t.Errorf("cancelling a job of another worker: %v", err)
	}
	if _, err := h.WaitJob(t.Context(), "here"); !errors.As(err, new(*UnfinishedError)) {
		t.Errorf("waiting for a job that nobody resumed: %v", err)
	}
	if err := h.Unpause(t.Context(), Target{Job: "here"}); err != nil {
		t.Fatal(err)
	}
	w.ended(h, "here", queue.StateCompleted)
	after := jobRequest{Seed: 2}.job("after")
	after.After = []queue.JobID{"there"}
	if _, err := h.Submit(t.Context(), after); !strings.Contains(fmt.Sprint(err), `is a job of worker "w2"`) {
		t.Errorf("to run after a job of another worker: %v", err)
	}
	there, err := log.Load(t.Context(), "there")
	if err != nil {
		t.Fatal(err)
	}
	why := queue.Cause{Code: queue.CauseUser, Message: "a test"}
	if _, err := log.Append(t.Context(), journal.JobChange{ID: "there", Before: there, Events: []queue.JobEvent{queue.JobCancelled{Cause: why}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Submit(t.Context(), after); fault.KindOf(err) != fault.Invalid || !strings.Contains(fmt.Sprint(err), "there is cancelled") {
		t.Errorf("to run after a job that has been cancelled meanwhile: %v", err)
	}
	if again, err := h.Retry(t.Context(), "there", h.config.newJobID, ""); err != nil {
		t.Errorf("a job of another worker that has ended cannot be retried: %v", err)
	} else {
		w.ended(h, again, queue.StateCompleted)
	}
	closeHost(t, h)
	w.nothingLeft()
}

// Many jobs that are submitted at once to one host on one device end with the bits that
// each has alone, although their host is closed ten times on the way.
func TestManyJobsSurviveTheirHosts(t *testing.T) {
	const jobs, seeds, hosts = 200, 4, 10
	want := make([]journal.RunRecord, seeds)
	for i := range want {
		want[i] = reference(t, jobRequest{Seed: uint64(i)}.change)
	}
	w := newWorld(t)
	submits := make([]queue.Submit, jobs)
	for i := range submits {
		submits[i] = jobRequest{Seed: uint64(i % seeds)}.job(queue.JobID(fmt.Sprintf("job%03d", i)))
	}
	h := w.jobHost(nil)
	ids := w.submit(h, submits...)
	for n := 1; n <= hosts; n++ {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		if _, err := h.WaitJob(ctx, ids[n*jobs/(hosts+1)]); err != nil {
			t.Fatal(err)
		}
		cancel()
		closeHost(t, h)
		w.nothingLeft()
		h = w.jobHost(nil)
		for _, id := range ids {
			if j, err := h.Job(t.Context(), id); err != nil {
				t.Fatal(err)
			} else if !j.State().Ended() {
				if err := h.Unpause(t.Context(), Target{Job: id}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for i, id := range ids {
		w.ended(h, id, queue.StateCompleted)
		sameOutcome(t, w.record(id), want[i%seeds])
	}
	closeHost(t, h)
	w.nothingLeft()
}
