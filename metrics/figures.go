package metrics

// Figures are the figures of a model on some samples, of the kind that its task has, with
// those of the trivial baseline.
type Figures struct {
	Classification *Classification `json:"classification,omitempty"`
	MajorityClass  *ClassBaseline  `json:"majority_class,omitempty"`
	// Targets has the figures of each quantity of a regression.
	Targets []Target `json:"targets,omitempty"`
	Text    *Text    `json:"text,omitempty"`
	// TokenFrequencies is the baseline of a text.
	TokenFrequencies *Text `json:"token_frequencies,omitempty"`
}

// None reports whether there are no figures.
func (f Figures) None() bool {
	return f.Classification == nil && f.MajorityClass == nil && f.Targets == nil && f.Text == nil && f.TokenFrequencies == nil
}

// Target has the figures of a quantity, and those of a model that always predicts its mean
// in the training split.
type Target struct {
	Name string `json:"name"`
	Regression
	Mean MeanBaseline `json:"mean"`
}

// MeanBaseline has the figures of a model that predicts Value for every sample.
type MeanBaseline struct {
	Value float64 `json:"value"`
	Regression
}
