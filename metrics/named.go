package metrics

import (
	"fmt"
	"strings"
)

// Named is a figure that is one number, with the name that it is asked for by: its key in
// JSON, with the average or the class that it is of, as in accuracy, f1_macro, recall.fraud
// and rmse.price.
type Named struct {
	Name string
	// Value is nil if the figure is not defined.
	Value *float64
}

// Named returns the figures that have a name, those of single classes last. Precision,
// recall, F1 and the areas under curves have one of their own with two classes, where they
// are those of the second; the figures of a regression have one with a single target.
func (f Figures) Named() []Named {
	var list []Named
	if c := f.Classification; c != nil {
		list = append(list, c.named()...)
	}
	if len(f.Targets) == 1 {
		list = append(list, f.Targets[0].Regression.named("")...)
	}
	for _, target := range f.Targets {
		list = append(list, target.named("."+target.Name)...)
	}
	if t := f.Text; t != nil {
		list = append(list, Named{"accuracy", t.Accuracy}, Named{"log_loss", t.LogLoss},
			Named{"perplexity", t.Perplexity}, Named{"bits_per_byte", t.BitsPerByte})
	}
	return list
}

// Find returns the figure with a name.
func (f Figures) Find(name string) (Named, bool) {
	for _, n := range f.Named() {
		if n.Name == name {
			return n, true
		}
	}
	return Named{}, false
}

// Baseline returns the figure with a name of the trivial baseline, nil where the baseline
// does not have it or it is not defined.
func (f Figures) Baseline(name string) *float64 {
	var baseline Figures
	if b := f.MajorityClass; b != nil {
		half := 0.5
		own := map[string]*float64{"accuracy": b.Accuracy, "balanced_accuracy": b.BalancedAccuracy, "log_loss": b.LogLoss, "roc_auc": &half}
		return own[name]
	}
	for _, target := range f.Targets {
		baseline.Targets = append(baseline.Targets, Target{Name: target.Name, Regression: target.Mean.Regression})
	}
	baseline.Text = f.TokenFrequencies
	n, _ := baseline.Find(name)
	return n.Value
}

func (c *Classification) named() []Named {
	list := []Named{{"accuracy", c.Accuracy}, {"balanced_accuracy", c.BalancedAccuracy}}
	for _, a := range []struct {
		name string
		of   Averages
	}{{"precision", c.Precision}, {"recall", c.Recall}, {"f1", c.F1}, {"roc_auc", c.ROCAUC}, {"pr_auc", c.PRAUC}} {
		if len(c.Classes) == 2 {
			list = append(list, Named{a.name, a.of.Positive})
		}
		list = append(list, Named{a.name + "_macro", a.of.Macro}, Named{a.name + "_weighted", a.of.Weighted})
	}
	list = append(list, Named{"log_loss", c.LogLoss}, Named{"matthews", c.Matthews})
	for _, top := range c.TopK {
		list = append(list, Named{fmt.Sprintf("top_%d", top.K), top.Accuracy})
	}
	for _, class := range c.Classes {
		if class.Name == "" {
			continue
		}
		list = append(list, Named{"precision." + class.Name, class.Precision}, Named{"recall." + class.Name, class.Recall},
			Named{"f1." + class.Name, class.F1}, Named{"roc_auc." + class.Name, class.ROCAUC}, Named{"pr_auc." + class.Name, class.PRAUC})
	}
	return list
}

func (r Regression) named(of string) []Named {
	return []Named{{"rmse" + of, r.RMSE}, {"mae" + of, r.MAE}, {"median_absolute_error" + of, r.MedianAbsoluteError},
		{"r2" + of, r.R2}, {"mape" + of, r.MAPE}}
}

// LowerIsBetter reports whether the figure with a name is better the lower it is: it
// is a loss or an error.
func LowerIsBetter(name string) bool {
	figure, _, _ := strings.Cut(name, ".")
	switch figure {
	case "log_loss", "rmse", "mae", "median_absolute_error", "mape", "perplexity", "bits_per_byte":
		return true
	}
	return false
}
