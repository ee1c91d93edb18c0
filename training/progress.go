package training

import "math"

// EarlyStopping ends training after Patience evaluations in a row whose validation
// loss is not below the best one so far by more than MinDelta, at the end of the
// epoch in which that happens. The zero value never ends it.
type EarlyStopping struct {
	Patience uint64  `json:"patience"`
	MinDelta float64 `json:"min_delta,omitempty"`
}

// Progress is what early stopping and the schedule reduce_on_plateau remember of
// the evaluations so far. It is part of a checkpoint. The zero value is that
// before the first evaluation.
type Progress struct {
	Evaluations uint64
	// Best is the lowest validation loss and BestStep the step it was reached at.
	Best     float64
	BestStep uint64
	// Waited is the number of evaluations since one that early stopping counts
	// as better than Reference.
	Waited    uint64
	Reference float64
	// Plateau is the number of evaluations since one that the schedule counts as
	// better than PlateauBest, or since the last reduction, of which there were
	// Reductions.
	Plateau     uint64
	PlateauBest float64
	Reductions  uint64
}

// Observe returns the progress after an evaluation. A loss that is not a number
// is not an improvement.
func (h Hyperparameters) Observe(p Progress, step uint64, loss float64) Progress {
	first := p.Evaluations == 0
	p.Evaluations++
	if first {
		p.Best, p.Reference, p.PlateauBest = math.Inf(1), math.Inf(1), math.Inf(1)
	}
	if loss < p.Best {
		p.Best, p.BestStep = loss, step
	}
	p.Waited++
	if loss < p.Reference-h.EarlyStopping.MinDelta {
		p.Reference, p.Waited = loss, 0
	}
	s := h.LearningRate.Schedule
	if s.Name != ReduceOnPlateau {
		return p
	}
	p.Plateau++
	switch {
	case loss < p.PlateauBest-float64(p.PlateauBest*s.Threshold) || math.IsInf(p.PlateauBest, 1) && loss < p.PlateauBest:
		p.PlateauBest, p.Plateau = loss, 0
	case p.Plateau > s.Patience:
		p.Reductions++
		p.Plateau = 0
	}
	return p
}

// Stop reports whether early stopping ends training.
func (h Hyperparameters) Stop(p Progress) bool {
	return h.EarlyStopping.Patience > 0 && p.Waited >= h.EarlyStopping.Patience
}

// Rate returns the learning rate of the optimiser step, counted from 0.
func (h Hyperparameters) Rate(step uint64, p Progress) float32 {
	s := h.LearningRate.Schedule
	if s.Name != ReduceOnPlateau {
		return h.LearningRate.At(step)
	}
	factor := max(power(s.Gamma, p.Reductions), s.MinFactor)
	return float32(float64(h.LearningRate.Value) * float64(factor*s.Factor(step)))
}

// Keys of a Progress in a checkpoint's figures.
const (
	evaluationsKey = "progress_evaluations"
	bestKey        = "progress_best"
	bestStepKey    = "progress_best_step"
	waitedKey      = "progress_waited"
	referenceKey   = "progress_reference"
	plateauKey     = "progress_plateau"
	plateauBestKey = "progress_plateau_best"
	reductionsKey  = "progress_reductions"
)

// Save writes the progress into a checkpoint's figures; before the first
// evaluation it writes nothing. JSON has no infinities, so losses that are infinite,
// as they are before the first finite one, are left out.
func (p Progress) Save(figures map[string]float64) {
	if p.Evaluations == 0 {
		return
	}
	for key, v := range map[string]float64{
		evaluationsKey: float64(p.Evaluations), bestKey: p.Best, bestStepKey: float64(p.BestStep),
		waitedKey: float64(p.Waited), referenceKey: p.Reference,
		plateauKey: float64(p.Plateau), plateauBestKey: p.PlateauBest, reductionsKey: float64(p.Reductions),
	} {
		if !math.IsInf(v, 0) {
			figures[key] = v
		}
	}
}

// LoadProgress reads what Save wrote.
func LoadProgress(figures map[string]float64) Progress {
	count := func(key string) uint64 { return uint64(figures[key]) }
	loss := func(key string) float64 {
		if v, ok := figures[key]; ok {
			return v
		}
		return math.Inf(1)
	}
	if figures[evaluationsKey] == 0 {
		return Progress{}
	}
	return Progress{
		Evaluations: count(evaluationsKey), Best: loss(bestKey), BestStep: count(bestStepKey),
		Waited: count(waitedKey), Reference: loss(referenceKey),
		Plateau: count(plateauKey), PlateauBest: loss(plateauBestKey), Reductions: count(reductionsKey),
	}
}
