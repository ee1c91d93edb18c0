package plot

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"reprise/internal/figures"
)

// Matrix shows how often each class was predicted for each.
type Matrix struct {
	Title, Subtitle string
	Notes           []string
	// Rows and Columns say what these are, such as "true class".
	Rows, Columns string
	// Classes are the names of both, Counts[i][j] a number of samples of class i.
	Classes []string
	Counts  [][]int
}

// share returns how much of a row is in a column; false for a row without samples.
func (m *Matrix) share(i, j int) (float64, bool) {
	total := 0
	for _, n := range m.Counts[i] {
		total += n
	}
	if total == 0 {
		return 0, false
	}
	return float64(m.Counts[i][j]) / float64(total), true
}

func percent(share float64) string {
	switch {
	case share > 0 && share < 0.005:
		return "<1%"
	case share < 1 && share >= 0.995:
		return ">99%"
	}
	return strconv.FormatFloat(share*100, 'f', 0, 64) + "%"
}

// The sizes of a matrix.
const (
	matrixSide   = 560 // of the squares together, but for the limits of one
	smallestCell = 3.5
	largestCell  = 84
	longestName  = 150
	countedCell  = 30 // from which on a cell has its number
	sharedCell   = 44 // from which on it has its share, too
)

// scene implements Picture.
func (m *Matrix) scene() *scene {
	s := &scene{face: newTypeface()}
	k := float64(len(m.Classes))
	cell := math.Min(math.Max(matrixSide/math.Max(k, 1), smallestCell), largestCell)
	names := 0.0
	for _, n := range m.Classes {
		names = math.Max(names, math.Min(s.face.width(n, smallSize), longestName))
	}
	left := margin + textSize + 12 + names + 8
	side := cell * k
	s.width = math.Max(left+side+margin+90, 520)
	top := s.heading(m.Title, m.Subtitle, margin)
	turned, above := names > cell-4, smallSize+2
	if turned {
		above = names
	}
	top += textSize + 8 + above + 10
	m.drawCells(s, left, top, cell)
	m.drawNames(s, left, top, cell, turned)
	s.add(&label{position: position{margin + textSize*0.6, top + side/2}, text: s.face.cut(m.Rows, textSize, math.Max(side, 150)), size: textSize, anchor: middle, turned: true, fill: ink()},
		&label{position: position{left + side/2, top - above - 16}, text: s.face.cut(m.Columns, textSize, math.Max(side, 150)), size: textSize, anchor: middle, fill: ink()})
	m.drawKey(s, left+side+24, top)
	notes := s.footnotes(m.Notes, margin)
	bottom := math.Max(top+side, top+150)
	s.footer(notes, margin, bottom+8)
	s.height = bottom + margin + 8 + float64(len(notes))*(smallSize+5)
	return s
}

func (m *Matrix) drawCells(s *scene, left, top, cell float64) {
	gap := 0.0
	if cell >= 12 {
		gap = 1
	}
	for i, row := range m.Counts {
		for j, n := range row {
			at := position{left + float64(j)*cell, top + float64(i)*cell}
			share, ok := m.share(i, j)
			fill, text := shade(share), ink()
			switch {
			case !ok:
				fill, text = opaque(0xefefef), guiding()
			case dark(share):
				text = paper()
			case n == 0:
				text = opaque(0xa8a8a8)
			}
			s.add(&rectangle{at, cell - gap, cell - gap, fill})
			center := position{at.x + (cell-gap)/2, at.y + cell/2 + 4}
			switch {
			case cell >= sharedCell && n > 0:
				s.add(&label{position: position{center.x, center.y - 7}, text: figures.Thousands(n), size: 14, anchor: middle, fill: text},
					&label{position: position{center.x, center.y + 10}, text: percent(share), size: 11, anchor: middle, fill: text})
			case cell >= countedCell:
				size := math.Min(12, (cell-4)/math.Max(s.face.width(figures.Thousands(n), 1), 1))
				s.add(&label{position: center, text: figures.Thousands(n), size: size, anchor: middle, fill: text})
			}
		}
	}
}

// drawNames writes the names of the classes, or of each so many of them. Those of the
// columns are turned unless all of them fit as they are.
func (m *Matrix) drawNames(s *scene, left, top, cell float64, turned bool) {
	every := int(math.Ceil((smallSize + 2) / cell))
	for i, name := range m.Classes {
		if i%every != 0 {
			continue
		}
		name = s.face.cut(name, smallSize, longestName)
		center := (float64(i) + 0.5) * cell
		s.add(&label{position: position{left - 8, top + center + 4}, text: name, size: smallSize, anchor: end, fill: muted()})
		if turned {
			s.add(&label{position: position{left + center + 4, top - 8}, text: name, size: smallSize, turned: true, fill: muted()})
		} else {
			s.add(&label{position: position{left + center, top - 8}, text: name, size: smallSize, anchor: middle, fill: muted()})
		}
	}
}

// drawKey shows what the colors mean.
func (m *Matrix) drawKey(s *scene, left, top float64) {
	const steps, height = 20, 6.0
	for i := range steps {
		s.add(&rectangle{position{left, top + float64(i)*height}, 14, height + 0.3, shade(1 - float64(i)/(steps-1))})
	}
	for _, l := range []struct {
		text string
		at   float64
	}{{"100%", 0}, {"50%", 0.5}, {"0%", 1}} {
		s.add(&label{position: position{left + 20, top + l.at*steps*height + 4}, text: l.text, size: smallSize, fill: muted()})
	}
	s.add(&label{position: position{left, top + steps*height + 20}, text: "of its row", size: smallSize, fill: muted()})
}

// worst lists the cells off the diagonal with the most samples, at most so many.
func (m *Matrix) worst(most int) (list []string) {
	type confusion struct{ i, j, samples int }
	var found []confusion
	for i, row := range m.Counts {
		for j, n := range row {
			if i != j && n > 0 {
				found = append(found, confusion{i, j, n})
			}
		}
	}
	slices.SortStableFunc(found, func(a, b confusion) int { return cmp.Compare(b.samples, a.samples) })
	for _, f := range found[:min(most, len(found))] {
		list = append(list, fmt.Sprintf("%s taken for %s: %s", m.Classes[f.i], m.Classes[f.j], figures.Thousands(f.samples)))
	}
	return list
}
