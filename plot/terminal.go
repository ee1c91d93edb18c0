package plot

import (
	"math"
	"strings"
	"unicode/utf8"

	"charm.land/lipgloss/v2"
)

// Style says what a terminal can show.
type Style struct {
	// Width and Height are in characters.
	Width, Height int
	// ASCII leaves out all other characters, Color uses the terminal's colors.
	ASCII, Color bool
}

// The smallest drawing, in characters. What has less room is cut off by the terminal.
const (
	leastWidth  = 30
	leastHeight = 12
)

// Text draws a picture in characters, and returns its lines.
func Text(p Picture, s Style) []string {
	s.Width, s.Height = max(s.Width, leastWidth), max(s.Height, leastHeight)
	lines := p.text(s)
	for i, l := range lines {
		lines[i] = strings.TrimRight(s.plain(l), " ")
	}
	return lines
}

// plain replaces what a terminal for ASCII does not show.
func (s Style) plain(line string) string {
	if !s.ASCII {
		return line
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r < 0x80:
			return r
		case r == '…':
			return '.'
		case r == '−' || r == '–':
			return '-'
		}
		return '?'
	}, line)
}

// paint gives a text the color of a series.
func (s Style) paint(text string, number int) string {
	if !s.Color || number == Ink || text == "" {
		return text
	}
	code := [paletteSize]string{"34", "31", "32", "35", "33", "36", "94", "91", "92", "95"}[number%paletteSize]
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s Style) faint(text string) string {
	if !s.Color || strings.TrimSpace(text) == "" {
		return text
	}
	return "\x1b[2m" + text + "\x1b[0m"
}

// wrapColumns breaks a text between words, at a number of characters.
func wrapColumns(text string, width int) []string {
	return wrapped(text, func(line string) string { return cutColumns(line, width) })
}

// cutColumns shortens a text to a number of characters.
func cutColumns(text string, width int) string {
	own, fits := 0, 0
	for i, r := range text {
		own += lipgloss.Width(string(r))
		if own > width {
			return text[:fits] + "…"
		}
		if own < width {
			fits = i + utf8.RuneLen(r)
		}
	}
	return text
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-lipgloss.Width(text)))
}

func padLeft(text string, width int) string {
	return strings.Repeat(" ", max(0, width-lipgloss.Width(text))) + text
}

// text implements Picture.
func (c *Chart) text(s Style) (lines []string) {
	lines = append(wrapColumns(c.Title, s.Width), wrapColumns(c.Subtitle, s.Width)...)
	if c.Y.Title != "" {
		lines = append(lines, cutColumns(c.Y.Title, s.Width))
	}
	var notes []string
	for _, n := range c.Notes {
		notes = append(notes, wrapColumns(n, s.Width)...)
	}
	legend := c.textLegend(s)
	lines = append(lines, legend...)
	height := max(10, s.Height-len(lines)-len(notes)-3)
	x, y := c.scales(max(2, s.Width/14), max(2, height/3))
	left := 0
	for _, t := range y.ticks {
		left = max(left, lipgloss.Width(t.label))
	}
	width := s.Width - left - 2
	area := newTextArea(width, height, s, x, y)
	area.braille = c.braille(s)
	for _, g := range c.Guides {
		area.guide(g)
	}
	for i := range c.Series {
		if !c.Series[i].Faint {
			area.series(&c.Series[i])
		}
	}
	labels := make([]string, height)
	for _, t := range y.ticks {
		if row := area.row(t.value); labels[row] == "" && t.label != "" {
			labels[row] = t.label
		}
	}
	edge, tick, corner, floor := "│", "┤", "└", "─"
	if s.ASCII {
		edge, tick, corner, floor = "|", "+", "+", "-"
	}
	for row, line := range area.lines() {
		side := edge
		if labels[row] != "" {
			side = tick
		}
		lines = append(lines, padLeft(labels[row], left)+" "+s.faint(side)+line)
	}
	lines = append(lines, strings.Repeat(" ", left+1)+s.faint(corner+strings.Repeat(floor, width)), strings.Repeat(" ", left+2)+tickLine(x, width))
	if c.X.Title != "" {
		title := cutColumns(c.X.Title, width)
		lines = append(lines, strings.Repeat(" ", left+2+(width-lipgloss.Width(title))/2)+title)
	}
	return append(lines, notes...)
}

// curves returns how many series there are that must be told from each other.
func (c *Chart) curves() (n int) {
	for _, s := range c.Series {
		if s.Name != "" {
			n++
		}
	}
	return n
}

// braille reports whether the series are drawn in Braille, which has no marks that tell
// them apart.
func (c *Chart) braille(s Style) bool { return !s.ASCII && (s.Color || c.curves() < 2) }

// tickLine writes the labels of the lower axis, as many as do not touch.
func tickLine(x scale, width int) string {
	line := []rune(strings.Repeat(" ", width))
	free := 0
	for _, t := range x.ticks {
		label := []rune(t.label)
		from := int(math.Round(float64(x.at(t.value)*float64(width-1)))) - len(label)/2
		from = max(0, min(from, width-len(label)))
		if from < free || len(label) > width {
			continue
		}
		copy(line[from:], label)
		free = from + len(label) + 2
	}
	return string(line)
}

// textLegend writes the legend, as many entries in a line as there is room for.
func (c *Chart) textLegend(s Style) (lines []string) {
	line, width := "", 0
	list := c.legends()
	if len(list) < 2 && c.curves() < 2 && len(c.Guides) == 0 {
		return nil
	}
	braille := c.braille(s)
	for _, l := range list {
		mark := guideMark(s)
		if l.series != nil {
			mark = seriesMark(l.series.Color, s)
			if braille {
				mark = "━"
				if l.series.Marks == Dots {
					mark = "•"
				}
			}
			mark = s.paint(mark, l.series.Color)
		} else {
			mark = s.faint(mark)
		}
		name := cutColumns(l.name, s.Width-2)
		own := 2 + lipgloss.Width(name)
		if width > 0 && width+3+own > s.Width {
			lines = append(lines, line)
			line, width = "", 0
		}
		if width > 0 {
			line, width = line+"   ", width+3
		}
		line, width = line+mark+" "+name, width+own
	}
	return append(lines, line)
}

// seriesMark is the character that draws a series where colors cannot tell it from others.
func seriesMark(color int, s Style) string {
	marks := []string{"●", "○", "▲", "△", "■", "□", "◆", "◇", "×", "+", "★"}
	if s.ASCII {
		marks = []string{"*", "o", "x", "+", "#", "@", "%", "&", "=", "$", "~"}
	}
	if color == Ink {
		return marks[paletteSize]
	}
	return marks[color%paletteSize]
}

func guideMark(s Style) string {
	if s.ASCII {
		return "."
	}
	return "·"
}
