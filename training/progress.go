package training

import (
	"math"
	"strings"
)

// EarlyStopping ends training after Patience evaluations in a row whose monitored figure
// is not better than the best one so far by more than MinDelta, at the end of the epoch in
// which that happens. The zero value never ends it.
type EarlyStopping struct {
	Patience uint64  `json:"patience"`
	MinDelta float64 `json:"min_delta,omitempty"`
}

// Progress is what early stopping and the schedule reduce_on_plateau remember of
// the evaluations so far. It is part of a checkpoint. The zero value is that
// before the first evaluation.
type Progress struct {
	Evaluations uint64
	// Best is the lowest cost, which is the validation loss or another figure with the
	// sign that makes a lower one better, and BestStep the step it was reached at.
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

// Observe returns the progress after an evaluation. A loss that is not a number, or a
// monitored figure that is undefined, is not an improvement. The schedule follows the
// validation loss, whatever is monitored.
func (h Hyperparameters) Observe(p Progress, e Evaluation) Progress {
	loss, cost := e.ValLoss, h.cost(e.ValLoss, e.Monitored)
	first := p.Evaluations == 0
	p.Evaluations++
	if first {
		p.Best, p.Reference, p.PlateauBest = math.Inf(1), math.Inf(1), math.Inf(1)
	}
	if cost < p.Best {
		p.Best, p.BestStep = cost, e.Step
	}
	p.Waited++
	if cost < p.Reference-h.EarlyStopping.MinDelta {
		p.Reference, p.Waited = cost, 0
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

// Stopped returns the event that ends training after an epoch, and whether early stopping
// asks for it.
func (h Hyperparameters) Stopped(p Progress, epoch, step uint64) (EarlyStopped, bool) {
	return EarlyStopped{Epoch: epoch, Step: step, Best: h.monitored(p.Best), BestStep: p.BestStep, Monitor: h.Monitor}, h.Stop(p)
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

// measureKey begins the key that says what the costs of a Progress are, if they are not
// validation losses of the task's default loss.
const measureKey = "progress_measure "

// SaveProgress writes the progress into a checkpoint's figures, with what its costs are.
func (h Hyperparameters) SaveProgress(p Progress, figures map[string]float64) {
	p.save(figures)
	if m := h.measure(); m != "" && p != (Progress{}) {
		figures[measureKey+m] = 1
	}
}

// RestoreProgress reads what SaveProgress wrote. Costs of another kind, as the parent of a
// fork may have had, are forgotten: only the reductions of the learning rate stay.
func (h Hyperparameters) RestoreProgress(figures map[string]float64) Progress {
	p, measure := loadProgress(figures), ""
	for key := range figures {
		if name, ok := strings.CutPrefix(key, measureKey); ok {
			measure = name
		}
	}
	if measure != h.measure() {
		return Progress{Reductions: p.Reductions}
	}
	return p
}

// save writes the progress into a checkpoint's figures; before the first evaluation it
// writes nothing. JSON has no infinities, so losses that are infinite, as they are before
// the first finite one, are left out.
func (p Progress) save(figures map[string]float64) {
	if p == (Progress{}) {
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

// loadProgress reads what save wrote.
func loadProgress(figures map[string]float64) Progress {
	count := func(key string) uint64 { return uint64(figures[key]) }
	loss := func(key string) float64 {
		if v, ok := figures[key]; ok {
			return v
		}
		return math.Inf(1)
	}
	if _, saved := figures[evaluationsKey]; !saved {
		return Progress{}
	}
	return Progress{
		Evaluations: count(evaluationsKey), Best: loss(bestKey), BestStep: count(bestStepKey),
		Waited: count(waitedKey), Reference: loss(referenceKey),
		Plateau: count(plateauKey), PlateauBest: loss(plateauBestKey), Reductions: count(reductionsKey),
	}
}
