package plot

import "math"

// scene is a picture as it is drawn: items one above the other, in a plane whose y grows
// downwards. Its unit is a pixel of an SVG of the picture's own width.
type scene struct {
	width, height float64
	title, about  string
	items         []item
	face          *typeface
}

// item is a *rectangle, a *path, a *dot or a *label.
type item any

type position struct{ x, y float64 }

type rectangle struct {
	position
	width, height float64
	fill          color
}

// path is a line or, where fill is not transparent, an area.
type path struct {
	points []position
	stroke color
	width  float64
	dashes []float64
	fill   color
}

type dot struct {
	position
	radius float64
	fill   color
}

// anchor is which part of a text is at its place.
type anchor int

const (
	start anchor = iota
	middle
	end
)

type label struct {
	position // of the base line
	text     string
	size     float64
	anchor   anchor
	// turned says that the text reads from bottom to top.
	turned bool
	fill   color
}

func (s *scene) add(items ...item) { s.items = append(s.items, items...) }

func (s *scene) line(from, to position, stroke color, width float64, dashes ...float64) {
	s.add(&path{points: []position{from, to}, stroke: stroke, width: width, dashes: dashes})
}

// The sizes of texts.
const (
	titleSize = 18
	textSize  = 12.5
	smallSize = 11.5
)

// heading puts title and subtitle onto a scene, and returns how far down they reach.
func (s *scene) heading(title, subtitle string, left float64) (top float64) {
	s.title, s.about = title, subtitle
	top = 12
	if title != "" {
		top += titleSize + 4
		s.add(&label{position: position{left, top}, text: s.face.cut(title, titleSize, s.width-left-margin), size: titleSize, fill: ink()})
		top += 4
	}
	for _, line := range s.face.wrap(subtitle, smallSize, s.width-left-margin) {
		top += smallSize + 5
		s.add(&label{position: position{left, top}, text: line, size: smallSize, fill: muted()})
	}
	return top + 10
}

// margin is free at the edges.
const margin = 18

// footnotes returns the lines of notes, which footer places.
func (s *scene) footnotes(notes []string, left float64) (lines []string) {
	for _, n := range notes {
		lines = append(lines, s.face.wrap(n, smallSize, s.width-left-margin)...)
	}
	return lines
}

func (s *scene) footer(lines []string, left, top float64) {
	for i, l := range lines {
		s.add(&label{position: position{left, top + float64(i+1)*(smallSize+5)}, text: l, size: smallSize, fill: muted()})
	}
}

// round2 rounds to hundredths: nobody sees a smaller difference of places.
func round2(v float64) float64 { return math.Round(v*100) / 100 }
