package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"

	"reprise/api"
	"reprise/training"
)

func TestTheCursorWaitsBelowTheLiveDisplay(t *testing.T) {
	shown := progress{id: "r", title: "a model on data", epochs: 2, totalSteps: 10}
	m := liveModel{snapshot: func() progress { return shown }, others: func() []progress { return nil }, width: 80}
	for height, want := range map[int]int{0: len(m.lines(shown)), 24: len(m.lines(shown)), 3: 2} {
		m.height = height
		view := m.View()
		if view.Cursor == nil || view.Cursor.X != 0 || view.Cursor.Y != want {
			t.Errorf("in %d rows: %+v, want it in row %d", height, view.Cursor, want)
		}
	}
}

// A terminal shows Ctrl-C as "^C" where the cursor waits.
func TestAFrameBeginsInTheFirstColumn(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "terminal"))
	if err != nil {
		t.Fatal(err)
	}
	w := fromFirstColumn(f)
	for _, text := range []string{"one", "two"} {
		if n, err := io.WriteString(w, text); n != len(text) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(f.Name()); err != nil || string(raw) != "\rone\rtwo" {
		t.Errorf("%q, %v", raw, err)
	}
}

func started(epochs uint64) api.RunReport {
	return api.RunReport{Details: api.RunDetails{
		Run:  api.Run{Result: api.Result{RunID: "run"}, Epochs: epochs, TotalSteps: 10 * epochs},
		Data: training.Dataset{Path: "digits", Training: 100},
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
		p.stepped(now, api.StepsTaken{Step: step, Epoch: (step + 9) / 10, Loss: 0.5, Samples: 10, EpochDone: step%10 == 0})
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
	p.stepped(now.Add(time.Second), api.StepsTaken{Step: 31, Epoch: 4, Samples: 10})
	if eta, ok := p.eta(); !ok || eta != 9*time.Second {
		t.Errorf("ETA %v, want 9s", eta)
	}
}

func TestSparklineFallsWithTheLoss(t *testing.T) {
	var h lossHistory
	for i, loss := range []float64{1, 0.5, 0.25, 0.125} {
		h.add(uint64(i)+1, loss)
	}
	if got := h.sparkline(60); got != "█▅▃▁" {
		t.Errorf("sparkline %q", got)
	}
	if got := h.sparkline(2); got != "█▁" {
		t.Errorf("sparkline in two columns %q", got)
	}
	if got := (&lossHistory{}).sparkline(60); got != "" {
		t.Errorf("sparkline of nothing %q", got)
	}
}

// Whatever the number of steps is, and wherever they begin, the parts cover them and
// nothing else.
func TestSparklineShowsTheStepsSoFar(t *testing.T) {
	for _, first := range []uint64{1, 17, 27_001} {
		var h lossHistory
		for n := 1; n <= 1000; n++ {
			h.add(first+uint64(n)-1, 1)
			got := len([]rune(h.sparkline(historyParts)))
			if got > historyParts || n <= historyParts && got != n || n > historyParts && got < historyParts/2 {
				t.Fatalf("%d parts of %d steps from %d on", got, n, first)
			}
			sum := 0
			for _, c := range h.counts {
				sum += c
			}
			if sum != n {
				t.Fatalf("%d steps counted of %d", sum, n)
			}
		}
	}
}

func TestLiveDisplayFitsTheTerminalAndShowsWhatThereIs(t *testing.T) {
	var p progress
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	p.begin(now, started(4))
	p.notes = []string{"fork of run 20261130-042424-sgzy at step 16, with config.epochs 3 -> 4, config.learning_rate 0.01 -> 0.005"}
	show := func(width int) []string {
		lines := liveModel{width: width}.lines(p)
		for i, l := range lines {
			if lipgloss.Width(l) > width {
				t.Errorf("%d columns in %d: %q", lipgloss.Width(l), width, l)
			}
			lines[i] = ansiCodes.ReplaceAllString(l, "")
		}
		return lines
	}
	text := strings.Join(show(80), "\n")
	for _, want := range []string{"loss: after the first step\n", "with config.epochs 3 -> 4,\n  config.learning_rate 0.01 -> 0.005"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	p.stepped(now.Add(time.Second), api.StepsTaken{Step: 1, Epoch: 1, Loss: 0.5, Samples: 10})
	if text = strings.Join(show(80), "\n"); !strings.Contains(text, "loss 0.5000    ▁\n") {
		t.Errorf("no loss of one step in\n%s", text)
	}
	for width := 1; width < 40; width++ {
		show(width)
	}
	if text := strings.Join(show(20), "\n"); !strings.Contains(text, "\nvalidation: at the …\n") {
		t.Errorf("in 20 columns:\n%s", text)
	}
	if got := cutLine("validation", 5); got != "vali…" {
		t.Errorf("cut to %q", got)
	}
}

var ansiCodes = regexp.MustCompile("\x1b\\[[0-9;]*m")

func TestACounterHasAUnitAndOneLine(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c := &counter{what: "verifying 20261130-042424-sgzy", unit: "steps", started: now}
	text := c.text(now.Add(time.Second), 1000, 27_000)
	if want := "verifying 20261130-042424-sgzy: 1,000 of 27,000 steps  ETA 26s"; text != want {
		t.Errorf("%q, want %q", text, want)
	}
	fetch := &counter{what: "fetching mnist", unit: byteUnit, started: now}
	if got, want := fetch.text(now, 0, 11_594_722), "fetching mnist: 0 bytes of 11.6 MB"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for width := 1; width < 120; width++ {
		if got := lipgloss.Width(besideBar(text, 1000, 27_000, width)); got >= max(width, 2) {
			t.Errorf("%d columns in %d", got, width)
		}
	}
	if got, want := besideBar(text, 27, 27, 80), strings.Repeat("█", 15)+"  "+text; got != want {
		t.Errorf("%q, want %q", got, want)
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
