package metrics

import (
	"errors"
	"slices"

	"reprise/internal/figures"
)

// longestName is how many characters of a class's name figures have.
const longestName = 100

// Quantity is one that a regression predicts, with its mean in the training split.
type Quantity struct {
	Name string
	Mean float64
}

// Evaluation sums up predictions of classes or of quantities, beside those of the trivial
// baseline. Training, its verification and the evaluation of new data all use it.
type Evaluation struct {
	classes []string
	trained []int
	tally   *ClassTally

	quantities    []Quantity
	values, means []ValueTally
}

// NewClassEvaluation returns an evaluation of a classification. trained is how often each
// class occurs in the training split; without it there is no baseline.
func NewClassEvaluation(classes []string, trained []int) *Evaluation {
	e := &Evaluation{classes: slices.Clone(classes), trained: slices.Clone(trained), tally: NewClassTally(len(classes))}
	for i, name := range e.classes {
		e.classes[i] = figures.Truncate(name, longestName)
	}
	return e
}

// NewValueEvaluation returns an evaluation of a regression.
func NewValueEvaluation(quantities []Quantity) *Evaluation {
	return &Evaluation{
		quantities: slices.Clone(quantities),
		values:     make([]ValueTally, len(quantities)), means: make([]ValueTally, len(quantities)),
	}
}

// AddClass adds a sample of a class. It fails as ClassTally.AddLogits does.
func (e *Evaluation) AddClass(class int, logits []float32) error {
	return e.tally.AddLogits(class, logits)
}

// AddValues adds a sample with what was predicted for it, both in the unit of each
// quantity. It fails as ValueTally.Add does.
func (e *Evaluation) AddValues(truth, predicted []float64) error {
	for i, q := range e.quantities {
		if err := errors.Join(e.values[i].Add(truth[i], predicted[i]), e.means[i].Add(truth[i], q.Mean)); err != nil {
			return err
		}
	}
	return nil
}

// Figures returns the figures of the samples so far.
func (e *Evaluation) Figures() (f Figures) {
	if e.tally == nil {
		for i, q := range e.quantities {
			f.Targets = append(f.Targets, Target{
				Name: q.Name, Regression: e.values[i].Figures(), Mean: MeanBaseline{Value: q.Mean, Regression: e.means[i].Figures()},
			})
		}
		return f
	}
	c := e.tally.Figures()
	for i := range c.Classes {
		c.Classes[i].Name = e.classes[i]
	}
	f.Classification = &c
	if e.trained != nil {
		b := e.tally.Baseline(e.trained)
		b.Name = e.classes[b.Class]
		f.MajorityClass = &b
	}
	return f
}

// WithoutConfusion returns the figures without a confusion matrix of more classes than
// most.
func (f Figures) WithoutConfusion(most int) Figures {
	if f.Classification == nil || len(f.Classification.Confusion) <= most {
		return f
	}
	c := *f.Classification
	c.Confusion, c.Omitted = nil, append(slices.Clone(c.Omitted), tooManyConfused(most))
	f.Classification = &c
	return f
}
