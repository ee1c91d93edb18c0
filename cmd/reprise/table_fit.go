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
	// brief is a shorter title; "" where there is none.
	brief string
	right bool // figures stand at the right
	// drop orders the columns that can be left out: the highest goes first, 0
	// stays.
	drop int
	// cut is the width in columns to which cells may be cut; 0: none is.
	cut int
	// keepEnd has cells cut at the front, since their end says more.
	keepEnd bool
	// short returns a shorter form of a cell that still says enough.
	short func(string) string
	// wrap is the width in columns to which the last column may be narrowed, by
	// wrapping its cells between words; 0: it is not.
	wrap int
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

// fitColumns lays out rows below a header. On a terminal that is too narrow it
// takes the short forms, leaves out columns, wraps the last one and cuts cells, in
// this order, and says what is left out. Where t.records is set it prints each row
// as a block of names and values instead, and leaves out nothing.
func (t *table) fitColumns() []string {
	head, rows := append([]column(nil), t.head...), make([][]string, len(t.rows))
	for i, r := range t.rows {
		rows[i] = append([]string(nil), r...)
	}
	widths := widthsOf(head, rows)
	var dropped []string
	wrapped := false
	if t.width > 0 && t.total(widths) > t.width {
		if t.records {
			return t.fitRecords()
		}
		shorten(head, rows)
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
		if over := t.total(widths) - t.width; over > 0 && len(head) > 0 {
			last := len(head) - 1
			if least := head[last].wrap; least > 0 && widths[last] > least {
				wrapped = true
				widths[last] = max(widths[last]-over, least)
			}
		}
		t.cutCells(head, rows, widths)
	}
	titles := make([]string, len(head))
	for i, c := range head {
		titles[i] = c.title
	}
	lines := []string{t.align(head, widths, titles)}
	for _, r := range rows {
		last := len(head) - 1
		if !wrapped || len(r) <= last {
			lines = append(lines, t.align(head, widths, r))
			continue
		}
		lines = append(lines, beside(t.align(head, widths, r[:last]), r[last], t.total(widths)-widths[last], widths[last])...)
	}
	if len(dropped) > 0 {
		note := fmt.Sprintf("(no room for %s; -o json shows all columns)", andList(dropped))
		lines = append(lines, strings.Split(wrapWords(t.indent+note, t.width, t.indent), "\n")...)
	}
	return lines
}

// shorten takes the short forms of titles and cells.
func shorten(head []column, rows [][]string) {
	for i, c := range head {
		if c.brief != "" {
			head[i].title = c.brief
		}
		for _, r := range rows {
			if c.short != nil && i < len(r) {
				r[i] = c.short(r[i])
			}
		}
	}
}

// fitRecords lays out each row as names and values, with the title of the first
// column in front.
func (t *table) fitRecords() []string {
	values := &table{width: t.width, indent: t.indent}
	for i, r := range t.rows {
		if i > 0 {
			values.rows = append(values.rows, []string{""})
		}
		for j, cell := range r {
			values.rows = append(values.rows, []string{strings.ToLower(t.head[j].title), cell})
		}
	}
	return values.fitValues()
}

// beside returns the lines of a text that is wrapped in a number of columns,
// beginning at column start, beside what stands before it.
func beside(before, text string, start, room int) []string {
	lines := strings.Split(wrapWords(text, room, ""), "\n")
	lines[0] = before + strings.Repeat(" ", max(start-lipgloss.Width(before), 0)) + lines[0]
	for i := range lines[1:] {
		lines[i+1] = strings.Repeat(" ", start) + lines[i+1]
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
				if head[widest].keepEnd {
					r[widest] = truncateFront(r[widest], widths[widest])
				} else {
					r[widest] = truncate(r[widest], widths[widest])
				}
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
			lines = append(lines, beside(names, value, start, room)...)
			continue
		}
		margin := t.indent + strings.Repeat(" ", hanging)
		if lead := len(names) - len(strings.TrimLeft(names, " ")); lead > 0 {
			margin = strings.Repeat(" ", lead+hanging)
		}
		if lipgloss.Width(margin)+longestWord(value) > t.width {
			margin = "" // a path stays in one piece if it can
		}
		if lipgloss.Width(names) > t.width { // a cell is not broken in the middle
			names = wrapWords(t.indent+strings.Join(r[:len(r)-1], "  "), t.width, margin)
		}
		lines = append(lines, strings.Split(names, "\n")...)
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

// least is the width of a row whose cells are cut and wrapped as far as they may be.
func (t *table) least(head []column, widths []int) int {
	sum := t.total(widths)
	for i, c := range head {
		switch {
		case c.cut > 0:
			sum -= max(widths[i]-c.cut, 0)
		case c.wrap > 0:
			sum -= max(widths[i]-c.wrap, 0)
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
