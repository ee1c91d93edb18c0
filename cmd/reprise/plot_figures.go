package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"

	"reprise/api"
	"reprise/dataset"
	"reprise/nn"
	"reprise/plot"
)

// drawRuns makes pictures of what runs show, those of the same kind in one.
func drawRuns(runs []api.RunPlots) (list []picture) {
	labels := plotLabels(runs)
	var kinds []api.PlotKind
	for _, r := range runs {
		for _, p := range r.Plots {
			known := false
			for _, k := range kinds {
				known = known || k == p.Kind
			}
			if !known {
				kinds = append(kinds, p.Kind)
			}
		}
	}
	for _, kind := range kinds {
		switch kind {
		case api.PlotConfusion:
			list = named(list, string(kind), confusionPicture(labels[0], ofKind(runs[0], kind)[0]))
		case api.PlotResiduals:
			plots := ofKind(runs[0], kind)
			for _, p := range plots {
				name := string(kind)
				if len(plots) > 1 {
					name += "-" + p.Quantity
				}
				list = named(list, name, residualsPicture(labels[0], p))
			}
		case api.PlotROC, api.PlotPR, api.PlotCalibration:
			list = named(list, string(kind), classPicture(kind, runs, labels))
		default:
			list = named(list, string(kind), curvesPicture(kind, runs, labels))
		}
	}
	return list
}

// ofKind returns the plots of a kind.
func ofKind(r api.RunPlots, kind api.PlotKind) (list []api.Plot) {
	for _, p := range r.Plots {
		if p.Kind == kind {
			list = append(list, p)
		}
	}
	return list
}

// plotLabels returns what runs are called: their names, or ids where these are not unique.
func plotLabels(runs []api.RunPlots) []string {
	labels := make([]string, len(runs))
	for i, r := range runs {
		same := 0
		for _, other := range runs {
			if other.Name == r.Name {
				same++
			}
		}
		if labels[i] = string(r.RunID); r.Name != "" && same == 1 {
			labels[i] = visible(truncate(r.Name, maxNamed))
		}
	}
	return labels
}

// withFigure adds a figure to the name of a curve.
func withFigure(name, figure string, v *float64) string {
	if v == nil {
		return name
	}
	return fmt.Sprintf("%s, %s %s", name, figure, formatMetric(*v))
}

// curvesPicture draws curves of steps and epochs.
func curvesPicture(kind api.PlotKind, runs []api.RunPlots, labels []string) plot.Picture {
	c := &plot.Chart{X: plot.Axis{Title: "step", Whole: true}, Y: plot.Axis{Title: curveUnit(kind, runs), Log: kind == api.PlotLoss}}
	figure := figureInWords(kind)
	title := strings.ToUpper(figure[:1]) + figure[1:]
	if len(runs) == 1 {
		r, p := runs[0], ofKind(runs[0], kind)[0]
		c.Title, c.Subtitle = title+" of "+labels[0], runInWords(r)
		for i, curve := range p.Curves {
			c.Series = append(c.Series, curveSeries(curve, curveName(curve, kind), i))
		}
		if p.Baseline != nil {
			c.Guides = []plot.Guide{{Name: "baseline, " + formatMetric(*p.Baseline), Level: *p.Baseline}}
		}
		return c
	}
	c.Title, c.Subtitle = title+" of "+plural(len(runs), "run"), "on the validation split of each"
	for i, r := range runs {
		for _, p := range ofKind(r, kind) {
			for j, curve := range p.Curves {
				s := curveSeries(curve, labels[i], i)
				if j < len(p.Curves)-1 { // the last one is that of the validation split
					s.Name, s.Low, s.High, s.Faint = "", nil, nil, true
				}
				c.Series = append(c.Series, s)
			}
		}
	}
	if kind == api.PlotLoss {
		c.Subtitle += "; thin lines: of the training steps"
	}
	return c
}

// figureInWords is what a figure is called in pictures: recall of "fraud".
func figureInWords(kind api.PlotKind) string {
	figure, class, found := strings.Cut(string(kind), ".")
	figure = strings.ReplaceAll(figure, "_", " ")
	if found {
		figure += " of " + className(class)
	}
	return figure
}

// curveSeries makes a series of a curve. That of the steps is a line, that of epochs has
// their points.
func curveSeries(curve api.PlotCurve, name string, color int) plot.Series {
	s := plot.Series{Name: name, X: curve.X, Y: curve.Y, Low: curve.Low, High: curve.High, Color: color}
	if curve.Name == dataset.Validation.String() {
		s.Marks = plot.LinesAndDots
	}
	return s
}

// curveName is what a curve of a single run is called.
func curveName(curve api.PlotCurve, kind api.PlotKind) string {
	switch {
	case curve.Name == dataset.Validation.String():
		return "validation"
	case curve.Each > 0:
		return fmt.Sprintf("training, mean and range of %s", plural(curve.Each, "step"))
	case kind == api.PlotLoss:
		return "training, of each step"
	}
	return curve.Name
}

// curveUnit is the title of the axis of a figure, with its unit.
func curveUnit(kind api.PlotKind, runs []api.RunPlots) string {
	if kind != api.PlotLoss {
		return figureInWords(kind)
	}
	unit := ""
	for i, r := range runs {
		own := lossUnit(r)
		if i > 0 && own != unit {
			return "loss"
		}
		unit = own
	}
	return unit
}

func lossUnit(r api.RunPlots) string {
	switch r.Loss.Name {
	case nn.LossFocal:
		return "focal loss (nats)"
	case nn.LossMAE:
		return "mean absolute error (standard deviations of the target)"
	case nn.LossHuber:
		return "Huber loss (of the standardized target)"
	case nn.LossMSE, nn.LossCrossEntropy:
	}
	switch r.Data.Task {
	case dataset.Regression:
		return "mean squared error (of the standardized target)"
	case dataset.NextToken:
		return "cross-entropy (nats a token)"
	case dataset.Classification:
	}
	return "cross-entropy (nats)"
}

func runInWords(r api.RunPlots) string {
	return fmt.Sprintf("run %s on %s, %s and %s validation", r.RunID, visible(filepath.Base(r.Data.Path)), plural(r.Data.Training, "training sample"), thousands(r.Data.Validation))
}

// predictionInWords says what made the predictions of a plot, and on what.
func predictionInWords(p api.Plot) string {
	return fmt.Sprintf("%s, on %s", modelInWords(*p.Model), plural(p.Samples, p.Split+" sample"))
}

// leftOut are the notes of a plot.
func leftOut(p api.Plot) (notes []string) {
	for _, what := range p.Omitted {
		notes = append(notes, "left out: "+visible(what))
	}
	return notes
}

// classPicture draws ROC, PR or calibration curves.
func classPicture(kind api.PlotKind, runs []api.RunPlots, labels []string) plot.Picture {
	share := func(title string) plot.Axis { return plot.Axis{Title: title, Fixed: true, Max: 1} }
	c := &plot.Chart{Square: true}
	figure := "AUC"
	switch kind {
	case api.PlotPR:
		c.Title, c.X, c.Y, figure = "Precision and recall", share("recall"), share("precision"), "AP"
	case api.PlotCalibration:
		c.Title, c.X, c.Y, figure = "Calibration", share("predicted probability"), share("share that came true"), "calibration error"
		c.Guides = []plot.Guide{{Name: "perfect", Diagonal: true}}
	default:
		c.Title, c.X, c.Y = "ROC", share("false positive rate"), share("true positive rate (recall)")
		c.Guides = []plot.Guide{{Name: "chance, AUC 0.5", Diagonal: true}}
	}
	if len(runs) > 1 {
		c.Title += " of " + plural(len(runs), "run")
		for i, r := range runs {
			p := ofKind(r, kind)[0]
			if curve, ok := headline(p); ok {
				c.Series = append(c.Series, classSeries(curve, withFigure(labels[i], figure, curve.Figure), i))
				c.Notes = append(c.Notes, fmt.Sprintf("%s: %s, %s", labels[i], visible(curve.Name), predictionInWords(p)))
			}
			for _, note := range leftOut(p) {
				if len(p.Curves) == 0 {
					c.Notes = append(c.Notes, labels[i]+": "+note)
				}
			}
		}
		return c
	}
	p := ofKind(runs[0], kind)[0]
	c.Title, c.Subtitle, c.Notes = c.Title+" of "+labels[0], predictionInWords(p), leftOut(p)
	for i, curve := range p.Curves {
		s := classSeries(curve, withFigure(visible(curve.Name), figure, curve.Figure), i)
		if curve.Mean && len(p.Curves) > 1 {
			s.Color, s.Dashed = plot.Ink, true
		}
		c.Series = append(c.Series, s)
	}
	curve, ok := headline(p)
	switch {
	case !ok:
	case kind == api.PlotPR && curve.BaseRate != nil:
		of := visible(curve.Name)
		if curve.Mean {
			of = "a class, in the mean"
		}
		c.Guides = []plot.Guide{{Name: "base rate of " + of + ", " + formatMetric(*curve.BaseRate), Level: *curve.BaseRate}}
	case kind == api.PlotCalibration && curve.Mean:
		c.X.Title, c.Y.Title = "probability of the predicted class", "share that is right"
	case kind == api.PlotCalibration:
		c.X.Title, c.Y.Title = "predicted probability of "+visible(curve.Name), "share that is "+visible(curve.Name)
	}
	return c
}

// headline returns the curve that stands for a run: the mean of several, or the only one.
func headline(p api.Plot) (api.PlotCurve, bool) {
	if len(p.Curves) == 0 {
		return api.PlotCurve{}, false
	}
	return p.Curves[len(p.Curves)-1], true
}

func classSeries(curve api.PlotCurve, name string, color int) plot.Series {
	s := plot.Series{Name: name, X: curve.X, Y: curve.Y, Counts: curve.Counts, Color: color}
	if curve.Counts != nil {
		s.Marks = plot.LinesAndDots
	}
	return s
}

func confusionPicture(label string, p api.Plot) plot.Picture {
	m := &plot.Matrix{Title: "Confusion of " + label, Subtitle: predictionInWords(p), Rows: "true class", Columns: "predicted class", Counts: p.Confusion, Notes: leftOut(p)}
	for _, class := range p.Classes {
		m.Classes = append(m.Classes, visible(cmp.Or(class, `""`)))
	}
	return m
}

func residualsPicture(label string, p api.Plot) plot.Picture {
	quantity := visible(p.Quantity)
	c := &plot.Chart{
		Title: "Residuals of " + quantity + ", " + label, Subtitle: predictionInWords(p), Notes: leftOut(p),
		X: plot.Axis{Title: "predicted " + quantity}, Y: plot.Axis{Title: "true minus predicted " + quantity},
		Guides: []plot.Guide{{Name: "no error"}},
	}
	for _, curve := range p.Curves {
		name := "a sample"
		if curve.Counts != nil {
			name = "one or several samples"
		}
		c.Series = append(c.Series, plot.Series{Name: withFigure(name, "RMSE", curve.Figure), X: curve.X, Y: curve.Y, Counts: curve.Counts, Marks: plot.Dots})
	}
	return c
}
