package dataset

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// labelColumn is the target column of a table while it is read.
type labelColumn struct {
	index  map[string]int32 // from a spelling to its place in order of appearance
	kinds  []labelKind
	labels []int32
	// where a number and where a name was seen first; 0 where none was.
	numberLine, nameLine int
	number, name         string
}

// labelKind is a spelling of a class and, where it is a number, its value.
type labelKind struct {
	text  string
	value float64
}

// add takes the cell of a row.
func (c *labelColumn) add(t *table, line int, cell string) error {
	if at, ok := c.index[cell]; ok {
		c.labels = append(c.labels, at)
		return nil
	}
	kind := labelKind{text: cell}
	v, err := strconv.ParseFloat(cell, 64)
	switch {
	case cell == "":
		return t.bad(line, t.target, "", "the target is empty", "fill it in, or remove the row")
	case !utf8.ValidString(cell):
		return t.bad(line, t.target, quote(cell), "is not UTF-8", "save the file as UTF-8")
	case err == nil && (math.IsNaN(v) || math.IsInf(v, 0)):
		return t.bad(line, t.target, quote(cell), "is not a class", "fill it in, or remove the row")
	case err == nil:
		kind.value = v
		if v == 0 { // so that -0 is 0
			kind.value = 0
		}
		if c.numberLine == 0 {
			c.numberLine, c.number = line, cell
		}
	case c.nameLine == 0:
		c.nameLine, c.name = line, cell
	}
	if c.numberLine > 0 && c.nameLine > 0 {
		return t.bad(line, t.target, quote(cell), c.mixed(), "use numbers for all classes, or names for all")
	}
	if len(c.kinds) == maxTableClasses {
		return t.bad(line, t.target, "", fmt.Sprintf("more than %d different values", maxTableClasses)+regression, regressionFix)
	}
	if c.index == nil {
		c.index = map[string]int32{}
	}
	at := int32(len(c.kinds))
	c.index[cell] = at
	c.kinds = append(c.kinds, kind)
	c.labels = append(c.labels, at)
	return nil
}

const (
	regression    = " look like a regression target"
	regressionFix = "set task: regression, or name a column of classes"
)

func (c *labelColumn) mixed() string {
	if c.nameLine > c.numberLine {
		return fmt.Sprintf("is a name, while %s in line %d is a number", quote(c.number), c.numberLine)
	}
	return fmt.Sprintf("is a number, while %s in line %d is a name", quote(c.name), c.nameLine)
}

// classes returns the names of the classes, numbers in ascending order and
// written in one way (1 and 1.0 are one class), or names in the order of their
// bytes, and the class of every row.
func (c *labelColumn) classes(t *table) ([]string, []int32, error) {
	sorted := slices.Clone(c.kinds)
	numbers := c.numberLine > 0
	if numbers {
		for i := range sorted {
			sorted[i].text = formatNumber(sorted[i].value)
		}
	}
	slices.SortFunc(sorted, func(a, b labelKind) int { return cmp.Or(cmp.Compare(a.value, b.value), cmp.Compare(a.text, b.text)) })
	sorted = slices.Compact(sorted)
	switch n := len(sorted); {
	case n == 1:
		return nil, nil, t.bad(0, t.target, quote(sorted[0].text), "is the only class: there is nothing to tell apart",
			"name a column with at least two classes")
	case n == len(c.labels):
		return nil, nil, t.bad(0, t.target, "", fmt.Sprintf("%d rows with %d different values", n, n)+regression, regressionFix)
	}
	place := map[string]int32{}
	names := make([]string, len(sorted))
	for i, kind := range sorted {
		names[i] = kind.text
		place[kind.text] = int32(i)
	}
	final := make([]int32, len(c.kinds)) // from order of appearance to class
	for i, kind := range c.kinds {
		text := kind.text
		if numbers {
			text = formatNumber(kind.value)
		}
		final[i] = place[text]
	}
	labels := make([]int32, len(c.labels))
	for i, at := range c.labels {
		labels[i] = final[at]
	}
	return names, labels, nil
}

// formatNumber writes a number as short as it can be read back, whole numbers
// without an exponent.
func formatNumber(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
