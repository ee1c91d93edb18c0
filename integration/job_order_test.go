package integration

import (
	"context"
	"slices"
	"testing"
	"time"

	"reprise/dataset"
	"reprise/fault"
	"reprise/queue"
	"reprise/training"
)

// patient has the host leave devices to jobs that open their data for as long as it takes.
func patient(h *Host) {
	h.jobs.mu.Lock()
	defer h.jobs.mu.Unlock()
	h.jobs.slow = time.Hour
}

// left starts a process, submits jobs to it, and ends it before any of them has a device.
func (w *world) left(submits ...queue.Submit) {
	w.t.Helper()
	h := w.jobHost(nil)
	h.StopPlacing()
	w.submit(h, submits...)
	for _, s := range submits {
		w.until(h, s.Job, queue.StateQueued)
	}
	closeHost(w.t, h)
}

// rankedJobs are jobs whose ids are in another order than the queue has them.
func rankedJobs() (submits []queue.Submit, order []queue.JobID) {
	for i, id := range []queue.JobID{"d", "c", "b", "a"} {
		s := jobRequest{Seed: uint64(i + 1)}.job(id)
		if id == "b" {
			s.Priority = 9
		}
		submits = append(submits, s)
	}
	return submits, []queue.JobID{"b", "d", "c", "a"}
}

// Jobs that are resumed together get devices by rank, and within one in the order in which
// they were submitted, whichever has its data first and whatever they are called.
func TestJobsResumedTogetherArePlacedInTheOrderOfTheQueue(t *testing.T) {
	w := newWorld(t)
	submits, want := rankedJobs()
	w.left(submits...)
	h := w.jobHost(nil)
	patient(h)
	together := h.Gather()
	for _, s := range submits {
		if err := h.Unpause(t.Context(), Target{Job: s.Job}); err != nil {
			t.Fatal(err)
		}
	}
	together()
	for _, s := range submits {
		w.ended(h, s.Job, queue.StateCompleted)
	}
	closeHost(t, h)
	if got := w.placedOrder(); !slices.Equal(got, want) {
		t.Errorf("placed in the order %v, want %v", got, want)
	}
}

// A job whose data take a little longer than those of the jobs after it still goes first.
func TestAJobThatOpensItsDataIsPlacedBeforeThoseThatRankBelowIt(t *testing.T) {
	w := newWorld(t)
	second := make(chan struct{})
	h := w.jobHost(func(c *HostConfig) {
		prepare, open := c.Prepare, c.OpenDataset
		c.Prepare = func(ctx context.Context, id queue.JobID, s queue.Submission) ([]training.Event, error) {
			if id == "first" {
				<-second
			}
			return prepare(ctx, id, s)
		}
		opened := false
		c.OpenDataset = func(ctx context.Context, d training.Dataset) (*dataset.Dataset, error) {
			if !opened { // the second job is about to ask for the device
				opened = true
				close(second)
			}
			return open(ctx, d)
		}
	})
	patient(h)
	w.submit(h, jobRequest{Seed: 1}.job("first"), jobRequest{Seed: 2}.job("second"))
	w.ended(h, "first", queue.StateCompleted)
	w.ended(h, "second", queue.StateCompleted)
	closeHost(t, h)
	if got, want := w.placedOrder(), []queue.JobID{"first", "second"}; !slices.Equal(got, want) {
		t.Errorf("placed in the order %v, want %v", got, want)
	}
}

// One that cannot open its data keeps nobody waiting.
func TestAJobWithoutItsDataKeepsTheDeviceFromNobody(t *testing.T) {
	w := newWorld(t)
	h := w.jobHost(func(c *HostConfig) {
		prepare := c.Prepare
		c.Prepare = func(ctx context.Context, id queue.JobID, s queue.Submission) ([]training.Event, error) {
			if id == "first" {
				return nil, fault.New(fault.Unavailable, "the file is not there")
			}
			return prepare(ctx, id, s)
		}
	})
	patient(h)
	w.submit(h, jobRequest{Seed: 1}.job("first"), jobRequest{Seed: 2}.job("second"))
	w.ended(h, "second", queue.StateCompleted)
	closeHost(t, h)
}
