package training

import (
	"encoding/json"
	"math"
	"testing"

	"pgregory.net/rapid"

	"reprise/nn"
)

// observe feeds losses and returns the progress after each.
func observe(h Hyperparameters, losses ...float64) []Progress {
	var p Progress
	var all []Progress
	for i, loss := range losses {
		p = h.Observe(p, Evaluation{Step: uint64(10 * (i + 1)), ValLoss: loss})
		all = append(all, p)
	}
	return all
}

func TestEarlyStoppingCountsEvaluationsWithoutImprovement(t *testing.T) {
	h := Hyperparameters{Options: Options{EarlyStopping: EarlyStopping{Patience: 2, MinDelta: 0.1}}}
	nan := math.NaN()
	for name, c := range map[string]struct {
		losses []float64
		stop   []bool
		best   float64
		step   uint64
	}{
		"falling":           {[]float64{3, 2, 1}, []bool{false, false, false}, 1, 30},
		"level":             {[]float64{3, 3, 3}, []bool{false, false, true}, 3, 10},
		"too little":        {[]float64{3, 2.95, 2.91}, []bool{false, false, true}, 2.91, 30},
		"little by little":  {[]float64{3, 2.95, 2.89, 2.85}, []bool{false, false, false, false}, 2.85, 40},
		"up, down, and up":  {[]float64{3, 4, 2, 4, 4}, []bool{false, false, false, false, true}, 2, 30},
		"never a number":    {[]float64{nan, nan}, []bool{false, true}, math.Inf(1), 0},
		"a number at last":  {[]float64{nan, 5, 6}, []bool{false, false, false}, 5, 20},
		"exactly the delta": {[]float64{3, 2.9, 2.9}, []bool{false, false, true}, 2.9, 20},
	} {
		all := observe(h, c.losses...)
		for i, p := range all {
			if got := h.Stop(p); got != c.stop[i] {
				t.Errorf("%s: after evaluation %d stop is %v, want %v", name, i+1, got, c.stop[i])
			}
		}
		if last := all[len(all)-1]; last.Best != c.best || last.BestStep != c.step {
			t.Errorf("%s: best %v at step %d, want %v at %d", name, last.Best, last.BestStep, c.best, c.step)
		}
	}
	if (Hyperparameters{}).Stop(Progress{Waited: 1 << 60}) {
		t.Error("training without early stopping stops")
	}
}

func TestReduceOnPlateauLowersTheRate(t *testing.T) {
	h := Hyperparameters{LearningRate: LearningRate{Value: 1, Schedule: Schedule{
		Name: ReduceOnPlateau, Gamma: 0.5, Patience: 1, Threshold: 0.1, MinFactor: 0.2, WarmupSteps: 4, TotalSteps: 100}}}
	if err := h.LearningRate.Validate(); err != nil {
		t.Fatal(err)
	}
	// better, then two without: the second is one more than patience bears
	all := observe(h, 4, 3, 2.8, 2.9, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0)
	want := []float32{1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2}
	for i, p := range all {
		if got := h.Rate(50, p); got != want[i] {
			t.Errorf("after evaluation %d the rate is %v, want %v", i+1, got, want[i])
		}
	}
	if got := h.Rate(1, Progress{}); got != 0.5 {
		t.Errorf("the rate of the second of 4 warm-up steps is %v, want 0.5", got)
	}
}

func TestProgressSurvivesACheckpoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := Hyperparameters{
			Options: Options{EarlyStopping: EarlyStopping{Patience: rapid.Uint64Range(1, 4).Draw(t, "patience"), MinDelta: rapid.Float64Range(0, 1).Draw(t, "delta")}},
			LearningRate: LearningRate{Value: 1, Schedule: Schedule{
				Name: ReduceOnPlateau, Gamma: 0.5, Patience: rapid.Uint64Range(0, 2).Draw(t, "plateau"), Threshold: rapid.Float64Range(0, 0.5).Draw(t, "threshold")}},
		}
		h.Monitor = rapid.SampledFrom([]string{"", "f1_macro", "rmse"}).Draw(t, "monitor")
		h.Loss.Name = rapid.SampledFrom([]nn.LossName{"", nn.LossHuber}).Draw(t, "loss")
		losses := rapid.SliceOfN(rapid.OneOf(rapid.Float64Range(0, 3), rapid.Just(math.NaN()), rapid.Just(math.Inf(1))), 0, 12).Draw(t, "losses")
		var straight, saved Progress
		for i, loss := range losses {
			e := Evaluation{Step: uint64(i), ValLoss: loss}
			if figure := rapid.OneOf(rapid.Float64Range(-1, 1), rapid.Just(math.NaN())).Draw(t, "figure"); h.Monitor != "" {
				e.Monitored = MonitoredOf(&figure)
			}
			straight, saved = h.Observe(straight, e), h.Observe(saved, e)
			figures := map[string]float64{}
			h.SaveProgress(saved, figures)
			raw, err := json.Marshal(figures) // as a checkpoint's manifest does
			if err != nil {
				t.Fatal(err)
			}
			figures = nil
			if err := json.Unmarshal(raw, &figures); err != nil {
				t.Fatal(err)
			}
			if saved = h.RestoreProgress(figures); saved != straight {
				t.Fatalf("after loss %d: %+v, without a checkpoint %+v", i, saved, straight)
			}
		}
	})
}

// A figure that is undefined is no improvement, and whether a higher or a lower one is
// better follows from its name.
func TestEarlyStoppingFollowsTheMonitoredFigure(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		monitor string
		values  []float64
		stop    []bool
		best    float64
		step    uint64
	}{
		{"f1_macro", []float64{0.5, 0.7, 0.6, 0.65}, []bool{false, false, false, true}, 0.7, 20},
		{"rmse", []float64{5, 3, 4, 3}, []bool{false, false, false, true}, 3, 20},
		{"r2", []float64{-2, -1, nan, nan}, []bool{false, false, false, true}, -1, 20},
		{"recall.loss", []float64{0, 0.25, 0.25, nan}, []bool{false, false, false, true}, 0.25, 20},
		{"roc_auc", []float64{nan, nan}, []bool{false, true}, 0, 0},
		{"accuracy", []float64{0, 0, 0}, []bool{false, false, true}, 0, 10},
	} {
		h := Hyperparameters{Options: Options{Monitor: c.monitor, EarlyStopping: EarlyStopping{Patience: 2}}}
		var p Progress
		for i, v := range c.values {
			p = h.Observe(p, Evaluation{Step: uint64(10 * (i + 1)), ValLoss: float64(i), Monitored: MonitoredOf(&v)})
			got, stop := h.Stopped(p, 1, 50)
			if stop != c.stop[i] {
				t.Errorf("%s: after evaluation %d stop is %v, want %v", c.monitor, i+1, stop, c.stop[i])
			}
			if want := (EarlyStopped{Epoch: 1, Step: 50, Best: c.best, BestStep: c.step, Monitor: c.monitor}); i == len(c.values)-1 && (got != want || math.Signbit(got.Best) != math.Signbit(want.Best)) {
				t.Errorf("%+v, want %+v", got, want)
			}
		}
	}
}

// What a parent was judged by means nothing to a fork that is judged by something else;
// the learning rate stays as low as it was.
func TestProgressOfAnotherMeasureIsForgotten(t *testing.T) {
	p := Progress{Evaluations: 3, Best: 0.5, BestStep: 20, Waited: 1, Reference: 0.5, PlateauBest: 0.5, Reductions: 2}
	was := Hyperparameters{}
	figures := map[string]float64{"epoch_loss_sum": 1}
	was.SaveProgress(p, figures)
	if len(figures) != 9 {
		t.Errorf("the default measure is saved, too: %v", figures)
	}
	for name, options := range map[string]Options{
		"monitor": {Monitor: "accuracy"},
		"loss":    {Regularization: nn.Regularization{Loss: nn.Loss{Name: nn.LossFocal}}},
		"neither": {},
	} {
		now := Hyperparameters{Options: options}
		want := Progress{Reductions: 2}
		if name == "neither" {
			want = p
		}
		got := now.RestoreProgress(figures)
		again := map[string]float64{}
		now.SaveProgress(got, again)
		if got != want || now.RestoreProgress(again) != want {
			t.Errorf("another %s: %+v, after a checkpoint %+v, want %+v", name, got, now.RestoreProgress(again), want)
		}
	}
	gentle, harsh := was, was
	gentle.Loss, harsh.Loss = nn.Loss{Name: nn.LossFocal, Gamma: 1}, nn.Loss{Name: nn.LossFocal, Gamma: 3}
	if gentle.measure() == harsh.measure() || (Options{}).measure() != "" {
		t.Errorf("measures %q and %q", gentle.measure(), harsh.measure())
	}
}
