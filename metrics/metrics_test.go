package metrics

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// same compares a figure with what it must be, to a few units in the last place.
func same(got *float64, want float64) bool {
	return got != nil && math.Abs(*got-want) <= 1e-15*max(1, math.Abs(want))
}

func logitsOf(t *testing.T, classes int, samples ...[]float32) *ClassTally {
	t.Helper()
	tally := NewClassTally(classes)
	for _, s := range samples { // the label comes first
		if err := tally.AddLogits(int(s[0]), s[1:]); err != nil {
			t.Fatal(err)
		}
	}
	return tally
}

func TestTheLossOfAnUnlikelyClassIsNotCutOff(t *testing.T) {
	f := logitsOf(t, 2, []float32{0, -500, 500}).Figures()
	if !same(f.LogLoss, 1000) {
		t.Errorf("log loss %v, want 1000", *f.LogLoss)
	}
}

func TestTheFirstOfEqualLogitsIsPredicted(t *testing.T) {
	f := logitsOf(t, 3, []float32{0, 1, 1, 0}, []float32{1, 1, 1, 0}).Figures()
	if got := f.Confusion; got[0][0] != 1 || got[1][0] != 1 {
		t.Errorf("confusion %v", got)
	}
}

func TestTheBaselineOfClassesPredictsTheMostFrequentOneOfTraining(t *testing.T) {
	tally := logitsOf(t, 3, []float32{0, 0, 0, 0}, []float32{2, 0, 0, 0}, []float32{2, 0, 0, 0}, []float32{2, 0, 0, 0})
	b := tally.Baseline([]int{5, 5, 10})
	if b.Class != 2 || !same(b.Accuracy, 0.75) || !same(b.BalancedAccuracy, 0.5) || !same(b.LogLoss, (math.Log(4)+3*math.Log(2))/4) {
		t.Errorf("baseline %+v", b)
	}
	if b := tally.Baseline([]int{7, 7, 1}); b.Class != 0 || !same(b.Accuracy, 0.25) {
		t.Errorf("of equal counts the first class is chosen: %+v", b)
	}
	if b := tally.Baseline([]int{0, 7, 1}); b.LogLoss != nil || !same(b.Accuracy, 0) || !same(b.BalancedAccuracy, 0) {
		t.Errorf("a class that training does not have: %+v", b)
	}
}

func TestWithoutSamplesNothingIsDefined(t *testing.T) {
	baseline := NewClassTally(3).Baseline([]int{1, 2, 3})
	if !slices.Equal(baseline.Trained, []int{1, 2, 3}) {
		t.Errorf("baseline %+v", baseline)
	}
	baseline.Trained = nil // which is of other samples
	for name, figures := range map[string]any{
		"classes": NewClassTally(3).Figures(), "baseline": baseline,
		"quantity": (&ValueTally{}).Figures(), "text": TextOf(0, 0, 0, 0), "text baseline": TextBaseline(0, []int{1}, []int{0}),
	} {
		raw, err := json.Marshal(figures)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got any
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		checkNull(t, name, got)
	}
}

// checkNull fails if there is a number other than a count or an index.
func checkNull(t *testing.T, path string, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if !slices.Contains([]string{"samples", "support", "predicted", "class", "k", "tokens", "bytes"}, key) {
				checkNull(t, path+"."+key, value)
			}
		}
	case []any:
		for _, value := range v {
			checkNull(t, path, value)
		}
	case float64:
		if path != "classes.confusion" {
			t.Errorf("%s is %v", path, v)
		}
	}
}

func TestWhatIsNotAPredictionIsRefused(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	tally := NewClassTally(2)
	var values ValueTally
	for _, c := range []struct {
		err  error
		want string
	}{
		{tally.AddLogits(2, []float32{0, 1}), "class 2 is not between 0 and 1"},
		{tally.AddLogits(-1, []float32{0, 1}), "class -1 is not between 0 and 1"},
		{tally.AddLogits(0, []float32{0, 1, 2}), "3 scores for 2 classes"},
		{tally.AddLogits(0, []float32{0, nan}), "the logit of class 1 is NaN"},
		{tally.AddLogits(0, []float32{inf, 0}), "the logit of class 0 is +Inf"},
		{tally.AddProbabilities(0, []float64{1.5, -0.5}), "the probability of class 0 is 1.5"},
		{tally.AddProbabilities(0, []float64{0, math.NaN()}), "the probability of class 1 is NaN"},
		{tally.AddProbabilities(0, []float64{0.5, 0.4}), "add up to 0.9 instead of 1"},
		{values.Add(math.NaN(), 0), "the target is NaN"},
		{values.Add(0, math.Inf(-1)), "the prediction -Inf"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%v, want %q", c.err, c.want)
		}
	}
	if tally.Figures().Samples != 0 || values.Figures().Samples != 0 {
		t.Error("a sample that was refused was counted")
	}
}

func TestFiguresThatOverflowAreNotDefined(t *testing.T) {
	var tally ValueTally
	for _, target := range []float64{1e300, -1e300} {
		if err := tally.Add(target, 0); err != nil {
			t.Fatal(err)
		}
	}
	if f := tally.Figures(); f.RMSE != nil || f.R2 != nil || !same(f.MAE, 1e300) || !same(f.MedianAbsoluteError, 1e300) {
		t.Errorf("%+v", f)
	}
	if f := TextOf(10, 10, 1000, 0); f.Perplexity != nil || !same(f.LogLoss, 1000) {
		t.Errorf("%+v", f)
	}
}

func TestFiguresOfText(t *testing.T) {
	// Four tokens of six bytes, each with probability 1/8.
	f := TextOf(4, 6, math.Log(8), 0.5)
	if !same(f.Perplexity, 8) || !same(f.BitsPerByte, 2) || !same(f.Accuracy, 0.5) {
		t.Errorf("%v %v", *f.Perplexity, *f.BitsPerByte)
	}
	// Token 1 is the most frequent; half of the tokens have probability 1/2, half 1/4.
	b := TextBaseline(6, []int{1, 2, 1}, []int{1, 2, 1})
	if b.Tokens != 4 || !same(b.Accuracy, 0.5) || !same(b.LogLoss, 1.5*math.Log(2)) || !same(b.BitsPerByte, 1) {
		t.Errorf("%+v", b)
	}
	if b := TextBaseline(6, []int{0, 2, 1}, []int{1, 2, 1}); b.LogLoss != nil || b.Perplexity != nil || b.BitsPerByte != nil || !same(b.Accuracy, 0.5) {
		t.Errorf("a token that training does not have: %+v", b)
	}
}

// The areas of a curve are compared with their definitions, pair by pair.
func TestAreasAreWhatTheirDefinitionsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) point {
			return point{float64(rapid.IntRange(0, 5).Draw(t, "score")), rapid.Bool().Draw(t, "positive")}
		}), 1, 40).Draw(t, "points")
		roc, precision := curve(slices.Clone(points)).areas()
		wins, pairs, positives, average := 0.0, 0.0, 0.0, 0.0
		for _, p := range points {
			if !p.positive {
				continue
			}
			positives++
			above, hits := 0.0, 0.0
			for _, n := range points {
				if n.score >= p.score {
					above++
					if n.positive {
						hits++
					}
				}
				if n.positive {
					continue
				}
				pairs++
				switch {
				case p.score > n.score:
					wins++
				case p.score == n.score:
					wins += 0.5
				}
			}
			average += hits / above
		}
		if (roc != nil) != (pairs > 0) || roc != nil && *roc != wins/pairs {
			t.Fatalf("ROC AUC %v, want %v of %v", roc, wins, pairs)
		}
		if (precision != nil) != (positives > 0) || precision != nil && !same(precision, average/positives) {
			t.Fatalf("average precision %v, want %v", precision, average/positives)
		}
	})
}

func TestNoFigureIsNaNAndSharesAreShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		classes := rapid.IntRange(1, 6).Draw(t, "classes")
		tally := NewClassTally(classes)
		for range rapid.IntRange(0, 30).Draw(t, "samples") {
			logits := rapid.SliceOfN(rapid.Float32(), classes, classes).Draw(t, "logits")
			if err := tally.AddLogits(rapid.IntRange(0, classes-1).Draw(t, "label"), logits); err != nil {
				t.Fatal(err)
			}
		}
		f := tally.Figures()
		if _, err := json.Marshal(f); err != nil { // as it does for NaN and infinities
			t.Fatal(err)
		}
		shares := []*float64{f.Accuracy, f.BalancedAccuracy}
		for _, a := range []Averages{f.Precision, f.Recall, f.F1, f.ROCAUC, f.PRAUC} {
			shares = append(shares, a.Macro, a.Weighted, a.Positive)
		}
		for _, c := range f.Classes {
			shares = append(shares, c.Precision, c.Recall, c.F1, c.ROCAUC, c.PRAUC)
		}
		for _, v := range shares {
			if v != nil && !(*v >= 0 && *v <= 1+1e-15) {
				t.Fatalf("%v is not a share: %+v", *v, f)
			}
		}
		if m := f.Matthews; m != nil && math.Abs(*m) > 1+1e-15 {
			t.Fatalf("Matthews %v", *m)
		}
	})
}

func TestWhatTakesTooMuchRoomIsOmittedAndNamed(t *testing.T) {
	f := NewClassTally(MaxListed + 1).Figures()
	if f.Classes != nil || f.Confusion != nil || len(f.Omitted) != 2 {
		t.Errorf("%d classes, %d rows, omitted %q", len(f.Classes), len(f.Confusion), f.Omitted)
	}
	tally := NewClassTally(3)
	tally.most = 6
	for i := range 3 {
		if err := tally.AddLogits(i, []float32{0, 1, 2}); err != nil {
			t.Fatal(err)
		}
		if f := tally.Figures(); (f.ROCAUC.Macro == nil || f.Omitted != nil) != (i == 0 || i == 2) {
			t.Errorf("after %d samples: ROC AUC %v, omitted %q", i+1, f.ROCAUC.Macro, f.Omitted)
		}
	}
	if f := tally.Figures(); f.PRAUC.Macro != nil || !slices.Equal(f.Omitted, []string{"ROC AUC and PR AUC, since there are more than 6 scores"}) || f.Samples != 3 {
		t.Errorf("PR AUC %v, omitted %q", f.PRAUC.Macro, f.Omitted)
	}
	values := ValueTally{}
	for i := range 3 {
		values.keep(float64(i), 1, 4)
		if want := i == 2; values.dropped != want {
			t.Errorf("after %d samples: dropped %v", i+1, values.dropped)
		}
	}
	if f := NewClassTally(MaxConfused).Figures(); len(f.Classes) != MaxConfused || len(f.Confusion) != MaxConfused || f.Omitted != nil {
		t.Errorf("%d classes, %d rows, omitted %q", len(f.Classes), len(f.Confusion), f.Omitted)
	}
}

// The bits are the same on every machine.
func TestPinnedBits(t *testing.T) {
	tally := NewClassTally(3)
	var values ValueTally
	for i := range 1000 {
		x := float32(i%17)/7 - 1
		if err := tally.AddLogits(i%3, []float32{x, x * x, float32(i%5) / 3}); err != nil {
			t.Fatal(err)
		}
		if err := values.Add(float64(i%13)/3+1, float64(i%11)/4); err != nil {
			t.Fatal(err)
		}
	}
	f, v := tally.Figures(), values.Figures()
	for i, c := range []struct {
		got  *float64
		want uint64
	}{
		{f.LogLoss, 0x3ff33ac50d6696c1}, {f.ROCAUC.Macro, 0x3fdfff1621053660}, {f.PRAUC.Weighted, 0x3fd561f2d065f754}, {f.F1.Macro, 0x3fd4634b48437641}, {f.Matthews, 0x3f54c48ce3f4d951},
		{v.RMSE, 0x40025100aaeae26d}, {v.R2, 0xc00300695c486578}, {v.MAPE, 0x3fe3615f8ab515d0}, {TextOf(10, 33, 1.25, 0.5).BitsPerByte, 0x3fe17cb9f74f8245},
	} {
		if got := math.Float64bits(*c.got); got != c.want {
			t.Errorf("figure %d: %#x (%v), want %#x", i, got, *c.got, c.want)
		}
	}
}
