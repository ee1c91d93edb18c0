package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"reprise/api"
	"reprise/metrics"
	"reprise/training"
)

// foldSets returns the sets of folds of one request that runs which have ended are in, with
// the folds that ended before, as where only some of them were resumed.
func (env *environment) foldSets(ctx context.Context, attempts []attempt) []api.FoldSet {
	var reports []api.RunReport
	for _, a := range attempts {
		if a.err == nil && a.end.Unfinished == nil && a.end.End != nil {
			reports = append(reports, *a.end.End)
		}
	}
	ended := len(reports)
	whole := slices.DeleteFunc(api.FoldSetsOf(reports), func(s api.FoldSet) bool { return len(s.Runs) < s.Folds })
	var groups []string
	for _, r := range reports {
		d := r.Details
		if d.Data.Table.Split.Folds > 0 && d.Job != nil && d.Job.Group != "" && !slices.Contains(groups, d.Job.Group) && !inFolds(whole, d.RunID) {
			groups = append(groups, d.Job.Group)
		}
	}
	for _, group := range groups {
		for _, r := range env.recordedGroup(ctx, group) {
			if !slices.ContainsFunc(reports, func(known api.RunReport) bool { return known.Details.RunID == r.Details.RunID }) {
				reports = append(reports, r)
			}
		}
	}
	return slices.DeleteFunc(api.FoldSetsOf(slices.Concat(reports[ended:], reports[:ended])), func(s api.FoldSet) bool {
		return !slices.ContainsFunc(attempts, func(a attempt) bool { return s.Has(a.run) })
	})
}

// recordedGroup returns the runs of a group as the log has them, as far as it can be read.
func (env *environment) recordedGroup(ctx context.Context, group string) (reports []api.RunReport) {
	s, err := env.serviceFor(reading)
	if err != nil {
		return nil
	}
	defer func() { _ = s.Close() }() // it was only read
	ctx = api.WithNotices(ctx, func(api.Notice) {})
	list, err := s.Runs(ctx, api.RunsRequest{Group: group})
	if err != nil {
		return nil
	}
	for _, r := range list.Runs {
		if report, err := s.Run(ctx, api.RunRequest{Run: string(r.RunID)}); err == nil {
			reports = append(reports, report)
		}
	}
	return reports
}

// inFolds reports whether a run is in one of the sets.
func inFolds(sets []api.FoldSet, run training.RunID) bool {
	return slices.ContainsFunc(sets, func(s api.FoldSet) bool { return s.Has(run) })
}

// writeFolds prints what folds have reached: a line for each, and then mean and standard
// deviation of the most telling figures, beside those of the trivial baseline.
func (env *environment) writeFolds(w io.Writer, set api.FoldSet, format string) error {
	if format == formatJSON {
		return writeJSONLine(w, set)
	}
	t := newTable(w)
	t.line("")
	if set.Group != "" {
		t.line("%d folds, in group %s:\n", set.Folds, visible(set.Group))
	} else {
		t.line("%d folds:\n", set.Folds)
	}
	shown := foldFiguresShown(set, set.Figures)
	shown = shown[:min(len(shown), foldColumns)]
	t.indent = "  "
	columns := []column{{title: "FOLD"}, {title: "RUN"}, {title: "STATE"}, {title: "SAMPLES", right: true, drop: 9}}
	for _, f := range shown {
		columns = append(columns, column{title: strings.ToUpper(foldFigureName(f.Name)), right: true})
	}
	t.columns(columns...)
	for i, r := range set.Runs {
		row := []string{fmt.Sprintf("%d/%d", r.Fold, set.Folds), string(r.RunID), string(r.State), thousands(r.Validation)}
		for _, f := range shown {
			row = append(row, foldValue(f.Name, f.Values[i]))
		}
		t.row(row...)
	}
	_ = t.flush() // which keeps the error
	t.indent = ""
	t.line("")
	writeFoldStatistics(t, set)
	return t.flush()
}

// foldColumns is how many figures of a single fold are listed: as many as fit beside the run.
const foldColumns = 2

// writeFoldStatistics prints mean and standard deviation of the most telling figures, on
// the rows that each fold holds out and on those for the test.
func writeFoldStatistics(t *table, set api.FoldSet) {
	n := 0
	for _, r := range set.Runs {
		if r.FiguresStep > 0 {
			n++
		}
	}
	switch {
	case n == 0:
		t.line("None of the folds has figures yet.")
		return
	case n < set.Folds:
		t.line("Mean ± standard deviation (n - 1) of the %d of %d folds that have figures, each on the samples that it holds out:", n, set.Folds)
	default:
		t.line("Mean ± standard deviation (n - 1) of %d folds, each on the samples that it holds out:", n)
	}
	writeFoldTable(t, foldFiguresShown(set, set.Figures), set.Baseline)
	if len(set.Test) > 0 {
		t.line("\nOn the test samples, which are the same for all and by which nothing was chosen in training:")
		writeFoldTable(t, foldFiguresShown(set, set.Test), set.Baseline)
	}
}

func writeFoldTable(t *table, list []api.FoldFigure, baseline string) {
	t.indent = "  "
	columns := []column{{title: "FIGURE"}, {title: "MODEL", right: true}}
	withBaseline := slices.ContainsFunc(list, func(f api.FoldFigure) bool { return f.Baseline != nil })
	if withBaseline {
		columns = append(columns, column{title: strings.ToUpper(strings.ReplaceAll(baseline, "_", " ")), right: true})
	}
	t.columns(columns...)
	for _, f := range list {
		row := []string{foldFigureName(f.Name), foldMean(f.Name, f.FoldStatistics)}
		switch {
		case f.Baseline != nil:
			row = append(row, foldMean(f.Name, *f.Baseline))
		case withBaseline:
			row = append(row, "")
		}
		t.row(row...)
	}
	_ = t.flush() // which keeps the error
	t.indent = ""
}

// foldFiguresShown returns the figures to show, the most telling first: the one that the runs
// are judged by, and then those of the task.
func foldFiguresShown(set api.FoldSet, list []api.FoldFigure) []api.FoldFigure {
	names := []string{"accuracy", "balanced_accuracy", "f1", "roc_auc", "f1_macro", "roc_auc_macro", "log_loss"}
	binary := slices.ContainsFunc(list, func(f api.FoldFigure) bool { return f.Name == "roc_auc" })
	var shown []api.FoldFigure
	for _, f := range list {
		quantity, _, _ := strings.Cut(f.Name, ".")
		wanted := slices.Contains(names, f.Name) && (!binary || !strings.HasSuffix(f.Name, "_macro")) ||
			slices.Contains([]string{"rmse", "mae", "median_absolute_error", "r2", "mape"}, quantity)
		switch {
		case f.Name == set.Monitor:
			shown = slices.Insert(shown, 0, f)
		case wanted:
			shown = append(shown, f)
		}
	}
	return shown
}

// foldFigureName is a figure as people call it.
func foldFigureName(name string) string {
	figure, of, _ := strings.Cut(name, ".")
	words := map[string]string{
		"f1": "F1", "f1_macro": "F1, mean of classes", "roc_auc": "ROC AUC", "roc_auc_macro": "ROC AUC, mean of classes", "pr_auc": "PR AUC",
		"rmse": "RMSE", "mae": "mean absolute error", "r2": "R²", "mape": "MAPE",
	}[figure]
	if words == "" {
		words = strings.ReplaceAll(figure, "_", " ")
	}
	if of != "" {
		words += " of " + className(of)
	}
	return words
}

// foldValue is a figure of one fold.
func foldValue(name string, v *float64) string {
	if isShare(name) {
		return share(v)
	}
	return metric(v)
}

// foldMean is "97.86% ± 1.20%".
func foldMean(name string, s api.FoldStatistics) string {
	if s.Mean == nil || s.StandardDeviation == nil {
		return foldValue(name, s.Mean)
	}
	return foldValue(name, s.Mean) + " ± " + foldValue(name, s.StandardDeviation)
}

// isShare reports whether a figure is shown in percent, as for a single run.
func isShare(name string) bool {
	figure, _, _ := strings.Cut(name, ".")
	return !slices.Contains([]string{"matthews", "r2"}, figure) && (figure == "mape" || !metrics.LowerIsBetter(name))
}
