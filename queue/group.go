package queue

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"reprise/fault"
)

// Change is what happens to one of several jobs.
type Change struct {
	Job    JobID
	Events []JobEvent
}

// Retry returns the submission of a job that tries again what an ended one did not
// complete: a new run, from its first step. The old job stays as it is. It waits again
// for those jobs that the old one still had to wait for.
//
// It fails with fault.Conflict for a job that has not ended, that completed, or that has
// NoRequest.
func (j Job) Retry() (Submission, error) {
	if j.state == "" {
		return Submission{}, fault.New(fault.NotFound, "the job was never submitted")
	}
	switch {
	case j.state == StateCompleted:
		return Submission{}, fault.New(fault.Conflict, "run %s has completed: there is nothing to retry", j.id)
	case !j.state.Ended():
		return Submission{}, fault.New(fault.Conflict, "cannot retry run %s: it is %s and has not ended", j.id, j.state)
	case bytes.Equal(j.submission.Request, NoRequest()):
		return Submission{}, fault.New(fault.Conflict, "cannot retry run %s: it was begun by a message, not by a request; send the message again", j.id)
	}
	s := j.Submission()
	s.Priority, s.After, s.RetryOf, s.Annotation = j.priority, j.After(), j.id, j.Annotation()
	return s, nil
}

// RetryAfterRetries is Job.Retry for a job that was to run after others: its retry runs
// after the newest retry of each of them. jobs has all that there are, in the order of
// their submission.
//
// It fails like Job.Retry, and with fault.Conflict where a job that it has to run after
// has ended without having completed and was not retried: the new job would end at once.
func RetryAfterRetries(j Job, jobs []Job) (Submission, error) {
	return retriesOf(jobs).retry(j, nil)
}

// Refusal says why a job of a group is left as it is.
type Refusal struct {
	Job JobID
	Err error
}

// RetryGroup returns the submissions that retry the jobs of a group that ended without
// having completed and were neither deleted nor retried before, alone or with the group, in
// the order of their submission. jobs has all that there are, of every group, in that order, and ids
// has the id of each new job by that of the old one. Where one of them was to run after
// another one, its retry runs after the other's, as RetryAfterRetries says.
//
// A job whose retry would end at once, or which admit refuses, is left out, and so are
// those that were to run after it; refused says why, in the same order. The others are
// retried.
//
// It fails with fault.NotFound for a group that has no jobs, with fault.Conflict if it has
// none that ended so, and with fault.Invalid if an id is missing.
func RetryGroup(jobs []Job, group string, ids map[JobID]JobID, admit func(Submission) error) (submits []Submit, refused []Refusal, err error) {
	retried, err := Retryable(jobs, group)
	if err != nil {
		return nil, nil, err
	}
	fit := make(map[JobID]JobID, len(retried))
	for _, j := range retried {
		if fit[j.id] = ids[j.id]; fit[j.id] == "" {
			return nil, nil, fault.New(fault.Invalid, "the retry of job %s has no id", j.id)
		}
	}
	before := retriesOf(jobs)
	why := map[JobID]error{}
	for known := -1; known < len(why); { // a refusal can lead to those of jobs before it
		known = len(why)
		submits = nil
		for _, j := range retried {
			if why[j.id] != nil {
				continue
			}
			s, err := before.retry(j, fit)
			if err == nil {
				err = admit(s)
			}
			if err != nil {
				why[j.id] = err
				delete(fit, j.id)
				continue
			}
			submits = append(submits, Submit{Job: fit[j.id], Submission: s})
		}
	}
	for _, j := range retried {
		if err := why[j.id]; err != nil {
			refused = append(refused, Refusal{j.id, err})
		}
	}
	return submits, refused, nil
}

// Retryable returns the jobs of a group that RetryGroup retries, or its error.
func Retryable(jobs []Job, group string) ([]Job, error) {
	members := membersOf(jobs, group)
	if len(members) == 0 {
		return nil, NoGroup(group)
	}
	before := retriesOf(jobs)
	list := slices.DeleteFunc(members, func(j Job) bool {
		_, again := before.next[j.id]
		return !j.state.Ended() || j.state == StateCompleted || j.deleted || again
	})
	if len(list) == 0 {
		return nil, fault.New(fault.Conflict, "no job of group %s can be retried: each has completed, has not ended, was deleted, or was retried before", shown(group))
	}
	return list, nil
}

// retries are the jobs that try others again.
type retries struct {
	byID map[JobID]Job
	next map[JobID]JobID // the newest retry of a job
}

// retriesOf returns those among jobs, which are in the order of their submission.
func retriesOf(jobs []Job) retries {
	r := retries{byID: make(map[JobID]Job, len(jobs)), next: map[JobID]JobID{}}
	for _, j := range jobs {
		of := j.submission.RetryOf
		if _, earlier := r.byID[of]; earlier { // a cycle has no end
			r.next[of] = j.id
		}
		r.byID[j.id] = j
	}
	return r
}

// newest returns the last of the retries of a job, of their retries, and so on; the job
// itself if it was not retried.
func (r retries) newest(id JobID) JobID {
	for next, retried := r.next[id]; retried; next, retried = r.next[id] {
		id = next
	}
	return id
}

// retry is Job.Retry after the newest retries. ids has those that are about to be made,
// by the id of the old job.
func (r retries) retry(j Job, ids map[JobID]JobID) (Submission, error) {
	s, err := j.Retry()
	if err != nil {
		return s, err
	}
	var after []JobID
	for _, id := range s.After {
		id = r.newest(id)
		if again := ids[id]; again != "" {
			id = again
		} else if last := r.byID[id]; last.state.Ended() && last.state != StateCompleted {
			return Submission{}, fault.New(fault.Conflict, "cannot retry run %s: it runs after run %s, which was %s; retry that one first", j.id, id, last.state.past())
		}
		if !slices.Contains(after, id) {
			after = append(after, id)
		}
	}
	s.After = after
	return s, nil
}

// membersOf returns the jobs of a group in the order of the jobs.
func membersOf(jobs []Job, group string) []Job {
	var members []Job
	for _, j := range jobs {
		if group != "" && j.submission.Group == group {
			members = append(members, j)
		}
	}
	return members
}

// ErrNoGroup is wrapped by the errors of NoGroup.
var ErrNoGroup = fault.New(fault.NotFound, "there is no group")

// NoGroup is the error about a group that no job is in.
func NoGroup(group string) error { return fmt.Errorf("%w %s", ErrNoGroup, shown(group)) }

func byID(a, b Job) int { return strings.Compare(string(a.id), string(b.id)) }

// Follow returns what the end of jobs means for those that were to run after them, and
// what the end of these means in turn: a job waits no longer for one that completed,
// and is cancelled if one that it waits for ended otherwise. jobs has all that have not
// ended, and those that have and whose end was not followed yet. Following an end a
// second time changes nothing, so a host that was interrupted can begin again.
//
// Changes are in an order in which they can be recorded; it does not depend on that of
// the jobs.
func Follow(jobs []Job) ([]Change, error) {
	ends := map[JobID]State{}
	for _, j := range jobs {
		if j.state.Ended() {
			ends[j.id] = j.state
		}
	}
	return FollowEnds(jobs, ends)
}

// FollowEnds is Follow for ends that are given: of jobs or of runs that have none. Those
// among jobs that have ended are otherwise ignored.
func FollowEnds(jobs []Job, ends map[JobID]State) ([]Change, error) {
	jobs = slices.SortedFunc(slices.Values(jobs), byID)
	var ended []EndPredecessor
	for _, id := range slices.Sorted(maps.Keys(ends)) {
		ended = append(ended, EndPredecessor{id, ends[id]})
	}
	waiters := map[JobID][]int{}
	for i, j := range jobs {
		if j.state.Ended() {
			continue
		}
		for _, id := range j.after {
			waiters[id] = append(waiters[id], i)
		}
	}
	var changes []Change
	for len(ended) > 0 {
		end := ended[0]
		ended = ended[1:]
		for _, i := range waiters[end.Job] {
			if jobs[i].state.Ended() {
				continue
			}
			events, err := jobs[i].Decide(end)
			if err != nil {
				return nil, err
			}
			if len(events) == 0 {
				continue
			}
			changes = append(changes, Change{jobs[i].id, events})
			for _, event := range events {
				jobs[i] = jobs[i].Apply(event)
			}
			if jobs[i].state.Ended() {
				ended = append(ended, EndPredecessor{jobs[i].id, jobs[i].state})
			}
		}
	}
	return changes, nil
}
