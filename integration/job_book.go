package integration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"reprise/actor"
	"reprise/datadir"
	"reprise/device"
	"reprise/eventstore"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// Prepare opens the data of a job and translates its request. It returns the events with
// which the run begins, as training.TrainingService gives them; the run has the id of the
// job. It is called on a goroutine of its own, may take as long as it needs, and should
// return early when ctx is done.
//
// An error of the kind Invalid rejects the job. After any other, which may pass, the job
// waits and is prepared again later. A panic, or an error of the kind Internal for which
// datadir.Remedy knows no remedy, is likely to come again: the job is rejected once it has
// waited for that HostConfig.Restarts times in a row.
type Prepare func(ctx context.Context, job queue.JobID, s queue.Submission) ([]training.Event, error)

const (
	// DefaultPreparations is how many jobs are prepared at a time.
	DefaultPreparations = 8
	// slowPreparation is how long a preparation counts as one of those: a slow one is
	// no longer in the way of others then, as long as there are no more than
	// maxSlowPreparations.
	slowPreparation     = time.Second
	maxSlowPreparations = 256
	// firstRetry is how long a job waits after the first failure that may pass, and
	// longestRetry the most that it waits after many.
	firstRetry   = time.Second
	longestRetry = 5 * time.Minute
)

// The codes of what happened to the run of a job.
const (
	codeInterrupted queue.Code = "interrupted" // it could not continue, for a reason that may pass
	codeFailed      queue.Code = "failed"      // it never can
)

// jobBook holds the jobs of a host that have not ended, records what happens to them, and
// sees to it that each is prepared, gets the actor of its run, and is stopped, when it is
// time. What a run does, its actor tells it. It decides nothing: queue.Job does.
//
// It is used by many goroutines at a time. Nobody waits for an actor while holding mu.
type jobBook struct {
	h   *Host
	log *journal.JobLog
	// clock wakes the book when something is due.
	clock actor.Ref[jobClockMessage]
	// slow is for how long devices are left to a job that opens its data: slowPreparation.
	slow time.Duration

	// beginning is held while a run begins; mu may be held before it, never after.
	beginning sync.Mutex

	mu     sync.Mutex // guards what follows
	live   map[queue.JobID]*hostedJob
	ended  map[queue.JobID]queue.Job // and those of other workers
	number map[queue.JobID]int       // of each job, in the order of submission
	closed bool
	// gathering counts who is about to hand over several jobs: none begins before all of
	// them are there.
	gathering int
	// full says that jobs wait for places, and rankedAt when their ranks were compared last.
	full     bool
	rankedAt time.Time
}

// hostedJob is a job of this worker that has not ended, or whose run is still leaving.
type hostedJob struct {
	record journal.JobRecord
	number int // in the order of submission
	// active says that this host prepares and runs the job. One that an earlier process
	// left is not, until it is resumed.
	active bool
	// cancel ends the preparation that is under way; nil if none is.
	cancel context.CancelFunc
	// begun is when the job began to open its data last, for its preparation or its run.
	begun time.Time
	// underWay says that the run has an actor, and stopping that this was told to stop.
	underWay bool
	stopping bool
	// displaced says that it was told so to make room for a job that ranks higher.
	displaced bool
	// resting says that the run's actor has ended, and is about to be forgotten.
	resting bool
	// reason is why the run was interrupted last, and noData says that its data could not
	// be opened since its actor began.
	reason string
	noData bool
	// queued is since when the job waits for devices; zero while that does not count.
	// waited is how long it did before, since it entered the queue.
	queued time.Time
	waited time.Duration
	// placed is when the job got its devices.
	placed time.Time
	// notBefore is when a job that was deferred may try again.
	notBefore time.Time
	left      error // why the host left the job where it was
	changed   chan struct{}
}

func (j *hostedJob) job() queue.Job      { return j.record.Job }
func (j *hostedJob) id() queue.JobID     { return j.record.Job.ID() }
func (j *hostedJob) run() training.RunID { return training.RunID(j.record.Job.ID()) }

// atRest reports whether this host has nothing more to do for the job.
func (j *hostedJob) atRest() bool {
	if j.underWay || j.cancel != nil {
		return false
	}
	state := j.job().State()
	return state.Ended() || state == queue.StatePaused || !j.active
}

// runnable reports whether the job waits for devices only.
func (j *hostedJob) runnable(now time.Time) bool {
	return j.job().State() == queue.StateQueued && len(j.job().After()) == 0 && !now.Before(j.notBefore)
}

// unprepared reports whether somebody has to prepare the job.
func (j *hostedJob) unprepared() bool {
	state := j.job().State()
	return (state == queue.StateSubmitted || state == queue.StatePreparing) && j.cancel == nil
}

func newJobBook(h *Host) *jobBook {
	return &jobBook{h: h, slow: slowPreparation, log: journal.NewJobLog(h.config.Store, h.config.Now), live: map[queue.JobID]*hostedJob{}, ended: map[queue.JobID]queue.Job{}, number: map[queue.JobID]int{}}
}

// open reads the jobs that there are. None is active.
func (b *jobBook) open(ctx context.Context) error {
	list, err := journal.ReadJobs(ctx, b.h.config.Store)
	if err != nil {
		return err
	}
	for _, r := range list.Jobs {
		b.numberOf(r.Job.ID())
		if r.Job.State().Ended() || r.Job.Worker() != b.h.config.Worker {
			b.ended[r.Job.ID()] = r.Job
		} else {
			b.add(r)
		}
	}
	return nil
}

func (b *jobBook) add(r journal.JobRecord) *hostedJob {
	r.Job = r.Job.WithoutRequest() // it may be large, and is in the log
	j := &hostedJob{record: r, number: b.numberOf(r.Job.ID()), changed: make(chan struct{})}
	b.live[r.Job.ID()] = j
	return j
}

// numberOf returns the number of a job. One that the book did not know is the last.
func (b *jobBook) numberOf(id queue.JobID) int {
	if b.number[id] == 0 {
		b.number[id] = len(b.number) + 1
	}
	return b.number[id]
}

// sorted returns the live jobs in the order of their submission.
func (b *jobBook) sorted() []*hostedJob {
	all := make([]*hostedJob, 0, len(b.live))
	for _, j := range b.live {
		all = append(all, j)
	}
	slices.SortFunc(all, func(a, c *hostedJob) int { return cmp.Compare(a.number, c.number) })
	return all
}

// decide gives a job commands, records what follows, and does what is to be done then.
// Nobody else writes to the job: a conflict means that an append that seemed to fail did
// not, and the book is behind the log.
func (b *jobBook) decide(j *hostedJob, commands ...queue.Command) error {
	for again := false; ; again = true {
		events, err := decideAll(j.job(), commands...)
		if err != nil || len(events) == 0 {
			return err
		}
		was := j.record
		records, err := b.log.Append(context.Background(), journal.JobChange{ID: j.id(), Before: was, Events: events})
		if err == nil {
			b.happened(j, records[0], events)
			return nil
		}
		if b.recordedAnyway(j, events, err) {
			record := j.record
			j.record = was
			b.happened(j, record, events)
			return nil
		}
		if again || !errors.Is(err, eventstore.ErrConcurrencyConflict) {
			b.leave(j, err)
			return err
		}
	}
}

// reload reads what the log says about a job.
func (b *jobBook) reload(j *hostedJob) error {
	record, err := b.log.Load(context.Background(), j.id())
	if err == nil {
		record.Job = record.Job.WithoutRequest()
		j.record = record
	}
	return err
}

// recordedAnyway reads what the log says about a job, and reports whether an append of
// these events that failed is in it. After a conflict it is not, however many events there
// are: they are those of an earlier append that seemed to fail.
func (b *jobBook) recordedAnyway(j *hostedJob, events []queue.JobEvent, failed error) bool {
	want := j.record.Version + eventstore.Version(len(events))
	return b.reload(j) == nil && j.record.Version == want && !errors.Is(failed, eventstore.ErrConcurrencyConflict)
}

// leave gives up a job whose events cannot be recorded: the next host recovers it.
func (b *jobBook) leave(j *hostedJob, err error) {
	b.deactivate(j)
	j.left = err
	b.announce(j)
}

// announce wakes those who wait for news of the job.
func (b *jobBook) announce(j *hostedJob) {
	close(j.changed)
	j.changed = make(chan struct{})
}

// happened takes in events of a job that are recorded, and what they mean for the jobs that
// run after it.
func (b *jobBook) happened(j *hostedJob, record journal.JobRecord, events []queue.JobEvent) {
	was := j.job().State()
	b.take(j, record, events)
	if state := j.job().State(); state.Ended() && !was.Ended() {
		b.follow(j.id(), state)
	}
}

// take is happened for this job alone.
func (b *jobBook) take(j *hostedJob, record journal.JobRecord, events []queue.JobEvent) {
	was, now, waited := j.job(), b.h.config.Now(), b.waited(j)
	j.record = record
	if waits(j.job()) && !waits(was) {
		waited, j.waited, j.queued = 0, 0, time.Time{}
		if j.active {
			j.queued = now
		}
	}
	for _, e := range events {
		switch e := e.(type) {
		case queue.JobPlaced:
			j.placed = now
		case queue.JobDeferred:
			j.notBefore = now.Add(e.RetryAfter)
			j.waited, j.queued = waited, time.Time{}
			if j.active { // in between it does not wait for devices
				j.queued = j.notBefore
			}
		case queue.JobResumed:
			j.notBefore = time.Time{}
			if j.active {
				j.queued = now
			}
		case queue.JobPreparing, queue.JobPrepared, queue.JobPaused:
			j.notBefore = time.Time{}
		case queue.JobSubmitted, queue.JobPredecessorCompleted, queue.JobStarted, queue.JobCompleted, queue.JobStopRequested,
			queue.JobPriorityChanged, queue.JobAnnotated, queue.JobDeleted, queue.JobCancelled, queue.JobFailed, queue.JobRejected:
			// The job itself knows what they mean.
		}
		b.h.jobRecorded(j.run(), e)
	}
	b.obey(j)
	b.retire(j)
	b.announce(j)
}

// obey stops what the job must no longer do.
func (b *jobBook) obey(j *hostedJob) {
	state := j.job().State()
	stop, stopped := j.job().Stop()
	cause := stop.Message
	switch {
	case state == queue.StatePaused:
		stopped, cause = true, "it was paused"
	case state.Ended():
		stopped, cause = true, j.job().Cause().Message
	}
	if !stopped {
		return
	}
	if j.cancel != nil {
		j.cancel()
	}
	if !j.underWay {
		b.interrupt(j, cause)
	} else if run := b.h.run(j.run()); run != nil && !j.resting {
		j.stopping = true
		run.interrupt(cause, b.h.config.Now())
	}
}

// interrupt brings the run of a job to rest that was prepared and has no actor yet. What
// fails here is left to recovery.
func (b *jobBook) interrupt(j *hostedJob, cause string) {
	if _, prepared := j.job().Estimate(); !prepared {
		return
	}
	record, err := b.h.log.Load(context.Background(), j.run())
	if err != nil || !record.Saga.UnderWay() {
		return
	}
	e := training.TrainingInterrupted{Cause: cause}
	if _, err := b.h.log.Append(context.Background(), record, e); err == nil {
		b.h.config.Observer.Recorded(j.run(), e)
	}
}

// retire forgets a job that has ended once its run is at rest.
func (b *jobBook) retire(j *hostedJob) {
	if j.job().State().Ended() && !j.underWay && j.cancel == nil {
		delete(b.live, j.id())
		b.ended[j.id()] = j.job()
	}
}

// waits reports whether a job waits for devices, and for nothing else.
func waits(job queue.Job) bool { return job.State() == queue.StateQueued && len(job.After()) == 0 }

// waited is how long a job has waited for devices since it entered the queue. The time
// for which it was deferred, or no host was to run it, does not count.
func (b *jobBook) waited(j *hostedJob) time.Duration {
	switch {
	case !waits(j.job()):
		return 0
	case j.queued.IsZero():
		return j.waited
	}
	return j.waited + max(0, b.h.config.Now().Sub(j.queued))
}

// activate has the host prepare and run a job, whose waiting counts from now on.
func (b *jobBook) activate(j *hostedJob) {
	j.active, j.left = true, nil
	if j.queued.IsZero() {
		j.queued = b.h.config.Now()
	}
}

// deactivate leaves a job to whoever resumes it.
func (b *jobBook) deactivate(j *hostedJob) {
	j.active, j.waited, j.queued = false, b.waited(j), time.Time{}
}

// ran is how long a job has had its devices.
func (b *jobBook) ran(j *hostedJob) time.Duration {
	if !j.job().State().HasDevices() || j.placed.IsZero() {
		return 0
	}
	return max(0, b.h.config.Now().Sub(j.placed))
}

// advance prepares and launches the jobs whose turn it is.
func (b *jobBook) advance() {
	if b.closed || b.gathering > 0 {
		return
	}
	all := b.sorted()
	slices.SortStableFunc(all, func(a, c *hostedJob) int { return cmp.Compare(c.job().Priority(), a.job().Priority()) })
	now := b.h.config.Now()
	for _, j := range all {
		if j.active && j.unprepared() && !now.Before(j.notBefore) {
			if !b.mayPrepare(now) {
				break
			}
			b.prepare(j)
		}
	}
	b.launchQueued(now)
	_ = b.clock.Tell(wakeJobs{}) // if its mailbox is full, it wakes anyway
}

// queue records that a job is prepared, and the beginning of its run, at once.
func (b *jobBook) queue(j *hostedJob, events []training.Event) error {
	events, estimate, err := b.h.estimate(j.id(), events)
	if err != nil {
		return err
	}
	if err := b.admit(j.job().Submission(), &estimate); err != nil {
		return err
	}
	for again := false; ; again = true {
		decided, err := j.job().Decide(queue.Queue{Estimate: estimate})
		if err != nil {
			if again && j.job().State() == queue.StateQueued { // the append had not failed
				return nil
			}
			return err
		}
		job, run, err := b.log.AppendWithRun(context.Background(), journal.JobChange{ID: j.id(), Before: j.record, Events: decided}, b.h.log, events...)
		if err == nil {
			for _, e := range events {
				b.h.config.Observer.Recorded(run.ID, e)
			}
			b.happened(j, job, decided)
			return nil
		}
		if again || !errors.Is(err, eventstore.ErrConcurrencyConflict) || b.reload(j) != nil {
			b.leave(j, err)
			return err
		}
	}
}

// revive brings a job up to date that was left since something could not be recorded.
func (b *jobBook) revive(j *hostedJob) error {
	if j.left == nil || j.underWay || j.cancel != nil {
		return nil
	}
	if err := b.reload(j); err != nil {
		return err
	}
	ctx := context.Background()
	record, err := b.h.log.Load(ctx, j.run())
	if err != nil && !errors.Is(err, journal.ErrRunNotFound) {
		return err
	}
	commands, err := recovering(ctx, b.h.log, j.job(), record.Session.State, oneLine(datadir.Advise(j.left).Error()))
	if err != nil {
		return err
	}
	j.left = nil
	missed, err := b.missedEnds(ctx, j.job())
	if err != nil {
		return err
	}
	for _, c := range append(commands, missed...) {
		if err := b.decide(j, c); err != nil {
			return err
		}
	}
	b.retire(j)
	return nil
}

// launch gives the run of a job its actor.
func (b *jobBook) launch(j *hostedJob) error {
	release, err := b.h.admit(j.run())
	if err != nil {
		return err
	}
	defer release()
	record, err := b.h.log.Load(b.h.closing, j.run())
	if err != nil {
		return err
	}
	times := queueTimes{served: j.job().Ran(), waited: j.job().Waited() + b.waited(j)}
	if record.Version > 1 {
		served, waited, err := journal.QueueTimes(b.h.closing, b.h.config.Store, j.run())
		if err != nil {
			return err
		}
		times.served, times.waited = max(times.served, served), max(times.waited, waited)
	}
	if err := b.h.launch(record.ID, record.Session, launching{times: times, job: b, submitted: b.h.waiting.orderOf(j.record.SubmittedAt, j.number)}); err != nil {
		return err
	}
	j.underWay, j.stopping, j.displaced, j.noData, j.begun = true, false, false, false, b.h.config.Now()
	return nil
}

// lacksData notes that the data of a run cannot be opened.
func (b *jobBook) lacksData(run training.RunID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if j := b.live[queue.JobID(run)]; j != nil {
		j.noData = true
	}
}

// recorded takes an event that the run of a job has recorded.
func (b *jobBook) recorded(run training.RunID, e training.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	j := b.live[queue.JobID(run)]
	if j == nil {
		return
	}
	// What does not fit the job, such as a device for one that was cancelled meanwhile,
	// changes nothing: its run was told to stop.
	if e, ok := e.(training.ResourceAllocated); ok {
		b.placed(j, e)
	}
	if _, ok := e.(training.ModelInitialized); ok && j.job().State() == queue.StatePlaced {
		_ = b.decide(j, queue.Start{})
	}
	if e, ok := e.(training.TrainingInterrupted); ok {
		j.reason = e.Cause
	}
	if e, ok := e.(training.CheckpointFailed); ok {
		j.reason = e.Reason
	}
	if _, ok := e.(training.TrainingResumed); ok && j.job().State().HasDevices() { // it gave them back, and waits again
		_ = b.decide(j, queue.Defer{Cause: causeOf(j.reason), Ran: b.ran(j)})
	}
}

// placed records that a job has its device.
func (b *jobBook) placed(j *hostedJob, e training.ResourceAllocated) {
	if j.job().State() != queue.StateQueued {
		return
	}
	_ = b.decide(j, queue.Place{Devices: []device.ID{e.Device}, Waited: b.waited(j)})
	_ = b.clock.Tell(wakeJobs{})
}

// causeOf returns why a run was interrupted, as its job records it.
func causeOf(reason string) queue.Cause {
	c := queue.Cause{Code: codeInterrupted, Message: cmp.Or(oneLine(reason), "its run was interrupted")}
	if strings.HasPrefix(reason, gaveWayTo) {
		c.Code = queue.CauseGaveWay
	}
	return c
}

// rested takes what became of a run whose actor has ended, of a job or not. needsHelp says
// that what interrupted it does not pass by itself.
func (b *jobBook) rested(run training.RunID, record journal.RunRecord, needsHelp bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	j := b.live[queue.JobID(run)]
	if j == nil {
		if state, ended := endOf(record.Session.State); err == nil && ended {
			b.follow(queue.JobID(run), state)
		}
		return
	}
	j.resting = true
	if err != nil {
		b.leave(j, err)
	} else {
		b.conclude(j, record, j.stopping, needsHelp)
	}
}

// gone lets the run of a job have another actor.
func (b *jobBook) gone(run training.RunID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if j := b.live[queue.JobID(run)]; j != nil {
		j.underWay, j.stopping, j.resting = false, false, false
		b.retire(j)
		b.announce(j)
	}
	b.advance()
}

// conclude records what the rest of a run means for its job.
func (b *jobBook) conclude(j *hostedJob, record journal.RunRecord, stopping, needsHelp bool) {
	cause, ran := causeOf(cmp.Or(record.Reason, j.reason)), b.ran(j)
	if j.noData {
		cause.Code = queue.CauseData
	}
	state := j.job().State()
	switch end, ended := endOf(record.Session.State); {
	case state.Ended():
	case ended && end == queue.StateCompleted:
		_ = b.decide(j, queue.Complete{Ran: ran})
	case ended:
		_ = b.decide(j, queue.Fail{Cause: queue.Cause{Code: codeFailed, Message: cause.Message}, Ran: ran})
	case state == queue.StatePaused:
	case b.closed || !j.active:
		if state.HasDevices() {
			_ = b.decide(j, queue.Defer{Cause: queue.Cause{Code: queue.CauseProcessEnded, Message: cause.Message}, Ran: ran})
		}
	case j.displaced:
		if state.HasDevices() { // it got them after all, just before it was told to stop
			_ = b.decide(j, queue.Defer{Cause: queue.Cause{Code: codeHostFull, Message: cause.Message}, Ran: ran})
		}
	case stopping: // and it was resumed meanwhile
		if state.HasDevices() {
			_ = b.decide(j, queue.Defer{Cause: queue.Cause{Code: queue.CauseUser, Message: cause.Message}, Ran: ran})
		}
	case needsHelp:
		err := b.decide(j, queue.Defer{Cause: queue.Cause{Code: queue.CauseObstacle, Message: cause.Message}, Ran: ran})
		if err != nil || !j.job().Left() { // it was to be paused or cancelled meanwhile
			return
		}
		b.deactivate(j)
		b.letGo(queue.Cause{Code: queue.CauseObstacle, Message: fmt.Sprintf("it runs after run %s, which has to be resumed first", j.id())}, b.successors(j.id())...)
	default:
		_ = b.decide(j, queue.Defer{Cause: cause, Ran: ran, RetryAfter: retryDelay(j.job(), cause.Code)})
	}
}

// successors returns the jobs that wait for a job, directly or for one that does, in the
// order of their submission.
func (b *jobBook) successors(id queue.JobID) []*hostedJob {
	of := map[queue.JobID]bool{id: true}
	for known := 0; known < len(of); { // a retry can come before what it waits for
		known = len(of)
		for _, j := range b.live {
			if slices.ContainsFunc(j.job().After(), func(id queue.JobID) bool { return of[id] }) {
				of[j.id()] = true
			}
		}
	}
	return slices.DeleteFunc(b.sorted(), func(j *hostedJob) bool { return j.id() == id || !of[j.id()] })
}

// endOf returns the state of a job whose run has ended like this; false for one that can
// be resumed.
func endOf(run training.State) (queue.State, bool) {
	switch run {
	case training.Completed:
		return queue.StateCompleted, true
	case training.Failed:
		return queue.StateFailed, true
	default:
		return "", false
	}
}

// entry returns a job as a decision about the devices sees it.
func (b *jobBook) entry(id queue.JobID) (queue.Entry, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	j := b.live[id]
	if j == nil {
		return queue.Entry{}, false
	}
	return j.job().Entry()
}

// close lets go of every job. What the runs still have to say is recorded.
func (b *jobBook) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.letGo(queue.Cause{Code: queue.CauseProcessEnded, Message: "the process is shutting down"}, b.sorted()...)
}

// letGo leaves jobs to whoever resumes them, and records that of those that wait. What
// cannot be recorded is left to recovery.
func (b *jobBook) letGo(why queue.Cause, jobs ...*hostedJob) {
	left := queue.Defer{Cause: why}
	var waiting []*hostedJob
	var changes []journal.JobChange
	for _, j := range jobs {
		b.deactivate(j)
		if j.cancel != nil {
			j.cancel()
		}
		if state := j.job().State(); !state.Waits() || state == queue.StatePaused || j.job().Left() {
			continue
		}
		if events, err := j.job().Decide(left); err == nil {
			waiting, changes = append(waiting, j), append(changes, journal.JobChange{ID: j.id(), Before: j.record, Events: events})
		}
	}
	// At once, since many may wait.
	records, err := b.log.Append(context.Background(), changes...)
	for i, j := range waiting {
		if err != nil { // or it was recorded: whoever resumes the job reads the log first
			j.left = err
			continue
		}
		b.happened(j, records[i], changes[i].Events)
	}
	for _, j := range jobs {
		b.announce(j)
	}
}

// due does what the time has come for, and returns how long it takes until the next
// thing is due; false if nothing will be.
func (b *jobBook) due() (time.Duration, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.h.config.Now()
	var next time.Time
	at := func(t time.Time) {
		if t.After(now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	again := false
	for _, j := range b.sorted() {
		if left, bounded := j.job().TimeLeft(); bounded && j.job().State().HasDevices() {
			_ = b.decide(j, queue.CheckDuration{Ran: b.ran(j)})
			at(j.placed.Add(left))
		}
		if !j.active {
			continue
		}
		at(j.notBefore)
		waits := j.job().State() == queue.StateSubmitted || j.job().State() == queue.StateQueued
		if waits && !j.notBefore.IsZero() && !now.Before(j.notBefore) {
			j.notBefore, again = time.Time{}, true
		}
		if j.cancel != nil {
			slow := j.begun.Add(slowPreparation)
			at(slow)
			again = again || !now.Before(slow) && b.mayPrepare(now) && b.unprepared()
		}
	}
	if b.full { // ranks change with time
		again = again || now.Sub(b.rankedAt) >= planInterval
	}
	if again {
		b.advance()
	}
	if b.full {
		at(b.rankedAt.Add(planInterval))
	}
	return next.Sub(now), !next.IsZero()
}

// unprepared reports whether a job waits to be prepared.
func (b *jobBook) unprepared() bool {
	for _, j := range b.live {
		if j.active && j.unprepared() && j.notBefore.IsZero() {
			return true
		}
	}
	return false
}
