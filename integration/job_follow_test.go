package integration

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"reprise/eventstore"
	"reprise/queue"
	"reprise/training"
)

// countedStore counts the appends. While it fails, one is not made, and a second one is but
// seems to fail.
type countedStore struct {
	eventstore.Store
	appends, failing atomic.Int64
}

var errLostAppend = errors.New("nobody knows what became of the append")

func (s *countedStore) Append(ctx context.Context, writes ...eventstore.Write) ([]eventstore.Event, error) {
	s.appends.Add(1)
	switch {
	case s.failing.CompareAndSwap(2, 1):
		return nil, errLostAppend
	case s.failing.CompareAndSwap(1, 0):
		if _, err := s.Store.Append(ctx, writes...); err != nil {
			return nil, err
		}
		return nil, errLostAppend
	}
	return s.Store.Append(ctx, writes...)
}

// chain returns jobs each of which runs after the one before.
func chain(n int) []queue.Submit {
	submits := make([]queue.Submit, n)
	for i := range submits {
		submits[i] = jobRequest{Seed: 1}.job(queue.JobID(fmt.Sprintf("link-%04d", i)))
		if i > 0 {
			submits[i].After = []queue.JobID{submits[i-1].Job}
		}
	}
	return submits
}

// unpreparedChain starts a process that has a chain of jobs, whose data it never opens.
func (w *world) unpreparedChain(n int) (*Host, *countedStore, []queue.JobID) {
	w.t.Helper()
	store := &countedStore{Store: w.store}
	h := w.jobHost(func(c *HostConfig) {
		c.Store = store
		c.Prepare = func(ctx context.Context, _ queue.JobID, _ queue.Submission) ([]training.Event, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	return h, store, w.submit(h, chain(n)...)
}

// The end of the first job of a chain ends all of it, in a few appends.
func TestTheEndOfAChainOfJobsIsRecordedTogether(t *testing.T) {
	const n = 500
	w := newWorld(t)
	h, store, ids := w.unpreparedChain(n)
	defer closeHost(t, h)
	before := store.appends.Load()
	if err := h.Cancel(t.Context(), Target{Job: ids[0]}, ""); err != nil {
		t.Fatal(err)
	}
	if made := store.appends.Load() - before; made > 10 {
		t.Errorf("%d appends for the end of %d jobs", made, n)
	}
	for i, id := range ids {
		want := queue.CausePredecessor
		if i == 0 {
			want = queue.CauseUser
		}
		if j := w.ended(h, id, queue.StateCancelled); j.Cause().Code != want {
			t.Errorf("%s was cancelled for %+v, want %s", id, j.Cause(), want)
		}
	}
}

// An append that fails, and one that only seems to, keep no job of a chain from its end.
func TestAChainEndsThoughAppendsFail(t *testing.T) {
	for _, failing := range []int64{1, 2} {
		w := newWorld(t)
		h, store, ids := w.unpreparedChain(2*jobsTogether + 10)
		h.jobs.mu.Lock()
		head := h.jobs.live[ids[0]]
		h.jobs.mu.Unlock()
		if err := h.Pause(t.Context(), Target{Job: ids[0]}, ""); err != nil { // nothing else is to happen to it
			t.Fatal(err)
		}
		h.jobs.mu.Lock()
		events, err := head.job().Decide(queue.Cancel{Cause: queue.Cause{Code: queue.CauseUser, Message: "enough"}})
		if err == nil {
			_, err = h.jobs.recordTogether([]decided{{head, events}})
		}
		if err != nil {
			t.Error(err)
		}
		store.failing.Store(failing)
		h.jobs.follow(ids[0], queue.StateCancelled)
		h.jobs.mu.Unlock()
		for _, id := range ids {
			w.ended(h, id, queue.StateCancelled)
		}
		if store.failing.Load() > 0 {
			t.Error("no append failed")
		}
		if err := h.Close(); !errors.Is(err, errLostAppend) {
			t.Errorf("closed with %v", err)
		}
		next := w.jobHost(nil)
		for _, id := range ids {
			if j, err := next.Job(t.Context(), id); err != nil || j.State() != queue.StateCancelled {
				t.Errorf("%s is %s, %v", id, j.State(), err)
			}
		}
		closeHost(t, next)
	}
}

// A job that was left with an append that only seemed to fail still learns that the one
// before it has completed: the conflict of that append is not taken for its success.
func TestAJobLearnsOfAnEndAfterAnAppendThatSeemedToFail(t *testing.T) {
	w := newWorld(t)
	h, store, ids := w.unpreparedChain(2)
	h.jobs.mu.Lock()
	store.failing.Store(1)
	h.jobs.letGo(queue.Cause{Code: queue.CauseProcessEnded, Message: "enough"}, h.jobs.live[ids[1]])
	h.jobs.follow(ids[0], queue.StateCompleted)
	h.jobs.mu.Unlock()
	if store.failing.Load() > 0 {
		t.Error("no append failed")
	}
	j, err := h.Job(t.Context(), ids[1])
	if err != nil || !j.Left() || len(j.After()) > 0 {
		t.Errorf("left: %t, after %v, %v", j.Left(), j.After(), err)
	}
	if err := h.Unpause(t.Context(), Target{Job: ids[1]}); err != nil || !h.WorksOn(ids[1]) {
		t.Errorf("%v; worked on: %t", err, h.WorksOn(ids[1]))
	}
	if err := h.Close(); !errors.Is(err, errLostAppend) {
		t.Errorf("closed with %v", err)
	}
}
