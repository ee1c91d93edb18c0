package cluster

import "reprise/bench/internal/plot"

// Front draws mean completion against the longest wait: the default policy as a
// curve over its patience, every other policy as a point. One chart a trace.
func Front(lines []Line) plot.Figure {
	f := plot.Figure{Title: "Mean completion against the longest wait"}
	at := map[string]int{}     // chart of a trace
	colour := map[string]int{} // of a policy
	for _, l := range lines {
		i, known := at[l.Trace]
		if !known {
			i = len(f.Charts)
			at[l.Trace] = i
			f.Charts = append(f.Charts, plot.Chart{Title: l.Trace, X: "longest wait, minutes", Y: "mean completion, minutes"})
		}
		chart := &f.Charts[i]
		c := 0
		for c < len(chart.Curves) && chart.Curves[c].Name != l.Policy {
			c++
		}
		if c == len(chart.Curves) {
			if _, known := colour[l.Policy]; !known {
				colour[l.Policy] = len(colour)
			}
			chart.Curves = append(chart.Curves, plot.Curve{Name: l.Policy, Dashed: l.Known, Colour: colour[l.Policy]})
		}
		chart.Curves[c].Points = append(chart.Curves[c].Points, plot.Point{X: l.MaxWait, Y: l.MeanCompletion})
	}
	return f
}
