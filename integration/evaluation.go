package integration

import (
	"context"
	"errors"

	"reprise/checkpoint"
	"reprise/dataset"
	"reprise/device"
	"reprise/metrics"
	"reprise/training"
	"reprise/training/loop"
)

// EvaluationRequest says which checkpoint of a run is measured, and on what.
type EvaluationRequest struct {
	Run     training.RunID
	Session training.TrainingSession
	Content checkpoint.Content
	// Data is that of the session, Split the one to measure on, which is not empty.
	Data  *dataset.Dataset
	Split dataset.Split
	// Waiting, if not nil, is told why there is no device yet, once.
	Waiting func(why string)
}

// Evaluate returns the figures of a checkpoint, by the code that training records them with.
// It leases a device beside whatever that does, as a verification, of which it is a part. It
// fails with the errors of Lessor.Acquire and of package loop.
func Evaluate(ctx context.Context, d Lessor, r EvaluationRequest) (f metrics.Figures, err error) {
	err = evaluate(ctx, d, r, func(x *loop.Execution) error {
		f, err = x.FiguresOn(ctx, r.Split)
		return err
	})
	return f, err
}

// EvaluateSamples is Evaluate for callers that need more than the figures. It refuses text.
func EvaluateSamples(ctx context.Context, d Lessor, r EvaluationRequest) (e *metrics.Evaluation, err error) {
	if r.Data.Task() == dataset.NextToken {
		return nil, errors.New("the samples of a text are not kept")
	}
	err = evaluate(ctx, d, r, func(x *loop.Execution) error {
		e, err = x.EvaluationOn(ctx, r.Split)
		return err
	})
	return e, err
}

// evaluate calls do with the execution of a checkpoint, on a leased device.
func evaluate(ctx context.Context, d Lessor, r EvaluationRequest, do func(*loop.Execution) error) (err error) {
	plan, err := loop.PlanOf(r.Session)
	if err != nil {
		return err
	}
	w := workloadOf(r.Session, plan)
	w.Shared = true
	lease, err := d.Acquire(ctx, LeaseRequest{Kind: device.HolderVerification, Run: r.Run, Workload: w, Waiting: r.Waiting})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lease.Release()) }()
	x, err := loop.NewExecutionWith(r.Session, plan, r.Data, lease.Backend(), loop.NewTrainer)
	if err != nil {
		return err
	}
	defer x.Close()
	if err := x.Restore(r.Content); err != nil {
		return err
	}
	return do(x)
}
