package dataset

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"reprise/internal/figures"
)

// maxMistakes bounds how many columns with mistakes of their own are reported.
const maxMistakes = 10

// mistakes are the cells of a table that cannot be used, counted by column, so that
// one reading of a file reports all of them in a few lines.
type mistakes struct {
	columns []columnMistakes // by column of the file
	label   error            // the first one of the classes, other than a missing cell
}

// columnMistakes are those of one column.
type columnMistakes struct {
	text, missing, other             int
	firstText, firstMissing, firstOf *DataError
}

// add counts a cell. isText says that it is a word where a number should be, in a
// column that may not be meant as numbers.
func (m *mistakes) add(column, columns int, e *DataError, missing, isText bool) {
	if m.columns == nil {
		m.columns = make([]columnMistakes, columns)
	}
	c := &m.columns[column]
	switch {
	case missing:
		c.missing++
		c.firstMissing = cmp.Or(c.firstMissing, e)
	case isText:
		c.text++
		c.firstText = cmp.Or(c.firstText, e)
	default:
		c.other++
		c.firstOf = cmp.Or(c.firstOf, e)
	}
}

// err returns what is wrong with the cells of a table of some rows, as one error or
// several that are joined: the columns of text, the mistakes of each other column,
// and the missing cells. It is nil if nothing is wrong.
func (m *mistakes) err(t *table, header []string, rows int) error {
	var text, missing []string
	var list []error
	var firstText, firstMissing *DataError
	cells, left := 0, 0
	for i, c := range m.columns {
		if c.missing > 0 {
			missing = append(missing, header[i])
			cells += c.missing
			if firstMissing == nil || c.firstMissing.Line < firstMissing.Line {
				firstMissing = c.firstMissing
			}
		}
		first, count := c.firstOf, c.other+c.text
		if c.text > 0 && (first == nil || c.firstText.Line < first.Line) {
			first = c.firstText
		}
		mostlyText := 2*c.text > rows-c.missing
		switch {
		case mostlyText && t.targetOf[i] < 0:
			text = append(text, header[i])
			firstText = cmp.Or(firstText, c.firstText)
		case count > 0 && len(list) == maxMistakes:
			left++
		case count > 0:
			shown := *first
			if count > 1 && !mostlyText {
				shown.Problem += fmt.Sprintf(" (the column has %d cells that are not usable numbers)", count)
			}
			list = append(list, &shown)
		}
	}
	switch len(text) {
	case 0:
	case 1:
		list = append(list, firstText)
	default:
		list = append(list, t.bad(0, "", "columns "+listColumns(text), fmt.Sprintf("are text, such as %s on line %d", firstText.Value, firstText.Line),
			"remove the columns, or encode them as numbers"))
	}
	switch {
	case cells == 1:
		list = append(list, firstMissing)
	case len(missing) == 1:
		list = append(list, t.bad(0, missing[0], fmt.Sprintf("%d cells", cells), fmt.Sprintf("are missing, the first on line %d", firstMissing.Line),
			"fill them in, or remove the rows"))
	case cells > 0:
		list = append(list, t.bad(0, "", fmt.Sprintf("%d cells", cells), fmt.Sprintf("are missing in %d columns (%s), the first on line %d",
			len(missing), listColumns(missing), firstMissing.Line), "fill them in, or remove the rows"))
	}
	if left > 0 {
		list = append(list, t.bad(0, "", figures.Plural(left, "more column"), "with cells that are not usable numbers", "correct the others first"))
	}
	if m.label != nil {
		list = append(list, m.label)
	}
	if len(list) == 1 {
		return list[0]
	}
	return errors.Join(list...)
}

// onlyLabel reports whether the classes are all that is wrong.
func (m *mistakes) onlyLabel() bool {
	return m.label != nil && !slices.ContainsFunc(m.columns, func(c columnMistakes) bool { return c.text+c.missing+c.other > 0 })
}

// separators are the characters that columns are separated by where it is not
// commas, and their names.
func separators() map[byte]string {
	return map[byte]string{';': "semicolons", '\t': "tabs", '|': "vertical bars"}
}

// firstLine returns the first line of a text that is not empty.
func firstLine(text []byte) string {
	text = bytes.TrimLeft(text, "\r\n")
	if end := bytes.IndexAny(text, "\r\n"); end >= 0 {
		text = text[:end]
	}
	return string(text)
}

// otherSeparator names what separates the columns of a header if it is not commas:
// a character that comes more often than they do, quoted cells left aside. It is ""
// for commas and for a single column.
func otherSeparator(header string) string {
	count := map[byte]int{}
	quoted := false
	for i := range len(header) {
		switch c := header[i]; {
		case c == '"':
			quoted = !quoted
		case !quoted:
			count[c]++
		}
	}
	for _, c := range []byte(";\t|") {
		if count[c] > count[','] {
			return separators()[c]
		}
	}
	return ""
}

// commentHint says, of a first line that begins with #, what it is to this reader;
// "" of any other. A column may be named #: it is for what is refused anyhow.
func commentHint(line int, header string) string {
	if !strings.HasPrefix(header, "#") {
		return ""
	}
	return fmt.Sprintf("line %d looks like a comment, which CSV files do not have: remove the line, or its # if it names the columns", max(line, 1))
}
