package plot

import (
	"math"
	"math/bits"
)

// textArea is what is between the axes of a chart in a terminal: a grid of characters, each
// of which has dots in two columns and four rows where it is drawn in Braille.
type textArea struct {
	width, height int
	style         Style
	x, y          scale
	braille       bool

	dots  []uint8 // of each character
	color []int   // of the last series in it
	marks []string
}

func newTextArea(width, height int, s Style, x, y scale) *textArea {
	n := width * height
	return &textArea{width: width, height: height, style: s, x: x, y: y, dots: make([]uint8, n), color: make([]int, n), marks: make([]string, n)}
}

// resolution is how many places the area has in each direction.
func (a *textArea) resolution() (columns, rows int) {
	if a.braille {
		return a.width * 2, a.height * 4
	}
	return a.width, a.height
}

// place returns where a point is.
func (a *textArea) place(x, y float64) (column, row int) {
	columns, rows := a.resolution()
	return int(math.Round(a.x.at(x) * float64(columns-1))), rows - 1 - int(math.Round(a.y.at(y)*float64(rows-1)))
}

// row returns the row of characters of a value.
func (a *textArea) row(y float64) int {
	return min(max(a.height-1-int(math.Round(a.y.at(y)*float64(a.height-1))), 0), a.height-1)
}

// set draws a point.
func (a *textArea) set(column, row, color int, mark string) {
	columns, rows := a.resolution()
	if column < 0 || row < 0 || column >= columns || row >= rows {
		return
	}
	if !a.braille {
		i := row*a.width + column
		a.marks[i], a.color[i] = mark, color
		return
	}
	i := row/4*a.width + column/2
	a.dots[i] |= [4][2]uint8{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}[row%4][column%2]
	a.color[i], a.marks[i] = color, ""
}

// line draws a line between two places.
func (a *textArea) line(column, row, toColumn, toRow int, each func(column, row int)) {
	steps := max(abs(toColumn-column), abs(toRow-row))
	for i := range steps + 1 {
		share := 0.0
		if steps > 0 {
			share = float64(i) / float64(steps)
		}
		each(column+int(math.Round(float64(toColumn-column)*share)), row+int(math.Round(float64(toRow-row)*share)))
	}
}

func abs(n int) int { return max(n, -n) }

// guide draws a line to compare with, in every second character.
func (a *textArea) guide(g Guide) {
	from, to := a.height-1, 0
	if !g.Diagonal {
		if !a.y.shows(g.Level) {
			return
		}
		from = a.row(g.Level)
		to = from
	}
	a.line(0, from, a.width-1, to, func(column, row int) {
		if i := row*a.width + column; column%2 == 0 {
			a.marks[i], a.color[i] = guideMark(a.style), guideColor
		}
	})
}

// guideColor is that of guides.
const guideColor = Ink - 1

func (a *textArea) series(s *Series) {
	mark := seriesMark(s.Color, a.style)
	s.segments(a.x, a.y, func(from, to int) {
		column, row := a.place(s.X[from], s.Y[from])
		a.set(column, row, s.Color, mark)
		for i := from + 1; i < to; i++ {
			nextColumn, nextRow := a.place(s.X[i], s.Y[i])
			if s.Marks == Dots {
				a.set(nextColumn, nextRow, s.Color, mark)
				continue
			}
			a.line(column, row, nextColumn, nextRow, func(column, row int) { a.set(column, row, s.Color, mark) })
			column, row = nextColumn, nextRow
		}
	})
}

// lines returns the rows of the area.
func (a *textArea) lines() []string {
	lines := make([]string, a.height)
	for row := range lines {
		for column := range a.width {
			i := row*a.width + column
			text, color := a.marks[i], a.color[i]
			switch {
			case bits.OnesCount8(a.dots[i]) > 0:
				text = string(rune(0x2800 + int(a.dots[i])))
			case text == "":
				text = " "
			}
			if color == guideColor {
				lines[row] += a.style.faint(text)
			} else {
				lines[row] += a.style.paint(text, color)
			}
		}
	}
	return lines
}
