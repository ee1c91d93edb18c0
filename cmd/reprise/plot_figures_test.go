package main

import (
	"strings"
	"testing"

	"reprise/api"
	"reprise/plot"
)

// Names of runs, classes and data come from elsewhere: a picture shows their control
// characters, and names of files have none.
func TestPicturesShowControlCharacters(t *testing.T) {
	const odd = "a\x1b[31m/b"
	curve := api.PlotCurve{Name: odd, X: []float64{0, 1}, Y: []float64{0, 1}}
	used := &api.UsedModel{RunID: "r"}
	run := api.RunPlots{RunID: "r", Name: odd, Plots: []api.Plot{
		{Kind: "recall." + odd, Curves: []api.PlotCurve{curve}},
		{Kind: api.PlotConfusion, Model: used, Classes: []string{odd, ""}, Confusion: [][]int{{1, 2}, {3, 4}}},
		{Kind: api.PlotROC, Model: used, Curves: []api.PlotCurve{curve}, Omitted: []string{odd}},
		{Kind: api.PlotResiduals, Quantity: odd, Model: used, Curves: []api.PlotCurve{curve}},
		{Kind: api.PlotResiduals, Quantity: odd, Model: used},
	}}
	run.Data.Path = odd
	list := drawRuns([]api.RunPlots{run})
	if got := pictureNames(list); got != "recall-a--31m-b, confusion, roc, residuals-a--31m-b and residuals-a--31m-b-2" {
		t.Errorf("the files are %s", got)
	}
	for _, p := range list {
		text := strings.Join(plot.Text(p.Picture, plot.Style{Width: 80, Height: 24}), "\n")
		if strings.Contains(text, "\x1b") || !strings.Contains(text, `a\x1b[31m/b`) {
			t.Errorf("%s: %q", p.name, text)
		}
	}
}

// The locale is that of the first variable which is set, as in the C library.
func TestTheLocaleSaysWhetherThereIsUnicode(t *testing.T) {
	for _, c := range []struct {
		all, ctype, lang string
		want             bool
	}{
		{"", "", "de_DE.UTF-8", true}, {"", "", "C.utf8", true}, {"", "", "C", false}, {"C", "", "en_US.UTF-8", false},
		{"", "en_US.UTF-8", "C", true}, {"", "", "de_DE.ISO-8859-1", false},
	} {
		env := &environment{getenv: func(name string) string {
			return map[string]string{"LC_ALL": c.all, "LC_CTYPE": c.ctype, "LANG": c.lang}[name]
		}}
		if got := env.showsUnicode(); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
