package main

import (
	"strings"
	"testing"
	"time"

	"reprise/integration"
	"reprise/training"
)

func started(epochs uint64) training.TrainingRun {
	return training.TrainingRun{ID: "run", Session: training.TrainingSession{
		Dataset: training.Dataset{Path: "digits", Training: 100},
		Hyperparameters: training.Hyperparameters{
			BatchSize: 10, Epochs: epochs, LearningRate: training.LearningRate{Value: 0.1},
		},
	}}
}

func TestProgressTellsRateAndTimeLeft(t *testing.T) {
	var p progress
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	p.begin(now, started(4))
	for step := uint64(1); step <= 20; step++ {
		now = now.Add(200 * time.Millisecond)
		p.stepped(now, integration.StepResult{Step: step, Epoch: (step + 9) / 10, Loss: 0.5, Samples: 10, EpochDone: step%10 == 0})
	}
	if rate := p.rate.perSecond(); rate < 49.9 || rate > 50.1 {
		t.Errorf("%v samples/s, want 50", rate)
	}
	if eta, ok := p.eta(); !ok || eta != 4*time.Second {
		t.Errorf("ETA %v, want 4s", eta)
	}
	p.recorded(now, training.EpochCompleted{Epoch: 2, Step: 20, Metrics: training.Metrics{ValAccuracy: 0.75}})
	for _, want := range []string{"epoch 2/4", "step 20/40", "50 samples/s", "loss 0.5000", "val accuracy 0.7500", "ETA 4.0s"} {
		if got := p.figures(); !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
}

func TestTimeLeftOfAResumedRunCountsItsOwnStepsOnly(t *testing.T) {
	var p progress
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	p.begin(now, started(4))
	p.recorded(now, training.ModelInitialized{Step: 30})
	if _, ok := p.eta(); ok {
		t.Error("a time left before the first step")
	}
	p.stepped(now.Add(time.Second), integration.StepResult{Step: 31, Epoch: 4, Samples: 10})
	if eta, ok := p.eta(); !ok || eta != 9*time.Second {
		t.Errorf("ETA %v, want 9s", eta)
	}
}

func TestSparklineFallsWithTheLoss(t *testing.T) {
	h := newLossHistory(6)
	for i, loss := range []float64{1, 0.5, 0.25, 0.125} {
		h.add(uint64(i)+1, loss)
	}
	if got := h.sparkline(); got != "█▅▃▁" {
		t.Errorf("sparkline %q", got)
	}
	if got := (&lossHistory{}).sparkline(); got != "" {
		t.Errorf("sparkline of nothing %q", got)
	}
}

func TestFiguresForPeople(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{thousands(0), "0"}, {thousands(999), "999"}, {thousands(1000), "1,000"}, {thousands(-1234567), "-1,234,567"},
		{shortDuration(-time.Second), "0s"}, {shortDuration(1540 * time.Millisecond), "1.5s"}, {shortDuration(59 * time.Second), "59s"},
		{shortDuration(185 * time.Second), "3m05s"}, {shortDuration(130 * time.Minute), "2h10m"},
		{programName("/tmp/go-build123/b001/exe/reprise"), "go run ./cmd/reprise"}, {programName("./reprise"), "./reprise"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
