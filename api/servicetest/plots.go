package servicetest

import (
	"errors"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"reprise/api"
	"reprise/fault"
)

// plotOf returns what pictures of a run show, and the error.
func plotOf(t *testing.T, s api.Service, r api.PlotRequest) (result *api.RunPlots, failed *api.Error) {
	t.Helper()
	for u, err := range s.Plot(t.Context(), r) {
		if err != nil {
			if !errors.As(err, &failed) {
				t.Errorf("%#v", err)
			}
			continue
		}
		if result != nil {
			t.Errorf("%+v comes after the result", u)
		}
		result = u.Result
	}
	return result, failed
}

// plotted checks that pictures show what is on record.
func plotted(t *testing.T, h Harness) {
	s := h.Open(t, filepath.Join(t.TempDir(), "new"))
	run := submitted(t, s, "config.monitor=f1_macro")[0]
	end := followed(t, s, []string{run}, nil)[0].Details
	got, err := plotOf(t, s, api.PlotRequest{Run: run})
	if err != nil || got == nil || string(got.RunID) != run || got.Monitor != "f1_macro" {
		t.Fatalf("%+v, %v", got, err)
	}
	plots := map[api.PlotKind]api.Plot{}
	var kinds []api.PlotKind
	for _, p := range got.Plots {
		plots[p.Kind] = p
		kinds = append(kinds, p.Kind)
	}
	if want := []api.PlotKind{"loss", "accuracy", "f1_macro", "confusion", "roc", "pr", "calibration"}; !slices.Equal(kinds, want) {
		t.Fatalf("the plots are %q, want %q", kinds, want)
	}
	plottedCurves(t, s, run, end, plots)
	figures := end.Figures.Classification
	for kind, p := range plots {
		if kind.Recorded() {
			continue
		}
		if p.Model == nil || p.Model.Step != end.Figures.Step || !p.Model.Best || p.Split != "validation" || p.Samples != figures.Samples {
			t.Errorf("%s is of %+v on %d samples of %s", kind, p.Model, p.Samples, p.Split)
		}
	}
	if p := plots["confusion"]; !reflect.DeepEqual(p.Confusion, figures.Confusion) || len(p.Classes) != 10 || p.Classes[3] != "3" {
		t.Errorf("the confusion is %+v, on record is %v", p, figures.Confusion)
	}
	for kind, p := range map[api.PlotKind]api.Plot{"roc": plots["roc"], "pr": plots["pr"]} {
		if len(p.Curves) != 11 || !p.Curves[10].Mean {
			t.Fatalf("%s has %d curves", kind, len(p.Curves))
		}
		for i, c := range p.Curves {
			want := figures.ROCAUC.Macro
			if kind == "pr" {
				want = figures.PRAUC.Macro
			}
			if !c.Mean {
				if want = figures.Classes[i].ROCAUC; kind == "pr" {
					want = figures.Classes[i].PRAUC
				}
			}
			area := 0.0
			for j := 1; j < len(c.X); j++ {
				area += (c.X[j] - c.X[j-1]) * (c.Y[j] + c.Y[j-1]) / 2
			}
			if c.Figure == nil || *c.Figure != *want || !c.Mean && math.Abs(area-*want) > 1e-9 || c.Mean && math.Abs(area-*want) > 0.01 {
				t.Errorf("%s of %s: the area is %v, the figure %v, on record is %v", kind, c.Name, area, c.Figure, *want)
			}
		}
	}
	samples := 0
	for _, n := range plots["calibration"].Curves[0].Counts {
		samples += n
	}
	if samples != figures.Samples {
		t.Errorf("the calibration is of %d samples, want %d", samples, figures.Samples)
	}
	again, err := plotOf(t, s, api.PlotRequest{Run: run, Kinds: []api.PlotKind{"roc", "curves", "roc", "loss"}})
	if err != nil || len(again.Plots) != 4 || !reflect.DeepEqual(again.Plots[0], plots["roc"]) || !reflect.DeepEqual(again.Plots[1], plots["loss"]) {
		t.Errorf("asked again: %+v, %v", again, err)
	}
	plottedMistakes(t, s, run)
}

// plottedCurves compares the curves of steps and epochs with the metrics.
func plottedCurves(t *testing.T, s api.Service, run string, end api.RunDetails, plots map[api.PlotKind]api.Plot) {
	t.Helper()
	m, _, err := api.CollectMetrics(s.Metrics(t.Context(), api.MetricsRequest{Run: run}))
	if err != nil {
		t.Fatal(err)
	}
	var steps, losses, epochs, valLosses, accuracies []float64
	for _, step := range m.Steps {
		steps, losses = append(steps, float64(step.Step)), append(losses, float64(step.Loss))
	}
	for _, e := range m.Epochs {
		epochs, valLosses, accuracies = append(epochs, float64(e.Step)), append(valLosses, *e.ValLoss), append(accuracies, *e.ValAccuracy)
	}
	p := plots["loss"]
	if len(p.Curves) != 2 || !slices.Equal(p.Curves[0].X, steps) || !slices.Equal(p.Curves[0].Y, losses) || !slices.Equal(p.Curves[1].X, epochs) || !slices.Equal(p.Curves[1].Y, valLosses) {
		t.Errorf("the loss is %+v, on record are %v, %v", p, losses, valLosses)
	}
	if p.Baseline == nil || *p.Baseline != *end.Figures.MajorityClass.LogLoss {
		t.Errorf("the baseline of the loss is %v", p.Baseline)
	}
	if p := plots["accuracy"]; len(p.Curves) != 1 || !slices.Equal(p.Curves[0].Y, accuracies) || *p.Baseline != *end.Figures.MajorityClass.Accuracy {
		t.Errorf("the accuracy is %+v, on record is %v", p, accuracies)
	}
	last, _ := m.Epochs[len(m.Epochs)-1].Monitored.Value()
	if p := plots["f1_macro"]; len(p.Curves) != 1 || p.Curves[0].Y[len(p.Curves[0].Y)-1] != last {
		t.Errorf("f1_macro is %+v, the last on record is %v", p, last)
	}
}

func plottedMistakes(t *testing.T, s api.Service, run string) {
	t.Helper()
	step := uint64(7)
	for _, c := range []struct {
		request api.PlotRequest
		fields  []string
		says    string
	}{
		{api.PlotRequest{Run: run, Kinds: []api.PlotKind{""}, Split: "train"}, []string{"kinds", "split"}, "calibration"},
		{api.PlotRequest{Run: run, Kinds: []api.PlotKind{"residuals"}}, []string{"kinds"}, "which predicts classes"},
		{api.PlotRequest{Run: run, Kinds: []api.PlotKind{"loss", "matthews"}}, []string{"kinds"}, "judged by another figure"},
		{api.PlotRequest{Run: run, Kinds: []api.PlotKind{"rok"}}, []string{"kinds"}, "use loss, accuracy, f1_macro, confusion, roc, pr, calibration"},
		{api.PlotRequest{Run: run, Kinds: []api.PlotKind{"roc"}, Step: &step}, []string{"step"}, "no checkpoint at step 7"},
		{api.PlotRequest{Run: run, Kinds: []api.PlotKind{"confusion"}, Split: "test"}, []string{"split"}, "without a test split"},
		{api.PlotRequest{Run: run, Kinds: slices.Repeat([]api.PlotKind{"loss"}, api.MaxPlotKinds+1)}, []string{"kinds"}, "too many"},
	} {
		_, err := plotOf(t, s, c.request)
		if err == nil {
			t.Errorf("%+v: nothing failed", c.request)
			continue
		}
		var fields []string
		for _, m := range err.Mistakes {
			fields = append(fields, m.Field)
		}
		if err.Fault != fault.Invalid || !slices.Equal(fields, c.fields) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: the mistakes are in %q, want %q, and %q: %v", c.request, fields, c.fields, c.says, err)
		}
	}
}
