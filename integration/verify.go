package integration

import (
	"context"
	"errors"
	"fmt"

	"reprise/checkpoint"
	"reprise/dataset"
	"reprise/eventstore"
	"reprise/internal/stepseries"
	"reprise/kernel"
	"reprise/training"
)

// ErrNotVerified is returned where a record and what it describes disagree.
var ErrNotVerified = errors.New("verification failed")

// Verification says which run to verify, and between which checkpoints.
type Verification struct {
	Run RunRecord
	// From is the step of the checkpoint to start from; 0 is the beginning, which
	// for a fork is the checkpoint of its parent.
	From uint64
	// To is the step of the last checkpoint to compare; 0 is the last there is.
	To uint64
	// Progress, if not nil, is called after every step.
	Progress func(step, last uint64)
}

// CheckpointVerdict is what became of one checkpoint.
type CheckpointVerdict struct {
	Step     uint64 `json:"step"`
	Epoch    uint64 `json:"epoch"`
	Recorded string `json:"recorded_sha256"`
	// Reproduced is the SHA-256 of the weights as trained again; "" where the
	// checkpoint lay before From and only its files were checked.
	Reproduced string `json:"reproduced_sha256,omitempty"`
	// Problem says what differs; "" means that all agree.
	Problem string `json:"problem,omitempty"`
	// Missing says that the problem is that files are not there, as after
	// importing a log alone: nothing is known to be damaged.
	Missing bool `json:"missing,omitempty"`
}

// VerifyReport is the outcome of a verification.
type VerifyReport struct {
	RunID training.RunID `json:"run_id"`
	// Events is the length of the event chain that was checked, over all runs.
	Events   uint64 `json:"events"`
	FromStep uint64 `json:"from_step"`
	ToStep   uint64 `json:"to_step"`
	// Parent is the checkpoint that a fork was trained again from; how the parent
	// came to it is for a verification of the parent.
	Parent      *training.Parent    `json:"parent,omitempty"`
	Checkpoints []CheckpointVerdict `json:"checkpoints"`
	// EvaluationsCompared is the number of evaluations within epochs that came out
	// as recorded.
	EvaluationsCompared int `json:"evaluations_compared,omitempty"`
	// EpochsCompared is the number of epochs whose metrics were compared,
	// StepsCompared that of steps whose loss was.
	EpochsCompared int  `json:"epochs_compared"`
	StepsCompared  int  `json:"steps_compared"`
	Verified       bool `json:"verified"`
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
	Workspace Workspace
	// Backend trains; any exact one gives the same bits.
	Backend kernel.Backend
}

// Verify walks the whole event chain, checks the files of every committed
// checkpoint and the step series against their recorded hashes, trains the run
// again and compares weights and metrics with the record at every checkpoint
// and epoch on the way. It returns ErrNotVerified, and the report that names
// the first difference, unless all of it agrees; other errors mean that it
// could not be carried out.
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
	head, err := v.Store.Verify(ctx)
	if err != nil {
		report.fail("event log: %v", err)
		return report, fmt.Errorf("%w: event log: %w", ErrNotVerified, err)
	}
	report.Events = uint64(head.Position)
	if err := v.checkRange(&report, what); err != nil {
		return report, err
	}
	v.checkFiles(&report, what)
	if err := v.retrain(ctx, &report, what, data); err != nil {
		return report, err
	}
	report.Verified = report.Problem == ""
	if !report.Verified {
		return report, fmt.Errorf("%w: %s", ErrNotVerified, report.Problem)
	}
	return report, nil
}

// checkRange fills in the verdicts to be made and fails with a
// *training.FieldError where From or To is not a checkpoint's step.
func (v Verifier) checkRange(report *VerifyReport, what Verification) error {
	checkpoints := what.Run.Checkpoints
	steps := []uint64{what.Run.Session.Parent.Step()}
	for _, cp := range checkpoints {
		steps = append(steps, cp.Step)
	}
	if len(checkpoints) == 0 {
		return &training.FieldError{Field: "run", Value: string(what.Run.ID),
			Problem: "has no committed checkpoint", Fix: "resume it with `reprise runs resume` first"}
	}
	report.ToStep = what.To
	if what.To == 0 {
		report.ToStep = checkpoints[len(checkpoints)-1].Step
	}
	for _, bound := range []struct {
		flag string
		step uint64
	}{{"--from", what.From}, {"--to", report.ToStep}} {
		known := false
		for _, s := range steps {
			known = known || s == bound.step
		}
		if !known {
			return &training.FieldError{Field: bound.flag, Value: fmt.Sprint(bound.step),
				Problem: "is not the step of a committed checkpoint", Fix: fmt.Sprintf("use one of %v", steps)}
		}
	}
	if what.From >= report.ToStep {
		return &training.FieldError{Field: "--from", Value: fmt.Sprint(what.From),
			Problem: fmt.Sprintf("is not before --to %d", report.ToStep), Fix: "give an earlier step"}
	}
	for _, cp := range checkpoints {
		if cp.Step <= report.ToStep {
			report.Checkpoints = append(report.Checkpoints, CheckpointVerdict{Step: cp.Step, Epoch: cp.Epoch, Recorded: cp.WeightsSHA256})
		}
	}
	return nil
}

// checkFiles compares every checkpoint and the step series with their hashes.
func (v Verifier) checkFiles(report *VerifyReport, what Verification) {
	for i := range report.Checkpoints {
		cp := what.Run.Checkpoints[i]
		if err := v.Workspace.Checkpoints(what.Run.ID).Verify(CheckpointRef(cp)); err != nil {
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

// retrain trains from From to ToStep and compares on the way.
func (v Verifier) retrain(ctx context.Context, report *VerifyReport, what Verification, data *dataset.Dataset) error {
	x, err := NewExecution(what.Run.Session, data, v.Backend)
	if err != nil {
		return err
	}
	defer x.Close()
	if err := v.position(x, report, what); err != nil {
		return err
	}
	recorded, _ := v.Workspace.Series(what.Run.ID).Read() // damage was reported by checkFiles
	next := 0
	for next < len(report.Checkpoints) && report.Checkpoints[next].Step <= what.From {
		next++
	}
	for x.Steps() < report.ToStep {
		if err := ctx.Err(); err != nil {
			return err
		}
		step, err := x.Train()
		if err != nil {
			report.fail("training again: %v", err)
			return nil
		}
		compareStep(report, recorded, step)
		if x.EvaluationDue() {
			if err := compareEvaluation(report, what.Run, x); err != nil {
				return err
			}
		}
		if step.EpochDone {
			if err := compareEpoch(report, what.Run, x); err != nil {
				return err
			}
		}
		if report.Checkpoints[next].Step == step.Step {
			if err := compareWeights(&report.Checkpoints[next], report, x); err != nil {
				return err
			}
			next++
		}
		if what.Progress != nil {
			what.Progress(step.Step, report.ToStep)
		}
	}
	return nil
}

// position brings the execution to the step that verification starts from.
func (v Verifier) position(x *Execution, report *VerifyReport, what Verification) error {
	if what.From == what.Run.Session.Parent.Step() {
		err := x.Begin(v.Workspace)
		if errors.As(err, new(*filesError)) {
			report.fail("%v", err)
			return fmt.Errorf("%w: %s", ErrNotVerified, report.Problem)
		}
		return err
	}
	for _, cp := range what.Run.Checkpoints {
		if cp.Step != what.From {
			continue
		}
		content, err := v.Workspace.Checkpoints(what.Run.ID).Read(CheckpointRef(cp))
		if err != nil {
			report.fail("checkpoint at step %d: %v", cp.Step, err)
			return fmt.Errorf("%w: %s", ErrNotVerified, report.Problem)
		}
		return x.Restore(content)
	}
	return nil
}

func compareStep(report *VerifyReport, recorded []stepseries.Record, got StepResult) {
	if got.Step > uint64(len(recorded)) {
		return
	}
	want := recorded[got.Step-1]
	if want != record(got) {
		report.fail("step %d: recorded %+v, reproduced %+v", got.Step, want, record(got))
	}
	report.StepsCompared++
}

func compareEpoch(report *VerifyReport, run RunRecord, x *Execution) error {
	got, err := x.FinishEpoch()
	if err != nil {
		return err
	}
	if want, ok := run.TrainingRun.Epoch(got.Epoch); ok {
		if want != got {
			report.fail("metrics of epoch %d: recorded %+v, reproduced %+v", got.Epoch, want.Metrics, got.Metrics)
		}
		report.EpochsCompared++
	}
	return nil
}

func compareEvaluation(report *VerifyReport, run RunRecord, x *Execution) error {
	got, err := x.Evaluate()
	if err != nil {
		return err
	}
	switch event, err := run.RecordEvaluation(got); {
	case err != nil:
		report.fail("%v", err)
	case event == nil:
		report.EvaluationsCompared++
	}
	return nil
}

func compareWeights(verdict *CheckpointVerdict, report *VerifyReport, x *Execution) error {
	sha, err := x.WeightsSHA256()
	if err != nil {
		return err
	}
	verdict.Reproduced = sha
	if sha != verdict.Recorded {
		if verdict.Problem == "" {
			verdict.Problem = "the weights came out different"
		}
		report.fail("checkpoint at step %d (epoch %d): weights recorded as %s came out as %s",
			verdict.Step, verdict.Epoch, verdict.Recorded, sha)
	}
	return nil
}

// CheckpointRef returns what finds and pins a committed checkpoint on disk.
func CheckpointRef(cp training.Checkpoint) checkpoint.Ref {
	return checkpoint.Ref{Dir: cp.Dir, ManifestSHA256: cp.ManifestSHA256, WeightsSHA256: cp.WeightsSHA256, Step: cp.Step, Epoch: cp.Epoch}
}

// record returns what the step series keeps of a step.
func record(s StepResult) stepseries.Record {
	return stepseries.Record{Step: s.Step, Epoch: uint32(s.Epoch), Loss: s.Loss, LearningRate: s.LearningRate}
}
