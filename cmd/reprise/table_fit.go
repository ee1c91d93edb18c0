package main

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"
)

// column describes a column of a table with a header: what becomes of it where the
// terminal is too narrow for all of them.
type column struct {
	title string
	right bool // figures stand at the right
	// drop orders the columns that can be left out: the highest goes first, 0
	// stays.
	drop int
	// cut is the width in columns to which cells may be cut; 0: none is.
	cut int
	// short returns a shorter form of a cell that still says enough.
	short func(string) string
}

const (
	columnGap = 2
	// leastValue is the narrowest column that text is wrapped in; what has less
	// room begins on a line of its own.
	leastValue = 24
	// hanging indents what does not fit beside its name.
	hanging = 4
)

// fit returns the lines of the rows that wait.
func (t *table) fit() []string {
	if len(t.rows) == 0 && t.head == nil {
		return nil
	}
	if t.head == nil {
		return t.fitValues()
	}
	return t.fitColumns()
}

// fitColumns lays out rows below a header. Nothing wraps: on a terminal that is too
// narrow it takes the short forms, leaves out columns and cuts cells, in this
// order, and says what is left out.
func (t *table) fitColumns() []string {
	head, rows := t.head, make([][]string, len(t.rows))
	for i, r := range t.rows {
		rows[i] = append([]string(nil), r...)
	}
	widths := widthsOf(head, rows)
	var dropped []string
	if t.width > 0 && t.total(widths) > t.width {
		for i, c := range head {
			for _, r := range rows {
				if c.short != nil && i < len(r) {
					r[i] = c.short(r[i])
				}
			}
		}
		widths = widthsOf(head, rows)
		for t.least(head, widths) > t.width {
			last := -1
			for i, c := range head {
				if c.drop > 0 && (last < 0 || c.drop > head[last].drop) {
					last = i
				}
			}
			if last < 0 {
				break
			}
			dropped = append(dropped, head[last].title)
			head = without(head, last)
			for i := range rows {
				rows[i] = without(rows[i], last)
			}
			widths = without(widths, last)
		}
		t.cutCells(head, rows, widths)
	}
	titles := make([]string, len(head))
	for i, c := range head {
		titles[i] = c.title
	}
	lines := []string{t.align(head, widths, titles)}
	for _, r := range rows {
		lines = append(lines, t.align(head, widths, r))
	}
	if len(dropped) > 0 {
		note := fmt.Sprintf("(%d columns leave no room for %s; -o json has all)", t.width, andList(dropped))
		lines = append(lines, strings.Split(wrapWords(t.indent+note, t.width, t.indent), "\n")...)
	}
	return lines
}

// cutCells cuts the cells of the columns that allow it, the widest first, until the
// rows fit or are as short as they get.
func (t *table) cutCells(head []column, rows [][]string, widths []int) {
	for over := t.total(widths) - t.width; over > 0; over = t.total(widths) - t.width {
		widest := -1
		for i, c := range head {
			if c.cut > 0 && widths[i] > c.cut && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest] = max(widths[widest]-over, head[widest].cut)
		for _, r := range rows {
			if widest < len(r) {
				r[widest] = truncate(r[widest], widths[widest])
			}
		}
	}
}

// fitValues lays out rows without a header: names and what they stand for. On a
// narrow terminal the last cell is wrapped, beside its name or below it.
func (t *table) fitValues() []string {
	most := 0
	for _, r := range t.rows {
		most = max(most, len(r))
	}
	widths := widthsOf(make([]column, most), t.rows)
	var lines []string
	for _, r := range t.rows {
		line := t.align(make([]column, most), widths, r)
		if t.width == 0 || len(r) < 2 || lipgloss.Width(line) <= t.width {
			lines = append(lines, line)
			continue
		}
		value := r[len(r)-1]
		names := t.align(make([]column, most), widths, r[:len(r)-1])
		start := lipgloss.Width(t.indent)
		for _, w := range widths[:len(r)-1] {
			start += w + columnGap
		}
		room := t.width - start
		if room >= leastValue && longestWord(value) <= room {
			names += strings.Repeat(" ", max(start-lipgloss.Width(names), 0))
			lines = append(lines, strings.Split(wrapWords(names+value, t.width, strings.Repeat(" ", start)), "\n")...)
			continue
		}
		margin := t.indent + strings.Repeat(" ", hanging)
		if lead := len(names) - len(strings.TrimLeft(names, " ")); lead > 0 {
			margin = strings.Repeat(" ", lead+hanging)
		}
		lines = append(lines, names)
		lines = append(lines, strings.Split(wrapWords(margin+value, t.width, margin), "\n")...)
	}
	return lines
}

func longestWord(text string) int {
	longest := 0
	for word := range strings.SplitSeq(text, " ") {
		longest = max(longest, lipgloss.Width(word))
	}
	return longest
}

// align lays out one row.
func (t *table) align(head []column, widths []int, cells []string) string {
	var b strings.Builder
	b.WriteString(t.indent)
	for i, cell := range cells {
		pad := strings.Repeat(" ", max(widths[i]-lipgloss.Width(cell), 0))
		if i > 0 {
			b.WriteString(strings.Repeat(" ", columnGap))
		}
		if head[i].right {
			b.WriteString(pad + cell)
		} else {
			b.WriteString(cell + pad)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// total is the width of a row.
func (t *table) total(widths []int) int {
	sum := lipgloss.Width(t.indent) + columnGap*(len(widths)-1)
	for _, w := range widths {
		sum += w
	}
	return sum
}

// least is the width of a row whose cells are cut as far as they may be.
func (t *table) least(head []column, widths []int) int {
	sum := t.total(widths)
	for i, c := range head {
		if c.cut > 0 {
			sum -= max(widths[i]-c.cut, 0)
		}
	}
	return sum
}

func widthsOf(head []column, rows [][]string) []int {
	widths := make([]int, len(head))
	for i, c := range head {
		widths[i] = lipgloss.Width(c.title)
	}
	for _, r := range rows {
		for i, cell := range r {
			widths[i] = max(widths[i], lipgloss.Width(cell))
		}
	}
	return widths
}

func without[T any](list []T, i int) []T {
	if i >= len(list) {
		return list
	}
	return append(append([]T(nil), list[:i]...), list[i+1:]...)
}
