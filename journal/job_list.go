package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"reprise/eventstore"
	"reprise/queue"
	"reprise/training"
)

// JobList is the read model of all jobs, without their requests.
type JobList struct {
	// Jobs are in the order in which they were submitted. Spans holds the range of each
	// one's events.
	Jobs  []JobRecord     `json:"jobs"`
	Spans []PositionRange `json:"spans"`

	index map[queue.JobID]int
}

// Apply folds the next event of the log. It ignores events of anything but jobs.
func (l *JobList) Apply(e eventstore.Event) error {
	id, ok := JobOf(e.Aggregate)
	if !ok {
		return nil
	}
	i, known := l.find(id)
	var record JobRecord
	if known {
		record = l.Jobs[i]
	} else if e.Version != 1 {
		return fmt.Errorf("event %d of %s, whose first event is missing: %w", e.Version, e.Aggregate, queue.ErrContradiction)
	}
	x, err := jobAggregate.extend(record.entity(id), e)
	if err != nil {
		return err
	}
	x.State.Job = x.State.Job.WithoutRequest()
	if known {
		l.Jobs[i], l.Spans[i].Last = x.State, e.Position
		return nil
	}
	l.index[id] = len(l.Jobs)
	l.Jobs, l.Spans = append(l.Jobs, x.State), append(l.Spans, PositionRange{First: e.Position, Last: e.Position})
	return nil
}

func (l *JobList) find(id queue.JobID) (int, bool) {
	if l.index == nil {
		l.index = make(map[queue.JobID]int, len(l.Jobs))
		for i, r := range l.Jobs {
			l.index[r.Job.ID()] = i
		}
	}
	i, known := l.index[id]
	return i, known
}

// Job returns a job of the list; false if there is none with this id.
func (l *JobList) Job(id queue.JobID) (JobRecord, bool) {
	i, known := l.find(id)
	if !known {
		return JobRecord{}, false
	}
	return l.Jobs[i], true
}

// Split implements ReadModel. Jobs keep their place in the list, so few parts change.
func (l *JobList) Split() []ReadModel {
	var parts []ReadModel
	for from := 0; from < len(l.Jobs); from += runsPerPart {
		to := min(from+runsPerPart, len(l.Jobs))
		parts = append(parts, &JobList{Jobs: l.Jobs[from:to], Spans: l.Spans[from:to]})
	}
	return parts
}

// Join implements ReadModel.
func (l *JobList) Join(part []byte) error {
	var more JobList
	if err := json.Unmarshal(part, &more); err != nil {
		return err
	}
	if len(more.Jobs) != len(more.Spans) {
		return fmt.Errorf("%d jobs at %d places of the log", len(more.Jobs), len(more.Spans))
	}
	l.Jobs, l.Spans = append(l.Jobs, more.Jobs...), append(l.Spans, more.Spans...)
	l.index = nil
	return nil
}

// at returns the jobs as they were at a position of the log that the list has reached.
func (l *JobList) at(ctx context.Context, store eventstore.Store, at eventstore.Position) ([]JobRecord, error) {
	return listAt(l.Jobs, l.Spans, at, func(r JobRecord) (JobRecord, error) {
		var alone JobList
		if err := walkAggregate(ctx, store, jobAggregate.ID(string(r.Job.ID())), at, alone.Apply); err != nil {
			return r, err
		}
		return alone.Jobs[0], nil
	})
}

// ReadJobs returns the list of all jobs at the end of the log. It writes nothing.
func ReadJobs(ctx context.Context, store eventstore.Store) (jobs *JobList, err error) {
	err = Read(ctx, store, Into(&jobs))
	return jobs, err
}

// Latest means the newest run where a run is named.
const Latest = "latest"

// Resolve returns the run or the job that name means: an id, the name of exactly one or of
// one and its retries, of which it is the newest, the beginning of exactly one id, or "latest", the one that was submitted last, or started
// last where it never was.
// It fails like RunList.Resolve.
func Resolve(runs *RunList, jobs *JobList, name string) (training.RunID, error) {
	all := RunList{Runs: append([]RunSummary(nil), runs.Runs...)}
	if job, ok := jobs.Job(queue.JobID(name)); ok && job.Job.Deleted() { // only its whole id means it
		return training.RunID(name), nil
	}
	deleted := func(r RunSummary) bool {
		job, _ := jobs.Job(queue.JobID(r.RunID))
		return job.Job.Deleted()
	}
	all.Runs = slices.DeleteFunc(all.Runs, deleted)
	submitted := make(map[training.RunID]bool, len(jobs.Jobs))
	for _, r := range jobs.Jobs {
		submitted[training.RunID(r.Job.ID())] = true
	}
	var latest latestRun
	started := make(map[training.RunID]bool, len(runs.Runs))
	for i, r := range runs.Runs {
		started[r.RunID] = true
		// A run begins once it is prepared, maybe after later ones were submitted.
		if !submitted[r.RunID] {
			latest = latestRun{id: r.RunID, at: runs.Spans[i].First}
		}
	}
	for i, r := range jobs.Jobs {
		if r.Job.Deleted() {
			continue
		}
		id := training.RunID(r.Job.ID())
		if !started[id] {
			all.Runs = append(all.Runs, RunSummary{RunID: id})
		}
		if at := jobs.Spans[i].First; at > latest.at {
			latest.at, latest.id = at, id
		}
	}
	if name == Latest && latest.id != "" {
		return latest.id, nil
	}
	if id, err := jobs.named(name); id != "" || err != nil {
		if known := submitted[training.RunID(name)] || started[training.RunID(name)]; !known {
			return id, err
		}
	}
	id, err := all.Resolve(name)
	var unknown *RunNotFoundError
	if errors.As(err, &unknown) {
		unknown.Deleted = jobs.deleted(name)
		unknown.NoneLeft = len(runs.Runs)+len(jobs.Jobs) > 0
	}
	return id, err
}

// deleted returns the jobs of the deleted runs that a name would mean, in the order in
// which they were deleted.
func (l *JobList) deleted(name string) []JobRecord {
	var list []JobRecord
	for _, r := range l.Jobs {
		if r.Job.Deleted() && name != "" && (r.Job.Annotation().Name == name || strings.HasPrefix(string(r.Job.ID()), name)) {
			list = append(list, r)
		}
	}
	slices.SortStableFunc(list, func(a, b JobRecord) int { return a.DeletedAt.Compare(b.DeletedAt) })
	return list
}

// named returns the run that somebody gave a name, the newest of a run and its retries; ""
// if there is none, and ErrAmbiguousRun if there are several.
func (l *JobList) named(name string) (training.RunID, error) {
	if name == "" {
		return "", nil
	}
	var matches []string
	at := map[queue.JobID]int{} // of each chain of retries in matches
	for _, r := range l.Jobs {
		if r.Job.Annotation().Name != name || r.Job.Deleted() {
			continue
		}
		first := l.firstTry(r.Job)
		if i, known := at[first]; known {
			matches[i] = string(r.Job.ID())
		} else {
			at[first] = len(matches)
			matches = append(matches, string(r.Job.ID()))
		}
	}
	if len(matches) > 1 {
		return "", ambiguous(name, matches, "give the id of one, or give them other names")
	}
	return training.RunID(strings.Join(matches, "")), nil
}

// firstTry returns the job of which a job is a retry, or a retry of one, and so on.
func (l *JobList) firstTry(job queue.Job) queue.JobID {
	for range l.Jobs { // a forged log may go round in circles
		before, known := l.Job(job.Submission().RetryOf)
		if !known {
			break
		}
		job = before.Job
	}
	return job.ID()
}

// NewestTry returns the newest retry of a job, or of a retry of it, and so on; its own id if
// there is none.
func (l *JobList) NewestTry(id queue.JobID) queue.JobID {
	job, known := l.Job(id)
	if !known {
		return id
	}
	first, newest := l.firstTry(job.Job), id
	for _, r := range l.Jobs {
		if !r.Job.Deleted() && l.firstTry(r.Job) == first {
			newest = r.Job.ID()
		}
	}
	return newest
}

type latestRun struct {
	id training.RunID
	at eventstore.Position
}
