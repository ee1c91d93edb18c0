package metrics

import (
	"slices"
	"testing"
)

func TestFiguresAreFoundByName(t *testing.T) {
	two, three := NewClassTally(2), NewClassTally(4)
	for i, logits := range [][]float32{{1, 0}, {0, 1}, {2, 1}, {0, 3}} {
		if err := two.AddLogits(i%2, logits); err != nil {
			t.Fatal(err)
		}
		if err := three.AddLogits(i, []float32{logits[0], logits[1], 1, 1.5}); err != nil {
			t.Fatal(err)
		}
	}
	c, many := two.Figures(), three.Figures()
	c.Classes[1].Name, many.Classes[2].Name = "of fraud", "c"
	baseline := two.Baseline([]int{1, 5})
	var a, b ValueTally
	for i := range 5 {
		if err := a.Add(float64(i), float64(i*i)); err != nil {
			t.Fatal(err)
		}
		if err := b.Add(float64(i), 2); err != nil {
			t.Fatal(err)
		}
	}
	price := Target{Name: "price", Regression: a.Figures(), Mean: MeanBaseline{Value: 2, Regression: b.Figures()}}
	area := Target{Name: "area", Regression: b.Figures(), Mean: MeanBaseline{Value: 2, Regression: a.Figures()}}
	text, frequencies := TextOf(10, 20, 1.5, 0.25), TextOf(10, 20, 2, 0.125)
	classes := Figures{Classification: &c, MajorityClass: &baseline}
	half := 0.5
	for _, tt := range []struct {
		figures        Figures
		name           string
		want, baseline *float64
		lower          bool
	}{
		{classes, "accuracy", c.Accuracy, baseline.Accuracy, false},
		{classes, "balanced_accuracy", c.BalancedAccuracy, baseline.BalancedAccuracy, false},
		{classes, "log_loss", c.LogLoss, baseline.LogLoss, true},
		{classes, "f1", c.F1.Positive, nil, false},
		{classes, "recall_macro", c.Recall.Macro, nil, false},
		{classes, "precision_weighted", c.Precision.Weighted, nil, false},
		{classes, "roc_auc", c.ROCAUC.Positive, &half, false},
		{classes, "recall.of fraud", c.Classes[1].Recall, nil, false},
		{Figures{Classification: &many}, "top_3", many.TopK[1].Accuracy, nil, false},
		{Figures{Classification: &many}, "pr_auc.c", many.Classes[2].PRAUC, nil, false},
		{Figures{Classification: &many}, "matthews", many.Matthews, nil, false},
		{Figures{Targets: []Target{price}}, "rmse", price.RMSE, price.Mean.RMSE, true},
		{Figures{Targets: []Target{price}}, "r2", price.R2, price.Mean.R2, false},
		{Figures{Targets: []Target{price, area}}, "median_absolute_error.area", area.MedianAbsoluteError, a.Figures().MedianAbsoluteError, true},
		{Figures{Targets: []Target{price, area}}, "mae.price", price.MAE, price.Mean.MAE, true},
		{Figures{Text: &text, TokenFrequencies: &frequencies}, "perplexity", text.Perplexity, frequencies.Perplexity, true},
		{Figures{Text: &text, TokenFrequencies: &frequencies}, "bits_per_byte", text.BitsPerByte, frequencies.BitsPerByte, true},
	} {
		got, ok := tt.figures.Find(tt.name)
		if !ok || !sameFigure(got.Value, tt.want) || !sameFigure(tt.figures.Baseline(tt.name), tt.baseline) || LowerIsBetter(tt.name) != tt.lower {
			t.Errorf("%s: %+v, %v, baseline %v, lower is better: %v", tt.name, got, ok, tt.figures.Baseline(tt.name), LowerIsBetter(tt.name))
		}
	}
	for _, absent := range []struct {
		figures Figures
		name    string
	}{{Figures{Classification: &many}, "f1"}, {Figures{Targets: []Target{price, area}}, "rmse"}, {classes, "top_2"}, {classes, "rmse"}, {Figures{}, "accuracy"}} {
		if n, ok := absent.figures.Find(absent.name); ok {
			t.Errorf("%s is found: %+v", absent.name, n)
		}
	}
	for _, f := range []Figures{classes, {Classification: &many}, {Targets: []Target{price}}, {Targets: []Target{price, area}}, {Text: &text}} {
		var names []string
		for _, n := range f.Named() {
			names = append(names, n.Name)
		}
		slices.Sort(names)
		if len(names) < 4 || len(slices.Compact(slices.Clone(names))) != len(names) {
			t.Errorf("a name is there twice: %q", names)
		}
	}
}

func sameFigure(a, b *float64) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}
