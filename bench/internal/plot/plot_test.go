package plot_test

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"reprise/bench/internal/plot"
)

func update() bool { f := flag.Lookup("update"); return f != nil && f.Value.String() == "true" }

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite testdata")
	flag.Parse()
	os.Exit(m.Run())
}

func figure() plot.Figure {
	points := []plot.Point{{1, 0.5}, {2, 0.7}, {4, 30}}
	return plot.Figure{Title: "Time & <batch>", Charts: []plot.Chart{
		{Title: "left", X: "batch", Y: "ms", Curves: []plot.Curve{
			{Name: "mlp, 1 thread", Points: points, Dashed: true},
			{Name: "mlp, 2 threads", Points: points[:2]},
		}},
		{Title: "right", X: "batch", Y: "ns", Curves: []plot.Curve{{Name: "cnn", Colour: 1, Points: []plot.Point{{3, 1}}}}},
	}}
}

func TestSVGIsTheGoldenFile(t *testing.T) {
	got, err := figure().SVG()
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/figure.svg"
	if update() {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("the figure is not %s; look at it and run go test -update", golden)
	}
	for d := xml.NewDecoder(strings.NewReader(string(got))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for text, n := range map[string]int{"<polyline": 3, "<circle": 6, ">mlp, 1 thread<": 1, ">Time &amp; &lt;batch&gt;<": 1, "stroke-dasharray": 2} {
		if got := strings.Count(string(got), text); got != n {
			t.Errorf("%d times %q, want %d", got, text, n)
		}
	}
}

func TestSVGRefusesWhatItCannotDraw(t *testing.T) {
	for name, points := range map[string][]plot.Point{
		"zero": {{0, 1}}, "negative": {{1, -1}}, "NaN": {{1, math.NaN()}}, "infinity": {{math.Inf(1), 1}}, "no points": nil,
	} {
		f := plot.Figure{Charts: []plot.Chart{{Curves: []plot.Curve{{Points: points}}}}}
		if _, err := f.SVG(); err == nil {
			t.Errorf("%s was drawn", name)
		}
	}
	if _, err := (plot.Figure{}).SVG(); err == nil {
		t.Error("nothing was drawn")
	}
}
