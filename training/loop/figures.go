package loop

import (
	"errors"

	"reprise/dataset"
	"reprise/metrics"
	"reprise/training"
)

// Figures returns the figures of the current weights on the validation split. evaluated is
// what an evaluation of them gave, which for text is all that is needed; nothing is
// computed twice. The execution's state remains as it is, but for the batch at hand.
//
// Where predictions are not finite, which an evaluation need not notice, the event says so
// instead.
func (x *Execution) Figures(evaluated training.Metrics) (training.FiguresComputed, error) {
	e := training.FiguresComputed{Epoch: x.Epoch(), Step: x.step, Monitor: x.session.Hyperparameters.Monitor}
	var err error
	switch x.data.Task() {
	case dataset.NextToken:
		err = x.textFigures(&e.Figures, evaluated)
	case dataset.Regression:
		err = x.targetFigures(&e.Figures)
	case dataset.Classification:
		err = x.classFigures(&e.Figures)
	}
	var bad *predictionError
	if errors.As(err, &bad) {
		e.Figures, e.Unavailable, err = metrics.Figures{}, bad.Error(), nil
	}
	return e, err
}

// predictionError says that a prediction has no figures.
type predictionError struct{ err error }

func (e *predictionError) Error() string { return e.err.Error() }
func (e *predictionError) Unwrap() error { return e.err }

// predict calls take with the outputs of each sample of the validation split, in order.
func (x *Execution) predict(take func(sample int, outputs []float32) error) error {
	samples := x.data.Len(dataset.Validation)
	outputs := make([]float32, min(x.evalRows, samples)*x.outputs)
	for first := 0; first < samples; first += x.evalRows {
		rows := min(x.evalRows, samples-first)
		for i := range rows {
			x.index[i] = first + i
		}
		if err := x.trainer.Predict(x.gather(dataset.Validation, rows), outputs[:rows*x.outputs]); err != nil {
			return err
		}
		for i := range rows {
			if err := take(first+i, outputs[i*x.outputs:(i+1)*x.outputs]); err != nil {
				return &predictionError{err}
			}
		}
	}
	return nil
}

func (x *Execution) classFigures(f *metrics.Figures) error {
	names := training.RecordedClassNames(x.data)
	tally := metrics.NewClassTally(len(names))
	err := x.predict(func(sample int, logits []float32) error {
		return tally.AddLogits(int(x.data.Label(dataset.Validation, sample)), logits)
	})
	if err != nil {
		return err
	}
	c, baseline := tally.Figures(), tally.Baseline(x.data.ClassCounts(dataset.Train))
	baseline.Name = names[baseline.Class]
	for i := range c.Classes {
		c.Classes[i].Name = names[i]
	}
	f.Classification, f.MajorityClass = &c, &baseline
	return nil
}

func (x *Execution) targetFigures(f *metrics.Figures) error {
	targets := x.data.Targets()
	tallies, means := make([]metrics.ValueTally, len(targets)), make([]metrics.ValueTally, len(targets))
	var truth []float64
	err := x.predict(func(sample int, outputs []float32) error {
		truth = x.data.AppendTargets(truth[:0], dataset.Validation, sample)
		for i, target := range targets {
			if err := errors.Join(tallies[i].Add(truth[i], target.Restore(outputs[i])), means[i].Add(truth[i], target.Mean)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, target := range targets {
		f.Targets = append(f.Targets, metrics.Target{
			Name: target.Name, Regression: tallies[i].Figures(),
			Mean: metrics.MeanBaseline{Value: target.Mean, Regression: means[i].Figures()},
		})
	}
	return nil
}

func (x *Execution) textFigures(f *metrics.Figures, evaluated training.Metrics) error {
	trained, _, err := x.data.TokenCounts(dataset.Train)
	if err != nil {
		return err
	}
	occurring, bytes, err := x.data.TokenCounts(dataset.Validation)
	if err != nil {
		return err
	}
	tokens := 0
	for _, n := range occurring {
		tokens += n
	}
	text, baseline := metrics.TextOf(tokens, bytes, evaluated.ValLoss, evaluated.ValAccuracy), metrics.TextBaseline(bytes, trained, occurring)
	f.Text, f.TokenFrequencies = &text, &baseline
	return nil
}
