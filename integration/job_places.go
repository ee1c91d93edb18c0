package integration

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"reprise/queue"
)

// codeHostFull is why a queued job is in no decision about the devices.
const codeHostFull queue.Code = "host_full"

// launchQueued gives the jobs that wait for devices their actors, best rank first. A
// decision about devices is about those that have one. If there are more than the host
// takes, those with the best ranks have one, whichever came first.
func (b *jobBook) launchQueued(now time.Time) {
	b.full = false
	var outside []*hostedJob
	for _, j := range b.sorted() {
		if !j.active || j.underWay || !j.runnable(now) {
			continue
		}
		if err := b.decide(j, queue.CheckDuration{}); err == nil && j.runnable(now) { // it has time left
			outside = append(outside, j)
		}
	}
	outside = b.ranked(outside)
	for i, j := range outside {
		if err := b.launch(j); errors.Is(err, ErrTooManyRuns) {
			b.full, b.rankedAt = true, now
			b.makeRoom(outside[i:])
			return
		} else if err != nil {
			b.leave(j, err)
		}
	}
}

// ranked returns jobs in the order in which queue.Plan considers them.
func (b *jobBook) ranked(jobs []*hostedJob) []*hostedJob {
	if len(jobs) < 2 {
		return jobs
	}
	s := queue.Snapshot{Policy: b.h.waiting.rules.Load().policy}
	if usage := b.h.waiting.lately.Load(); usage != nil {
		s.Usage = *usage
	}
	byID := make(map[queue.JobID]*hostedJob, len(jobs))
	for _, j := range jobs {
		e, prepared := j.job().Entry()
		if !prepared {
			e = queue.Entry{ID: j.id(), Owner: j.job().Submission().Owner, Priority: j.job().Priority()}
		}
		e.Submitted = time.Duration(j.number)
		e.Waited += b.waited(j)
		e.Served += b.ran(j)
		s.Jobs = append(s.Jobs, e)
		byID[j.id()] = j
	}
	order := make([]*hostedJob, 0, len(jobs))
	for _, id := range queue.Ranked(&s) {
		order = append(order, byID[id])
	}
	return order
}

// opening returns how long those that wait for devices leave them to jobs which rank before
// one of them and are opening their data: until these are open, or take longer than they
// may. It is 0 if there are none.
func (b *jobBook) opening(wait func(queue.JobID) bool) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.h.config.Now()
	left := map[*hostedJob]time.Duration{}
	var jobs []*hostedJob
	for _, j := range b.sorted() {
		if wait(j.id()) {
			jobs = append(jobs, j)
			continue
		}
		opens := j.cancel != nil || j.underWay && !j.stopping && !j.resting && waits(j.job())
		if in := j.begun.Add(b.slow).Sub(now); j.active && opens && in > 0 && len(j.job().After()) == 0 {
			left[j] = in
			jobs = append(jobs, j)
		}
	}
	if len(left) == 0 {
		return 0
	}
	var longest, before time.Duration
	for _, j := range b.ranked(jobs) {
		if in, opens := left[j]; opens {
			before = max(before, in)
		} else {
			longest = before
		}
	}
	return longest
}

// makeRoom takes the actors of jobs without devices that rank below one of those outside,
// which have none and come best rank first. The places that become free are given away
// when the runs are at rest. Whoever stays outside is told why.
func (b *jobBook) makeRoom(outside []*hostedJob) {
	var inside []*hostedJob
	for _, j := range b.live {
		switch {
		case !j.underWay:
		case j.stopping || j.resting: // it leaves its place to the first of them
			if len(outside) > 0 {
				outside = outside[1:]
			}
		case waits(j.job()):
			inside = append(inside, j)
		}
	}
	order := b.ranked(slices.Concat(outside, inside))
	var stay []*hostedJob
	for _, j := range order[len(inside):] {
		if !j.underWay {
			stay = append(stay, j)
		} else if run := b.h.run(j.run()); run != nil {
			j.stopping, j.displaced = true, true
			run.interrupt(hostFull(b.h.maxRuns).Message, b.h.config.Now())
		}
	}
	b.tellFull(stay)
}

// hostFull says why a job has no actor. It is true of the moment, so it speaks of the past.
func hostFull(places int) queue.Cause {
	return queue.Cause{Code: codeHostFull, Message: fmt.Sprintf(
		"%d runs that came before it in the queue trained or waited for a device, which is the most that are considered at a time; it joins them once it is among the first", places)}
}

// tellFull records why jobs are in no decision, once. If that fails, the next look tries
// again.
func (b *jobBook) tellFull(jobs []*hostedJob) {
	var all []decided
	for _, j := range jobs {
		if j.job().Cause().Code == codeHostFull {
			continue
		}
		if events, err := j.job().Decide(queue.Defer{Cause: hostFull(b.h.maxRuns)}); err == nil {
			all = append(all, decided{j, events})
		}
	}
	_, _ = b.recordTogether(all)
}
