// Package plot draws line charts with logarithmic axes as SVG. The same figure
// gives the same bytes.
package plot

import (
	"encoding/xml"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Figure is a row of charts with a common legend: a curve's colour and dashes
// depend on its name, in the order in which names first occur.
type Figure struct {
	Title  string
	Charts []Chart
}

// Chart is curves in one pair of axes, both logarithmic.
type Chart struct {
	Title, X, Y string
	Curves      []Curve
}

// Curve is a list of points in ascending X; both coordinates are above 0.
type Curve struct {
	Name   string
	Dashed bool
	// Colour is an index; curves that belong together share it.
	Colour int
	Points []Point
}

// Point is one value.
type Point struct{ X, Y float64 }

// Sizes in pixels.
const (
	chartWidth  = 460.0
	chartHeight = 330.0
	left        = 74.0 // of an axis: room for its labels
	right       = 16.0
	top         = 70.0
	bottom      = 54.0
	legendLine  = 20.0
)

// colours are those of Okabe and Ito (2008), which colour-blind people can tell
// apart.
func colour(i int) string {
	colours := [...]string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"}
	return colours[i%len(colours)]
}

// SVG returns the figure as a file. It fails if a value is not above 0 and
// finite, or if there is nothing to draw.
func (f Figure) SVG() ([]byte, error) {
	if len(f.Charts) == 0 {
		return nil, fmt.Errorf("figure %q has no charts", f.Title)
	}
	legend := f.legend()
	rows := (len(legend) + 2) / 3
	width := chartWidth * float64(len(f.Charts))
	height := top + chartHeight + bottom + legendLine*float64(rows) + 10
	p := &pen{}
	p.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" width="%s" height="%s" font-family="Helvetica, Arial, sans-serif" font-size="12" fill="#222">`+"\n",
		number(width), number(height), number(width), number(height))
	p.add(`<rect width="100%%" height="100%%" fill="#ffffff"/>` + "\n")
	p.text(width/2, 24, "middle", f.Title, ` font-size="15" font-weight="bold"`)
	for i, c := range f.Charts {
		if err := c.draw(p, chartWidth*float64(i)); err != nil {
			return nil, fmt.Errorf("chart %q: %w", c.Title, err)
		}
	}
	for i, c := range legend {
		x, y := left+float64(i%3)*(width-left)/3, top+chartHeight+bottom+legendLine*float64(i/3)
		p.line(x, y, x+28, y, strokes(c))
		p.text(x+36, y+4, "start", c.Name, "")
	}
	p.add("</svg>\n")
	return []byte(p.String()), nil
}

// legend returns one curve of each name.
func (f Figure) legend() []Curve {
	var out []Curve
	seen := map[string]bool{}
	for _, chart := range f.Charts {
		for _, c := range chart.Curves {
			if !seen[c.Name] {
				seen[c.Name], out = true, append(out, c)
			}
		}
	}
	return out
}

// draw draws one chart at a horizontal offset.
func (c Chart) draw(p *pen, offset float64) error {
	xs, ys, err := c.axes()
	if err != nil {
		return err
	}
	x0, x1, y0, y1 := offset+left, offset+chartWidth-right, top+chartHeight, top
	atX := func(v float64) float64 { return x0 + xs.part(v)*(x1-x0) }
	atY := func(v float64) float64 { return y0 + ys.part(v)*(y1-y0) }
	p.text((x0+x1)/2, top-14, "middle", c.Title, ` font-weight="bold"`)
	for _, v := range xs.ticks {
		p.line(atX(v), y0, atX(v), y1, `stroke="#e4e4e4"`)
		p.text(atX(v), y0+17, "middle", label(v), "")
	}
	for _, v := range ys.ticks {
		p.line(x0, atY(v), x1, atY(v), `stroke="#e4e4e4"`)
		p.text(x0-7, atY(v)+4, "end", label(v), "")
	}
	p.add(`<rect x="%s" y="%s" width="%s" height="%s" fill="none" stroke="#555"/>`+"\n", number(x0), number(y1), number(x1-x0), number(y0-y1))
	p.text((x0+x1)/2, y0+36, "middle", c.X, "")
	p.text(0, 0, "middle", c.Y, fmt.Sprintf(` transform="translate(%s %s) rotate(-90)"`, number(offset+16), number((y0+y1)/2)))
	for _, curve := range c.Curves {
		var points []string
		for _, q := range curve.Points {
			points = append(points, number(atX(q.X))+","+number(atY(q.Y)))
		}
		p.add(`<polyline points="%s" fill="none" %s/>`+"\n", strings.Join(points, " "), strokes(curve))
		for _, q := range curve.Points {
			p.add(`<circle cx="%s" cy="%s" r="2.6" fill="%s"/>`+"\n", number(atX(q.X)), number(atY(q.Y)), colour(curve.Colour))
		}
	}
	return nil
}

// axes returns both axes of the chart: powers of two across, decades with 2 and
// 5 upwards.
func (c Chart) axes() (x, y axis, err error) {
	var xs, ys []float64
	for _, curve := range c.Curves {
		for _, p := range curve.Points {
			for _, v := range []float64{p.X, p.Y} {
				if !(v > 0) || math.IsInf(v, 1) {
					return x, y, fmt.Errorf("curve %q has the value %v, want one above 0", curve.Name, v)
				}
			}
			xs, ys = append(xs, p.X), append(ys, p.Y)
		}
	}
	if len(xs) == 0 {
		return x, y, fmt.Errorf("no points")
	}
	return newAxis(xs, 2, []float64{1}), newAxis(ys, 10, []float64{1, 2, 5}), nil
}

// axis is a range from the first tick to the last.
type axis struct{ ticks []float64 }

// newAxis returns the shortest axis that holds the values, with ticks at
// multiples of powers of the base.
func newAxis(values []float64, base float64, multiples []float64) axis {
	low, high := values[0], values[0]
	for _, v := range values {
		low, high = min(low, v), max(high, v)
	}
	const slack = 1 + 1e-9
	var a axis
	from := math.Floor(math.Log(low)/math.Log(base)) - 1
	to := math.Ceil(math.Log(high)/math.Log(base)) + 1
	for e := from; e <= to; e++ {
		for _, m := range multiples {
			a.ticks = append(a.ticks, m*math.Pow(base, e))
		}
	}
	for len(a.ticks) > 2 && a.ticks[1] <= low*slack {
		a.ticks = a.ticks[1:]
	}
	for len(a.ticks) > 2 && a.ticks[len(a.ticks)-2] >= high/slack {
		a.ticks = a.ticks[:len(a.ticks)-1]
	}
	return a
}

// part returns where a value lies, 0 at the first tick and 1 at the last.
func (a axis) part(v float64) float64 {
	low, high := math.Log(a.ticks[0]), math.Log(a.ticks[len(a.ticks)-1])
	return (math.Log(v) - low) / (high - low)
}

func strokes(c Curve) string {
	s := fmt.Sprintf(`stroke="%s" stroke-width="2"`, colour(c.Colour))
	if c.Dashed {
		s += ` stroke-dasharray="6 4"`
	}
	return s
}

// pen writes elements.
type pen struct{ strings.Builder }

func (p *pen) add(format string, values ...any) { fmt.Fprintf(p, format, values...) }

func (p *pen) line(x0, y0, x1, y1 float64, attributes string) {
	p.add(`<line x1="%s" y1="%s" x2="%s" y2="%s" %s/>`+"\n", number(x0), number(y0), number(x1), number(y1), attributes)
}

func (p *pen) text(x, y float64, anchor, text, attributes string) {
	var escaped strings.Builder
	_ = xml.EscapeText(&escaped, []byte(text)) // a Builder takes everything
	p.add(`<text x="%s" y="%s" text-anchor="%s"%s>%s</text>`+"\n", number(x), number(y), anchor, attributes, escaped.String())
}

// number returns a coordinate, to a tenth of a pixel.
func number(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

// label returns a tick's value.
func label(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
