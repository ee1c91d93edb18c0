package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"reprise/actor"
	"reprise/datadir"
	"reprise/device"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/journal"
	"reprise/nn"
	"reprise/queue"
	"reprise/training"
	"reprise/training/loop"
)

// ErrHostClosed is returned for a run that a closing host left unfinished; the
// next host recovers it.
var ErrHostClosed = fault.New(fault.Unavailable, "host was closed before the run came to rest")

// UnfinishedError says that a host left a run where it was. The next host
// recovers it, and it can be resumed.
type UnfinishedError struct {
	Run   training.RunID
	Cause error
}

// Error names the run, the cause and what can be done about it.
func (e *UnfinishedError) Error() string {
	return fmt.Sprintf("run %s: %v", e.Run, datadir.Advise(e.Cause))
}

// Kind returns that of the cause, for a run that was accepted.
func (e *UnfinishedError) Kind() fault.Kind { return fault.KindOf(e.Cause).Accepted() }

// Unwrap returns the cause with its remedy.
func (e *UnfinishedError) Unwrap() error { return datadir.Advise(e.Cause) }

// closeDeadline is how long a closing host waits for its runs to checkpoint and
// for its actors to stop.
const closeDeadline = 30 * time.Second

// MaxRuns bounds the runs that train or wait for a device at a time. A decision about
// them all has to fit in an event. Of more jobs, those that rank highest are among them,
// and the others wait until they do (queue.Limits bounds how many).
const MaxRuns = 1000

// ErrTooManyRuns is returned for a run beyond MaxRuns. Nothing is recorded of it.
var ErrTooManyRuns = fault.New(fault.Exhausted, "the host is full")

// keptRuns is the number of runs that a host keeps before it forgets those at
// rest. What became of them is in the log.
const keptRuns = 64

// hostIDLength is how much of an id tells the hosts of a store apart.
const hostIDLength = 12

// DefaultRestarts is how often a run's actor is restarted before the run is
// interrupted or, if its actor panicked every time, fails. The period is long, since
// what fails again at the same step may take hours to get there.
func DefaultRestarts() actor.Intensity { return actor.Intensity{Restarts: 5, Period: 24 * time.Hour} }

// HostConfig is what a Host is made of. Store, Workspace, OpenDataset, Now and NewID
// are needed; without Devices, every run waits for one.
type HostConfig struct {
	Store     eventstore.Store
	Workspace datadir.Workspace
	// Devices stay the caller's to close, after the host.
	Devices []device.Driver
	// Worker names the host among those of a store, and its devices: W/cpu0 is the cpu0 of
	// worker W. The default one, whose name is empty and whose devices have bare names,
	// shares its store with no other.
	Worker      string
	OpenDataset OpenDataset
	// Observer, if not nil, is told what the runs do while they do it.
	Observer Observer
	Now      func() time.Time
	// NewID returns a name that was not used before.
	NewID func() string
	// NewJobID returns an id for a job, and its run, that was not used before; nil stands
	// for NewID.
	NewJobID func() queue.JobID
	// LogActors also records what happens to the host's actors in the store, as
	// events of "actors/HOST", where HOST is the beginning of a new id.
	LogActors bool
	// Restarts bounds how often a run's actor may fail and be restarted. Once they are
	// exhausted, the run is interrupted; it fails only if the actor panicked every
	// time. A job whose preparation panics is prepared again as often, and then rejected.
	// The zero value stands for DefaultRestarts.
	Restarts actor.Intensity
	// Queue is how the devices are shared between runs; nil stands for
	// queue.DefaultPolicy.
	Queue *queue.Policy
	// Prepare opens the data of the jobs that are submitted. Without it, only prepared
	// jobs can be.
	Prepare Prepare
	// Preparations is how many jobs are prepared at a time; 0 stands for
	// DefaultPreparations.
	Preparations int
	// Limits bound how many jobs may wait; nil stands for queue.DefaultLimits.
	Limits *queue.Limits
	// Labels are those of the devices that have some.
	Labels map[device.ID][]string
	// Fault, if not nil, is called before every training step; tests panic or
	// kill in it.
	Fault func(run training.RunID, step uint64)
}

// Host runs training runs in one process: under its supervisor live the device
// pool, the data set cache and an actor for every run. One process at a time
// may host the runs of a store; the caller holds the lock that sees to it.
//
// It is safe for concurrent use.
type Host struct {
	config   HostConfig
	parts    parts
	store    *watchedStore
	log      *journal.RunLog
	requests atomic.Uint64
	system   *actor.System
	actors   *actorLog // nil without HostConfig.LogActors
	traces   actor.TraceBuffer
	waiting  *runQueue
	devices  actor.Ref[deviceMessage]
	datasets actor.Ref[datasetMessage]
	lateData lateMessages[datasetMessage]
	// openings are the calls of OpenDataset that are under way.
	openings background
	letters  actor.DeadLetterBuffer
	tells    atomic.Int64
	// closing is done when the host is shut down.
	closing  context.Context
	shutting context.CancelFunc

	setting sync.Mutex // is held while the settings of the queue change

	modelsMu sync.Mutex // guards models, and is held while one is spawned
	models   int

	jobs *jobBook

	mu       sync.Mutex // guards what follows
	runs     map[training.RunID]*hosted
	admitted map[training.RunID]bool // that are about to be launched
	// maxRuns is MaxRuns, but in tests. It is set before there are runs.
	maxRuns int
}

// hosted is a run and what became of it.
type hosted struct {
	ref        actor.Ref[RunMessage]
	supervisor *actor.Supervisor
	// model is the run's, without its parameters.
	model nn.ModelSpec
	// pausing says that a message has asked the run to pause.
	pausing atomic.Bool
	// failure is what the last incarnation of the actor died of. mayPass is set
	// where one died of something other than a panic.
	failure atomic.Pointer[string]
	mayPass atomic.Bool
	// asked and stopping: see runDeps.
	asked    atomic.Pointer[interruption]
	stopping atomic.Pointer[string]
	// needsHelp says that somebody has to do something before the run can continue.
	needsHelp atomic.Bool
	// left is why an actor had to leave the run where it was.
	left atomic.Pointer[error]
	// rested holds the record once the actor has brought the run to rest.
	rested atomic.Pointer[journal.RunRecord]

	// record and err are set before done is closed.
	done   chan struct{}
	record journal.RunRecord
	err    error
}

// parts are what a host works with besides its configuration.
type parts struct {
	newTrainer loop.TrainerFactory
	// logs returns the logs over the host's store.
	logs func(HostConfig) (*journal.RunLog, *journal.DeviceLog)
	// driver is that of the actor system; nil stands for goroutines.
	driver actor.Driver
	// onEvent, if not nil, is told the events of the actor system.
	onEvent func(actor.Event)
	// await returns when done is closed, or ctx is done.
	await func(ctx context.Context, done <-chan struct{})
	// follow calls Host.conclude each time that a launch of a run has ended, until
	// the run is at rest.
	follow func(*Host, training.RunID, *hosted)
}

// NewHost brings the projections to the end of the log, puts right what dead
// processes left in the store (see Recover), and then starts the actors. Close
// must follow. It fails with the errors of HostConfig.Validate, and with
// ErrUnknownEvent for a log that a newer version wrote.
func NewHost(ctx context.Context, config HostConfig) (*Host, Recovery, error) {
	return newHost(ctx, config, parts{
		newTrainer: loop.NewTrainer,
		logs: func(c HostConfig) (*journal.RunLog, *journal.DeviceLog) {
			return journal.NewRunLog(c.Store, c.Now), journal.NewDeviceLog(c.Store, c.Now)
		},
		await: func(ctx context.Context, done <-chan struct{}) {
			select {
			case <-done:
			case <-ctx.Done():
			}
		},
		follow: func(h *Host, id training.RunID, run *hosted) { go h.watch(id, run) },
	})
}

func newHost(ctx context.Context, config HostConfig, parts parts) (*Host, Recovery, error) {
	if err := config.Validate(); err != nil {
		return nil, Recovery{}, err
	}
	if config.Restarts == (actor.Intensity{}) {
		config.Restarts = DefaultRestarts()
	}
	if config.Queue == nil {
		policy := queue.DefaultPolicy()
		config.Queue = &policy
	}
	if config.Observer == nil {
		config.Observer = noObserver{}
	}
	if config.Limits == nil {
		limits := queue.DefaultLimits()
		config.Limits = &limits
	}
	var err error
	if config.Devices, err = driversOf(config.Worker, config.Devices); err != nil {
		return nil, Recovery{}, err
	}
	store := watchStore(config.Store)
	config.Store = store
	log, deviceLog := parts.logs(config)
	if err := journal.CatchUpProjections(ctx, config.Store); err != nil { // also refuses what it cannot read
		return nil, Recovery{}, err
	}
	// Before the device pool reads its ledgers: it owns them from then on.
	recovery, err := Recover(ctx, config.Worker, log, deviceLog)
	if err != nil {
		return nil, recovery, err
	}
	if recovery.Jobs, err = recoverJobs(ctx, config.Worker, log, journal.NewJobLog(config.Store, config.Now)); err != nil {
		return nil, recovery, err
	}
	if err := journal.CatchUpProjections(ctx, config.Store); err != nil {
		return nil, recovery, err
	}
	h := &Host{config: config, parts: parts, store: store, log: log, runs: map[training.RunID]*hosted{}, admitted: map[training.RunID]bool{}, maxRuns: MaxRuns, openings: background{driver: parts.driver}}
	h.closing, h.shutting = context.WithCancel(context.Background())
	if config.LogActors {
		id := config.NewID()
		h.actors = startActorLog(config.Store, config.Now, id[:min(len(id), hostIDLength)])
	}
	if h.system, err = actor.NewSystem(actor.Config{Now: config.Now, Driver: parts.driver, OnEvent: h.observe}); err != nil {
		return nil, recovery, errors.Join(err, h.closeActorLog())
	}
	h.jobs = newJobBook(h)
	if err := errors.Join(h.jobs.open(ctx), h.spawnServices(ctx, deviceLog)); err != nil {
		return nil, recovery, errors.Join(err, h.shutdown())
	}
	return h, recovery, nil
}

// spawnServices starts what all runs share.
func (h *Host) spawnServices(ctx context.Context, log *journal.DeviceLog) error {
	set, err := journal.ReadSettings(ctx, h.config.Store)
	if err != nil {
		return err
	}
	waiting := newRunQueue(h.config.Worker, rulesOf(h.config, set), h.config.Store, h.config.Now)
	if err := waiting.recall(ctx); err != nil {
		return err
	}
	h.waiting = waiting
	h.devices, err = spawnDevicePool(h.system.Root(), log, h.config.Devices, waiting, h.config.NewID)
	if err != nil {
		return err
	}
	h.datasets, err = actor.Spawn(h.system.Root(), actor.Spec[datasetMessage]{
		Name: "datasets", Blocking: true,
		New: func() actor.Actor[datasetMessage] {
			return newDatasetCache(h.config.OpenDataset, h.openings.run, &h.lateData)
		},
	})
	if err != nil {
		return err
	}
	h.jobs.clock, err = actor.Spawn(h.system.Root(), actor.Spec[jobClockMessage]{
		Name: "jobs", Blocking: true,
		New: func() actor.Actor[jobClockMessage] { return &jobClock{book: h.jobs} },
	})
	return err
}

// Devices grants leases of the host's devices to whoever is not a run.
func (h *Host) Devices() *Devices {
	return &Devices{pool: h.devices, waiting: h.waiting, requests: &h.requests, now: h.config.Now, newID: h.config.NewID}
}

// Start records the session that training.TrainingService.StartTraining gave,
// with its events, and trains it. It returns once the run is durable.
func (h *Host) Start(ctx context.Context, events []training.Event) (training.RunID, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if started, ok := events[0].(training.TrainingStarted); ok {
		release, err := h.admit(started.RunID)
		if err != nil {
			return "", err
		}
		defer release()
		started.Worker = h.config.Worker
		events = append([]training.Event{started}, events[1:]...)
	}
	// Once begun, it is not abandoned: nobody would know whether it is recorded.
	record, err := h.log.Append(context.WithoutCancel(ctx), journal.RunRecord{}, events...)
	if err != nil {
		return "", err
	}
	for _, e := range events {
		h.config.Observer.Recorded(record.ID, e)
	}
	return record.ID, h.launch(record.ID, record.Session, launching{})
}

// Resume continues an interrupted run from its last checkpoint; for the run of a job, it
// is Unpause. It fails with training.ErrCannotResume for a run that has ended, and with
// ErrRunNotFound.
func (h *Host) Resume(ctx context.Context, id training.RunID) error {
	if known, err := h.jobs.find(ctx, queue.JobID(id)); err != nil {
		return err
	} else if known {
		return h.Unpause(ctx, Target{Job: queue.JobID(id)})
	}
	record, err := h.log.Load(ctx, id)
	if err != nil {
		return err
	}
	if _, err := record.Resume(); err != nil {
		return err
	}
	release, err := h.admit(id)
	if err != nil {
		return err
	}
	defer release()
	var times queueTimes // its place in the queue depends on them
	if times.served, times.waited, err = journal.QueueTimes(ctx, h.config.Store, id); err != nil {
		return err
	}
	return h.launch(id, record.Session, launching{times: times})
}

// admit keeps a place for a run until it is launched and release is called. It fails
// where the host has as many runs under way as it takes.
func (h *Host) admit(id training.RunID) (release func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.admitted[id] {
		return nil, fault.New(fault.Conflict, "run %s is about to start already", id)
	}
	active := len(h.admitted)
	for _, run := range h.runs {
		if !run.resting() {
			active++
		}
	}
	if active >= h.maxRuns {
		return nil, fmt.Errorf("run %s: %w: %d runs train or wait for a device, which is the most that a host takes; try again when one of them has ended", id, ErrTooManyRuns, active)
	}
	h.admitted[id] = true
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.admitted, id)
	}, nil
}

// launching is how a run begins or continues.
type launching struct {
	times     queueTimes // before
	submitted time.Time  // to the queue; zero stands for now
	job       *jobBook   // that has the job of the run; nil if it has none
	verdict   *verdict   // to lead the run to rest
}

// launch gives the run an actor under a supervisor of its own, which gives up
// when the actor fails too often and takes nothing else with it.
func (h *Host) launch(id training.RunID, session training.TrainingSession, l launching) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if run, ok := h.runs[id]; ok && !run.resting() {
		return fault.New(fault.Conflict, "run %s is under way already", id)
	}
	run, err := h.spawnRun(id, "run-"+string(id), l)
	if err != nil {
		return fmt.Errorf("host run %s: %w", id, err)
	}
	if len(h.runs) >= keptRuns {
		maps.DeleteFunc(h.runs, func(_ training.RunID, run *hosted) bool { return run.resting() })
	}
	run.model = nn.NewModelSpec(session.ModelID, session.Architecture)
	h.runs[id] = run
	h.parts.follow(h, id, run)
	return nil
}

// spawnRun starts the actor of a run. With a verdict it only leads the run to
// rest.
func (h *Host) spawnRun(id training.RunID, name string, l launching) (*hosted, error) {
	run := &hosted{done: make(chan struct{})}
	if l.submitted.IsZero() {
		l.submitted = h.config.Now()
	}
	var err error
	run.supervisor, err = h.system.Root().Supervise(actor.SupervisorSpec{
		Name: name, Intensity: h.config.Restarts, Restart: actor.Temporary,
	})
	if err != nil {
		return nil, err
	}
	deps := runDeps{
		id: id, worker: h.config.Worker, log: h.log, workspace: h.config.Workspace, newTrainer: h.parts.newTrainer, devices: h.devices, datasets: h.datasets,
		observer: &observed{h.config.Observer, h.jobs}, requests: &h.requests, submitted: l.submitted, times: l.times, job: l.job, progress: &runProgress{}, verdict: l.verdict, asked: &run.asked, now: h.config.Now, stopping: &run.stopping, needsHelp: &run.needsHelp,
		failed: func(cause error) {
			text := cause.Error()
			run.failure.Store(&text)
			if !errors.As(cause, new(*actor.PanicError)) {
				run.mayPass.Store(true)
			}
		},
		lastFailure: func() string {
			if cause := run.failure.Load(); cause != nil {
				return *cause
			}
			return ""
		},
		finished: func(r journal.RunRecord) {
			run.rested.Store(&r)
			run.supervisor.End()
		},
		left: func(cause error) {
			run.left.Store(&cause)
			run.supervisor.End()
		},
	}
	if h.config.Fault != nil {
		deps.fault = func(step uint64) { h.config.Fault(id, step) }
	}
	run.ref, err = actor.Spawn(run.supervisor, actor.Spec[RunMessage]{
		Name: "run", Blocking: true, Restart: actor.Transient, StopTimeout: closeDeadline,
		New: func() actor.Actor[RunMessage] { return &runActor{runDeps: deps} },
	})
	if err != nil {
		return run, err
	}
	_ = actor.Register(h.system.Registry(), RunName(id), run.ref) // it fails only where the run is at rest
	return run, nil
}

// watch follows a run, launch by launch, until it is at rest.
func (h *Host) watch(id training.RunID, run *hosted) {
	for launched := run; launched != nil; launched = h.conclude(id, run, launched) {
		<-launched.supervisor.Done()
	}
}

// conclude notes what became of a run when the supervisor of one of its launches
// has ended. If it gave up, conclude returns a last launch, which records that;
// otherwise nil, and the run is at rest.
func (h *Host) conclude(id training.RunID, run, launched *hosted) *hosted {
	cause := launched.supervisor.Err()
	switch record := launched.rested.Load(); {
	case record != nil:
		run.record = *record
	case launched.left.Load() != nil:
		run.record, run.err = h.unfinished(id, *launched.left.Load())
	case cause == nil:
		run.record, run.err = h.unfinished(id, ErrHostClosed)
	case launched == run:
		// What fails while an interrupted run is brought to rest is not the run.
		v := verdict{cause: cause.Error(), failed: !run.mayPass.Load() && run.stopping.Load() == nil}
		run.needsHelp.Store(!v.failed)
		if !v.failed { // what panics every time is a defect, which waiting does not fix
			v.cause += "; " + checkDevices
		}
		last, err := h.spawnRun(id, "failure-of-"+string(id), launching{verdict: &v})
		if err == nil {
			return last
		}
		if errors.Is(err, actor.ErrStopped) {
			err = nil // the host has given up, for the same cause
		}
		run.record, run.err = h.unfinished(id, errors.Join(cause, err))
	default:
		run.record, run.err = h.unfinished(id, fmt.Errorf("%w (and that could not be recorded: %w)", run.supervisor.Err(), cause))
	}
	// They fail only where the system is down, and holds nothing.
	_ = h.waiting.forget(h.devices, runHolder(id))
	_ = h.lateData.tell(h.datasets, forgetRun{Run: id}, deliverLate{})
	h.jobs.rested(id, run.record, run.needsHelp.Load(), run.err)
	close(run.done)
	h.jobs.gone(id)
	return nil
}

// resting reports whether what became of the run is known.
func (run *hosted) resting() bool {
	select {
	case <-run.done:
		return true
	default:
		return false
	}
}

// unfinished returns a run that its host left where it was. A store that failed
// is the cause of whatever else went wrong.
func (h *Host) unfinished(id training.RunID, cause error) (journal.RunRecord, error) {
	if failed := h.store.failure(); failed != nil {
		cause = failed
	}
	record, err := h.log.Load(context.Background(), id)
	return record, &UnfinishedError{Run: id, Cause: errors.Join(cause, err)}
}

// Interrupt asks a run to checkpoint at its current step, to release what it
// holds and to stop; Wait returns when it has. What takes longer than
// InterruptPatience is left between two of the device's instructions: of a step, the run
// then keeps the one before, and of an evaluation the last checkpoint. A run that is
// not hosted, or at rest already, is left alone. The job of the run, if it has one, stays
// in the queue, for a host that resumes it.
func (h *Host) Interrupt(id training.RunID, cause string) {
	h.jobs.release(queue.JobID(id), cause)
	if run := h.run(id); run != nil {
		run.interrupt(cause, h.config.Now())
	}
}

// Store returns the event log. Whatever is written to it while the host is open goes
// through this one: the host then knows when it fails.
func (h *Host) Store() eventstore.Store { return h.store }

// Broken returns a channel that is closed once nothing more can be recorded
// (*eventstore.FailedError). All that is left is to close the host: the next one, over a
// store that was opened again, recovers the runs and the jobs.
func (h *Host) Broken() <-chan struct{} { return h.store.broken }

func (run *hosted) interrupt(cause string, now time.Time) {
	run.asked.CompareAndSwap(nil, &interruption{cause: cause, at: now})
	_ = run.ref.Tell(Interrupt{Cause: cause}) // it fails only where the run is at rest
}

// Wait returns the run's record once it is at rest: completed, failed or
// interrupted. The error says what kept it from getting there, or that ctx was done.
func (h *Host) Wait(ctx context.Context, id training.RunID) (journal.RunRecord, error) {
	run := h.run(id)
	if run == nil {
		return h.onRecord(ctx, id)
	}
	select {
	case <-run.done:
		return run.record, run.err
	case <-ctx.Done():
		return journal.RunRecord{}, ctx.Err()
	}
}

// onRecord returns a run that is at rest, hosted here once or not.
func (h *Host) onRecord(ctx context.Context, id training.RunID) (journal.RunRecord, error) {
	record, err := h.log.Load(ctx, id)
	if err == nil && record.Saga.UnderWay() {
		err = fmt.Errorf("run %s is not hosted here: %w", id, journal.ErrRunNotFound)
	}
	return record, err
}

func (h *Host) run(id training.RunID) *hosted {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.runs[id]
}

// StopPlacing has the host give no more devices away: what waits for one keeps waiting
// until Close. Call it before the last runs are interrupted, so that none takes the
// devices that they give back.
func (h *Host) StopPlacing() { h.waiting.ending.Store(true) }

// Close interrupts the runs that are under way, waits until they are at rest,
// stops the actors and brings the projections to the end of the log. What does
// not stop in time is left to the next host's recovery.
func (h *Host) Close() error {
	h.StopPlacing() // before any run gives back its device
	h.shutting()    // what is about to start a run gives up
	h.jobs.close()
	h.mu.Lock()
	runs := make([]*hosted, 0, len(h.runs))
	for _, id := range slices.Sorted(maps.Keys(h.runs)) {
		run := h.runs[id]
		runs = append(runs, run)
		run.interrupt("the process is shutting down", h.config.Now())
	}
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closeDeadline)
	defer cancel()
	for _, run := range runs {
		h.parts.await(ctx, run.done)
	}
	err := h.shutdown()
	for _, run := range runs {
		h.parts.await(context.Background(), run.done) // the system is down: every supervisor has ended
	}
	if failed := h.store.failure(); failed != nil {
		return failed
	}
	return errors.Join(err, journal.CatchUpProjections(context.Background(), h.config.Store))
}

func (h *Host) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeDeadline)
	defer cancel()
	h.shutting()
	h.system.Stop()
	h.parts.await(ctx, h.system.Root().Done())
	h.awaitOpenings()
	return errors.Join(h.system.Shutdown(ctx), h.closeActorLog())
}

// closeActorLog appends what the actors' log has not appended yet.
func (h *Host) closeActorLog() error {
	if h.actors == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeDeadline)
	defer cancel()
	return h.actors.close(ctx)
}

// observe is told what happens to the actors.
func (h *Host) observe(e actor.Event) {
	if h.actors != nil {
		h.actors.observe(e)
	}
	h.traces.Observe(e)
	h.letters.Observe(e)
	if h.parts.onEvent != nil {
		h.parts.onEvent(e)
	}
}

// TraceNext makes the next message to the actor of that path be traced; Trace
// returns the trace.
func (h *Host) TraceNext(path string) { h.system.TraceNext(path, 1) }

// Trace returns the newest trace that began with a message to the actor of that
// path; false if there is none.
func (h *Host) Trace(path string) (actor.Step, bool) { return h.traces.Last(path) }

// Actors returns the current supervision tree.
func (h *Host) Actors() actor.Tree { return h.system.Tree() }
