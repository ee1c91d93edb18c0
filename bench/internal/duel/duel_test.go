package duel_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"reprise/bench/internal/duel"
)

// steady takes the same time for each piece of work.
type steady float64

func (s steady) Check() ([]float32, error)  { return []float32{1}, nil }
func (s steady) Run(n int) (float64, error) { return float64(s) * float64(n), nil }

func TestCompareGivesTheRateOfEachSide(t *testing.T) {
	rates, err := duel.Compare(duel.Config{Rounds: 2, Seconds: 1}, steady(0.001), steady(0.004))
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(rates[0]-1000) > 1e-6 || math.Abs(rates[1]-250) > 1e-6 {
		t.Errorf("rates %v, want 1000 and 250", rates)
	}
}

func TestAgreeRefusesOtherResults(t *testing.T) {
	nan := float32(math.NaN())
	for name, pair := range map[string][2][]float32{
		"a value":  {{1, 2}, {1, 2.01}},
		"a NaN":    {{1, nan}, {1, nan}},
		"a length": {{1}, {1, 2}},
		"nothing":  {{}, {}},
	} {
		if err := duel.Agree(pair[0], pair[1], 1e-3); !errors.Is(err, duel.ErrDisagree) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := duel.Agree([]float32{1, 2}, []float32{1, 2.0005}, 1e-3); err != nil {
		t.Error(err)
	}
}

func TestLineIsOneLineWithRoundedFigures(t *testing.T) {
	var out strings.Builder
	line := duel.Line{Work: "mlp", Ours: 34034.4, Peer: "P", Theirs: 12.34567, Ratio: 2756.8, Unit: "samples/s", Threads: 2}
	if err := line.Write(&out); err != nil {
		t.Fatal(err)
	}
	const want = `{"work":"mlp","ours":34034,"peer":"P","theirs":12.35,"ratio":2757,"unit":"samples/s","threads":2}` + "\n"
	if out.String() != want {
		t.Errorf("got  %swant %s", out.String(), want)
	}
}
