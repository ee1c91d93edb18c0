package integration

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"reprise/checkpoint"
	"reprise/datadir"
	"reprise/eventstore"
	"reprise/internal/stepseries"
	"reprise/journal"
	"reprise/tensor"
	"reprise/training"
	"reprise/training/loop"
)

// pastEvent is an event of a run and where it is in the log.
type pastEvent struct {
	position eventstore.Position
	event    training.Event
}

func (p pastEvent) name() string {
	return fmt.Sprintf("event %d (%s)", p.position, p.event.EventType())
}

// past is every event of a run, oldest first.
type past []pastEvent

func (v Verifier) past(ctx context.Context, id training.RunID) (past, error) {
	log := journal.NewRunLog(v.Store, nil)
	events, err := log.Events(ctx, id)
	if err != nil {
		return nil, err
	}
	list := make(past, len(events))
	for i, e := range events {
		list[i].position = e.Position
		if list[i].event, err = log.Decode(e); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// name names the event for which is returns true.
func (h past) name(is func(training.Event) bool) string {
	i := slices.IndexFunc(h, func(p pastEvent) bool { return is(p.event) })
	if i < 0 {
		return "a missing event"
	}
	return h[i].name()
}

// reproduction compares what a run's record says with what training it again
// gives.
type reproduction struct {
	report    *VerifyReport
	run       journal.RunRecord
	past      past
	workspace datadir.Workspace
	x         *loop.Execution

	series []stepseries.Record // as it is on disk
	sum    stepseries.Sum      // of the records up to the current step, as trained again
	next   int                 // index of the next checkpoint to compare
}

const reproducedAs = "reproduced"

// begin compares what there is at the step that training starts from: the weights
// of ModelInitialized, and the series up to there.
func (r *reproduction) begin(from uint64) error {
	for _, record := range r.series[:min(from, uint64(len(r.series)))] {
		r.sum.Add(record)
		r.compareSeries(record.Step)
	}
	if p := r.run.Session.Parent; p != nil && p.Step() == from && r.sum.Digest().SHA256 != p.Checkpoint.SeriesSHA256 {
		r.report.fail("step metrics: those up to step %d are not the ones that the run took over from run %s", from, p.RunID)
	}
	for r.next < len(r.report.Checkpoints) && r.report.Checkpoints[r.next].Step <= from {
		r.next++
	}
	sha, err := r.x.WeightsSHA256()
	if err != nil {
		return err
	}
	for _, p := range r.past {
		if e, ok := p.event.(training.ModelInitialized); ok && e.Step == from {
			r.differ(p.name, e, training.ModelInitialized{Step: from, WeightsSHA256: sha})
		}
	}
	return nil
}

// compareSeries compares the series up to a checkpoint with its hash there.
func (r *reproduction) compareSeries(step uint64) {
	i, ok := slices.BinarySearchFunc(r.run.Checkpoints, step, func(cp training.Checkpoint, step uint64) int { return cmp.Compare(cp.Step, step) })
	if !ok {
		return
	}
	if want, got := r.run.Checkpoints[i].SeriesSHA256, r.sum.Digest().SHA256; got != want {
		r.report.fail("%s: series_sha256: recorded %s, the step metrics up to step %d have %s", r.committed(step), want, step, got)
	}
}

// differ reports the fields in which a recorded event is not what came out. It
// looks for the event only if there are any.
func (r *reproduction) differ(name func() string, recorded, reproduced any) {
	if what := journal.Difference(recorded, reproduced, reproducedAs); what != "" {
		r.report.fail("%s: %s", name(), what)
	}
}

// compare compares everything that is recorded of a step that was just trained.
func (r *reproduction) compare(step loop.StepResult) error {
	r.compareStep(step)
	if r.x.EvaluationDue() {
		if err := r.compareEvaluation(); err != nil {
			return err
		}
	}
	loss := r.x.MeanLoss()
	if step.EpochDone {
		if err := r.compareEpoch(); err != nil {
			return err
		}
	}
	if r.next < len(r.report.Checkpoints) && r.report.Checkpoints[r.next].Step == step.Step {
		if err := r.compareCheckpoint(loss); err != nil {
			return err
		}
		r.next++
	}
	return r.compareFigures()
}

// compareFigures compares the figures of the run, if they are of the current step.
func (r *reproduction) compareFigures() error {
	recorded := r.run.Figures
	if recorded == nil || recorded.Step != r.x.Steps() || recorded.Unavailable != "" {
		return nil
	}
	m, _ := r.run.TrainingRun.Epoch(recorded.Epoch)
	got, err := r.x.Figures(m.Metrics)
	if err != nil {
		return err
	}
	got = asOlder(got, *recorded)
	r.report.FiguresCompared = true
	r.differ(func() string {
		return r.past.name(func(e training.Event) bool { _, ok := e.(training.FiguresComputed); return ok })
	}, *recorded, got)
	return nil
}

// asOlder leaves out of figures what older versions did not record, where it is not in
// what was recorded.
func asOlder(got, recorded training.FiguresComputed) training.FiguresComputed {
	if recorded.Test == nil {
		got.Test = nil
	}
	if b := recorded.MajorityClass; b != nil && b.Trained == nil && got.MajorityClass != nil {
		older := *got.MajorityClass
		older.Trained = nil
		got.MajorityClass = &older
	}
	return got
}

func (r *reproduction) compareStep(step loop.StepResult) {
	got := step.Record()
	r.sum.Add(got)
	if got.Step > uint64(len(r.series)) {
		return
	}
	r.report.StepsCompared++
	if want := r.series[got.Step-1]; !sameRecord(want, got) {
		r.differ(func() string { return fmt.Sprintf("step metrics: step %d", got.Step) }, want, got)
	}
}

// sameRecord compares bits, so that a loss that is not a number equals itself.
func sameRecord(a, b stepseries.Record) bool {
	return a.Step == b.Step && a.Epoch == b.Epoch && math.Float32bits(a.Loss) == math.Float32bits(b.Loss) &&
		math.Float32bits(a.LearningRate) == math.Float32bits(b.LearningRate)
}

func (r *reproduction) compareEvaluation() error {
	got, err := r.x.Evaluate()
	if err != nil {
		return err
	}
	i, ok := slices.BinarySearchFunc(r.run.Evaluations, got.Step, func(e training.Evaluation, step uint64) int { return cmp.Compare(e.Step, step) })
	if ok {
		r.report.EvaluationsCompared++
		r.differ(func() string {
			return r.past.name(func(e training.Event) bool {
				found, ok := e.(training.EvaluationCompleted)
				return ok && found.Step == got.Step
			})
		}, r.run.Evaluations[i], got)
		return nil
	}
	// Nothing of a later step is recorded before it.
	r.report.fail("the evaluation at step %d is not recorded, but later steps are", got.Step)
	return nil
}

func (r *reproduction) compareEpoch() error {
	got, err := r.x.FinishEpoch()
	if err != nil {
		return err
	}
	want, ok := r.run.TrainingRun.Epoch(got.Epoch)
	if !ok {
		return nil
	}
	r.report.EpochsCompared++
	r.differ(func() string {
		return r.past.name(func(e training.Event) bool {
			found, ok := e.(training.EpochCompleted)
			return ok && found.Epoch == got.Epoch
		}) + fmt.Sprintf(": epoch %d", got.Epoch)
	}, want, got)
	r.compareStopped(got.Epoch)
	return nil
}

// compareStopped compares whether, and why, training ends early with the epoch.
func (r *reproduction) compareStopped(epoch uint64) {
	got, due := r.x.Stopped()
	due = due && epoch < r.run.Session.Hyperparameters.Epochs
	want := r.run.Stopped
	switch recorded := want != nil && want.Epoch == epoch; {
	case due && recorded:
		r.differ(r.stopped, *want, got)
	case due && want == nil:
		r.report.fail("epoch %d: early stopping ends training with it, but no early_stopped is recorded", epoch)
	case recorded:
		r.report.fail("%s: epoch: recorded %d, with which early stopping does not end training", r.stopped(), epoch)
	}
}

func (r *reproduction) stopped() string {
	return r.past.name(func(e training.Event) bool { _, ok := e.(training.EarlyStopped); return ok })
}

// committed names the event of the checkpoint at a step.
func (r *reproduction) committed(step uint64) string {
	return r.past.name(func(e training.Event) bool {
		found, ok := e.(training.CheckpointCommitted)
		return ok && found.Step == step
	}) + fmt.Sprintf(": checkpoint at step %d", step)
}

// compareCheckpoint compares the event of the checkpoint, and through its hashes
// every byte of its files. loss is the mean loss of the epoch up to the step.
func (r *reproduction) compareCheckpoint(loss float64) error {
	verdict := &r.report.Checkpoints[r.next]
	recorded := r.run.Checkpoints[r.next]
	content, err := r.x.Content(r.run.ID)
	if err != nil {
		return err
	}
	ref, err := checkpoint.RefOf(content)
	if err != nil {
		return err
	}
	verdict.Reproduced = ref.WeightsSHA256
	got := training.Checkpoint{
		SessionID: r.run.Session.ID, Epoch: ref.Epoch, Step: ref.Step, Dir: ref.Dir,
		ManifestSHA256: ref.ManifestSHA256, WeightsSHA256: ref.WeightsSHA256,
		SeriesSHA256: r.sum.Digest().SHA256, Loss: loss,
	}
	if ok, err := r.sameBeforeProgress(recorded, content); err != nil {
		return err
	} else if ok {
		got.ManifestSHA256 = recorded.ManifestSHA256
	}
	what := journal.Difference(recorded, got, reproducedAs)
	if what == "" {
		return nil
	}
	if detail := r.explain(recorded, content); detail != "" {
		got.ManifestSHA256, got.WeightsSHA256 = recorded.ManifestSHA256, recorded.WeightsSHA256
		what = strings.TrimSuffix(detail+"; "+journal.Difference(recorded, got, reproducedAs), "; ")
	}
	if verdict.Problem == "" {
		verdict.Problem = what
		if recorded.WeightsSHA256 != ref.WeightsSHA256 {
			verdict.Problem = "the weights came out different"
		}
	}
	r.report.fail("%s: %s", r.committed(recorded.Step), what)
	return nil
}

// sameBeforeProgress reports whether the recorded manifest is the one that the
// content had before the progress of early stopping and reduce_on_plateau was part
// of it. This is allowed if the run uses neither.
func (r *reproduction) sameBeforeProgress(recorded training.Checkpoint, content checkpoint.Content) (bool, error) {
	h := r.run.Session.Hyperparameters
	if h.EarlyStopping.Patience > 0 || h.LearningRate.Schedule.Name == training.ReduceOnPlateau {
		return false, nil
	}
	content.Metrics = map[string]float64{loop.LossSumKey: content.Metrics[loop.LossSumKey], loop.LossRowsKey: content.Metrics[loop.LossRowsKey]}
	ref, err := checkpoint.RefOf(content)
	return err == nil && ref.ManifestSHA256 == recorded.ManifestSHA256, err
}

// explain names what differs in the files of a checkpoint, if it can be read.
func (r *reproduction) explain(recorded training.Checkpoint, got checkpoint.Content) string {
	was, err := r.workspace.Checkpoints(r.run.ID).Read(recorded.Ref())
	if err != nil {
		return "" // reported by checkFiles
	}
	var found []string
	add := func(what string) {
		if what != "" {
			found = append(found, what)
		}
	}
	add(differentTensors("model.safetensors", was.Weights, got.Weights))
	add(differentTensors("optimizer.safetensors", was.Optimizer, got.Optimizer))
	if !bytes.Equal(was.Preprocessing, got.Preprocessing) {
		add("preprocessing.json: recorded another document than the data gives")
	}
	type described struct {
		RunID     string             `json:"run_id"`
		SessionID string             `json:"session_id"`
		Metrics   map[string]float64 `json:"metrics"`
	}
	if what := journal.Difference(described{was.RunID, was.SessionID, was.Metrics}, described{got.RunID, got.SessionID, got.Metrics}, reproducedAs); what != "" {
		add("manifest.json: " + what)
	}
	return strings.Join(found, "; ")
}

// differentTensors names the first value in which a file's tensors differ.
func differentTensors(file string, was, is []tensor.Tensor) string {
	if len(was) != len(is) {
		return fmt.Sprintf("%s: recorded %d tensors, reproduced %d", file, len(was), len(is))
	}
	for i := range was {
		if was[i].Name != is[i].Name || !slices.Equal(was[i].Shape, is[i].Shape) {
			return fmt.Sprintf("%s: recorded %s %v, reproduced %s %v", file, was[i].Name, was[i].Shape, is[i].Name, is[i].Shape)
		}
		for j, v := range was[i].Data {
			if math.Float32bits(v) != math.Float32bits(is[i].Data[j]) {
				return fmt.Sprintf("%s: %s at element %d: recorded %v, reproduced %v", file, was[i].Name, j, v, is[i].Data[j])
			}
		}
	}
	return ""
}
