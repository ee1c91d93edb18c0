package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"reprise/actor"
	"reprise/device"
	"reprise/eventstore"
	"reprise/training"
)

// ErrHostClosed is returned for a run that a closing host left unfinished; the
// next host recovers it.
var ErrHostClosed = errors.New("host was closed before the run came to rest")

// closeDeadline is how long a closing host waits for its runs to checkpoint and
// for its actors to stop.
const closeDeadline = 30 * time.Second

// keptRuns is the number of runs that a host keeps before it forgets those at
// rest. What became of them is in the log.
const keptRuns = 64

// DefaultRestarts is how often a run's actor may fail before the run has
// failed. The period is long, since what fails again at the same step may take
// hours to get there.
func DefaultRestarts() actor.Intensity { return actor.Intensity{Restarts: 5, Period: 24 * time.Hour} }

// HostConfig is what a Host is made of. All fields but Restarts and Fault are
// needed.
type HostConfig struct {
	Store     eventstore.Store
	Workspace Workspace
	// Devices stay the caller's to close, after the host.
	Devices     []device.Driver
	OpenDataset OpenDataset
	Observer    Observer
	Now         func() time.Time
	// NewID returns a name that was not used before.
	NewID func() string
	// Restarts bounds how often a run may fail and be restarted; the zero
	// value stands for DefaultRestarts.
	Restarts actor.Intensity
	// Fault, if not nil, is called before every training step; tests panic or
	// kill in it.
	Fault func(run training.RunID, step uint64)
}

// Host runs training runs in one process: under its supervisor live the device
// pool, the data set shelf and an actor for every run. One process at a time
// may host the runs of a store; the caller holds the lock that sees to it.
//
// It is safe for concurrent use.
type Host struct {
	config   HostConfig
	log      *RunLog
	requests atomic.Uint64
	system   *actor.System
	devices  actor.Ref[deviceMessage]
	datasets actor.Ref[datasetMessage]

	mu   sync.Mutex
	runs map[training.RunID]*hosted
}

// hosted is a run and what became of it.
type hosted struct {
	ref        actor.Ref[RunMessage]
	supervisor *actor.Supervisor
	// failure is what the last incarnation of the actor died of.
	failure atomic.Pointer[string]
	// finished receives the record when the actor has brought the run to rest.
	finished chan RunRecord

	// record and err are set before done is closed.
	done   chan struct{}
	record RunRecord
	err    error
}

// NewHost puts right what dead processes left in the store (see Recover) and
// then starts the actors. Close must follow.
func NewHost(ctx context.Context, config HostConfig) (*Host, Recovery, error) {
	if config.Restarts == (actor.Intensity{}) {
		config.Restarts = DefaultRestarts()
	}
	log, deviceLog := NewRunLog(config.Store, config.Now), NewDeviceLog(config.Store, config.Now)
	// Before the device pool reads its ledgers: it owns them from then on.
	recovery, err := Recover(ctx, log, deviceLog)
	if err != nil {
		return nil, recovery, err
	}
	system, err := actor.NewSystem(actor.Config{Now: config.Now})
	if err != nil {
		return nil, recovery, err
	}
	h := &Host{config: config, log: log, system: system, runs: map[training.RunID]*hosted{}}
	if err := h.spawnServices(deviceLog); err != nil {
		return nil, recovery, errors.Join(err, h.shutdown())
	}
	return h, recovery, nil
}

// spawnServices starts what all runs share.
func (h *Host) spawnServices(log *DeviceLog) error {
	var err error
	h.devices, err = actor.Spawn(h.system.Root(), actor.Spec[deviceMessage]{
		Name: "devices", Blocking: true,
		New: func() actor.Actor[deviceMessage] { return newDevicePool(log, h.config.Devices, h.config.NewID) },
	})
	if err != nil {
		return err
	}
	h.datasets, err = actor.Spawn(h.system.Root(), actor.Spec[datasetMessage]{
		Name: "datasets", Blocking: true,
		New: func() actor.Actor[datasetMessage] { return newDatasetShelf(h.config.OpenDataset) },
	})
	return err
}

// Start records the session that training.TrainingService.StartTraining gave,
// with its events, and trains it. It returns once the run is durable.
func (h *Host) Start(ctx context.Context, events []training.Event) (training.RunID, error) {
	record, err := h.log.Append(ctx, RunRecord{}, events...)
	if err != nil {
		return "", err
	}
	for _, e := range events {
		h.config.Observer.Recorded(record.ID, e)
	}
	return record.ID, h.launch(record.ID)
}

// Resume goes on with an interrupted run from its last checkpoint. It fails
// with training.ErrCannotResume for a run that has ended, and with
// ErrRunNotFound.
func (h *Host) Resume(ctx context.Context, id training.RunID) error {
	record, err := h.log.Load(ctx, id)
	if err != nil {
		return err
	}
	if _, err := record.Resume(); err != nil {
		return err
	}
	return h.launch(id)
}

// launch gives the run an actor under a supervisor of its own, which gives up
// when the actor fails too often and takes nothing else with it.
func (h *Host) launch(id training.RunID) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if run, ok := h.runs[id]; ok && !run.resting() {
		return fmt.Errorf("run %s is under way already", id)
	}
	run, err := h.spawnRun(id, "run-"+string(id), "")
	if err != nil {
		return fmt.Errorf("host run %s: %w", id, err)
	}
	if len(h.runs) >= keptRuns {
		maps.DeleteFunc(h.runs, func(_ training.RunID, run *hosted) bool { return run.resting() })
	}
	h.runs[id] = run
	go h.watch(id, run)
	return nil
}

// spawnRun starts the actor of a run. With a verdict it only leads the run to
// its failure.
func (h *Host) spawnRun(id training.RunID, name, verdict string) (*hosted, error) {
	run := &hosted{finished: make(chan RunRecord, 1), done: make(chan struct{})}
	var err error
	run.supervisor, err = h.system.Root().Supervise(actor.SupervisorSpec{
		Name: name, Intensity: h.config.Restarts, Restart: actor.Temporary,
	})
	if err != nil {
		return nil, err
	}
	deps := runDeps{
		id: id, log: h.log, workspace: h.config.Workspace, devices: h.devices, datasets: h.datasets,
		observer: h.config.Observer, requests: &h.requests, verdict: verdict,
		failed: func(cause string) { run.failure.Store(&cause) },
		lastFailure: func() string {
			if cause := run.failure.Load(); cause != nil {
				return *cause
			}
			return ""
		},
		finished: func(r RunRecord) { run.finished <- r },
	}
	if h.config.Fault != nil {
		deps.fault = func(step uint64) { h.config.Fault(id, step) }
	}
	run.ref, err = actor.Spawn(run.supervisor, actor.Spec[RunMessage]{
		Name: "run", Blocking: true, Restart: actor.Transient, StopTimeout: closeDeadline,
		New: func() actor.Actor[RunMessage] { return &runActor{runDeps: deps} },
	})
	return run, err
}

// watch waits until the run is at rest, and fails it where its supervisor gave
// up.
func (h *Host) watch(id training.RunID, run *hosted) {
	defer close(run.done)
	if record, ok := run.await(); ok {
		run.record = record
		return
	}
	cause := run.supervisor.Err()
	if cause == nil {
		run.record, run.err = h.unfinished(id, ErrHostClosed)
		return
	}
	last, err := h.spawnRun(id, "failure-of-"+string(id), cause.Error())
	if err == nil {
		if record, ok := last.await(); ok {
			run.record = record
			return
		}
		err = last.supervisor.Err()
	}
	run.record, run.err = h.unfinished(id, fmt.Errorf("%w (and its failure could not be recorded: %w)", cause, err))
}

// await returns the record that the actor ends with, once its supervisor has
// ended; false where it ended without one.
func (run *hosted) await() (RunRecord, bool) {
	select {
	case r := <-run.finished:
		// The actor is stopping: this waits for its last steps.
		_ = run.supervisor.Stop(context.Background())
		return r, true
	case <-run.supervisor.Done():
	}
	select {
	case r := <-run.finished: // both were ready
		return r, true
	default:
		return RunRecord{}, false
	}
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

func (h *Host) unfinished(id training.RunID, cause error) (RunRecord, error) {
	record, err := h.log.Load(context.Background(), id)
	return record, errors.Join(fmt.Errorf("run %s: %w", id, cause), err)
}

// Interrupt asks a run to checkpoint at its present step, to give back what it
// holds and to stop; Wait tells when it has. A run that is not hosted, or at
// rest already, is left alone.
func (h *Host) Interrupt(id training.RunID, cause string) {
	if run := h.run(id); run != nil {
		_ = run.ref.Tell(Interrupt{Cause: cause}) // it fails only where the run is at rest
	}
}

// Wait returns the run's record once it is at rest: completed, failed or
// interrupted. The error says what kept it from there, or that ctx was done.
func (h *Host) Wait(ctx context.Context, id training.RunID) (RunRecord, error) {
	run := h.run(id)
	if run == nil {
		return h.onRecord(ctx, id)
	}
	select {
	case <-run.done:
		return run.record, run.err
	case <-ctx.Done():
		return RunRecord{}, ctx.Err()
	}
}

// onRecord returns a run that is at rest, hosted here once or not.
func (h *Host) onRecord(ctx context.Context, id training.RunID) (RunRecord, error) {
	record, err := h.log.Load(ctx, id)
	if err == nil && underWay(record.Saga) {
		err = fmt.Errorf("run %s is not hosted here: %w", id, ErrRunNotFound)
	}
	return record, err
}

func (h *Host) run(id training.RunID) *hosted {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.runs[id]
}

// Close interrupts the runs that are under way, waits until they are at rest
// and stops the actors. What does not stop in time is left to the next host's
// recovery.
func (h *Host) Close() error {
	h.mu.Lock()
	runs := make([]*hosted, 0, len(h.runs))
	for _, run := range h.runs {
		runs = append(runs, run)
		_ = run.ref.Tell(Interrupt{Cause: "the process is shutting down"})
	}
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closeDeadline)
	defer cancel()
	for _, run := range runs {
		select {
		case <-run.done:
		case <-ctx.Done():
		}
	}
	err := h.shutdown()
	for _, run := range runs {
		<-run.done // the system is down: every supervisor has ended
	}
	return err
}

func (h *Host) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeDeadline)
	defer cancel()
	return h.system.Shutdown(ctx)
}
