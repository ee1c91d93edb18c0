package loop

import (
	"context"
	"errors"

	"reprise/dataset"
	"reprise/fault"
	"reprise/metrics"
	"reprise/training"
)

// Figures returns the figures of the current weights on the validation split and, where
// there is one, on the test split. evaluated is what an evaluation of them gave, which for
// text is all that is needed; nothing is computed twice. The execution's state remains as
// it is, but for the batch at hand.
//
// Where predictions are not finite, which an evaluation need not notice, the event says so
// instead.
func (x *Execution) Figures(evaluated training.Metrics) (training.FiguresComputed, error) {
	e := training.FiguresComputed{Epoch: x.Epoch(), Step: x.step, Monitor: x.session.Hyperparameters.Monitor}
	if x.data.Task() == dataset.NextToken {
		var err error
		e.Figures, err = textFigures(x.data, evaluated)
		return e, err
	}
	var err error
	if e.Figures, e.Unavailable, err = x.figuresOn(dataset.Validation); err != nil {
		return e, err
	}
	if n := x.data.Len(dataset.Test); n > 0 {
		test := training.TestFigures{Samples: n}
		if test.Figures, test.Unavailable, err = x.figuresOn(dataset.Test); err != nil {
			return e, err
		}
		test.Figures = test.WithoutConfusion(training.MaxTestConfused)
		e.Test = &test
	}
	return e, nil
}

// FiguresOn returns the figures of the current weights on one split, which is not empty. It
// fails with a *PredictionError, and when ctx ends.
func (x *Execution) FiguresOn(ctx context.Context, split dataset.Split) (metrics.Figures, error) {
	if x.data.Task() == dataset.NextToken {
		e, err := x.Evaluate()
		if err != nil {
			return metrics.Figures{}, err
		}
		return textFigures(x.data, training.Metrics{ValLoss: e.ValLoss, ValAccuracy: e.ValAccuracy})
	}
	e, err := x.EvaluationOn(ctx, split)
	return e.Figures(), err
}

// EvaluationOn returns the evaluation of the current weights on one split, which is not
// empty, of data that are not text. It fails as FiguresOn does, and then has the samples
// before.
func (x *Execution) EvaluationOn(ctx context.Context, split dataset.Split) (*metrics.Evaluation, error) {
	if x.data.Task() == dataset.Regression {
		return x.evaluateTargets(ctx, split)
	}
	e := metrics.NewClassEvaluation(x.data.ClassNames(), x.data.ClassCounts(dataset.Train))
	return e, x.predict(ctx, split, func(sample int, logits []float32) error {
		return unpredictable(e.AddClass(int(x.data.Label(split, sample)), logits))
	})
}

// validationFigures returns the figures on the validation split, where an evaluation gave
// evaluated; none where a prediction is not finite.
func (x *Execution) validationFigures(evaluated training.Metrics) (metrics.Figures, error) {
	if x.data.Task() == dataset.NextToken {
		return textFigures(x.data, evaluated)
	}
	f, _, err := x.figuresOn(dataset.Validation)
	return f, err
}

// figuresOn returns the figures on a split, or why there are none.
func (x *Execution) figuresOn(split dataset.Split) (f metrics.Figures, unavailable string, err error) {
	f, err = x.FiguresOn(context.Background(), split)
	var bad *PredictionError
	if errors.As(err, &bad) {
		return metrics.Figures{}, bad.Error(), nil
	}
	return f, "", err
}

// PredictionError says that a prediction has no figures, since it is not finite.
type PredictionError struct{ Err error }

// Error says which sample's.
func (e *PredictionError) Error() string { return e.Err.Error() }

// Kind returns that of what is wrong with a request: another model or other data are needed.
func (e *PredictionError) Kind() fault.Kind { return fault.Invalid }

// Unwrap returns the cause.
func (e *PredictionError) Unwrap() error { return e.Err }

func (x *Execution) evaluateTargets(ctx context.Context, split dataset.Split) (*metrics.Evaluation, error) {
	targets := x.data.Targets()
	var quantities []metrics.Quantity
	for _, t := range targets {
		quantities = append(quantities, metrics.Quantity{Name: t.Name, Mean: t.Mean})
	}
	e := metrics.NewValueEvaluation(quantities)
	predicted := make([]float64, len(targets))
	var truth []float64
	return e, x.predict(ctx, split, func(sample int, outputs []float32) error {
		truth = x.data.AppendTargets(truth[:0], split, sample)
		for i, t := range targets {
			predicted[i] = t.Restore(outputs[i])
		}
		return unpredictable(e.AddValues(truth, predicted))
	})
}

func unpredictable(err error) error {
	if err == nil {
		return nil
	}
	return &PredictionError{err}
}

// predict calls do with the outputs of each sample of a split, in order.
func (x *Execution) predict(ctx context.Context, split dataset.Split, do func(sample int, outputs []float32) error) error {
	samples := x.data.Len(split)
	outputs := make([]float32, min(x.evalRows, samples)*x.outputs)
	for first := 0; first < samples; first += x.evalRows {
		rows := min(x.evalRows, samples-first)
		for i := range rows {
			x.index[i] = first + i
		}
		batch, err := x.gather(split, rows)
		if err == nil {
			err = x.trainer.Predict(batch, outputs[:rows*x.outputs])
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		for i := range rows {
			if err := do(first+i, outputs[i*x.outputs:(i+1)*x.outputs]); err != nil {
				return err
			}
		}
	}
	return nil
}

// textFigures returns the figures of a language model on the validation split, where an
// evaluation gave evaluated.
func textFigures(data *dataset.Dataset, evaluated training.Metrics) (f metrics.Figures, err error) {
	trained, _, err := data.TokenCounts(dataset.Train)
	if err != nil {
		return f, err
	}
	occurring, bytes, err := data.TokenCounts(dataset.Validation)
	if err != nil {
		return f, err
	}
	tokens := 0
	for _, n := range occurring {
		tokens += n
	}
	text, baseline := metrics.TextOf(tokens, bytes, evaluated.ValLoss, evaluated.ValAccuracy), metrics.TextBaseline(bytes, trained, occurring)
	f.Text, f.TokenFrequencies = &text, &baseline
	return f, nil
}
