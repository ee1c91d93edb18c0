package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"reprise/checkpoint"
	"reprise/datadir"
	"reprise/dataset"
	"reprise/device"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/internal/stepseries"
	"reprise/journal"
	"reprise/training"
	"reprise/training/loop"
)

// Verification says which run to verify, and between which checkpoints.
type Verification struct {
	Run journal.RunRecord
	// From is the step of the checkpoint to start from; 0 is the beginning, which
	// for a fork is the checkpoint of its parent.
	From uint64
	// To is the step of the last checkpoint to compare; 0 is the last there is,
	// and whatever epochs and evaluations are recorded after it.
	To uint64
	// Progress, if not nil, is called after every step.
	Progress func(step, last uint64)
	// Waiting, if not nil, is told why there is no device yet, once.
	Waiting func(why string)
}

// CheckpointVerdict says whether one checkpoint was reproduced.
type CheckpointVerdict struct {
	Step     uint64 `json:"step"`
	Epoch    uint64 `json:"epoch"`
	Recorded string `json:"recorded_sha256"`
	// Reproduced is the SHA-256 of the weights as trained again; "" where the
	// checkpoint is not after From and only its files were checked.
	Reproduced string `json:"reproduced_sha256,omitempty"`
	// Problem says what differs; "" means that all agree.
	Problem string `json:"problem,omitempty"`
	// Missing says that the problem is that files are not there, as after
	// importing a log alone: nothing is known to be damaged.
	Missing bool `json:"missing,omitempty"`
	// Removed says that the files were removed, as an event tells; the bits are compared
	// all the same.
	Removed bool `json:"removed,omitempty"`
}

// VerifyReport is the outcome of a verification.
type VerifyReport struct {
	RunID training.RunID `json:"run_id"`
	// Events is the length of the event chain that was checked, over all runs.
	Events   uint64 `json:"events"`
	FromStep uint64 `json:"from_step"`
	ToStep   uint64 `json:"to_step"`
	// Parent is the checkpoint that a fork was trained again from; verifying
	// the parent shows how the parent arrived at it.
	Parent      *training.Parent    `json:"parent,omitempty"`
	Checkpoints []CheckpointVerdict `json:"checkpoints"`
	// EvaluationsCompared is the number of evaluations within epochs that came out
	// as recorded.
	EvaluationsCompared int `json:"evaluations_compared,omitempty"`
	// EpochsCompared is the number of epochs whose metrics were compared,
	// StepsCompared that of steps whose loss was.
	EpochsCompared int `json:"epochs_compared"`
	StepsCompared  int `json:"steps_compared"`
	// FiguresCompared says that the figures of the best checkpoint were computed again.
	FiguresCompared bool `json:"figures_compared,omitempty"`
	Verified        bool `json:"verified"`
	// Problem names the first thing that differs.
	Problem string `json:"problem,omitempty"`
}

// fail notes the first problem.
func (r *VerifyReport) fail(format string, args ...any) {
	if r.Problem == "" {
		r.Problem = fmt.Sprintf(format, args...)
	}
}

// Verifier trains recorded runs again and compares. It writes nothing.
type Verifier struct {
	Store     eventstore.Store
	Workspace datadir.Workspace
	// Devices lease the one that trains; any exact one gives the same bits. It is
	// shared: the run's own workload, but without a slot, so that nobody has to wait for
	// a run to end that could be verified beside it.
	Devices Lessor
	// Meaning returns the first event of a run as the request in it and the data
	// say that it has to be. Where it is nil, the request is not compared.
	Meaning func(training.TrainingStarted, *dataset.Dataset) (training.TrainingStarted, error)
}

// Verify checks the hash chain of the log and every event of the run against
// those before it and those of its devices; the first event against its
// request; and the files of every checkpoint and the step series against
// their hashes. Then it trains the run again and compares every event,
// checkpoint and step with the result. docs/durability.md lists each field
// and how it is compared.
//
// It returns ErrNotVerified, and the report that names the first difference,
// unless everything agrees; other errors mean that it could not be carried
// out.
func (v Verifier) Verify(ctx context.Context, what Verification, data *dataset.Dataset) (VerifyReport, error) {
	report := VerifyReport{RunID: what.Run.ID}
	parent := what.Run.Session.Parent
	if what.From == 0 {
		what.From = parent.Step()
	}
	if what.From == parent.Step() {
		report.Parent = parent
	}
	report.FromStep = what.From
	// What it means comes first: if that is wrong, so is much of what follows.
	events, err := v.past(ctx, what.Run.ID)
	if err == nil {
		v.checkMeaning(&report, events, data)
	}
	if err := errors.Join(v.checkLog(ctx, &report, what), err); err != nil {
		return report, err
	}
	if err := v.checkRange(&report, what); err != nil {
		return report, err
	}
	v.checkFiles(&report, what)
	r := &reproduction{report: &report, run: what.Run, past: events, workspace: v.Workspace}
	if err := v.retrain(ctx, r, what, data); err != nil {
		return report, err
	}
	report.Verified = report.Problem == ""
	if !report.Verified {
		return report, fmt.Errorf("%w: %s", journal.ErrNotVerified, report.Problem)
	}
	return report, nil
}

// checkLog fails if the log, or what it says about this run, contradicts itself.
func (v Verifier) checkLog(ctx context.Context, report *VerifyReport, what Verification) error {
	a, err := journal.AuditLog(ctx, v.Store, func(e *journal.ContradictionError) bool {
		other, isRun := journal.RunOf(e.Aggregate)
		return !isRun || other == what.Run.ID
	})
	switch {
	case errors.Is(err, eventstore.ErrCorrupt), errors.Is(err, journal.ErrNotVerified):
		report.fail("event log: %v", err)
		return fmt.Errorf("%w: %s", journal.ErrNotVerified, report.Problem)
	case err != nil:
		return err
	}
	report.Events = uint64(a.Head.Position)
	if report.Problem != "" { // without the request's own model there is nothing to train
		return fmt.Errorf("%w: %s", journal.ErrNotVerified, report.Problem)
	}
	return nil
}

// checkRange fills in the verdicts to be made and fails with a
// *fault.FieldError where From or To is not a checkpoint's step.
func (v Verifier) checkRange(report *VerifyReport, what Verification) error {
	checkpoints := what.Run.Checkpoints
	steps := []uint64{what.Run.Session.Parent.Step()}
	for _, cp := range what.Run.Kept() {
		steps = append(steps, cp.Step)
	}
	if len(checkpoints) == 0 {
		return &fault.FieldError{Field: "run", Value: string(what.Run.ID),
			Problem: "has no committed checkpoint to compare with", Fix: "choose a run that has one"}
	}
	report.ToStep = what.To
	if what.To == 0 {
		report.ToStep = checkpoints[len(checkpoints)-1].Step
	}
	for _, bound := range []struct {
		field string
		step  uint64
	}{{"from", what.From}, {"to", report.ToStep}} {
		if !slices.Contains(steps, bound.step) {
			return &fault.FieldError{Field: bound.field, Value: fmt.Sprint(bound.step),
				Problem: "is not the step of a committed checkpoint", Fix: fmt.Sprintf("use one of %v", steps)}
		}
	}
	if what.From >= report.ToStep {
		return &fault.FieldError{Field: "from", Value: fmt.Sprint(what.From),
			Problem: fmt.Sprintf("is not before the last step to compare, %d", report.ToStep), Fix: "give an earlier step"}
	}
	for _, cp := range checkpoints {
		if cp.Step <= report.ToStep {
			report.Checkpoints = append(report.Checkpoints, CheckpointVerdict{Step: cp.Step, Epoch: cp.Epoch, Recorded: cp.WeightsSHA256})
		}
	}
	return nil
}

// checkMeaning compares the first event with what its request means.
func (v Verifier) checkMeaning(report *VerifyReport, events past, data *dataset.Dataset) {
	if v.Meaning == nil {
		return
	}
	first := events[0]
	recorded, ok := first.event.(training.TrainingStarted)
	if !ok {
		return // the audit has said so
	}
	want, err := v.Meaning(recorded, data)
	if err != nil {
		report.fail("%s: request: %v", first.name(), err)
		return
	}
	want.Worker = recorded.Worker // which the request does not say
	if what := journal.Difference(recorded, want, "the request and the data give"); what != "" {
		report.fail("%s: %s", first.name(), what)
	}
}

// checkFiles compares the initial weights, every checkpoint and the step series with their
// hashes.
func (v Verifier) checkFiles(report *VerifyReport, what Verification) {
	if init := what.Run.Session.Init; init != nil {
		if err := v.Workspace.Initial(what.Run.ID).Verify(init.WeightsSHA256); err != nil {
			report.fail("initial weights: %v", err)
		}
	}
	for i := range report.Checkpoints {
		cp := what.Run.Checkpoints[i]
		if slices.Contains(what.Run.Removed, cp.Step) { // its bits are compared all the same
			report.Checkpoints[i].Removed = true
			continue
		}
		if err := v.Workspace.Checkpoints(what.Run.ID).Verify(cp.Ref()); err != nil {
			report.Checkpoints[i].Problem = err.Error()
			report.Checkpoints[i].Missing = errors.Is(err, checkpoint.ErrMissing)
			report.fail("checkpoint at step %d: %v", cp.Step, err)
		}
	}
	last := what.Run.Checkpoints[len(report.Checkpoints)-1]
	err := v.Workspace.Series(what.Run.ID).Verify(stepseries.Digest{Records: last.Step, SHA256: last.SeriesSHA256})
	if err != nil {
		report.fail("step metrics: %v", err)
	}
}

// retrain trains from From to ToStep, or to the last step that an event
// mentions, and compares as it goes.
func (v Verifier) retrain(ctx context.Context, r *reproduction, what Verification, data *dataset.Dataset) (err error) {
	plan, err := loop.PlanOf(what.Run.Session)
	if err != nil {
		return err
	}
	w := workloadOf(what.Run.Session, plan)
	w.Shared = true
	lease, err := v.Devices.Acquire(ctx, LeaseRequest{Kind: device.HolderVerification, Run: what.Run.ID, Workload: w, Waiting: what.Waiting})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lease.Release()) }()
	x, err := loop.NewExecutionWith(what.Run.Session, plan, data, lease.Backend(), loop.NewTrainer)
	if err != nil {
		return err
	}
	defer x.Close()
	r.x = x
	if err := v.position(r, what); err != nil {
		return err
	}
	last := r.report.ToStep
	if what.To == 0 {
		last = max(last, lastStep(what.Run.TrainingRun))
	}
	for x.Steps() < last {
		if err := ctx.Err(); err != nil {
			return err
		}
		step, err := x.Train()
		if errors.Is(err, device.ErrStaleLease) { // it says nothing about the run
			return err
		}
		if err != nil {
			r.report.fail("training again: %v", err)
			return nil
		}
		if err := r.compare(step); err != nil {
			return err
		}
		if what.Progress != nil {
			what.Progress(step.Step, last)
		}
	}
	return nil
}

// lastStep returns the last step of which the record holds figures.
func lastStep(r training.TrainingRun) uint64 {
	var last uint64
	if n := len(r.Metrics); n > 0 {
		last = r.Metrics[n-1].Step
	}
	if n := len(r.Evaluations); n > 0 {
		last = max(last, r.Evaluations[n-1].Step)
	}
	return last
}

// position brings the execution to the step that verification starts from.
func (v Verifier) position(r *reproduction, what Verification) error {
	recorded, _ := v.Workspace.Series(what.Run.ID).Read() // damage was reported by checkFiles
	r.series = recorded
	damaged := func(format string, args ...any) error {
		r.report.fail(format, args...)
		return fmt.Errorf("%w: %s", journal.ErrNotVerified, r.report.Problem)
	}
	if what.From == what.Run.Session.Parent.Step() {
		err := r.x.Begin(what.Run.ID, v.Workspace)
		if errors.As(err, new(*loop.FilesError)) {
			return damaged("%v", err)
		}
		if err != nil {
			return err
		}
		return r.begin(what.From)
	}
	for _, cp := range what.Run.Checkpoints {
		if cp.Step != what.From {
			continue
		}
		content, err := v.Workspace.Checkpoints(what.Run.ID).Read(cp.Ref())
		if err != nil {
			return damaged("checkpoint at step %d: %v", cp.Step, err)
		}
		if err := r.x.Restore(content); err != nil {
			return damaged("checkpoint at step %d: %v", cp.Step, err)
		}
		return r.begin(what.From)
	}
	return nil
}
