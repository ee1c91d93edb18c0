package plot

import "math"

// Picture is what can be drawn: a *Chart or a *Matrix.
type Picture interface {
	scene() *scene
	text(Style) []string
}

// Chart shows series over two axes.
type Chart struct {
	// Title says what is shown, and Subtitle of what. Notes are below the chart, such as about
	// what is left out.
	Title, Subtitle string
	Notes           []string
	X, Y            Axis
	Series          []Series
	Guides          []Guide
	// Square gives both axes the same length.
	Square bool
}

// Axis is one of the two axes.
type Axis struct {
	// Title includes the unit.
	Title string
	// Fixed says that the axis runs from Min to Max; otherwise it fits the series.
	Fixed    bool
	Min, Max float64
	// Log says that the axis is logarithmic if the values are positive and span more than
	// two decades.
	Log bool
	// Whole says that there is nothing between whole numbers.
	Whole bool
}

// Series is a curve, or a cloud of points.
type Series struct {
	// Name is shown in the legend; a series without a name is not.
	Name string
	// X and Y have the same length.
	X, Y []float64
	// Low and High, if not nil, are the edges of a band around the curve.
	Low, High []float64
	// Counts, if not nil, are how many samples each dot stands for.
	Counts []int
	Marks  Marks
	// Color is an index into the palette, which wraps around, or Ink.
	Color int
	// Dashed distinguishes a curve from another one of the same color.
	Dashed bool
	// Faint is for a curve that matters less than the others. Terminals leave it out.
	Faint bool
}

// Ink is the color of texts.
const Ink = -1

// Marks says how points are shown.
type Marks int

// The marks of a series.
const (
	Lines Marks = iota
	LinesAndDots
	Dots
)

// Guide is a line to compare with, such as what chance gives.
type Guide struct {
	Name string
	// Level is its height, unless it is Diagonal, from the lower left to the upper right.
	Level    float64
	Diagonal bool
}

// scales returns the scales of both axes, with about as many ticks as given.
func (c *Chart) scales(ticksX, ticksY int) (x, y scale) {
	var xs, ys []float64
	for _, s := range c.Series {
		xs = append(xs, s.X...)
		ys = append(append(append(ys, s.Y...), s.Low...), s.High...)
	}
	for _, g := range c.Guides {
		if !g.Diagonal {
			ys = append(ys, g.Level)
		}
	}
	return newScale(c.X, xs, ticksX), newScale(c.Y, ys, ticksY)
}

// legend is an entry of the legend: a series or, if that is nil, a guide.
type legend struct {
	name   string
	series *Series
}

func (c *Chart) legends() (list []legend) {
	for i := range c.Series {
		if s := &c.Series[i]; s.Name != "" {
			list = append(list, legend{s.Name, s})
		}
	}
	for _, g := range c.Guides {
		if g.Name != "" {
			list = append(list, legend{g.Name, nil})
		}
	}
	return list
}

// segments calls do with the longest stretches of points that are on both axes.
func (s *Series) segments(x, y scale, do func(from, to int)) {
	from := 0
	for i := range s.X {
		if !x.shows(s.X[i]) || !y.shows(s.Y[i]) {
			if i > from {
				do(from, i)
			}
			from = i + 1
		}
	}
	if len(s.X) > from {
		do(from, len(s.X))
	}
}

// count returns how many samples a dot stands for.
func (s *Series) count(i int) float64 {
	if s.Counts == nil {
		return 1
	}
	return math.Max(1, float64(s.Counts[i]))
}
