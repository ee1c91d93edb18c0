package plot

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"

	"reprise/internal/figures"
)

// text implements Picture. Each cell has its number and its share of the row or, where there is
// no room for these, only the number, or only a shade beside a list of the commonest
// confusions.
func (m *Matrix) text(s Style) (lines []string) {
	lines = append(wrapColumns(m.Title, s.Width), wrapColumns(m.Subtitle, s.Width)...)
	corner := m.Rows + ` \ ` + m.Columns
	names := lipgloss.Width(corner)
	for _, n := range m.Classes {
		names = max(names, lipgloss.Width(n))
	}
	names = min(names, max(10, s.Width/4))
	room := s.Width - names
	switch {
	case m.cellWidth(room, m.countAndShare) > 0:
		lines = append(lines, m.textCells(s, corner, names, m.cellWidth(room, m.countAndShare), m.countAndShare)...)
	case m.cellWidth(room-lastColumn, m.count) > 0:
		lines = append(lines, m.textCells(s, corner, names, m.cellWidth(room-lastColumn, m.count), m.count)...)
	default:
		lines = append(lines, m.textShades(s, names)...)
	}
	for _, n := range m.Notes {
		lines = append(lines, wrapColumns(n, s.Width)...)
	}
	return lines
}

// cellGap is between the columns of a matrix, lastColumn the width of what follows them.
const (
	cellGap    = 2
	lastColumn = 9
)

// cellWidth returns how wide a column is, with the gap before it; 0 if not all of them have
// room. Names of classes may be cut off, numbers may not.
func (m *Matrix) cellWidth(room int, cell func(i, j int) string) int {
	const name = 12
	least, width := 3, 0
	for i, row := range m.Counts {
		for j := range row {
			least = max(least, lipgloss.Width(cell(i, j)))
		}
		width = max(width, min(lipgloss.Width(m.Classes[i]), name))
	}
	n := max(len(m.Classes), 1)
	if width = min(max(width, least), room/n-cellGap); width < least {
		return 0
	}
	return width + cellGap
}

func (m *Matrix) count(i, j int) string { return figures.Thousands(m.Counts[i][j]) }

func (m *Matrix) countAndShare(i, j int) string {
	share, ok := m.share(i, j)
	if !ok || m.Counts[i][j] == 0 {
		return m.count(i, j)
	}
	return m.count(i, j) + " " + percent(share)
}

// textCells writes the rows of a table. Where the cells have no shares, the last column has
// that of each class which is right.
func (m *Matrix) textCells(s Style, corner string, names, width int, cell func(i, j int) string) (lines []string) {
	head, last := pad(cutColumns(corner, names), names), names+width*len(m.Classes)+lastColumn <= s.Width
	for _, n := range m.Classes {
		head += padLeft(cutColumns(n, width-cellGap), width)
	}
	if last {
		head += padLeft("right", lastColumn)
	}
	lines = append(lines, head)
	for i, n := range m.Classes {
		line := pad(cutColumns(n, names), names)
		for j := range m.Classes {
			share, _ := m.share(i, j)
			text := cell(i, j)
			line += strings.Repeat(" ", max(0, width-lipgloss.Width(text))) + s.shaded(text, share)
		}
		if share, ok := m.share(i, i); ok && last {
			line += padLeft(percent(share), lastColumn)
		}
		lines = append(lines, line)
	}
	return lines
}

// shaded gives a text a background that is the darker the larger a share is.
func (s Style) shaded(text string, share float64) string {
	if !s.Color {
		return text
	}
	if share < 0.005 {
		return s.faint(text)
	}
	// Blues of the 256 colors, from light to dark.
	blues := []string{"30;48;5;195", "30;48;5;153", "30;48;5;111", "97;48;5;68", "97;48;5;25"}
	return "\x1b[" + blues[min(int(share*float64(len(blues))), len(blues)-1)] + "m" + text + "\x1b[0m"
}

// textShades draws a character for each cell, and lists the commonest confusions.
func (m *Matrix) textShades(s Style, names int) (lines []string) {
	shades := []string{" ", "░", "▒", "▓", "█"}
	if s.ASCII {
		shades = []string{" ", ".", "+", "x", "#"}
	}
	wide := 1
	if names+1+2*len(m.Classes) <= s.Width {
		wide = 2
	}
	if names+1+len(m.Classes) > s.Width {
		lines = append(lines, wrapColumns(fmt.Sprintf("The matrix of %d classes is too wide for this terminal: write it to a file, or use a wider one.", len(m.Classes)), s.Width)...)
	} else {
		lines = append(lines, padLeft(cutColumns(m.Rows, names), names)+" "+cutColumns(m.Columns+", in the same order", wide*len(m.Classes)))
		for i, n := range m.Classes {
			line := padLeft(cutColumns(n, names), names) + " "
			for j := range m.Classes {
				share, _ := m.share(i, j)
				level := 0
				if m.Counts[i][j] > 0 {
					level = 1 + min(int(share*4), 3)
				}
				line += s.paint(strings.Repeat(shades[level], wide), 0)
			}
			lines = append(lines, line)
		}
		key := ""
		for i, what := range []string{"none", "below 25%", "below 50%", "below 75%", "more"} {
			if i > 0 {
				key += shades[i] + " " + what + "  "
			}
		}
		lines = append(lines, wrapColumns(key+"of the row", s.Width)...)
	}
	if worst := m.worst(5); len(worst) > 0 {
		lines = append(lines, "most often:")
		for _, w := range worst {
			lines = append(lines, "  "+cutColumns(w, s.Width-2))
		}
	}
	return lines
}
