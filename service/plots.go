package service

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"reprise/api"
	"reprise/dataset"
	"reprise/fault"
	"reprise/integration"
	"reprise/internal/thinning"
	"reprise/metrics"
	"reprise/training"
)

// Plot implements api.Service.
func (s *Service) Plot(ctx context.Context, q api.PlotRequest) iter.Seq2[api.Update[api.RunPlots], error] {
	return streamOf(ctx, func(ctx context.Context, send func(api.Update[api.RunPlots]) error) error {
		if err := q.Validate(); err != nil {
			return err
		}
		plots, err := s.plots(ctx, q)
		if err != nil {
			return err
		}
		return send(api.Update[api.RunPlots]{Result: &plots})
	})
}

func (s *Service) plots(ctx context.Context, q api.PlotRequest) (plots api.RunPlots, err error) {
	r, err := s.findBegun(ctx, q.Run)
	if err != nil {
		return plots, err
	}
	defer r.close()
	kinds, err := plotKinds(r, q.Kinds)
	if err != nil {
		return plots, err
	}
	h := r.run.Session.Hyperparameters
	plots = api.RunPlots{RunID: r.run.ID, Name: r.job.Job.Annotation().Name, Data: r.run.Session.Dataset, Loss: h.Loss, Monitor: h.Monitor, Plots: []api.Plot{}}
	measure := plotted{service: s, request: q, subject: &r}
	for _, kind := range kinds {
		var list []api.Plot
		if kind.Recorded() {
			var p api.Plot
			if p, err = curvesOf(r, kind); len(p.Curves) > 0 {
				list = []api.Plot{p}
			}
		} else {
			list, err = measure.plots(ctx, kind)
		}
		if err != nil {
			return plots, err
		}
		plots.Plots = append(plots.Plots, list...)
	}
	if len(plots.Plots) == 0 {
		return plots, &api.Error{Fault: fault.Conflict, Run: r.run.ID, Message: fmt.Sprintf("run %s has recorded nothing to plot yet", r.run.ID),
			Remedy: "try again once it has trained an epoch"}
	}
	return plots, nil
}

// plotKinds returns the kinds that a request names, with those that it stands for, each
// once. It fails with a *fault.FieldError for one that the run cannot have.
func plotKinds(r subject, asked []api.PlotKind) (kinds []api.PlotKind, err error) {
	data, monitor := r.run.Session.Dataset, api.PlotKind(r.run.Session.Hyperparameters.Monitor)
	curves := []api.PlotKind{api.PlotLoss}
	if data.HasAccuracy() {
		curves = append(curves, api.PlotAccuracy)
	}
	if monitor != "" && monitor != training.MonitorValLoss && !slices.Contains(curves, monitor) {
		curves = append(curves, monitor)
	}
	has := slices.Clone(curves)
	switch data.Task {
	case dataset.Regression:
		has = append(has, api.PlotResiduals)
	case dataset.NextToken:
	default:
		if data.Classes <= metrics.MaxConfused {
			has = append(has, api.PlotConfusion)
		}
		has = append(has, api.PlotROC, api.PlotPR, api.PlotCalibration)
	}
	if len(asked) == 0 {
		asked = has
	}
	for _, kind := range asked {
		list := []api.PlotKind{kind}
		switch {
		case kind == api.PlotCurves:
			list = curves
		case !slices.Contains(has, kind):
			return nil, noPlot(r, kind, has)
		}
		for _, k := range list {
			if !slices.Contains(kinds, k) {
				kinds = append(kinds, k)
			}
		}
	}
	return kinds, nil
}

// noPlot says that a run cannot have a kind of picture, and which it can have.
func noPlot(r subject, kind api.PlotKind, has []api.PlotKind) error {
	var names []string
	for _, k := range has {
		names = append(names, string(k))
	}
	problem := "is not something to plot of run " + string(r.run.ID)
	if slices.Contains(api.PlotKinds(), kind) {
		task := "classes"
		switch r.run.Session.Dataset.Task {
		case dataset.Regression:
			task = "quantities"
		case dataset.NextToken:
			task = "the next token"
		case dataset.Classification:
		}
		problem = fmt.Sprintf("does not fit run %s, which predicts %s", r.run.ID, task)
		if kind == api.PlotConfusion && task == "classes" {
			problem += fmt.Sprintf(", %d of them, and a confusion matrix has up to %d", r.run.Session.Dataset.Classes, metrics.MaxConfused)
		}
	} else if metricName(kind) {
		problem = fmt.Sprintf("was not recorded by run %s, which is judged by another figure (config.monitor)", r.run.ID)
	}
	return &fault.FieldError{Field: "kinds", Value: strconv.Quote(string(kind)), Problem: problem, Fix: "use " + strings.Join(names, ", ")}
}

// metricName reports whether a kind looks like the name of a figure.
func metricName(kind api.PlotKind) bool {
	name, _, _ := strings.Cut(string(kind), ".")
	for _, suffix := range []string{"_macro", "_weighted"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return slices.Contains([]string{
		"balanced_accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc", "log_loss", "matthews", "top_2", "top_3", "top_5", "top_10",
		"rmse", "mae", "median_absolute_error", "r2", "mape", "perplexity", "bits_per_byte",
	}, name)
}

// The most points of a curve, and of a cloud before it is thinned; see package thinning.
const (
	maxCurvePoints = 800
	maxStepPoints  = 400
	maxCloudPoints = 1500
	cloudColumns   = 90
	cloudRows      = 60
)

// curvesOf returns the curves of steps and epochs; none where nothing is recorded.
func curvesOf(r subject, kind api.PlotKind) (api.Plot, error) {
	p := api.Plot{Kind: kind}
	validation := epochCurve(r.run.TrainingRun, kind)
	if kind == api.PlotLoss {
		records, err := r.Workspace.Series(r.run.ID).Read()
		if err != nil {
			return p, err
		}
		losses := make([]float64, len(records))
		for i, record := range records {
			losses[i] = float64(record.Loss)
		}
		c := api.PlotCurve{Name: "training"}
		for _, run := range thinning.Runs(losses, maxStepPoints) {
			c.X = append(c.X, float64(records[run.Last].Step))
			c.Y = append(c.Y, run.Mean)
			c.Low, c.High = append(c.Low, run.Low), append(c.High, run.Top)
			c.Each = max(c.Each, run.Last-run.First+1)
		}
		if c.Each == 1 {
			c.Each, c.Low, c.High = 0, nil, nil
		}
		if finite(c.X, c.Y, c.Low, c.High) && len(c.X) > 0 {
			p.Curves = append(p.Curves, c)
		}
	}
	if len(validation.X) > 0 {
		p.Curves = append(p.Curves, validation)
	}
	p.Baseline = curveBaseline(r.run.TrainingRun, kind)
	return p, nil
}

// finite reports whether all of the values are numbers: those of a run that failed may not
// be.
func finite(lists ...[]float64) bool {
	for _, list := range lists {
		if slices.ContainsFunc(list, func(v float64) bool { return v-v != 0 }) {
			return false
		}
	}
	return true
}

// epochCurve returns a figure on the validation split, of epochs and of evaluations within
// them.
func epochCurve(run training.TrainingRun, kind api.PlotKind) api.PlotCurve {
	type measured struct {
		step uint64
		training.Metrics
	}
	var list []measured
	for _, e := range run.Evaluations {
		list = append(list, measured{e.Step, training.Metrics{ValLoss: e.ValLoss, ValAccuracy: e.ValAccuracy, Monitored: e.Monitored}})
	}
	for _, e := range run.Metrics {
		list = append(list, measured{e.Step, e.Metrics})
	}
	slices.SortStableFunc(list, func(a, b measured) int { return int(int64(a.step) - int64(b.step)) })
	c := api.PlotCurve{Name: dataset.Validation.String()}
	for i, m := range list {
		v, ok := m.ValLoss, true
		switch {
		case kind == api.PlotAccuracy:
			v = m.ValAccuracy
		case kind != api.PlotLoss:
			v, ok = m.Monitored.Value()
		}
		if !ok || v-v != 0 || i > 0 && list[i-1].step == m.step && len(c.X) > 0 && c.X[len(c.X)-1] == float64(m.step) {
			continue
		}
		c.X, c.Y = append(c.X, float64(m.step)), append(c.Y, v)
	}
	keep := thinning.Curve(c.X, c.Y, maxCurvePoints)
	c.X, c.Y = thinning.Pick(c.X, keep), thinning.Pick(c.Y, keep)
	return c
}

// curveBaseline returns what the trivial baseline reaches on the validation split, as
// recorded with the figures.
func curveBaseline(run training.TrainingRun, kind api.PlotKind) *float64 {
	if run.Figures == nil {
		return nil
	}
	f := run.Figures.Figures
	name := string(kind)
	if kind == api.PlotLoss {
		if loss := run.Session.Hyperparameters.Loss.Name; loss != "" && loss != "cross_entropy" {
			return nil
		}
		name = "log_loss" // which a regression does not have
	}
	return f.Baseline(name)
}

// plotted makes the plots that need predictions, which are made once for all of them.
type plotted struct {
	service *Service
	request api.PlotRequest
	subject *subject

	checkpoint training.Checkpoint
	evaluation *metrics.Evaluation
	figures    metrics.Figures
}

func (p *plotted) plots(ctx context.Context, kind api.PlotKind) ([]api.Plot, error) {
	split := p.request.OnSplit()
	plot := api.Plot{Kind: kind, Split: split.String()}
	if kind == api.PlotConfusion && p.evaluation == nil {
		cp, err := checkpointOf(*p.subject, p.request.Step, p.request.Step == nil)
		if err != nil {
			return nil, err
		}
		if c := recordedConfusion(p.subject.run.TrainingRun, cp, split); c != nil {
			p.checkpoint = cp
			return []api.Plot{p.confusion(plot, *c)}, nil
		}
	}
	if err := p.evaluate(ctx, split); err != nil {
		return nil, err
	}
	used := usedModel(*p.subject, p.checkpoint)
	plot.Model = &used
	e := p.evaluation
	if c := p.figures.Classification; c != nil {
		plot.Samples = c.Samples
		switch {
		case kind == api.PlotConfusion:
			return []api.Plot{p.confusion(plot, *c)}, nil
		case !e.Kept():
			plot.Omitted = []string{fmt.Sprintf("the curves, since there are more than %d scores", metrics.MaxKept)}
		case kind == api.PlotCalibration:
			plot.Curves = []api.PlotCurve{calibrationOf(e, *c)}
		default:
			setClassCurves(&plot, e, *c, p.classes())
		}
		return []api.Plot{plot}, nil
	}
	var list []api.Plot
	for i, target := range p.figures.Targets {
		own := plot
		own.Quantity, own.Samples = target.Name, target.Samples
		if e.Kept() {
			own.Curves = []api.PlotCurve{residualsOf(e, i, target)}
		} else {
			own.Omitted = []string{fmt.Sprintf("the points, since there are more than %d", metrics.MaxKept/2)}
		}
		list = append(list, own)
	}
	return list, nil
}

// evaluate has the model predict, unless it has.
func (p *plotted) evaluate(ctx context.Context, split dataset.Split) (err error) {
	if p.evaluation != nil {
		return nil
	}
	cp, request, err := p.service.evaluationOf(ctx, p.subject, p.request.Step, split)
	if err != nil {
		return err
	}
	devices, ctx := p.service.lessor(ctx)
	defer devices.close(&err)
	e, err := integration.EvaluateSamples(ctx, devices, request)
	if err != nil {
		return err
	}
	p.checkpoint, p.evaluation, p.figures = cp, e, e.Figures()
	return nil
}

// recordedConfusion returns the figures on record of a checkpoint, if they have a confusion
// matrix.
func recordedConfusion(run training.TrainingRun, cp training.Checkpoint, split dataset.Split) *metrics.Classification {
	f := run.Figures
	if f == nil || f.Step != cp.Step {
		return nil
	}
	c := f.Classification
	if split == dataset.Test {
		if f.Test == nil {
			return nil
		}
		c = f.Test.Classification
	}
	if c == nil || c.Confusion == nil || c.Classes == nil {
		return nil
	}
	return c
}

func (p *plotted) confusion(plot api.Plot, c metrics.Classification) api.Plot {
	used := usedModel(*p.subject, p.checkpoint)
	plot.Model, plot.Samples, plot.Confusion = &used, c.Samples, c.Confusion
	for _, class := range c.Classes {
		plot.Classes = append(plot.Classes, class.Name)
	}
	return plot
}

func (p *plotted) classes() int { return p.subject.run.Session.Dataset.Classes }
