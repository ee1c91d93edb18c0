package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"reprise/api"
	"reprise/metrics"
	"reprise/training"
)

// figureRow is a figure of a model beside that of the trivial baseline, which may have
// none.
type figureRow struct{ name, model, baseline string }

// writeRunFigures prints the figures of a run's best checkpoint, if there are any.
func writeRunFigures(t *table, r api.RunReport) {
	f := r.Details.Figures
	if f == nil {
		return
	}
	if f.Unavailable != "" {
		t.line("\nThe best checkpoint, of step %s, has no figures: %s", thousands(f.Step), f.Unavailable)
		return
	}
	s := figuresShown(*f)
	best := "The best checkpoint"
	if f.Monitor != "" {
		best = "The checkpoint with " + training.BestFigure(f.Monitor)
	}
	t.line("\n%s, of step %s, on %s, beside %s:", best, thousands(f.Step), plural(r.Details.Data.Validation, "validation sample"), s.means)
	t.indent = "  "
	t.columns(column{title: "FIGURE"}, column{title: "MODEL", right: true}, column{title: s.baseline, right: true})
	for _, row := range s.rows {
		t.row(row.name, row.model, row.baseline)
	}
	_ = t.flush() // which keeps the error
	t.indent = ""
}

// shownFigures are the figures to show, the most telling first, under their titles. means
// says what the baseline is.
type shownFigures struct {
	baseline, means string
	rows            []figureRow
}

func figuresShown(f training.FiguresComputed) shownFigures {
	s := taskFigures(f)
	if f.Monitor == "" {
		return s
	}
	row := figureRow{name: f.Monitor}
	if at := slices.IndexFunc(s.rows, func(r figureRow) bool { return r.name == shownAs(f) }); at >= 0 {
		row = s.rows[at]
		s.rows = slices.Delete(s.rows, at, at+1)
	} else {
		found, _ := f.Find(f.Monitor)
		row.model = metric(found.Value)
		if baseline := f.Baseline(f.Monitor); baseline != nil {
			row.baseline = metric(baseline)
		}
	}
	s.rows = slices.Insert(s.rows, 0, row)
	return s
}

// shownAs names the row that shows the monitored figure, if the task's figures have it.
func shownAs(f training.FiguresComputed) string {
	figure, of, _ := strings.Cut(f.Monitor, ".")
	name := map[string]string{
		"balanced_accuracy": "balanced accuracy", "log_loss": "log loss", "roc_auc": "ROC AUC", "roc_auc_macro": "ROC AUC, mean of classes",
		"f1_macro": "F1, mean of classes", "rmse": "RMSE", "mae": "mean absolute error", "median_absolute_error": "median absolute error",
		"r2": "R²", "mape": "MAPE", "bits_per_byte": "bits per byte",
	}[figure]
	if name == "" {
		name = figure
	}
	switch {
	case f.Text != nil && figure == "accuracy":
		return "next token right"
	case of == "" || len(f.Targets) == 1:
		return name
	case len(f.Targets) > 1:
		return name + " of " + of
	}
	return name + " of " + className(of)
}

func taskFigures(f training.FiguresComputed) shownFigures {
	switch {
	case f.Classification != nil && f.MajorityClass != nil:
		return shownFigures{"MAJORITY CLASS", "a model that always predicts " + className(f.MajorityClass.Name), classRows(*f.Classification, *f.MajorityClass)}
	case f.Text != nil && f.TokenFrequencies != nil:
		return shownFigures{"TOKEN FREQUENCIES", "a model that knows only how frequent each token is", textRows(*f.Text, *f.TokenFrequencies)}
	}
	s := shownFigures{baseline: "MEAN", means: "a model that always predicts the mean"}
	for _, target := range f.Targets {
		rows := targetRows(target)
		for i := range rows {
			if len(f.Targets) > 1 {
				rows[i].name += " of " + target.Name
			}
		}
		s.rows = append(s.rows, rows...)
	}
	if len(f.Targets) == 1 {
		s.means += fmt.Sprintf(" of %s, %s", f.Targets[0].Name, formatMetric(f.Targets[0].Mean.Value))
	}
	return s
}

// maxNamed is how many characters of a class's name a figure shows.
const maxNamed = 30

// className quotes the name of a class.
func className(name string) string { return strconv.Quote(truncate(name, maxNamed)) }

func classRows(c metrics.Classification, b metrics.ClassBaseline) []figureRow {
	rows := []figureRow{
		{"accuracy", share(c.Accuracy), share(b.Accuracy)},
		{"balanced accuracy", share(c.BalancedAccuracy), share(b.BalancedAccuracy)},
	}
	if i, ok := tellingClass(c.Classes); ok {
		class, recall := c.Classes[i], 0.0
		if i == b.Class {
			recall = 1
		}
		rows = append(rows, figureRow{"recall of " + className(class.Name), share(class.Recall), formatShare(recall)},
			figureRow{"precision of " + className(class.Name), share(class.Precision), ""})
	}
	if len(c.Classes) == 2 {
		rows = append(rows, figureRow{"ROC AUC", share(c.ROCAUC.Positive), constantAUC(c.ROCAUC.Positive)})
	} else {
		rows = append(rows, figureRow{"F1, mean of classes", share(c.F1.Macro), ""},
			figureRow{"ROC AUC, mean of classes", share(c.ROCAUC.Macro), constantAUC(c.ROCAUC.Macro)})
	}
	return append(rows, figureRow{"log loss", metric(c.LogLoss), metric(b.LogLoss)})
}

// constantAUC is the ROC AUC of a model that gives all samples the same score, where there
// is one.
func constantAUC(auc *float64) string {
	if auc == nil {
		return undefined
	}
	return formatShare(0.5)
}

// tellingClass returns the class whose recall says what an accuracy may hide: the rarer of
// two, or of several the one with the lowest recall, unless all are recalled.
func tellingClass(classes []metrics.Class) (telling int, ok bool) {
	if len(classes) == 2 {
		if classes[1].Support <= classes[0].Support {
			telling = 1
		}
		return telling, true
	}
	for i, class := range classes {
		if class.Recall != nil && *class.Recall < 1 && (!ok || *class.Recall < *classes[telling].Recall) {
			telling, ok = i, true
		}
	}
	return telling, ok
}

func targetRows(t metrics.Target) []figureRow {
	return []figureRow{
		{"RMSE", metric(t.RMSE), metric(t.Mean.RMSE)},
		{"mean absolute error", metric(t.MAE), metric(t.Mean.MAE)},
		{"median absolute error", metric(t.MedianAbsoluteError), metric(t.Mean.MedianAbsoluteError)},
		{"R²", metric(t.R2), metric(t.Mean.R2)},
		{"MAPE", share(t.MAPE), share(t.Mean.MAPE)},
	}
}

func textRows(text, b metrics.Text) []figureRow {
	return []figureRow{
		{"perplexity", metric(text.Perplexity), metric(b.Perplexity)},
		{"bits per byte", metric(text.BitsPerByte), metric(b.BitsPerByte)},
		{"next token right", share(text.Accuracy), share(b.Accuracy)},
	}
}

// writeClasses lists the figures of each class, the confusion among few, and what has no
// room in the record.
func writeClasses(t *table, r api.RunReport, o showOptions) {
	f := r.Details.Figures
	if f == nil || f.Classification == nil {
		return
	}
	c := f.Classification
	t.line("")
	t.columns(append([]column{{title: "CLASS"}}, metricColumns("SAMPLES", "PRECISION", "RECALL", "F1", "ROC AUC", "PR AUC")...)...)
	shown := len(c.Classes)
	if !o.all && shown > shownRows+2 {
		shown = shownRows
	}
	for _, class := range c.Classes[:shown] {
		t.row(class.Name, thousands(class.Support), share(class.Precision), share(class.Recall), share(class.F1), share(class.ROCAUC), share(class.PRAUC))
	}
	if rest := len(c.Classes) - shown; rest > 0 {
		t.line("(%d more; --all lists all)", rest)
	}
	for _, what := range c.Omitted {
		t.line("not recorded: %s", what)
	}
}

// undefined stands for a figure that is not defined.
const undefined = "undefined"

func share(v *float64) string {
	if v == nil {
		return undefined
	}
	return formatShare(*v)
}

func metric(v *float64) string {
	if v == nil {
		return undefined
	}
	return formatMetric(*v)
}
