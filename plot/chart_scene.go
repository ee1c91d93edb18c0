package plot

import (
	"math"
)

// The size of a chart.
const (
	chartWidth   = 800
	chartHeight  = 480
	squareWidth  = 640
	legendGap    = 22
	legendStroke = 22
)

// frame is where the axes of a chart are.
type frame struct {
	left, top, right, bottom float64
	x, y                     scale
}

func (f frame) at(x, y float64) position {
	return position{f.left + float64(f.x.at(x)*(f.right-f.left)), f.bottom - float64(f.y.at(y)*(f.bottom-f.top))}
}

// scene implements Picture.
func (c *Chart) scene() *scene {
	s := &scene{width: chartWidth, height: chartHeight, face: newTypeface()}
	if c.Square {
		s.width = squareWidth
	}
	x, y := c.scales(8, 7)
	labels := 0.0
	for _, t := range y.ticks {
		labels = math.Max(labels, s.face.width(t.label, smallSize))
	}
	left := margin + labels + 10
	if c.Y.Title != "" {
		left += textSize + 8
	}
	f := frame{left: left, right: s.width - margin - 8, x: x, y: y}
	f.top = s.heading(c.Title, c.Subtitle, left)
	f.top = c.placeLegend(s, f)
	notes := s.footnotes(c.Notes, left)
	below := 24 + margin + float64(len(notes))*(smallSize+5)
	if c.X.Title != "" {
		below += textSize + 8
	}
	f.bottom = s.height - below
	if c.Square { // the picture is as high as it has to be
		f.bottom = f.top + f.right - f.left
		s.height = f.bottom + below
	} else if f.bottom < f.top+200 {
		f.bottom = f.top + 200
		s.height = f.bottom + below
	}
	c.drawAxes(s, f)
	for _, g := range c.Guides {
		from, to := f.at(f.x.min, g.Level), f.at(f.x.max, g.Level)
		if g.Diagonal {
			from, to = position{f.left, f.bottom}, position{f.right, f.top}
		} else if !f.y.shows(g.Level) {
			continue
		}
		s.line(from, to, guiding(), 1.3, 5, 4)
	}
	for _, faint := range []bool{true, false} { // what matters less is below the others
		for i := range c.Series {
			if c.Series[i].Faint == faint {
				c.Series[i].draw(s, f)
			}
		}
	}
	under := f.bottom + 24
	if c.X.Title != "" {
		under += textSize + 8
		s.add(&label{position: position{(f.left + f.right) / 2, under - 4}, text: s.face.cut(c.X.Title, textSize, f.right-f.left), size: textSize, anchor: middle, fill: ink()})
	}
	s.footer(notes, left, under)
	return s
}

func (c *Chart) drawAxes(s *scene, f frame) {
	for _, t := range f.y.ticks {
		p := f.at(f.x.min, t.value)
		if t.label == "" {
			s.line(position{f.left, p.y}, position{f.right, p.y}, faint(), 1)
			continue
		}
		s.line(position{f.left, p.y}, position{f.right, p.y}, grid(), 1)
		s.add(&label{position: position{f.left - 8, p.y + smallSize*0.35}, text: t.label, size: smallSize, anchor: end, fill: muted()})
	}
	free := math.Inf(-1)
	for _, t := range f.x.ticks {
		p := f.at(t.value, f.y.min)
		s.line(position{p.x, f.top}, position{p.x, f.bottom}, grid(), 1)
		half := s.face.width(t.label, smallSize) / 2
		if p.x-half < free {
			continue
		}
		free = p.x + half + 6
		s.line(position{p.x, f.bottom}, position{p.x, f.bottom + 4}, guiding(), 1)
		s.add(&label{position: position{p.x, f.bottom + 18}, text: t.label, size: smallSize, anchor: middle, fill: muted()})
	}
	s.line(position{f.left, f.top}, position{f.left, f.bottom}, guiding(), 1)
	s.line(position{f.left, f.bottom}, position{f.right, f.bottom}, guiding(), 1)
	if c.Y.Title != "" {
		s.add(&label{position: position{margin + textSize*0.6, (f.top + f.bottom) / 2}, text: s.face.cut(c.Y.Title, textSize, f.bottom-f.top+60), size: textSize, anchor: middle, turned: true, fill: ink()})
	}
}

// placeLegend draws the legend above the axes, where it hides nothing, and returns where
// these begin.
func (c *Chart) placeLegend(s *scene, f frame) float64 {
	list := c.legends()
	top := f.top
	if len(list) == 0 {
		return top + 6
	}
	// Several lines of entries are aligned in columns.
	room := f.right - f.left
	all, widest := -float64(legendGap), 0.0
	for _, l := range list {
		width := legendStroke + 6 + s.face.width(s.face.cut(l.name, textSize, room-legendStroke-6), textSize)
		all += legendGap + width
		widest = math.Max(widest, width)
	}
	x := f.left
	for _, l := range list {
		name := s.face.cut(l.name, textSize, room-legendStroke-6)
		width := legendStroke + 6 + s.face.width(name, textSize)
		if all > room {
			width = widest
		}
		if x > f.left && x+width > f.right {
			x, top = f.left, top+textSize+7
		}
		y := top + textSize
		line := &path{points: []position{{x, y - 4}, {x + legendStroke, y - 4}}, stroke: guiding(), width: 1.3, dashes: []float64{5, 4}}
		if l.series != nil {
			line.stroke, line.width, line.dashes = palette(l.series.Color), 2.2, l.series.dashes()
		}
		if l.series == nil || l.series.Marks != Dots {
			s.add(line)
		}
		if l.series != nil && l.series.Marks != Lines {
			s.add(&dot{position{x + legendStroke/2, y - 4}, 3.4, palette(l.series.Color)})
		}
		s.add(&label{position: position{x + legendStroke + 6, y}, text: name, size: textSize, fill: ink()})
		x += width + legendGap
	}
	return top + textSize + 14
}

// draw draws a series.
func (l *Series) draw(s *scene, f frame) {
	stroke := palette(l.Color)
	l.segments(f.x, f.y, func(from, to int) {
		if l.Low != nil {
			l.drawBand(s, f, from, to)
		}
		if l.Marks != Dots {
			line := &path{stroke: stroke, width: 2, dashes: l.dashes()}
			if l.Faint {
				line.stroke, line.width = stroke.faded(0.4), 1
			}
			for i := from; i < to; i++ {
				line.points = append(line.points, f.at(l.X[i], l.Y[i]))
			}
			if len(line.points) > 1 {
				s.add(line)
			} else if l.Marks == Lines { // a point alone would not be seen
				s.add(&dot{line.points[0], 2.6, stroke})
			}
		}
		if l.Marks == Lines {
			return
		}
		radius, fill := 3.2, stroke
		if l.Marks == Dots {
			radius, fill = 2.6, stroke.faded(0.45)
			if len(l.X) > 400 {
				radius = 2
			}
		} else if to-from > 60 {
			radius = 0
		}
		for i := from; i < to && radius > 0; i++ {
			n := l.count(i) // the area grows with the number of samples, not beyond what hides others
			s.add(&dot{f.at(l.X[i], l.Y[i]), radius * math.Min(math.Sqrt(n), 1+math.Log2(n)/4), fill})
		}
	})
}

// drawBand draws what is between the low and the high ends.
func (l *Series) drawBand(s *scene, f frame, from, to int) {
	band := &path{fill: palette(l.Color).faded(0.16)}
	clamp := func(v float64) float64 { return math.Min(math.Max(v, f.y.min), f.y.max) }
	for i := from; i < to; i++ {
		band.points = append(band.points, f.at(l.X[i], clamp(l.High[i])))
	}
	for i := to - 1; i >= from; i-- {
		band.points = append(band.points, f.at(l.X[i], clamp(l.Low[i])))
	}
	if to-from > 1 {
		s.add(band)
	}
}
