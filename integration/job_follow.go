package integration

import (
	"context"
	"slices"

	"reprise/journal"
	"reprise/queue"
)

// jobsTogether is how many jobs an append is about at most.
const jobsTogether = 200

// decided is what shall be recorded of a job.
type decided struct {
	job    *hostedJob
	events []queue.JobEvent
}

// follow tells the jobs that were to run after another one, or after a run without a job,
// that it has ended, those that end by that to the next ones, and so on. What cannot be
// recorded is left to recovery.
func (b *jobBook) follow(id queue.JobID, state queue.State) {
	ends := map[queue.JobID]queue.State{id: state}
	for again := false; ; again = true {
		var jobs []queue.Job
		for _, j := range b.live {
			if job := j.job(); len(job.After()) > 0 {
				jobs = append(jobs, job)
			}
		}
		changes, err := queue.FollowEnds(jobs, ends)
		if err != nil || len(changes) == 0 {
			return
		}
		var all []decided
		at := map[queue.JobID]int{}
		for _, c := range changes { // all that happens to a job is recorded at once
			if i, known := at[c.Job]; known {
				all[i].events = append(all[i].events, c.Events...)
				continue
			}
			at[c.Job] = len(all)
			all = append(all, decided{b.live[c.Job], slices.Clone(c.Events)})
		}
		unrecorded, err := b.recordTogether(all)
		if err == nil {
			return
		}
		if again {
			for _, d := range unrecorded {
				b.leave(d.job, err)
			}
			return
		}
		for _, d := range all {
			if state := d.job.job().State(); state.Ended() {
				ends[d.job.id()] = state
			}
		}
	}
}

// recordTogether records what was decided of several jobs, in few appends, and takes it in,
// but does not follow the ends among it. If an append fails, it reads what the log says of
// its jobs, and returns those that are not recorded.
func (b *jobBook) recordTogether(all []decided) (unrecorded []decided, err error) {
	for some := range slices.Chunk(all, jobsTogether) {
		changes := make([]journal.JobChange, len(some))
		for i, d := range some {
			changes[i] = journal.JobChange{ID: d.job.id(), Before: d.job.record, Events: d.events}
		}
		records, failed := b.log.Append(context.Background(), changes...)
		for i, d := range some {
			record := d.job.record
			switch {
			case failed == nil:
				b.take(d.job, records[i], d.events)
			case b.recordedAnyway(d.job, d.events, failed):
				now := d.job.record
				d.job.record = record
				b.take(d.job, now, d.events)
			default:
				unrecorded, err = append(unrecorded, d), failed
			}
		}
	}
	return unrecorded, err
}
