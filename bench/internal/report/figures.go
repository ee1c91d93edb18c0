package report

import (
	"fmt"
	"strings"

	"reprise/bench/internal/duel"
	"reprise/bench/internal/plot"
)

// curve has the lines of one work on one axis with one number of threads, in
// ascending order of the value.
type curve struct {
	work, axis string
	threads    int
	points     []duel.Scaling
}

// curves returns the curves of an axis in the order of their lines.
func curves(lines []duel.Scaling, axis string) []curve {
	var out []curve
next:
	for _, l := range lines {
		if l.Axis != axis {
			continue
		}
		for i, c := range out {
			if c.work == l.Work && c.threads == l.Threads {
				out[i].points = append(c.points, l)
				continue next
			}
		}
		out = append(out, curve{l.Work, axis, l.Threads, []duel.Scaling{l}})
	}
	return out
}

func axes() []string { return []string{"batch", "width", "context"} }

func figureName(axis string) string { return "performance-" + axis + ".svg" }

// Figures returns the SVG files by name, one for each axis that was measured.
func Figures(r Results) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, axis := range axes() {
		all := curves(r.Scaling, axis)
		if len(all) == 0 {
			continue
		}
		svg, err := figure(axis, all).SVG()
		if err != nil {
			return nil, err
		}
		out[figureName(axis)] = svg
	}
	return out, nil
}

// figure shows the time of a step on its left and, on its right, the cost,
// which is level if a step takes as long as it should.
func figure(axis string, all []curve) plot.Figure {
	unit := all[0].points[0].Unit
	each := strings.TrimPrefix(unit, "ns/")
	scale, prefix := 1.0, "ns"
	if each == "sample" {
		scale, prefix = 1e-3, "µs"
	}
	step := plot.Chart{Title: "time of a step", X: axis, Y: "ms"}
	cost := plot.Chart{Title: "time for each " + each, X: axis, Y: prefix}
	colours := map[string]int{}
	for _, c := range all {
		if _, ok := colours[c.work]; !ok {
			colours[c.work] = len(colours)
		}
		line := plot.Curve{Name: fmt.Sprintf("%s, %s", c.work, count(c.threads, "thread")), Colour: colours[c.work], Dashed: c.threads == 1}
		other := line
		for _, p := range c.points {
			line.Points = append(line.Points, plot.Point{X: float64(p.Value), Y: 1e3 * p.Seconds})
			other.Points = append(other.Points, plot.Point{X: float64(p.Value), Y: scale * p.Cost})
		}
		step.Curves, cost.Curves = append(step.Curves, line), append(cost.Curves, other)
	}
	return plot.Figure{Title: "A training step against the " + axis, Charts: []plot.Chart{step, cost}}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
