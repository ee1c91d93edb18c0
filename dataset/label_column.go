package dataset

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"reprise/dataset/number"
	"reprise/fault"
)

// The numbers of classes beyond which a target looks like a quantity.
const (
	// maxTableClasses is the most classes that any column may have.
	maxTableClasses = 1000
	// maxPlainClasses is the most classes that a column of numbers may have if the
	// source does not say that they are classes, unless they are the whole numbers from 0
	// or 1 on, at most maxNumberedClasses of them, with rowsPerClass rows each on average.
	maxPlainClasses    = 20
	maxNumberedClasses = 100
	rowsPerClass       = 10
)

// labelColumn is the target column of a table while it is read.
type labelColumn struct {
	index  map[string]int32 // from a spelling to its index in order of appearance
	kinds  []labelKind
	labels []int32
	// the first line with a number and the first with a name; 0 if there is none.
	numberLine, nameLine int
	number, name         string
}

// labelKind is what a spelling stands for: the name of the class and, if the
// labels are numbers, its value.
type labelKind struct {
	text  string
	value number.Decimal
}

// label returns what a spelling stands for, and whether it is a number.
func (r reading) label(cell string) (labelKind, bool) {
	if r == firstReading {
		v, err := strconv.ParseFloat(cell, 64)
		if err != nil {
			return labelKind{text: cell}, false
		}
		if v == 0 { // -0 is 0, too
			v = 0
		}
		value, _ := number.ParseDecimal(strconv.FormatFloat(v, 'e', -1, 64))
		return labelKind{number.Format(v), value}, true
	}
	value, ok := number.ParseDecimal(cell)
	if !ok {
		return labelKind{text: cell}, false
	}
	return labelKind{value.String(), value}, true
}

// add adds the cell of a row.
func (c *labelColumn) add(t *table, line int, cell string) error {
	if at, ok := c.index[cell]; ok {
		c.labels = append(c.labels, at)
		return nil
	}
	switch {
	case cell == "":
		return t.bad(line, t.target, "", "the target is empty", "fill it in, or remove the row")
	case !utf8.ValidString(cell):
		return t.bad(line, t.target, quote(cell), "is not UTF-8", "save the file as UTF-8")
	case number.NotFinite(cell):
		return t.bad(line, t.target, quote(cell), "is not a class", "fill it in, or remove the row")
	}
	kind, number := t.reading.label(cell)
	switch {
	case number && c.numberLine == 0:
		c.numberLine, c.number = line, cell
	case !number && c.nameLine == 0:
		c.nameLine, c.name = line, cell
	}
	if c.numberLine > 0 && c.nameLine > 0 {
		return t.bad(line, t.target, quote(cell), c.mixed(), "use numbers for all classes, or names for all")
	}
	if len(c.kinds) == maxTableClasses {
		many := fmt.Sprintf("more than %d", maxTableClasses)
		if c.nameLine > 0 {
			return c.tooManyNames(t, line, many)
		}
		return lookLikeQuantity(t, "has "+many+" different numbers", "choose the task regression, or name a column of classes")
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

// tooManyNames is the error for a target with too many different names for its rows
// to be classes.
func (c *labelColumn) tooManyNames(t *table, line int, many string) error {
	return t.bad(line, t.target, "", many+" different names are too many to be classes", "name a column of classes")
}

// lookLikeQuantity is the error for a target of numbers that nobody would call
// classes.
func lookLikeQuantity(t *table, has, fix string) error {
	return &fault.FieldError{Field: FieldTask, Value: "column " + quote(t.target), Problem: has + ", which look like a quantity and not like classes",
		Fix: fix, Example: string(Regression)}
}

func (c *labelColumn) mixed() string {
	if c.nameLine > c.numberLine {
		return fmt.Sprintf("is a name, while %s on line %d is a number", quote(c.number), c.numberLine)
	}
	return fmt.Sprintf("is a number, while %s on line %d is a name", quote(c.name), c.nameLine)
}

// classes returns the names of the classes and the class of every row. Numbers
// are in ascending order and each is written in one way: 1 and 1.0 are one class.
// Names are in the order of their bytes.
func (c *labelColumn) classes(t *table) ([]string, []int32, error) {
	sorted := slices.Clone(c.kinds)
	slices.SortFunc(sorted, func(a, b labelKind) int { return cmp.Or(a.value.Compare(b.value), cmp.Compare(a.text, b.text)) })
	sorted = slices.Compact(sorted)
	switch n := len(sorted); {
	case n == 1:
		return nil, nil, t.bad(0, t.target, quote(sorted[0].text), "is the only class: there is nothing to tell apart",
			"name a column with at least two classes")
	case n == len(c.labels):
		if c.nameLine > 0 {
			return nil, nil, c.tooManyNames(t, 0, fmt.Sprintf("%d rows with %d", n, n))
		}
		return nil, nil, lookLikeQuantity(t, fmt.Sprintf("has %d different numbers in %d rows", n, n), "choose the task regression, or name a column of classes")
	case t.task == "" && t.reading != firstReading && c.lookLikeQuantity(sorted):
		return nil, nil, lookLikeQuantity(t, fmt.Sprintf("has %d different numbers in %d rows", n, len(c.labels)),
			"choose the task regression, or classification if each number is a class")
	}
	place := map[string]int32{}
	names := make([]string, len(sorted))
	for i, kind := range sorted {
		names[i] = kind.text
		place[kind.text] = int32(i)
	}
	final := make([]int32, len(c.kinds)) // from order of appearance to class
	for i, kind := range c.kinds {
		final[i] = place[kind.text]
	}
	labels := make([]int32, len(c.labels))
	for i, at := range c.labels {
		labels[i] = final[at]
	}
	return names, labels, nil
}

// lookLikeQuantity reports whether the classes seem to be measured numbers rather
// than numbers that stand for classes.
func (c *labelColumn) lookLikeQuantity(classes []labelKind) bool {
	if c.numberLine == 0 || len(classes) <= maxPlainClasses {
		return false
	}
	return !numbered(classes) || len(classes) > maxNumberedClasses || len(c.labels) < rowsPerClass*len(classes)
}

// numbered reports whether the classes, in ascending order, are the whole numbers from 0 or
// 1 on, as labels are given and quantities hardly ever are.
func numbered(classes []labelKind) bool {
	first := 0
	if classes[0].text != "0" {
		first = 1
	}
	for i, k := range classes {
		if k.text != strconv.Itoa(first+i) {
			return false
		}
	}
	return true
}
