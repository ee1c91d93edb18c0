package loop

import (
	"fmt"
	"strings"
	"testing"

	"reprise/dataset"
	"reprise/kernel/cpu"
	"reprise/nn"
	"reprise/training"
)

// quantities returns a session that trains a small model of a regression with outliers.
func quantities(t *testing.T) (training.TrainingSession, *dataset.Dataset) {
	t.Helper()
	var table strings.Builder
	table.WriteString("area,rooms,price\n")
	for i := range 60 {
		fmt.Fprintf(&table, "%d.5,%d,%d00.25\n", 20+i*7%50, i%5, 20+i*7%50+i%5+i%20/19*300)
	}
	return sessionOf(t, dataset.Source{Task: dataset.Regression, Target: "price"}, "t.csv", table.String(), nn.Linear{Units: 6}, nn.Linear{Units: 1})
}

// Every loss, weight, sampler and monitor gives the same bits on any number of threads,
// with any instruction set, and resumed after any step.
func TestWhatTrainingFollowsGivesTheSameBits(t *testing.T) {
	for _, c := range []struct {
		name, weights string // the beginning of their hash
		regression    bool
		options       training.Options
	}{
		{"focal", "637558f91284", false, training.Options{Regularization: nn.Regularization{Loss: nn.Loss{Name: nn.LossFocal}}}},
		{"weights", "ee53c2452615", false, training.Options{ClassWeight: `{"3":2.5,"7":0}`}},
		{"balanced weights", "5737c9aec08b", false, training.Options{ClassWeight: training.BalancedClasses, Regularization: nn.Regularization{LabelSmoothing: 0.1}}},
		{"balanced sampler", "7f51755d89bc", false, training.Options{Sampler: training.BalancedSampler, GradientAccumulation: 2}},
		{"all", "06d66300ebbe", false, training.Options{
			Sampler: training.BalancedSampler, ClassWeight: `{"1":3}`, Regularization: nn.Regularization{Loss: nn.Loss{Name: nn.LossFocal, Gamma: 1.5}},
			Monitor: "f1_macro", EvalInterval: 2}},
		{"mae", "d8a8bb0880eb", true, training.Options{Regularization: nn.Regularization{Loss: nn.Loss{Name: nn.LossMAE}}, Monitor: "mae"}},
		{"huber", "ebac292841c8", true, training.Options{Regularization: nn.Regularization{Loss: nn.Loss{Name: nn.LossHuber, Delta: 0.25}}, Monitor: "r2"}},
	} {
		session, data := digitsSession(t)
		session.Hyperparameters.BatchSize = 256
		if c.regression {
			session, data = quantities(t)
			session.Hyperparameters.BatchSize = 9
		}
		plain := trainedBits(t, session, data, cpu.Config{Threads: 1}, false)
		session.Hyperparameters.Options = c.options.Recorded()
		want := trainedBits(t, session, data, cpu.Config{Threads: 1}, false)
		if weights, _, _ := strings.Cut(want, " "); !strings.HasPrefix(weights, c.weights) {
			t.Errorf("%s: the weights have the hash %.12s, want %s", c.name, weights, c.weights)
		}
		if want == plain {
			t.Errorf("%s makes no difference", c.name)
		}
		for _, level := range cpu.Detect().Levels() {
			if got := trainedBits(t, session, data, cpu.Config{Threads: 3, Features: level}, false); got != want {
				t.Errorf("%s, %v: %s, want %s", c.name, level, got, want)
			}
		}
		if got := trainedBits(t, session, data, cpu.Config{Threads: 2}, true); got != want {
			t.Errorf("%s, resumed after each step: %s, want %s", c.name, got, want)
		}
	}
}

// trainedBits trains two epochs and returns the hash of the weights, and all that was
// measured. If resumed is set, each step is taken by another execution.
func trainedBits(t *testing.T, session training.TrainingSession, data *dataset.Dataset, config cpu.Config, resumed bool) string {
	t.Helper()
	backend, err := cpu.NewBackend(config)
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close()
	fresh := func() *Execution {
		x, err := NewExecution(session, data, backend)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	x := fresh()
	defer func() { x.Close() }()
	if err := x.Reset(); err != nil {
		t.Fatal(err)
	}
	var measured strings.Builder
	for x.Epoch() < 2 {
		step, err := x.Train()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&measured, " %v", step.Loss)
		if x.EvaluationDue() {
			e, err := x.Evaluate()
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&measured, " %+v", e)
		}
		if step.EpochDone {
			m, err := x.FinishEpoch()
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&measured, " %+v", m)
		}
		if !resumed {
			continue
		}
		content, err := x.Content("run")
		if err != nil {
			t.Fatal(err)
		}
		x.Close()
		x = fresh()
		if err := x.Restore(content); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Fprintf(&measured, " %+v", x.progress)
	weights, err := x.WeightsSHA256()
	if err != nil {
		t.Fatal(err)
	}
	return weights + measured.String()
}

// The monitored figure is that of the figures that are computed in the end.
func TestTheMonitoredFigureIsThatOfTheFigures(t *testing.T) {
	for _, monitor := range []string{"accuracy", "f1_macro", "log_loss", "recall.3", "top_3"} {
		session, data := digitsSession(t)
		session.Hyperparameters.Monitor = monitor
		if err := session.Hyperparameters.Fit(data); err != nil {
			t.Fatal(err)
		}
		x := trained(t, session, data, 0)
		e, err := x.Evaluate()
		if err != nil {
			t.Fatal(err)
		}
		f := figuresOf(t, x, training.Metrics{})
		found, ok := f.Find(monitor)
		if got, defined := e.Monitored.Value(); !ok || !defined || got != *found.Value || f.Monitor != monitor {
			t.Errorf("%s: %v, the figures have %v", monitor, e.Monitored, found)
		}
		x.trainer = infinite{x.trainer}
		if monitor == "accuracy" {
			continue // which an evaluation has by itself
		}
		if e, err = x.Evaluate(); err != nil || e.Monitored.IsZero() || e.Monitored.String() != "undefined" {
			t.Errorf("%s of predictions that are not finite: %v, %v", monitor, e.Monitored, err)
		}
	}
}

func TestFitRefusesWhatTheDataLacks(t *testing.T) {
	digits, digitsData := digitsSession(t)
	flats, flatsData := quantities(t)
	_, textData := sessionOf(t, dataset.Source{Tokenizer: "characters", Context: 4, ValidationFraction: 0.5}, "t.txt", strings.Repeat("ab", 60),
		nn.Embedding{Vocabulary: 2, Width: 4}, nn.Linear{Units: 2})
	zero, zeroData := sessionOf(t, dataset.Source{Task: dataset.Regression, Target: "y,z"}, "t.csv", "x,y,z\n"+strings.Repeat("1,0,1\n2,1,2\n3,0,3\n", 9), nn.Linear{Units: 2})
	loss := func(name nn.LossName) training.Options {
		return training.Options{Regularization: nn.Regularization{Loss: nn.Loss{Name: name}}}
	}
	for _, c := range []struct {
		session training.TrainingSession
		data    *dataset.Dataset
		options training.Options
		want    string // "" for what fits
	}{
		{digits, digitsData, training.Options{Monitor: "f1_macr"}, "config.monitor: f1_macr is not a figure of this task; it has val_loss, accuracy, balanced_accuracy, "},
		{digits, digitsData, training.Options{Monitor: "f1_macr"}, "did you mean f1_macro?"},
		{digits, digitsData, training.Options{Monitor: "f1"}, "did you mean f1_macro?"},
		{digits, digitsData, training.Options{Monitor: "recall.x"}, "did you mean recall."},
		{digits, digitsData, training.Options{Monitor: "rmse"}, "as in precision.0"},
		{digits, digitsData, training.Options{Monitor: "val_loss"}, ""},
		{digits, digitsData, training.Options{Monitor: "pr_auc.7"}, ""},
		{digits, digitsData, loss(nn.LossHuber), "config.loss: huber is a loss of quantities"},
		{digits, digitsData, loss(nn.LossFocal), ""},
		{digits, digitsData, training.Options{ClassWeight: `{"x":2,"y":2}`}, `config.class_weight: "y" is not a class`},
		{flats, flatsData, training.Options{Monitor: "rsme"}, "it has val_loss, rmse, mae, median_absolute_error, r2, mape; did you mean rmse?"},
		{flats, flatsData, training.Options{Monitor: "mae.price"}, ""},
		{flats, flatsData, loss(nn.LossFocal), "config.loss: focal does not fit a regression"},
		{flats, flatsData, loss(nn.LossCrossEntropy), "config.loss: cross_entropy is a loss of classes"},
		{flats, flatsData, training.Options{Sampler: training.BalancedSampler}, "config.sampler: balanced does not fit a regression"},
		{flats, flatsData, training.Options{ClassWeight: training.BalancedClasses}, `config.class_weight: "balanced" does not fit a regression`},
		{digits, textData, training.Options{Monitor: "perplexity"}, ""},
		{digits, textData, training.Options{Monitor: "f1"}, "it has val_loss, accuracy, log_loss, perplexity, bits_per_byte"},
		{digits, textData, loss(nn.LossFocal), "does not fit a text"},
		{digits, textData, loss(nn.LossMSE), "is a loss of quantities, and the task next_token has none"},
		{zero, zeroData, training.Options{Monitor: "rmse"}, "did you mean rmse.y?"},
		{zero, zeroData, training.Options{Monitor: "rmse.z"}, ""},
		{zero, zeroData, training.Options{Monitor: "mape.y"}, "config.monitor: mape.y is not defined on the validation split, where a target is 0"},
	} {
		h := c.session.Hyperparameters
		h.BatchSize, h.Shards, h.Options = 1, 1, c.options
		err := h.Fit(c.data)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.options, err, c.want)
		}
	}
}
