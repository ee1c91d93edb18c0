package integration

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"reprise/eventstore"
	"reprise/fault"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// submit submits a run as a job, sometimes after others.
func (h *history) submit(p *process, r *simRun) {
	s := queue.Submit{Job: queue.JobID(r.id), Submission: queue.Submission{Request: json.RawMessage(`{}`), Priority: h.random.IntN(3)}}
	for _, other := range h.runs {
		state := other.job.State()
		if state != "" && h.random.IntN(3) == 0 && (!state.Ended() || state == queue.StateCompleted) { // others are refused
			s.After = append(s.After, other.job.ID())
		}
	}
	if _, err := p.host.Submit(context.Background(), s); err != nil {
		h.log("%v", err)
		if h.calm && !p.dead {
			h.violate("without faults, %s cannot be submitted: %v", r.id, err)
		}
	}
}

// prepareJob opens the data of a job, which may not be there yet.
func (h *history) prepareJob(_ context.Context, id queue.JobID, _ queue.Submission) ([]training.Event, error) {
	if !h.calm && h.random.IntN(3) == 0 {
		return nil, fault.New(fault.Unavailable, "the network is down")
	}
	return h.run(training.RunID(id)).events, nil
}

// meddleWithJobs is what users do with one of the jobs.
func (h *history) meddleWithJobs(p *process) {

	r := slices.DeleteFunc(slices.Clone(h.runs), func(r *simRun) bool { return r.job.State() == "" })
	if len(r) == 0 {
		return
	}
	it := r[h.random.IntN(len(r))]
	t, ctx := Target{Job: it.job.ID()}, context.Background()
	var err error
	switch h.random.IntN(6) {
	case 0:
		h.log("the user cancels %s", it.id)
		err = p.host.Cancel(ctx, t, "not needed")
	case 1, 2:
		h.log("the user pauses %s", it.id)
		err = p.host.Pause(ctx, t, "later")
	case 3, 4:
		h.log("the user resumes job %s", it.id)
		err = p.host.Unpause(ctx, t)
	default:
		h.log("the user changes the priority of %s", it.id)
		err = p.host.SetPriority(ctx, t, h.random.IntN(5))
	}
	if err != nil {
		h.log("%v", err)
	}
}

// jobsWait reports whether a job waits for its next attempt.
func (h *history) jobsWait(p *process) bool {
	for _, j := range p.host.jobs.live {
		if j.active && !j.notBefore.IsZero() && len(p.timers) > 0 {
			return true
		}
	}
	return false
}

// observeJob folds an event of a job and compares it with its run.
func (h *history) observeJob(r *simRun, e eventstore.Event) {
	event, err := journal.EventOf(e)
	if err == nil {
		r.job, err = r.job.ApplyRecorded(event.(queue.JobEvent))
	}
	if err != nil {
		h.violate("%v", err)
		return
	}
	name := strings.TrimSuffix(strings.TrimPrefix(e.Type, "queue.job_"), ".v1")
	h.log("%s: %s %s", e.Aggregate, name, e.Payload)
	h.count("jobs " + name)
	if name == "placed" {
		if len(r.state.devices) == 0 {
			h.violate("job %s was placed, but its run holds nothing", r.id)
		}
		for _, id := range r.job.Submission().After {
			if h.count("jobs that came after"); h.run(training.RunID(id)).state.outcome != training.Completed {
				h.violate("job %s was placed, but %s has not completed", r.id, id)
			}
		}
	}
	if (r.job.State() == queue.StateCompleted) != (r.state.outcome == training.Completed) && r.job.State().Ended() && r.job.State() != queue.StateCancelled {
		h.violate("job %s is %s, but its run is %q", r.id, r.job.State(), r.state.outcome)
	}
}

// checkJobs checks the jobs of a process that has ended: each is where it can go on from,
// and nothing is left of what it was asked for.
func (h *history) checkJobs(when string) {
	for _, r := range h.runs {
		s := r.job.State()
		if s.HasDevices() || s == queue.StatePreparing {
			h.violate("%s job %s is %s", when, r.id, s)
		}
		if r.state.ended() && s != "" && !s.Ended() {
			h.violate("%s job %s is %s, and its run has ended", when, r.id, s)
		}
	}
}
