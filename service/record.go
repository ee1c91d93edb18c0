package service

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strconv"

	"reprise/api"
	"reprise/fault"
	"reprise/inference"
	"reprise/integration"
	"reprise/internal/stepseries"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// stepsPerPart bounds the steps in a part of a run's figures, so that it fits in a line
// of an answer.
const stepsPerPart = 10_000

// Metrics implements api.Service.
func (s *Service) Metrics(ctx context.Context, q api.MetricsRequest) iter.Seq2[api.MetricsPart, error] {
	return streamOf(ctx, func(ctx context.Context, send func(api.MetricsPart) error) error {
		r, err := s.findBegun(ctx, q.Run)
		if err != nil {
			return err
		}
		defer r.close()
		records, err := r.Workspace.Series(r.run.ID).Read()
		if err != nil {
			return err
		}
		last, _ := r.run.LastCheckpoint()
		part := api.MetricsPart{Head: &api.MetricsHead{
			RunID: r.run.ID, Epochs: epochsOf(r.run.TrainingRun), Data: r.run.Session.Dataset,
			Monitor: r.run.Session.Hyperparameters.Monitor, Loss: r.run.Session.Hyperparameters.Loss,
			CanResume: r.canResume(), LastCheckpoint: last.Step,
		}}
		for {
			n := min(len(records), stepsPerPart)
			part.Steps = stepsOf(records[:n])
			records = records[n:]
			if err := send(part); err != nil || len(records) == 0 {
				return err
			}
			part.Head = nil
		}
	})
}

// stepsOf describes recorded steps.
func stepsOf(records []stepseries.Record) []api.Step {
	steps := make([]api.Step, len(records))
	for i, r := range records {
		steps[i] = api.Step(r)
	}
	return steps
}

// Explain implements api.Service.
func (s *Service) Explain(ctx context.Context, q api.ExplainRequest) (_ api.Explanation, err error) {
	defer explain(ctx, &err)
	f, err := s.find(ctx, q.Run)
	if err != nil {
		return api.Explanation{}, err
	}
	defer f.close()
	decision, recorded, err := journal.ExplainRun(ctx, f.Store, f.id)
	if err != nil {
		return api.Explanation{}, err
	}
	run := runOf(f.summary(), f.job, WriterAlive(f.Workspace))
	x := api.Explanation{RunID: f.id, State: run.State, Job: run.Job, Data: run.Dataset}
	wait, err := f.wait(ctx)
	if err != nil {
		return api.Explanation{}, err
	}
	if x.Retries() {
		x.NextAttempt = wait.next
	}
	// While a run waits, what was decided before says nothing about it.
	if recorded && (!queue.State(run.State).Waits() || run.State == api.Paused || decision.Position > wait.begun) {
		x.Recorded, x.Decision = true, decisionOf(decision)
	}
	return x, s.explainPredecessors(ctx, f.Log, &x)
}

// decisionOf describes what a recorded decision says about a run.
func decisionOf(d journal.RunExplanation) *api.RunDecision {
	var owners []api.OwnerUse
	for _, o := range d.Owners {
		owners = append(owners, api.OwnerUse(o))
	}
	var holders []api.DeviceHolder
	for _, h := range d.Holders {
		holders = append(holders, api.DeviceHolder(h))
	}
	return &api.RunDecision{
		RunID: d.RunID, Position: d.Position, Version: d.Version, Time: d.Time, Outcome: d.Outcome, On: d.On, GaveWay: d.GaveWay,
		HadToWait: d.HadToWait, Place: d.Place, Reasons: d.Reasons, Waited: d.Waited, Holders: holders, Ahead: d.Ahead, Owners: owners, Start: d.Start,
		Again: d.Again, OtherRules: d.OtherRules, Problem: d.Problem,
	}
}

// Verify implements api.Service.
func (s *Service) Verify(ctx context.Context, q api.VerifyRequest) iter.Seq2[api.VerifyUpdate, error] {
	return streamOf(ctx, func(ctx context.Context, send func(api.VerifyUpdate) error) error {
		r, err := s.findCurrentBegun(ctx, q.Run)
		if err != nil {
			return err
		}
		defer r.close()
		report, err := s.verify(ctx, r, q, func(p api.VerifyProgress) { _ = send(api.VerifyUpdate{Progress: &p}) }) // ctx ends
		if err != nil && !errors.Is(err, journal.ErrNotVerified) {
			return err
		}
		found := verificationOf(report)
		return errors.Join(send(api.VerifyUpdate{Report: &found, Folder: r.Workspace.RunDir(r.run.ID)}), err)
	})
}

// verify trains a run again and compares.
func (s *Service) verify(
	ctx context.Context, r subject, q api.VerifyRequest, tell func(api.VerifyProgress),
) (_ integration.VerifyReport, err error) {
	var none integration.VerifyReport
	data, _, err := s.dataOf(ctx, r.run, q.MovedData)
	if err != nil {
		return none, err
	}
	devices, ctx := s.lessor(ctx)
	defer devices.close(&err)
	p := api.VerifyProgress{RunID: r.run.ID, From: q.From}
	if p.From == 0 {
		p.From = r.run.Session.Parent.Step()
	}
	pace := pace{now: s.config.Now}
	verifier := integration.Verifier{Store: r.Store, Workspace: r.Workspace, Devices: devices, Meaning: api.Meaning}
	report, err := verifier.Verify(ctx, integration.Verification{
		Run: r.run, From: q.From, To: q.To, Waiting: tellWaiting(ctx), Progress: func(step, last uint64) {
			if pace.due() {
				p.Step, p.Last = step, last
				tell(p)
			}
		},
	}, data)
	return report, wrongRange(r, q, err)
}

// wrongRange completes an error about the checkpoints between which a run is verified.
func wrongRange(r subject, q api.VerifyRequest, err error) error {
	var field *fault.FieldError
	if !errors.As(err, &field) {
		return err
	}
	if len(r.run.Checkpoints) == 0 {
		return unlessStopped(r.job, noCheckpoint(r.run, r.Workspace))
	}
	given, ok := map[string]uint64{"from": q.From, "to": q.To}[field.Field]
	if !ok || field.Value != strconv.FormatUint(given, 10) || indexOfStep(r.run, given) >= 0 && !slices.Contains(r.run.Removed, given) {
		return err
	}
	return noStep(r.run, given, *field)
}

// verificationOf describes the outcome of a verification.
func verificationOf(v integration.VerifyReport) api.VerifyReport {
	var verdicts []api.CheckpointVerdict
	for _, c := range v.Checkpoints {
		verdicts = append(verdicts, api.CheckpointVerdict(c))
	}
	return api.VerifyReport{
		RunID: v.RunID, Events: v.Events, FromStep: v.FromStep, ToStep: v.ToStep, Parent: v.Parent, Checkpoints: verdicts,
		EvaluationsCompared: v.EvaluationsCompared, EpochsCompared: v.EpochsCompared, StepsCompared: v.StepsCompared, FiguresCompared: v.FiguresCompared,
		Verified: v.Verified, Problem: v.Problem,
	}
}

// Generate implements api.Service.
func (s *Service) Generate(ctx context.Context, q api.GenerateRequest) iter.Seq2[api.GeneratedText, error] {
	return streamOf(ctx, func(ctx context.Context, send func(api.GeneratedText) error) (err error) {
		if err := q.Validate(); err != nil {
			return err
		}
		r, err := s.findBegun(ctx, q.Run)
		if err != nil {
			return err
		}
		defer r.close()
		devices, ctx := s.lessor(ctx)
		defer devices.close(&err)
		generator, err := s.generator(ctx, r, q, devices)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, generator.Close()) }()
		if err := send(api.GeneratedText{Text: q.Prompt}); err != nil {
			return err
		}
		return generator.Generate(ctx, []byte(q.Prompt), q.Tokens, q.Sampling(), func(piece []byte) error {
			return send(api.GeneratedText{Text: api.Text(piece)})
		})
	})
}

// generator loads the language model that a request names. The caller must close it.
func (s *Service) generator(ctx context.Context, r subject, q api.GenerateRequest, devices integration.Lessor) (*integration.Generation, error) {
	session := r.run.Session
	if session.Dataset.TokenizerModel == "" {
		return nil, fault.New(fault.Invalid, "run %s was not trained on text but on %s; generate needs a language model", r.run.ID, session.Dataset.Path)
	}
	t, err := inference.ParseTokenizer(session.Dataset.TokenizerModel)
	if err != nil {
		return nil, err
	}
	_, content, err := s.readCheckpoint(ctx, &r, q.Step, q.Best)
	if err != nil {
		return nil, err
	}
	return integration.NewGeneration(ctx, devices, integration.GenerationRequest{
		Run: r.run.ID, Model: inference.LanguageModel{Architecture: session.Architecture, Weights: content.Weights, Tokenizer: t}, Waiting: tellWaiting(ctx),
	})
}

// checkpointOf returns the checkpoint that a request names: the one at a step, the best
// one or, without both, the last one.
func checkpointOf(r subject, step *uint64, best bool) (training.Checkpoint, error) {
	if step != nil {
		cp, err := checkpointAt(r.run, r.Workspace, "step", *step)
		return cp, unlessStopped(r.job, err)
	}
	if cp, ok := r.run.BestCheckpoint(); best && ok {
		return cp, nil
	}
	cp, err := lastCheckpoint(r.run, r.Workspace)
	return cp, unlessStopped(r.job, err)
}
