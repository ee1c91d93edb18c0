package integration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"reprise/actor"
	"reprise/checkpoint"
	"reprise/datadir"
	"reprise/dataset"
	"reprise/device"
	"reprise/eventstore"
	"reprise/internal/stepseries"
	"reprise/journal"
	"reprise/kernel"
	"reprise/nn"
	"reprise/training"
	"reprise/training/loop"
)

// answerDeadline is how long a run waits for an answer of the device pool or of the
// data set cache. That it has to wait for a lease or for data is an answer, too.
const answerDeadline = 30 * time.Second

// runDeps is what every incarnation of a run's actor works with.
type runDeps struct {
	id         training.RunID
	worker     string
	log        *journal.RunLog
	workspace  datadir.Workspace
	newTrainer loop.TrainerFactory
	devices    actor.Ref[deviceMessage]
	datasets   actor.Ref[datasetMessage]
	observer   Observer
	// submitted is when the run was launched.
	submitted time.Time
	times     queueTimes // before it was launched
	job       *jobBook   // that has the run's job; nil if it has none
	progress  *runProgress
	// requests numbers what the incarnations ask for, so that an answer to an
	// earlier one is never taken for the answer to a later one.
	requests *atomic.Uint64
	// lastFailure tells why the incarnation before this one ended; "" if there
	// was none.
	lastFailure func() string
	// failed is told why an incarnation ended.
	failed func(cause error)
	// asked is set as soon as the run's host is asked to interrupt it, so that an
	// operation that takes long is not waited for.
	asked *atomic.Pointer[interruption]
	now   func() time.Time
	// stopping is why the run is to stay interrupted once it is at rest; nil while
	// it is to train. It outlives the incarnation that began the interruption, which
	// may fail while it releases what the run holds.
	stopping *atomic.Pointer[string]
	// needsHelp says that what interrupted the run does not pass by itself.
	needsHelp *atomic.Bool
	// verdict, if not nil, is what to record about a run whose actor failed too
	// often: the actor leads the saga to rest.
	verdict *verdict
	// fault, if not nil, is called before every step with its number; tests
	// panic in it.
	fault func(step uint64)
	// finished is told how the run stands when its actor stops for good.
	finished func(journal.RunRecord)
	// left is told why the actor stops for good without having brought the run to
	// rest: its events cannot be read or recorded.
	left func(cause error)
}

// verdict says what becomes of a run whose actor failed too often.
type verdict struct {
	cause  string
	failed bool // for ever; else it can be resumed
}

// runActor hosts a TrainingSaga: it carries out the first command that the
// saga has, records the answer as an event, and asks again.
type runActor struct {
	runDeps
	record journal.RunRecord

	request  uint64 // of the answer being waited for; 0 if none is
	deadline *actor.Timer[RunMessage]

	plan    *nn.Plan // of the record's session, once it was asked for
	backend kernel.Backend
	data    *dataset.Dataset
	exec    *loop.Execution
	series  *stepseries.Writer
}

// Started picks the run up where its record stands: at the start, after an
// interruption, or in the middle, where an earlier incarnation died.
func (a *runActor) Started(ctx *actor.Context[RunMessage]) error {
	return a.settle(ctx, a.begin(ctx))
}

func (a *runActor) begin(ctx *actor.Context[RunMessage]) error {
	record, err := a.log.Load(ctx.Context(), a.id)
	if err != nil {
		return &logError{err}
	}
	a.record = record
	if a.verdict != nil {
		return a.conclude(ctx)
	}
	// An earlier incarnation failed, or its host could not lead it to rest.
	if cause := a.lastFailure(); a.record.Saga.UnderWay() && (cause != "" || a.record.Saga.Begun()) {
		cause = cmp.Or(cause, "its host had to leave it")
		if asked := a.stopping.Load(); asked != nil {
			cause = *asked
		}
		if err := a.append(ctx, training.TrainingInterrupted{Cause: cause}); err != nil {
			return err
		}
	}
	return a.drive(ctx)
}

// conclude records the verdict and leads the saga to rest.
func (a *runActor) conclude(ctx *actor.Context[RunMessage]) error {
	v := a.verdict
	a.stopping.Store(&v.cause)
	switch saga := a.record.Saga; {
	case v.failed && a.record.Session.CanResume() && saga.State != training.Compensating:
		if err := a.append(ctx, training.TrainingFailed{Step: saga.Context.CheckpointStep, Reason: v.cause}); err != nil {
			return err
		}
	case saga.UnderWay():
		if err := a.append(ctx, training.TrainingInterrupted{Cause: v.cause}); err != nil {
			return err
		}
	}
	return a.drive(ctx)
}

// settle decides what becomes of the run after an error. An error that it
// returns restarts the actor.
func (a *runActor) settle(ctx *actor.Context[RunMessage], err error) error {
	if err == nil {
		return nil
	}
	outlook := outlookOf(err)
	var abandoned *abandonedError
	if errors.As(err, &abandoned) && a.record.Saga.UnderWay() {
		return a.settle(ctx, a.abandon(ctx, abandoned))
	}
	if outlook == unrecorded || !a.record.Saga.UnderWay() {
		return a.leave(ctx, outlook, err)
	}
	a.request = 0
	switch outlook {
	case mayPass, needsHelp:
		cause := explain(err)
		a.stopping.Store(&cause)
		a.needsHelp.Store(outlook == needsHelp)
		err = a.append(ctx, training.TrainingInterrupted{Cause: cause})
	case neverWorks:
		err = a.append(ctx, a.failure(err))
	default:
		return err
	}
	if err == nil {
		err = a.drive(ctx)
	}
	return a.leave(ctx, outlookOf(err), err)
}

// leave stops the actor for good where nothing can be recorded any more.
func (a *runActor) leave(ctx *actor.Context[RunMessage], outlook outlook, err error) error {
	if err == nil || outlook != unrecorded {
		return err
	}
	a.left(err)
	ctx.Stop()
	return nil
}

// Stopped releases the incarnation's memory and files. Leases and data are
// released by the saga's commands, in this incarnation or the next.
func (a *runActor) Stopped(_ *actor.Context[RunMessage], cause error) {
	a.closeExecution()
	if cause != nil {
		a.failed(cause)
	}
}

func (a *runActor) closeExecution() {
	if a.exec != nil {
		a.exec.Close()
		a.exec = nil
	}
	if a.series != nil {
		// What is not flushed comes after the last checkpoint and would be cut
		// off anyway.
		_ = a.series.Close()
		a.series = nil
	}
}

// Receive takes one message: a step to train, an answer, or an interruption.
func (a *runActor) Receive(ctx *actor.Context[RunMessage], message RunMessage) error {
	return a.settle(ctx, a.receive(ctx, message))
}

func (a *runActor) receive(ctx *actor.Context[RunMessage], message RunMessage) error {
	switch m := message.(type) {
	case trainStep:
		if m.of != a.exec {
			return nil // asked for before an interruption
		}
		return a.train(ctx)
	case Interrupt:
		return a.interrupt(ctx, m.Cause)
	case pauseRun:
		err := a.interrupt(ctx, cmp.Or(m.Cause, "it was told to pause"))
		m.Reply.Send(Answer{Run: a.id}) // it stops, even after an error
		return err
	case giveWay:
		return a.giveWay(ctx, m)
	case leaseGranted:
		if m.Request != a.request {
			return nil // its run no longer waits for it: the pool takes it back
		}
		a.backend = &stoppable{Backend: m.Backend, stop: a.overdue}
		return a.answer(ctx, m.Request, training.ResourceAllocated{Allocation: allocationOf(m.Lease)})
	case leaseDeferred:
		a.waitOn(m.Request)
	case datasetDeferred:
		a.waitOn(m.Request)
	case leaseRefused:
		return a.refused(m.Request, m.Err)
	case leaseReleased:
		return a.answer(ctx, m.Request, training.DeviceReleased{Allocation: m.Allocation})
	case datasetLoaded:
		if m.Request != a.request {
			return nil // nor for this; the cache forgets the run when it is at rest
		}
		a.data, a.request = m.Data, 0
		return a.drive(ctx)
	case datasetRefused:
		if m.Request == a.request && a.job != nil {
			a.job.lacksData(a.id)
		}
		return a.refused(m.Request, &dataError{m.Err})
	case datasetUnloaded:
		return a.answer(ctx, m.Request, training.DatasetUnloaded{Dataset: m.Dataset})
	case unanswered:
		if m.Request == a.request {
			return errors.New("no answer: " + m.What)
		}
	}
	return nil
}

// answer records what came of the awaited request and carries on; a late or
// repeated answer is dropped.
func (a *runActor) answer(ctx *actor.Context[RunMessage], request uint64, event training.Event) error {
	if !a.awaited(request) {
		return nil
	}
	if err := a.append(ctx, event); err != nil {
		return err
	}
	return a.drive(ctx)
}

// waitOn lets the run wait for the awaited answer as long as it takes.
func (a *runActor) waitOn(request uint64) {
	if request == a.request {
		a.deadline.Stop()
	}
}

// refused returns the error that the awaited answer is.
func (a *runActor) refused(request uint64, err error) error {
	if !a.awaited(request) {
		return nil
	}
	return err
}

// awaited reports whether the run waits for the answer to the request, and ends
// the wait.
func (a *runActor) awaited(request uint64) bool {
	if request == 0 || request != a.request {
		return false
	}
	a.request = 0
	return true
}

// append makes events durable and part of the record.
func (a *runActor) append(ctx *actor.Context[RunMessage], events ...training.Event) error {
	if err := a.appendUntold(ctx, events...); err != nil {
		return err
	}
	for _, e := range events {
		a.observer.Recorded(a.id, e)
	}
	return nil
}

// appendUntold is append, but nobody is told yet.
func (a *runActor) appendUntold(ctx *actor.Context[RunMessage], events ...training.Event) error {
	// The append must not be cut short because the process is asked to stop.
	next, err := a.log.Append(context.WithoutCancel(ctx.Context()), a.record, events...)
	switch {
	case errors.Is(err, eventstore.ErrConcurrencyConflict) || contradicts(err):
		return err
	case err != nil:
		return &logError{err}
	}
	a.record = next
	return nil
}

// drive carries out commands until one needs an answer or none is left.
func (a *runActor) drive(ctx *actor.Context[RunMessage]) error {
	for a.request == 0 {
		commands := a.record.Saga.Commands()
		if len(commands) == 0 {
			return a.rest(ctx)
		}
		waits, err := a.perform(ctx, commands[0])
		if err != nil || waits {
			return err
		}
	}
	return nil
}

// rest ends the actor of a run that has ended or is to stop, and resumes an
// interrupted one.
func (a *runActor) rest(ctx *actor.Context[RunMessage]) error {
	if a.record.Session.CanResume() && a.stopping.Load() == nil {
		event, err := a.record.Resume()
		if err != nil {
			return err
		}
		event.Worker = a.worker
		if err := a.append(ctx, event); err != nil {
			return err
		}
		return a.drive(ctx)
	}
	a.finished(a.record)
	ctx.Stop()
	return nil
}

// perform carries out one command. It reports true where the answer comes as a
// message; else the event is recorded when it returns.
func (a *runActor) perform(ctx *actor.Context[RunMessage], command training.Command) (bool, error) {
	switch c := command.(type) {
	case training.AllocateDevice:
		if a.data == nil { // first, since a device must not wait for data
			return a.loadDataset(ctx)
		}
		return a.ask(ctx, "the device pool", func(request uint64) error {
			plan, err := a.planned()
			if err != nil {
				return err
			}
			workload := workloadOf(a.record.Session, plan)
			return actor.Send[deviceMessage](ctx, a.devices, acquireDevice{Request: request, Holder: runHolder(a.id), Submitted: a.submitted, Times: a.times, Progress: a.progress, Job: a.job, Workload: workload, Answer: toRun(ctx.Self())})
		})
	case training.ReleaseDevice:
		a.closeExecution()
		return a.ask(ctx, "the device pool", func(request uint64) error {
			return actor.Send[deviceMessage](ctx, a.devices, releaseDevice{Request: request, Holder: runHolder(a.id), Allocation: c.Allocation, Answer: toRun(ctx.Self())})
		})
	case training.LoadDataset:
		if a.data == nil {
			return a.loadDataset(ctx)
		}
		return false, a.append(ctx, training.DatasetLoaded{Dataset: a.record.Session.Dataset.ID, Fingerprint: a.data.Fingerprint()})
	case training.UnloadDataset:
		a.data = nil
		return a.ask(ctx, "the data set cache", func(request uint64) error {
			return actor.Send[datasetMessage](ctx, a.datasets, unloadDataset{Request: request, Run: a.id, Dataset: c.Dataset, ReplyTo: ctx.Self()})
		})
	case training.InitializeModel:
		return false, a.initializeModel(ctx)
	case training.TrainEpoch:
		return true, actor.Send[RunMessage](ctx, ctx.Self(), trainStep{of: a.exec})
	case training.CreateCheckpoint:
		return false, a.createCheckpoint(ctx, false)
	case training.CompleteRun:
		return false, a.complete(ctx)
	case training.FailRun:
		return false, a.append(ctx, training.RunFailed{Reason: c.Reason})
	}
	return false, fmt.Errorf("run %s: unknown command %T", a.id, command)
}

// loadDataset asks for the run's data, which are recorded as loaded once the saga wants
// them.
func (a *runActor) loadDataset(ctx *actor.Context[RunMessage]) (bool, error) {
	return a.ask(ctx, "the data set cache", func(request uint64) error {
		return actor.Send[datasetMessage](ctx, a.datasets, loadDataset{Request: request, Run: a.id, Dataset: a.record.Dataset(), ReplyTo: ctx.Self()})
	})
}

// ask sends a request and sets the timer that ends the wait for its answer.
func (a *runActor) ask(ctx *actor.Context[RunMessage], whom string, send func(request uint64) error) (bool, error) {
	a.request = a.requests.Add(1)
	if err := send(a.request); err != nil {
		return true, err
	}
	a.deadline = ctx.After(answerDeadline, unanswered{Request: a.request, What: fmt.Sprintf("%s did not answer for %v", whom, answerDeadline)})
	return true, nil
}

// initializeModel builds the trainer on the leased device and loads the weights
// of the last checkpoint, or the initial ones. What keeps it from that, such as a
// device that is short of memory, would keep a restart from it, too; but one that
// has lost its lease can get another.
func (a *runActor) initializeModel(ctx *actor.Context[RunMessage]) error {
	event, err := a.prepare(ctx.Context())
	if errors.As(err, new(*abandonedError)) {
		return err
	}
	if err != nil && outlookOf(err) == mayHeal && !errors.Is(err, device.ErrStaleLease) {
		err = datadir.AdviseOr(err, checkDevices)
	}
	if err != nil {
		return err
	}
	return a.append(ctx, event)
}

func (a *runActor) prepare(ctx context.Context) (training.Event, error) {
	a.closeExecution()
	// Nothing is made before an event of this run was appended: the directory may
	// have been removed under the process.
	if err := a.workspace.CreateRun(a.id); err != nil {
		return nil, &loop.FilesError{Err: err}
	}
	plan, err := a.planned()
	if err != nil {
		return nil, err
	}
	if a.exec, err = loop.NewExecutionWith(a.record.Session, plan, a.data, a.backend, a.newTrainer); err != nil {
		return nil, err
	}
	if err := a.overdue(); err != nil {
		return nil, err
	}
	var keep stepseries.Digest
	if last, ok := a.record.LastCheckpoint(); ok {
		content, err := a.workspace.Checkpoints(a.id).Read(last.Ref())
		if err != nil {
			return nil, &loop.FilesError{Err: err}
		}
		if err := a.overdue(); err != nil {
			return nil, err
		}
		if err := a.exec.Restore(content); err != nil {
			return nil, err
		}
		keep = stepseries.Digest{Records: last.Step, SHA256: last.SeriesSHA256}
	} else {
		if err := a.exec.Begin(a.id, a.workspace); err != nil {
			return nil, err
		}
		if keep, err = a.inheritSeries(); err != nil {
			return nil, err
		}
	}
	if err := a.overdue(); err != nil {
		return nil, err
	}
	if a.series, err = a.workspace.Series(a.id).Resume(keep); err != nil {
		return nil, &loop.FilesError{Err: err}
	}
	if err := a.sweep(ctx); err != nil {
		return nil, &loop.FilesError{Err: err}
	}
	if err := a.overdue(); err != nil {
		return nil, err
	}
	a.progress.set(a.exec.Steps(), a.exec.Steps(), a.exec.TotalSteps())
	sha, err := a.exec.WeightsSHA256()
	if err != nil {
		return nil, err
	}
	return training.ModelInitialized{Step: a.exec.Steps(), WeightsSHA256: sha}, nil
}

// planned returns the plan of the run's session.
func (a *runActor) planned() (*nn.Plan, error) {
	if a.plan == nil {
		plan, err := loop.PlanOf(a.record.Session)
		if err != nil { // it was planned before the run began
			return nil, &datadir.AdvisedError{Err: err, Remedy: useItsVersion}
		}
		a.plan = plan
	}
	return a.plan, nil
}

// inheritSeries begins a fork's series with the steps of its parent, and returns
// what pins them. A run without a parent begins with none.
func (a *runActor) inheritSeries() (stepseries.Digest, error) {
	parent := a.record.Session.Parent
	if parent == nil {
		return stepseries.Digest{}, nil
	}
	pinned := stepseries.Digest{Records: parent.Checkpoint.Step, SHA256: parent.Checkpoint.SeriesSHA256}
	if err := a.workspace.Series(a.id).Copy(a.workspace.Series(parent.RunID), pinned); err != nil {
		return pinned, &loop.FilesError{Err: err}
	}
	return pinned, nil
}

// sweep removes what a crash left of checkpoints that were never committed.
func (a *runActor) sweep(ctx context.Context) error {
	kept := a.record.Kept()
	keep := make([]checkpoint.Ref, len(kept))
	for i, cp := range kept {
		keep[i] = cp.Ref()
	}
	if err := a.workspace.Checkpoints(a.id).Remove(a.record.Removed...); err != nil {
		return err
	}
	// What cannot be marked was warned of when the directory was opened.
	_, err := a.workspace.Checkpoints(a.id).Sweep(keep, datadir.Judge(ctx, a.log, a.id))
	return err
}

// train takes one step and asks for the next one, unless the epoch is over.
func (a *runActor) train(ctx *actor.Context[RunMessage]) error {
	if a.fault != nil {
		a.fault(a.exec.Steps() + 1)
	}
	step, err := a.exec.Train()
	var abandoned *abandonedError
	if errors.As(err, &abandoned) { // the weights are still those of the step before
		return a.interrupt(ctx, abandoned.cause)
	}
	if err != nil {
		return err
	}
	if err := a.series.Append(step.Record()); err != nil {
		return &loop.FilesError{Err: err}
	}
	a.progress.step.Store(step.Step)
	a.observer.Stepped(a.id, step)
	if a.exec.EvaluationDue() {
		if err := a.evaluate(ctx); err != nil {
			return err
		}
	}
	if !step.EpochDone {
		return actor.Send[RunMessage](ctx, ctx.Self(), trainStep{of: a.exec})
	}
	return a.finishEpoch(ctx)
}

// evaluate records an evaluation within an epoch.
func (a *runActor) evaluate(ctx *actor.Context[RunMessage]) error {
	e, err := a.exec.Evaluate()
	if err != nil {
		return err
	}
	event, err := a.record.RecordEvaluation(e)
	if err != nil || event == nil {
		return err
	}
	return a.append(ctx, a.withReduction(event)...)
}

// withReduction returns the event that first records an evaluation and, if the
// evaluation has reduced the learning rate, the event that says so.
func (a *runActor) withReduction(evaluated training.Event) []training.Event {
	if reduced, ok := a.exec.Reduced(); ok {
		return []training.Event{evaluated, reduced}
	}
	return []training.Event{evaluated}
}

// finishEpoch records an epoch's figures, and whether it is the last.
func (a *runActor) finishEpoch(ctx *actor.Context[RunMessage]) error {
	metrics, err := a.exec.FinishEpoch()
	if err != nil {
		return err
	}
	if err := a.series.Flush(); err != nil {
		return &loop.FilesError{Err: err}
	}
	event, err := a.record.RecordEpoch(metrics)
	if err != nil {
		return err
	}
	events := []training.Event{event}
	if _, known := event.(training.EpochReproduced); !known {
		events = a.withReduction(event)
	}
	if stopped, ok := a.exec.Stopped(); ok && a.record.Stopped == nil && metrics.Epoch < a.record.Saga.Context.Epochs {
		events = append([]training.Event{stopped}, events...)
	}
	if err := a.append(ctx, events...); err != nil {
		return err
	}
	return a.drive(ctx)
}

// failure returns the event that says that the run can never continue: the
// answer to what its saga waits for.
func (a *runActor) failure(cause error) training.Event {
	reason := cause.Error()
	switch a.record.Saga.State {
	case training.AllocatingResources:
		return training.ResourceAllocationFailed{Reason: reason}
	case training.LoadingData:
		return training.DatasetLoadFailed{Reason: reason}
	case training.InitializingModel:
		return training.ModelInitializationFailed{Reason: reason}
	default:
	}
	kept := "no checkpoint was written yet"
	if last, ok := a.record.LastCheckpoint(); ok {
		kept = fmt.Sprintf("the last good checkpoint is %s, at step %d (epoch %d)", last.Dir, last.Step, last.Epoch)
	}
	step := a.record.Saga.Context.CheckpointStep
	if a.exec != nil {
		step = a.exec.Steps()
	}
	return training.TrainingFailed{Step: step, Reason: reason + "; " + kept}
}

// createCheckpoint writes the training's state and then the event that makes
// it exist. A run that leaves its device gives it back before the files are written,
// which may take long.
func (a *runActor) createCheckpoint(ctx *actor.Context[RunMessage], leaving bool) error {
	committed, err := a.writeCheckpoint(ctx, leaving)
	switch {
	case isPermanent(err):
		return err
	case err != nil:
		cause := explain(err)
		a.stopping.Store(&cause)
		a.needsHelp.Store(!passes(err))
		return a.append(ctx, training.CheckpointFailed{Step: a.exec.Steps(), Reason: cause})
	}
	if err := a.append(ctx, committed); err != nil {
		return err
	}
	// The checkpoint exists, marked or not, and its folder notes the event before. What
	// fails here is made up for when the run is resumed, or the directory is opened for
	// writing, which warns of what cannot be marked.
	_ = a.workspace.Checkpoints(a.id).Mark(committed.Checkpoint.Ref(), uint64(a.record.Position))
	return a.removeCheckpoints(ctx)
}

func (a *runActor) writeCheckpoint(ctx *actor.Context[RunMessage], leaving bool) (training.CheckpointCommitted, error) {
	var none training.CheckpointCommitted
	content, err := a.exec.Content(a.id)
	if err != nil {
		return none, err
	}
	if leaving {
		a.leaveDevices(ctx)
	}
	series, err := a.series.Commit()
	if err != nil {
		return none, err
	}
	loss := a.exec.MeanLoss()
	if m, ok := a.record.TrainingRun.Epoch(a.exec.Epoch()); ok && m.Step == a.exec.Steps() {
		loss = m.TrainLoss
	}
	ref, err := a.workspace.Checkpoints(a.id).WritePending(content, datadir.PendingOf(a.record))
	if err != nil {
		return none, err
	}
	return training.CheckpointCommitted{Checkpoint: training.Checkpoint{
		SessionID: a.record.Session.ID, Epoch: ref.Epoch, Step: ref.Step, Dir: ref.Dir,
		ManifestSHA256: ref.ManifestSHA256, WeightsSHA256: ref.WeightsSHA256,
		SeriesSHA256: series.SHA256, Loss: loss,
	}}, nil
}

// leaveDevices gives back the devices of the run, which no longer uses them. The saga
// asks for the same later, and learns of it then.
func (a *runActor) leaveDevices(ctx *actor.Context[RunMessage]) {
	a.exec.Close()
	for _, held := range a.record.Saga.Context.AllocatedDevices {
		_ = actor.Send[deviceMessage](ctx, a.devices, releaseDevice{Holder: runHolder(a.id), Allocation: held, Answer: nobody})
	}
}

// complete records the end of a run whose last checkpoint stands.
func (a *runActor) complete(ctx *actor.Context[RunMessage]) error {
	last, _ := a.record.LastCheckpoint()
	m, _ := a.record.TrainingRun.Epoch(last.Epoch)
	completed := training.TrainingCompleted{
		Epoch: last.Epoch, Step: last.Step, WeightsSHA256: last.WeightsSHA256, Metrics: m.Metrics,
	}
	best, ok := a.record.BestCheckpoint()
	if !ok {
		return a.append(ctx, completed)
	}
	figures, err := a.figures(best)
	if err != nil {
		return err
	}
	return a.append(ctx, figures, completed)
}

// figures returns the figures of the best checkpoint. A run completes without them where
// that is no longer what was written: it has its last checkpoint, and would meet the same
// on every attempt.
func (a *runActor) figures(best training.Checkpoint) (training.FiguresComputed, error) {
	if a.exec.Steps() != best.Step {
		content, err := a.workspace.Checkpoints(a.id).Read(best.Ref())
		if errors.As(err, new(*checkpoint.CorruptError)) {
			return training.FiguresComputed{Epoch: best.Epoch, Step: best.Step, Unavailable: err.Error()}, nil
		}
		if err != nil {
			return training.FiguresComputed{}, &loop.FilesError{Err: err}
		}
		if err := a.exec.Restore(content); err != nil {
			return training.FiguresComputed{}, err
		}
	}
	m, _ := a.record.TrainingRun.Epoch(best.Epoch)
	return a.exec.Figures(m.Metrics)
}

// interrupt checkpoints at the current step if there is something new to keep,
// and lets the saga release what it holds.
func (a *runActor) interrupt(ctx *actor.Context[RunMessage], cause string) error {
	if a.stopping.Load() != nil {
		return nil
	}
	a.stopping.Store(&cause)
	if !a.record.Saga.UnderWay() {
		return a.drive(ctx)
	}
	return a.pause(ctx, cause)
}

// gaveWayTo begins why a run is interrupted that has to leave its device.
const gaveWayTo = "gave way to "

// giveWay is interrupt for a run that has to leave its device to another. Since nobody
// asked it to stop, it resumes itself, and waits for a device again.
func (a *runActor) giveWay(ctx *actor.Context[RunMessage], m giveWay) error {
	holds := slices.ContainsFunc(a.record.Saga.Context.AllocatedDevices, func(held training.Allocation) bool { return held.Lease == m.Lease })
	if !holds || a.stopping.Load() != nil || !a.record.Saga.UnderWay() {
		return nil // it has given back the device, or is about to
	}
	return a.pause(ctx, gaveWayTo+inWords(m.To))
}

// pause checkpoints at the current step if there is something new to keep, and lets
// the saga release what it holds.
func (a *runActor) pause(ctx *actor.Context[RunMessage], cause string) error {
	a.request = 0
	kept, _ := a.record.ResumePoint()
	if a.record.Saga.State == training.Training && a.exec != nil && a.exec.Steps() > kept {
		if err := a.createCheckpoint(ctx, true); err != nil {
			return err
		}
	}
	if a.record.Saga.UnderWay() {
		if err := a.append(ctx, training.TrainingInterrupted{Cause: cause}); err != nil {
			return err
		}
	}
	return a.drive(ctx)
}

func allocationOf(l device.Lease) training.Allocation {
	return training.Allocation{Device: l.Device, Lease: l.ID, Epoch: l.Epoch}
}
