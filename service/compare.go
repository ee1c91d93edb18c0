package service

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"reprise/api"
	"reprise/dataset"
	"reprise/fault"
	"reprise/queue"
)

// Compare implements api.Service.
func (s *Service) Compare(ctx context.Context, q api.CompareRequest) (_ api.Comparison, err error) {
	defer explain(ctx, &err)
	switch n := len(q.Runs); {
	case q.Group != "" && n > 0:
		return api.Comparison{}, &fault.FieldError{Field: "group", Value: q.Group, Problem: "cannot be given together with runs", Fix: "leave one of them out"}
	case q.Group != "":
		if q.Runs, err = s.begunIn(ctx, q.Group); err != nil {
			return api.Comparison{}, err
		}
	case n < 2 || n > api.MaxCompared:
		return api.Comparison{}, &fault.FieldError{Field: "runs", Value: fmt.Sprint(n), Problem: "is not a number of runs that can be compared",
			Fix: fmt.Sprintf("name 2 to %d", api.MaxCompared)}
	}
	l, err := s.read(ctx)
	if err != nil {
		return api.Comparison{}, err
	}
	defer l.close()
	ids, err := s.resolveAll(ctx, l, q.Runs)
	if err != nil {
		return api.Comparison{}, err
	}
	if len(ids) < len(q.Runs) {
		return api.Comparison{}, &fault.FieldError{Field: "runs", Value: fmt.Sprintf("%q", q.Runs), Problem: "names a run twice", Fix: "name each run once"}
	}
	runs := make([]subject, len(ids))
	reports := make([]api.RunReport, len(ids))
	errs := make([]error, len(ids))
	for i, id := range ids {
		if runs[i], errs[i] = s.subjectIn(ctx, l, id); errs[i] == nil && !runs[i].started() {
			errs[i] = runs[i].notBegun()
		}
		reports[i] = reportOf(runs[i], l.Workspace, WriterAlive(l.Workspace))
	}
	if err := joined(errs); err != nil {
		return api.Comparison{}, err
	}
	return comparisonOf(reports)
}

// begunIn returns the runs of a group that have begun.
func (s *Service) begunIn(ctx context.Context, group string) ([]string, error) {
	list, err := s.Runs(ctx, api.RunsRequest{Group: group})
	if err != nil {
		return nil, err
	}
	if len(list.Runs) == 0 {
		return nil, queue.NoGroup(group)
	}
	var ids []string
	for _, r := range list.Runs {
		if r.Epochs > 0 {
			ids = append(ids, string(r.RunID))
		}
	}
	if n := len(ids); n < 2 || n > api.MaxCompared {
		return nil, &fault.FieldError{Field: "group", Value: group, Problem: fmt.Sprintf("has %d runs that have begun", n),
			Fix: fmt.Sprintf("name a group with 2 to %d, or some of the runs", api.MaxCompared)}
	}
	return ids, nil
}

// comparisonOf compares runs.
func comparisonOf(reports []api.RunReport) (api.Comparison, error) {
	c := api.Comparison{SameData: true, Folds: api.FoldSetsOf(reports), Differences: []api.FieldDifference{}, Figures: []api.ComparedFigure{}}
	fields := make([]map[string]json.RawMessage, len(reports))
	figures := make([]map[string]float64, len(reports))
	for i, r := range reports {
		d := r.Details
		var err error
		if fields[i], err = comparedFields(d); err != nil {
			return c, err
		}
		run := api.ComparedRun{Result: d.Result, Name: d.Name, Tags: d.Tags, ForkOf: d.ForkOf, InitFrom: d.InitFrom}
		if d.Job != nil {
			run.DeletedAt = d.Job.DeletedAt
		}
		figures[i], run.FiguresStep = comparedFigures(d)
		c.Runs = append(c.Runs, run)
		c.SameData = c.SameData && bytes.Equal(fields[i]["data.fingerprint"], fields[0]["data.fingerprint"]) &&
			bytes.Equal(fields[i]["data.validation_samples"], fields[0]["data.validation_samples"])
	}
	for _, field := range namesOf(fields) {
		d := api.FieldDifference{Field: field}
		differs := false
		for _, f := range fields {
			d.Values = append(d.Values, f[field])
			differs = differs || !bytes.Equal(f[field], fields[0][field])
		}
		if differs {
			c.Differences = append(c.Differences, d)
		}
	}
	for _, kind := range comparedKinds() {
		if f, ok := compareFigure(kind, figures); ok {
			c.Figures = append(c.Figures, f)
		}
	}
	for _, name := range namesOf(figures) { // those of several targets
		if !slices.ContainsFunc(comparedKinds(), func(k figureKind) bool { return k.name == name }) {
			f, _ := compareFigure(figureKind{name: name, higher: strings.HasPrefix(name, "r2 ")}, figures)
			c.Figures = append(c.Figures, f)
		}
	}
	return c, nil
}

// namesOf returns the keys of all maps, in alphabetical order.
func namesOf[V any](all []map[string]V) []string {
	names := map[string]bool{}
	for _, m := range all {
		for name := range m {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// comparedFields returns what a run was asked to train and on what data, by the path of each
// value. What follows from another field, and may be large, is left out.
func comparedFields(d api.RunDetails) (map[string]json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	if len(d.Request) > 0 {
		if err := flatten(fields, "", d.Request); err != nil {
			return nil, fmt.Errorf("the request of run %s: %w", d.RunID, err)
		}
	}
	data := d.Data
	data.TokenizerModel, data.Table = "", dataset.TableOptions{}
	raw, err := json.Marshal(data)
	if err != nil {
		return nil, err
	}
	if err := flatten(fields, "data", raw); err != nil {
		return nil, err
	}
	delete(fields, "data.id")
	delete(fields, "data.path")
	return fields, nil
}

// flatten adds the values of an object, and of those in it, by their paths.
func flatten(into map[string]json.RawMessage, path string, raw json.RawMessage) error {
	if len(raw) == 0 || raw[0] != '{' {
		into[path] = raw
		return nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return err
	}
	for key, value := range object {
		inner := key
		if path != "" {
			inner = path + "." + key
		}
		if err := flatten(into, inner, value); err != nil {
			return err
		}
	}
	return nil
}

// figureKind is a figure that is compared.
type figureKind struct {
	name   string
	higher bool // is better
}

// comparedKinds are the figures in the order in which they are shown. The first three are
// known of every run; the others are of the best checkpoint of a run that has completed.
func comparedKinds() []figureKind {
	return []figureKind{
		{"train_loss", false}, {"val_loss", false},
		{"accuracy", true}, {"balanced_accuracy", true}, {"f1_positive", true}, {"f1_macro", true}, {"roc_auc", true}, {"pr_auc", true},
		{"log_loss", false}, {"matthews", true}, {"rmse", false}, {"mae", false}, {"median_absolute_error", false}, {"r2", true}, {"mape", false},
		{"perplexity", false}, {"bits_per_byte", false},
	}
}

// comparedFigures returns the figures of a run that are defined, by their names, and the
// step of the checkpoint that they are of.
func comparedFigures(d api.RunDetails) (figures map[string]float64, step uint64) {
	figures = map[string]float64{}
	add := func(name string, v *float64) {
		if v != nil {
			figures[name] = *v
		}
	}
	step, m := d.Step, d.Metrics
	if f := d.Figures; f != nil {
		step = f.Step
		if i := slices.IndexFunc(d.History, func(e api.Epoch) bool { return e.Epoch == f.Epoch }); i >= 0 {
			m = d.History[i].Metrics
		}
		if c := f.Classification; c != nil {
			add("accuracy", c.Accuracy)
			add("balanced_accuracy", c.BalancedAccuracy)
			add("f1_positive", c.F1.Positive)
			add("f1_macro", c.F1.Macro)
			add("roc_auc", cmp.Or(c.ROCAUC.Positive, c.ROCAUC.Macro))
			add("pr_auc", cmp.Or(c.PRAUC.Positive, c.PRAUC.Macro))
			add("log_loss", c.LogLoss)
			add("matthews", c.Matthews)
		}
		for _, t := range f.Targets {
			of := ""
			if len(f.Targets) > 1 {
				of = " of " + t.Name
			}
			add("rmse"+of, t.RMSE)
			add("mae"+of, t.MAE)
			add("median_absolute_error"+of, t.MedianAbsoluteError)
			add("r2"+of, t.R2)
			add("mape"+of, t.MAPE)
		}
		if t := f.Text; t != nil {
			add("accuracy", t.Accuracy)
			add("perplexity", t.Perplexity)
			add("bits_per_byte", t.BitsPerByte)
		}
	}
	add("train_loss", m.TrainLoss)
	add("val_loss", m.ValLoss)
	if _, known := figures["accuracy"]; !known {
		add("accuracy", m.ValAccuracy)
	}
	return figures, step
}

// compareFigure puts a figure of all runs side by side; false where none has it.
func compareFigure(kind figureKind, figures []map[string]float64) (api.ComparedFigure, bool) {
	f := api.ComparedFigure{Name: kind.name, HigherIsBetter: kind.higher, Values: make([]*float64, len(figures)), Best: []int{}}
	var values []float64
	for i, of := range figures {
		if v, ok := of[kind.name]; ok {
			f.Values[i] = &v
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return f, false
	}
	best := slices.Min(values)
	if kind.higher {
		best = slices.Max(values)
	}
	for i, v := range f.Values {
		if v != nil && *v == best {
			f.Best = append(f.Best, i)
		}
	}
	if len(f.Best) == len(values) { // nothing is better than anything
		f.Best = []int{}
	}
	return f, true
}
