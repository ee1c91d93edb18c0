package service

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"reprise/api"
	"reprise/internal/figures"
	"reprise/internal/thinning"
	"reprise/metrics"
)

// maxClassCurves is how many classes have a curve of their own: as many as can be told from
// each other.
const maxClassCurves = 10

// setClassCurves sets the ROC or PR curves: that of the second of two classes, otherwise
// those of each class against all others and their mean. Of many classes it is those with
// the smallest areas, which say where the model fails.
func setClassCurves(plot *api.Plot, e *metrics.Evaluation, c metrics.Classification, classes int) {
	points, mean := e.ROC, c.ROCAUC.Macro
	area := func(class metrics.Class) *float64 { return class.ROCAUC }
	if plot.Kind == api.PlotPR {
		points, mean = e.PrecisionRecall, c.PRAUC.Macro
		area = func(class metrics.Class) *float64 { return class.PRAUC }
	}
	areas := make([]*float64, len(c.Classes))
	for i, class := range c.Classes {
		areas[i] = area(class)
	}
	shown := shownClasses(areas)
	var total meanCurve
	for class := range classes {
		own := slices.Contains(shown, class)
		if classes == 2 && !own {
			continue
		}
		p := points(class)
		if len(p.X) == 0 {
			continue
		}
		total.add(p, plot.Kind)
		if own {
			rate := float64(c.Classes[class].Support) / float64(c.Samples)
			curve := thinnedCurve(p)
			curve.Name, curve.Figure, curve.BaseRate = c.Classes[class].Name, areas[class], &rate
			plot.Curves = append(plot.Curves, curve)
		}
	}
	if classes != 2 && total.curves > 1 {
		curve := thinnedCurve(total.points())
		rate := 1 / float64(total.curves) // the mean of those of all classes that occur
		curve.Name, curve.Mean, curve.Figure, curve.BaseRate = "mean of "+strconv.Itoa(total.curves)+" classes", true, mean, &rate
		plot.Curves = append(plot.Curves, curve)
	}
	plot.Omitted = append(plot.Omitted, omittedClasses(c, areas, shown, classes)...)
}

// shownClasses returns the classes that have a curve, in ascending order.
func shownClasses(areas []*float64) (shown []int) {
	for class, area := range areas {
		if area != nil && (len(areas) != 2 || class == 1) {
			shown = append(shown, class)
		}
	}
	if len(shown) > maxClassCurves {
		slices.SortStableFunc(shown, func(a, b int) int { return cmp.Compare(*areas[a], *areas[b]) })
		shown = shown[:maxClassCurves]
		slices.Sort(shown)
	}
	return shown
}

// omittedClasses says which classes have no curve, and why.
func omittedClasses(c metrics.Classification, areas []*float64, shown []int, classes int) (list []string) {
	if len(areas) < classes {
		return []string{fmt.Sprintf("the curve of each class, since there are more than %d classes", metrics.MaxListed)}
	}
	var larger, undefined []string
	for class, area := range areas {
		switch {
		case area == nil:
			undefined = append(undefined, c.Classes[class].Name)
		case classes != 2 && !slices.Contains(shown, class):
			larger = append(larger, c.Classes[class].Name)
		}
	}
	if len(larger) > 0 {
		list = append(list, fmt.Sprintf("%s with larger areas: %s", classesInWords(len(larger)), firstOf(larger)))
	}
	if len(undefined) > 0 && (classes != 2 || areas[1] == nil) {
		list = append(list, fmt.Sprintf("%s without both samples of it and others: %s", classesInWords(len(undefined)), firstOf(undefined)))
	}
	return list
}

func classesInWords(n int) string {
	if n == 1 {
		return "1 class"
	}
	return figures.Thousands(n) + " classes"
}

// firstOf lists the first of many names.
func firstOf(names []string) string {
	const most = 12
	if more := len(names) - most; more > 1 {
		names = append(slices.Clone(names[:most]), fmt.Sprintf("%d more", more))
	}
	return figures.And(names)
}

// thinnedCurve returns a curve as it is drawn.
func thinnedCurve(p metrics.Points) api.PlotCurve {
	keep := thinning.Curve(p.X, p.Y, maxCurvePoints)
	return api.PlotCurve{X: thinning.Pick(p.X, keep), Y: thinning.Pick(p.Y, keep)}
}

// meanParts is how many parts the range of a mean curve has.
const meanParts = 200

// meanCurve is the mean of the heights of curves, at evenly spaced places.
type meanCurve struct {
	curves  int
	heights [meanParts + 1]float64
}

func (m *meanCurve) add(p metrics.Points, kind api.PlotKind) {
	m.curves++
	for i := range m.heights {
		x := float64(i) / meanParts
		if kind == api.PlotPR { // its steps are level up to the recall at their end
			at, _ := slices.BinarySearch(p.X, x)
			m.heights[i] += p.Y[min(at, len(p.Y)-1)]
			continue
		}
		m.heights[i] += p.At(x)
	}
}

func (m *meanCurve) points() (p metrics.Points) {
	for i, h := range m.heights {
		p.X, p.Y = append(p.X, float64(i)/meanParts), append(p.Y, h/float64(m.curves))
	}
	return p
}

// calibrationOf compares probabilities with what came true.
func calibrationOf(e *metrics.Evaluation, c metrics.Classification) api.PlotCurve {
	list := e.Calibration()
	curve := api.PlotCurve{Name: "the predicted class", Mean: true, Figure: metrics.CalibrationError(list)}
	if len(c.Classes) == 2 {
		curve.Name, curve.Mean = c.Classes[1].Name, false
	}
	for _, b := range list {
		curve.X, curve.Y, curve.Counts = append(curve.X, b.Probability), append(curve.Y, b.Share), append(curve.Counts, b.Samples)
	}
	return curve
}

// residualsOf returns what is true minus what is predicted, over what is predicted.
func residualsOf(e *metrics.Evaluation, quantity int, target metrics.Target) api.PlotCurve {
	truth, predicted := e.Predictions(quantity)
	residuals := make([]float64, len(truth))
	for i := range truth {
		residuals[i] = truth[i] - predicted[i]
	}
	keep, counts := thinning.Cloud(predicted, residuals, maxCloudPoints, cloudColumns, cloudRows)
	curve := api.PlotCurve{Name: target.Name, X: thinning.Pick(predicted, keep), Y: thinning.Pick(residuals, keep), Figure: target.RMSE}
	if len(keep) < len(truth) {
		curve.Counts = counts
	}
	return curve
}
