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
	} else {
		best := "The best checkpoint"
		if f.Monitor != "" {
			best = "The checkpoint with " + training.BestFigure(f.Monitor)
		}
		t.line("\n%s, of step %s, on %s, beside %s:", best, thousands(f.Step), plural(r.Details.Data.Validation, "validation sample"), baselineOf(f.Figures))
		writeFigureTable(t, f.Figures, f.Monitor)
	}
	switch test := f.Test; {
	case test == nil:
	case test.Unavailable != "":
		t.line("\nOn the test split it has no figures: %s", test.Unavailable)
	default:
		t.line("\nOn %s, by which nothing was chosen in training:", plural(test.Samples, "test sample"))
		writeFigureTable(t, test.Figures, f.Monitor)
	}
}

// writeFigureTable prints the most telling figures, each beside that of the trivial baseline,
// if there is one. The figure that the run is judged by comes first.
func writeFigureTable(t *table, f metrics.Figures, monitor string) {
	baseline, rows := figuresShown(f, monitor)
	t.indent = "  "
	columns := []column{{title: "FIGURE"}, {title: "MODEL", right: true}}
	if baseline != "" {
		columns = append(columns, column{title: baseline, right: true})
	}
	t.columns(columns...)
	for _, row := range rows {
		t.row([]string{row.name, row.model, row.baseline}[:len(columns)]...)
	}
	_ = t.flush() // which keeps the error
	t.indent = ""
}

// baselineOf says what the trivial baseline of figures is.
func baselineOf(f metrics.Figures) string {
	switch {
	case f.MajorityClass != nil:
		return "a model that always predicts " + className(f.MajorityClass.Name)
	case f.TokenFrequencies != nil:
		return "a model that knows only how frequent each token is"
	case len(f.Targets) == 1:
		return fmt.Sprintf("a model that always predicts the mean of %s, %s", f.Targets[0].Name, formatMetric(f.Targets[0].Mean.Value))
	}
	return "a model that always predicts the mean"
}

// figuresShown returns the figures to show, the most telling first, and the title of the
// baseline, "" if there is none. A figure that the run is judged by is the first.
func figuresShown(f metrics.Figures, monitor string) (baseline string, rows []figureRow) {
	baseline, rows = taskFigures(f)
	if monitor == "" {
		return baseline, rows
	}
	row := figureRow{name: monitor}
	if at := slices.IndexFunc(rows, func(r figureRow) bool { return r.name == shownAs(f, monitor) }); at >= 0 {
		row = rows[at]
		rows = slices.Delete(rows, at, at+1)
	} else {
		found, _ := f.Find(monitor)
		row.model = metric(found.Value)
		if of := f.Baseline(monitor); of != nil {
			row.baseline = metric(of)
		}
	}
	return baseline, slices.Insert(rows, 0, row)
}

// shownAs names the row that shows the monitored figure, if the task's figures have it.
func shownAs(f metrics.Figures, monitor string) string {
	figure, of, _ := strings.Cut(monitor, ".")
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

// taskFigures returns the figures of a task, and the title of their baseline.
func taskFigures(f metrics.Figures) (baseline string, rows []figureRow) {
	switch {
	case f.Classification != nil && f.MajorityClass != nil:
		return "MAJORITY CLASS", classRows(*f.Classification, *f.MajorityClass)
	case f.Classification != nil:
		return "", classRows(*f.Classification, metrics.ClassBaseline{})
	case f.Text != nil && f.TokenFrequencies != nil:
		return "TOKEN FREQUENCIES", textRows(*f.Text, *f.TokenFrequencies)
	case f.Text != nil:
		return "", textRows(*f.Text, metrics.Text{})
	}
	for _, target := range f.Targets {
		list := targetRows(target)
		for i := range list {
			if len(f.Targets) > 1 {
				list[i].name += " of " + target.Name
			}
		}
		rows = append(rows, list...)
	}
	return "MEAN", rows
}

// maxNamed is how many characters of the name of a class or a monitor a figure shows.
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

// writeClasses lists the figures of each class of a run's best checkpoint on the validation
// split, and what has no room in the record.
func writeClasses(t *table, r api.RunReport, o showOptions) {
	f := r.Details.Figures
	if f == nil || f.Classification == nil {
		return
	}
	writeClassFigures(t, *f.Classification, o.all)
	for _, what := range f.Classification.Omitted {
		t.line("not recorded: %s", what)
	}
}

// writeClassFigures lists the figures of each class, or of the first ones.
func writeClassFigures(t *table, c metrics.Classification, all bool) {
	t.line("")
	t.columns(append([]column{{title: "CLASS"}}, metricColumns("SAMPLES", "PRECISION", "RECALL", "F1", "ROC AUC", "PR AUC")...)...)
	shown := len(c.Classes)
	if !all && shown > shownRows+2 {
		shown = shownRows
	}
	for _, class := range c.Classes[:shown] {
		t.row(class.Name, thousands(class.Support), share(class.Precision), share(class.Recall), share(class.F1), share(class.ROCAUC), share(class.PRAUC))
	}
	if rest := len(c.Classes) - shown; rest > 0 {
		t.line("(%d more; --all lists all)", rest)
	}
}

// maxConfusedShown is the largest number of classes whose confusion fits on a screen.
const maxConfusedShown = 12

// writeConfusion prints how often each class was predicted for each, if the classes are few.
func writeConfusion(t *table, c metrics.Classification) {
	if len(c.Confusion) == 0 || len(c.Confusion) > maxConfusedShown {
		return
	}
	t.line("")
	titles := make([]string, len(c.Classes))
	for i, class := range c.Classes {
		titles[i] = truncate(class.Name, maxNamed)
	}
	t.columns(append([]column{{title: "TRUE \\ PREDICTED"}}, metricColumns(titles...)...)...)
	for i, row := range c.Confusion {
		cells := []string{titles[i]}
		for _, n := range row {
			cells = append(cells, thousands(n))
		}
		t.row(cells...)
	}
	_ = t.flush() // which keeps the error
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
