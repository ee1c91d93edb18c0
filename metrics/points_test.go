package metrics

import (
	"math"
	"slices"
	"testing"
)

// evaluations calls test with each case of the fixtures.
func evaluations(t *testing.T, test func(t *testing.T, e *Evaluation, calibration [2][]float64)) {
	t.Helper()
	for _, c := range readFixtures(t).Classification {
		t.Run(c.Name, func(t *testing.T) {
			e := NewClassEvaluation(make([]string, c.Classes), nil)
			for i, label := range c.Labels {
				var err error
				if c.Logits != nil {
					err = e.AddClass(label, c.Logits[i])
				} else {
					err = e.tally.AddProbabilities(label, c.Probabilities[i])
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			test(t, e, c.Calibration)
		})
	}
}

// areaUnder returns the area under the straight lines between points.
func areaUnder(p Points) (area float64) {
	for i := 1; i < len(p.X); i++ {
		area += (p.X[i] - p.X[i-1]) * (p.Y[i] + p.Y[i-1]) / 2
	}
	return area
}

// The areas are those of scikit-learn, as the figures are.
func TestTheAreasUnderCurvesAreTheFigures(t *testing.T) {
	evaluations(t, func(t *testing.T, e *Evaluation, _ [2][]float64) {
		for i, class := range e.Figures().Classification.Classes {
			for name, c := range map[string]struct {
				points Points
				want   *float64
			}{"ROC": {e.ROC(i), class.ROCAUC}, "PR": {e.PrecisionRecall(i), class.PRAUC}} {
				p := c.points
				if (len(p.X) == 0) != (c.want == nil) || len(p.X) != len(p.Y) {
					t.Fatalf("%s of class %d: %+v, the area is %v", name, i, p, c.want)
				}
				if c.want == nil {
					continue
				}
				if area := areaUnder(p); math.Abs(area-*c.want) > 1e-12 {
					t.Errorf("%s of class %d: the area is %v, the figure %v", name, i, area, *c.want)
				}
				if last := len(p.X) - 1; p.X[0] != 0 || p.X[last] != 1 || !slices.IsSorted(p.X) || name == "ROC" && (p.Y[0] != 0 || p.Y[last] != 1) {
					t.Errorf("%s of class %d does not span the axes: %+v", name, i, p)
				}
			}
		}
	})
}

func TestCalibrationIsThatOfScikitLearn(t *testing.T) {
	compared := 0
	evaluations(t, func(t *testing.T, e *Evaluation, want [2][]float64) {
		list := e.Calibration()
		samples := 0
		for _, b := range list {
			samples += b.Samples
		}
		if samples != e.tally.samples {
			t.Errorf("%d samples, want %d", samples, e.tally.samples)
		}
		if want[0] == nil {
			return
		}
		compared++
		if len(list) != len(want[0]) {
			t.Fatalf("%+v, want %v", list, want)
		}
		for i, b := range list {
			if math.Abs(b.Probability-want[0][i]) > 1e-9 || math.Abs(b.Share-want[1][i]) > 1e-9 {
				t.Errorf("%+v, want %v and %v", b, want[0][i], want[1][i])
			}
		}
	})
	if compared < 5 {
		t.Errorf("%d cases have a calibration", compared)
	}
}

// Of several classes it is the predicted one whose probability is compared.
func TestCalibrationOfSeveralClassesIsThatOfThePredictedOne(t *testing.T) {
	e := NewClassEvaluation([]string{"a", "b", "c"}, nil)
	for _, s := range []struct {
		label  int
		scores []float64
	}{{0, []float64{0.75, 0.125, 0.125}}, {1, []float64{0.75, 0.125, 0.125}}, {2, []float64{0.25, 0, 0.75}}, {1, []float64{0, 1, 0}}, {1, []float64{0.5, 0.5, 0}}} {
		if err := e.tally.AddProbabilities(s.label, s.scores); err != nil {
			t.Fatal(err)
		}
	}
	want := []Bin{{0.5, 0, 1}, {0.75, 2. / 3, 3}, {1, 1, 1}}
	if got := e.Calibration(); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	// |0.5-0| * 1/5 + |0.75-2/3| * 3/5 + 0
	if got := CalibrationError(want); got == nil || math.Abs(*got-0.15) > 1e-12 {
		t.Errorf("the calibration error is %v", got)
	}
	if CalibrationError(nil) != nil {
		t.Error("nothing has a calibration error")
	}
}

func TestTheHeightOfACurveIsBetweenItsPoints(t *testing.T) {
	p := Points{X: []float64{0, 0, 0.5, 0.5, 1}, Y: []float64{0, 0.25, 0.5, 0.75, 1}}
	for x, want := range map[float64]float64{0: 0.25, 0.25: 0.375, 0.5: 0.75, 0.75: 0.875, 1: 1, 2: 1} {
		if got := p.At(x); got != want {
			t.Errorf("at %v it is %v, want %v", x, got, want)
		}
	}
}

func TestSamplesThatAreNotKeptHaveNoPoints(t *testing.T) {
	e := NewClassEvaluation([]string{"a", "b"}, nil)
	e.tally.most = 4
	for i := range 3 {
		if !e.Kept() {
			t.Errorf("%d samples are not kept", i)
		}
		if err := e.AddClass(i%2, []float32{0, 1}); err != nil {
			t.Fatal(err)
		}
	}
	if e.Kept() || e.ROC(1).X != nil || e.PrecisionRecall(1).X != nil || e.Calibration() != nil {
		t.Errorf("kept: %v, %+v, %+v, %+v", e.Kept(), e.ROC(1), e.PrecisionRecall(1), e.Calibration())
	}
	q := NewValueEvaluation([]Quantity{{Name: "a"}})
	if err := q.AddValues([]float64{3}, []float64{2}); err != nil {
		t.Fatal(err)
	}
	if truth, predicted := q.Predictions(0); !q.Kept() || !slices.Equal(truth, []float64{3}) || !slices.Equal(predicted, []float64{2}) {
		t.Errorf("%v, %v", truth, predicted)
	}
}
