package api

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"reprise/dataset"
	"reprise/fault"
	"reprise/nn"
	"reprise/training"
)

// PlotKind is what a picture of a run shows. Beside the constants there is the name of the
// figure that a run is judged by, as of its epochs.
type PlotKind string

// The kinds of pictures. Residuals are of a regression, those after accuracy else of a
// classification.
const (
	PlotLoss        PlotKind = "loss"
	PlotAccuracy    PlotKind = "accuracy"
	PlotConfusion   PlotKind = "confusion"
	PlotROC         PlotKind = "roc"
	PlotPR          PlotKind = "pr"
	PlotCalibration PlotKind = "calibration"
	PlotResiduals   PlotKind = "residuals"
	// PlotCurves stands for every curve of steps and epochs, for which only the record is
	// needed.
	PlotCurves PlotKind = "curves"
)

// PlotKinds returns the kinds that have a name of their own.
func PlotKinds() []PlotKind {
	return []PlotKind{PlotCurves, PlotLoss, PlotAccuracy, PlotConfusion, PlotROC, PlotPR, PlotCalibration, PlotResiduals}
}

// Recorded reports whether a kind needs only the record of a run, and no predictions.
func (k PlotKind) Recorded() bool {
	return !slices.Contains([]PlotKind{PlotConfusion, PlotROC, PlotPR, PlotCalibration, PlotResiduals}, k)
}

// MaxPlotKinds is the most kinds that a request names.
const MaxPlotKinds = 32

// PlotRequest asks for what pictures of a run show.
type PlotRequest struct {
	Run string `json:"run"`
	// Kinds are the pictures; none stands for every one that the run can have.
	Kinds []PlotKind `json:"kinds,omitempty"`
	// Split is "validation", which "" stands for, or "test": what predictions are made on.
	Split string `json:"split,omitempty"`
	// Step is the step of the checkpoint that predicts; without it, it is the one with the
	// best monitored figure, or the last one while no epoch has been completed.
	Step *uint64 `json:"step,omitempty"`
}

// Validate fails with a *fault.FieldError for each value that cannot be, joined.
func (r PlotRequest) Validate() error {
	var errs []error
	if n := len(r.Kinds); n > MaxPlotKinds {
		errs = append(errs, &fault.FieldError{Field: "kinds", Value: strconv.Itoa(n), Problem: "is too many", Fix: fmt.Sprintf("name up to %d", MaxPlotKinds)})
	}
	if slices.Contains(r.Kinds, "") {
		errs = append(errs, &fault.FieldError{Field: "kinds", Value: `""`, Problem: "is not something to plot", Fix: "use " + kindsInWords(PlotKinds())})
	}
	return errors.Join(append(errs, checkSplit(r.Split))...)
}

// OnSplit returns the split that predictions are made on.
func (r PlotRequest) OnSplit() dataset.Split { return EvaluateRequest{Split: r.Split}.OnSplit() }

func kindsInWords(kinds []PlotKind) string {
	var names []string
	for _, k := range kinds {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ") + ", or the figure that the run is judged by"
}

// RunPlots is what pictures of a run show.
type RunPlots struct {
	RunID training.RunID `json:"run_id"`
	Name  string         `json:"name,omitempty"`
	// Data are those that the run was trained on.
	Data training.Dataset `json:"data"`
	// Loss is what was minimised; absent where it is the task's own.
	Loss    nn.Loss `json:"loss,omitzero"`
	Monitor string  `json:"monitor,omitempty"`
	Plots   []Plot  `json:"plots"`
}

// Plot is what one picture shows: curves, a cloud of points, or a matrix. Long curves are
// thinned to what can be seen of them.
type Plot struct {
	Kind PlotKind `json:"kind"`
	// Quantity is that of residuals.
	Quantity string `json:"quantity,omitempty"`
	// Model predicted for the Samples of Split; absent where nothing was predicted.
	Model   *UsedModel  `json:"model,omitempty"`
	Split   string      `json:"split,omitempty"`
	Samples int         `json:"samples,omitempty"`
	Curves  []PlotCurve `json:"curves,omitempty"`
	// Baseline is what the trivial baseline reaches; absent where that is not known.
	Baseline *float64 `json:"baseline,omitempty"`
	// Classes are the names of the classes, Confusion[i][j] the samples of class i for
	// which class j is predicted.
	Classes   []string `json:"classes,omitempty"`
	Confusion [][]int  `json:"confusion,omitempty"`
	// Omitted says what is left out, and why.
	Omitted []string `json:"omitted,omitempty"`
}

// PlotCurve is a curve, or for residuals a cloud of points.
type PlotCurve struct {
	// Name is that of the split or of the class.
	Name string `json:"name"`
	// Mean says that the curve is the mean of those of all classes.
	Mean bool      `json:"mean,omitempty"`
	X    []float64 `json:"x"`
	Y    []float64 `json:"y"`
	// Each point is the mean of so many steps, between Low and High; absent where it is one
	// step.
	Each int       `json:"each,omitempty"`
	Low  []float64 `json:"low,omitempty"`
	High []float64 `json:"high,omitempty"`
	// Counts are the samples of each point; absent where it is one.
	Counts []int `json:"counts,omitempty"`
	// Figure is the area under the curve, the calibration error or the RMSE; absent where
	// that is undefined.
	Figure *float64 `json:"figure,omitempty"`
	// BaseRate is the share of the samples that are of the class.
	BaseRate *float64 `json:"base_rate,omitempty"`
}
