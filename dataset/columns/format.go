package columns

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"reprise/dataset/number"
	"reprise/dataset/table"
	"reprise/fault"
)

// Format says how the numbers or dates of a column are written. The zero Format is the
// notation of package number and that of ISO 8601.
type Format struct {
	// Thousands separates groups of three digits: a comma, point, space or apostrophe.
	Thousands string `json:"thousands,omitempty"`
	// Decimal is the decimal point: a point, which is the default, or a comma.
	Decimal string `json:"decimal,omitempty"`
	// Unit may come before or after a number, such as $, EUR or %. It does not change
	// the number: 5% is 5.
	Unit string `json:"unit,omitempty"`
	// Pattern is how dates are written, in terms of YYYY, MM, DD, hh, mm and ss,
	// such as DD.MM.YYYY.
	Pattern string `json:"format,omitempty"`
}

func (f Format) check(field string, kind Kind) []error {
	var errs []error
	fail := func(key, value, problem, fix string) {
		errs = append(errs, &fault.FieldError{Field: field + "." + key, Value: fmt.Sprintf("%q", value), Problem: problem, Fix: fix})
	}
	if f.Thousands != "" && !slices.Contains([]string{",", ".", " ", "'", "_"}, f.Thousands) {
		fail("thousands", f.Thousands, "does not separate thousands", `use one of ",", ".", " ", "'" and "_"`)
	}
	if f.Decimal != "" && f.Decimal != "." && f.Decimal != "," {
		fail("decimal", f.Decimal, "is not a decimal point", `use "." or ","`)
	}
	if f.Thousands != "" && f.Thousands == f.point() {
		fail("thousands", f.Thousands, "is the decimal point, too", `add decimal: ",", or use another separator`)
	}
	if f.Unit != strings.TrimSpace(f.Unit) || strings.ContainsAny(f.Unit, "0123456789+-.,") {
		fail("unit", f.Unit, "cannot be told from a number", "use a sign or a word without digits, signs and spaces around it, such as $")
	}
	if f.Pattern != "" {
		if problem := checkPattern(f.Pattern); problem != "" {
			fail("format", f.Pattern, problem, "use a pattern such as DD.MM.YYYY or YYYY-MM-DD hh:mm:ss")
		}
	}
	for _, c := range []struct {
		key, value string
		of         Kind
	}{{"thousands", f.Thousands, Number}, {"decimal", f.Decimal, Number}, {"unit", f.Unit, Number}, {"format", f.Pattern, Date}} {
		if c.value != "" && kind != c.of {
			fail(c.key, c.value, "is for columns of kind "+string(c.of), "write kind: "+string(c.of)+" beside it, or leave it out")
		}
	}
	return errs
}

func (f Format) point() string {
	if f.Decimal == "" {
		return "."
	}
	return f.Decimal
}

// Number returns the number in a cell; ok is false if it holds none, or one that is not
// finite as a float32.
func (f Format) Number(c table.Cell) (v float64, ok bool) {
	switch c.Kind {
	case table.Integer:
		return float64(c.Integer), true
	case table.Number:
		if math.Abs(c.Number) <= math.MaxFloat32 { // false for NaN
			return c.Number, true
		}
	case table.Text:
		return number.Parse(f.plain(strings.TrimSpace(c.Text)))
	case table.Missing, table.Boolean, table.Time:
	}
	return 0, false
}

// plain returns a number in the notation of package number; "" for a cell that does not
// have this format.
func (f Format) plain(cell string) string {
	if f.Thousands == "" && f.Decimal == "" && f.Unit == "" {
		return cell
	}
	sign := ""
	if cell != "" && (cell[0] == '-' || cell[0] == '+') { // -$5
		sign, cell = cell[:1], strings.TrimSpace(cell[1:])
	}
	if f.Unit != "" {
		if without, found := strings.CutPrefix(cell, f.Unit); found {
			cell = strings.TrimSpace(without)
		} else {
			cell = strings.TrimSpace(strings.TrimSuffix(cell, f.Unit))
		}
		if sign == "" && cell != "" && (cell[0] == '-' || cell[0] == '+') { // $-5
			sign, cell = cell[:1], cell[1:]
		}
	}
	whole, rest := cell, ""
	if at := strings.Index(cell, f.point()); at >= 0 {
		whole, rest = cell[:at], "."+cell[at+len(f.point()):]
	}
	if f.Thousands != "" && strings.Contains(whole, f.Thousands) {
		groups := strings.Split(whole, f.Thousands)
		for i, group := range groups {
			if i > 0 && len(group) != 3 || group == "" || len(group) > 3 {
				return ""
			}
		}
		whole = strings.Join(groups, "")
	}
	return sign + whole + rest
}

// booleanTexts returns the pairs of texts that are booleans, in lower case; the first
// of a pair is false.
func booleanTexts() [4][2]string {
	return [...][2]string{{"false", "true"}, {"no", "yes"}, {"f", "t"}, {"n", "y"}}
}

// Boolean returns the truth in a cell; ok is false if it holds none. The numbers 0 and 1
// are false and true, too.
func (f Format) Boolean(c table.Cell) (v, ok bool) {
	switch c.Kind {
	case table.Boolean:
		return c.Integer != 0, true
	case table.Integer:
		return c.Integer == 1, c.Integer == 0 || c.Integer == 1
	case table.Number:
		return c.Number == 1, c.Number == 0 || c.Number == 1
	case table.Text:
		text := strings.TrimSpace(c.Text)
		if text == "0" || text == "1" {
			return text == "1", true
		}
		_, v, ok = booleanText(text)
		return v, ok
	case table.Missing, table.Time:
	}
	return false, false
}

// booleanText returns which pair a text belongs to, and which of it it is.
func booleanText(text string) (pair int, v, ok bool) {
	for i, p := range booleanTexts() {
		for j, name := range p {
			if strings.EqualFold(text, name) {
				return i, j == 1, true
			}
		}
	}
	return 0, false, false
}

// Label returns the text of a cell, by which it is a category or a class: without the
// spaces around it, numbers and times in one notation.
func Label(c table.Cell) string {
	switch c.Kind {
	case table.Text:
		return strings.TrimSpace(c.Text)
	case table.Integer:
		return strconv.FormatInt(c.Integer, 10)
	case table.Number:
		return number.Format(c.Number)
	case table.Boolean:
		return strconv.FormatBool(c.Integer != 0)
	case table.Time:
		if t := c.Time.UTC(); t.Equal(t.Truncate(24 * time.Hour)) {
			return t.Format(time.DateOnly)
		}
		return c.Time.UTC().Format(time.RFC3339Nano)
	case table.Missing:
	}
	return ""
}

// Missing are the texts that stand for a missing cell.
type Missing struct {
	texts   map[string]bool
	numbers []float64
}

// NewMissing returns the texts that the package comment lists and some further ones.
func NewMissing(further []string) Missing {
	m := Missing{texts: map[string]bool{}}
	for _, text := range further {
		text = strings.TrimSpace(text)
		m.texts[text] = true
		if v, ok := number.Parse(text); ok {
			m.numbers = append(m.numbers, v)
		}
	}
	return m
}

// Is reports whether a cell is missing.
func (m Missing) Is(c table.Cell) bool {
	switch c.Kind {
	case table.Missing:
		return true
	case table.Text:
		text := strings.TrimSpace(c.Text)
		if isMissing(text) || m.texts[text] {
			return true
		}
		if len(m.numbers) == 0 {
			return false
		}
		v, ok := number.Parse(text)
		return ok && slices.Contains(m.numbers, v)
	case table.Integer:
		return slices.Contains(m.numbers, float64(c.Integer))
	case table.Number:
		return math.IsNaN(c.Number) || slices.Contains(m.numbers, c.Number)
	case table.Boolean, table.Time:
		return m.texts[Label(c)]
	}
	return false
}

// isMissing reports whether a text stands for a missing cell in any table.
func isMissing(text string) bool {
	switch len(text) {
	case 0:
		return true
	case 1:
		return text == "?"
	case 2:
		return strings.EqualFold(text, "na")
	case 3:
		return strings.EqualFold(text, "nan") || strings.EqualFold(text, "n/a")
	case 4:
		return strings.EqualFold(text, "null")
	}
	return false
}
