package preprocess

import (
	"fmt"
	"math"
	"strings"
	"time"

	"reprise/dataset/columns"
	"reprise/dataset/number"
	"reprise/dataset/table"
	"reprise/fault"
	"reprise/internal/detmath"
	"reprise/internal/spelling"
)

// Encoder makes features of rows. It is immutable and safe for concurrent use.
type Encoder struct {
	document   Document
	missing    columns.Missing
	categories []map[string]int // of each column that is a category
	fills      []float64        // the code that replaces NaN; NaN where nothing does
	texts      []*textEncoder   // of each column that is a text
	widths     []int            // the number of features of each column
	features   int
	codes      int // of a row
	classes    map[string]int
}

// NewEncoder returns an encoder for a document. It fails as Document.Validate does.
func NewEncoder(d Document) (*Encoder, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	e := &Encoder{document: d, missing: columns.NewMissing(d.Missing), classes: map[string]int{}}
	for _, c := range d.Columns {
		index := map[string]int{}
		for i, name := range c.Categories {
			index[name] = i
		}
		fill := c.Missing.Value
		switch {
		case c.Missing.Strategy == columns.Drop, c.Missing.Strategy == columns.OwnCategory:
			fill = math.NaN()
		case c.Kind == columns.Category:
			fill = float64(lookUp(index, c.Missing.Category))
		}
		var text *textEncoder
		if c.Kind == columns.Text {
			var err error
			if text, err = newTextEncoder(c.Text); err != nil {
				return nil, err
			}
			text.fill = text.tokens(c.Missing.Category, text.most)
		}
		e.texts = append(e.texts, text)
		e.codes += c.codes()
		e.categories = append(e.categories, index)
		e.fills = append(e.fills, fill)
		e.widths = append(e.widths, c.features())
		e.features += c.features()
	}
	for i, class := range d.Target.Classes {
		e.classes[class] = i
	}
	return e, nil
}

// lookUp returns the index of a category, and the number of categories for one that is
// not known.
func lookUp(index map[string]int, name string) int {
	if at, ok := index[name]; ok {
		return at
	}
	return len(index)
}

// Document returns the document.
func (e *Encoder) Document() Document { return e.document }

// Features returns the number of features of a row.
func (e *Encoder) Features() int { return e.features }

// Codes returns the number of codes of a row.
func (e *Encoder) Codes() int { return e.codes }

// Place returns where the codes of a column of the document begin.
func (e *Encoder) Place(column int) int {
	at := 0
	for _, c := range e.document.Columns[:column] {
		at += c.codes()
	}
	return at
}

// Section is some features of a row that belong together.
type Section struct {
	// Features is their number.
	Features int
	// Vocabulary is the number of tokens of a text or an embedded category, whose features
	// are tokens; 0 for numbers.
	Vocabulary int
	// Text says that they are the tokens of a text.
	Text bool
}

// Sections returns the sections of a row in their order: one for each text and each embedded
// category, and one for all numbers between them.
func (e *Encoder) Sections() []Section {
	var list []Section
	numbers := func(n int) {
		last := len(list) - 1
		switch {
		case n == 0:
		case last >= 0 && list[last].Vocabulary == 0:
			list[last].Features += n
		default:
			list = append(list, Section{Features: n})
		}
	}
	for i, c := range e.document.Columns {
		n := c.features()
		switch {
		case c.Kind == columns.Text:
			list = append(list, Section{Features: c.Text.MaxTokens, Vocabulary: e.texts[i].size(), Text: true})
			n -= c.Text.MaxTokens
		case c.Encode == columns.Learnt:
			list = append(list, Section{Features: 1, Vocabulary: 1 + c.places()})
			n--
		}
		numbers(n)
	}
	return list
}

// Names returns the name of each feature: that of its column, with the category after =,
// the part after a point, or the place of a token in brackets.
func (e *Encoder) Names() []string {
	names := make([]string, 0, e.features)
	for _, c := range e.document.Columns {
		switch c.Kind {
		case columns.Number, columns.Boolean:
			names = append(names, c.Name)
		case columns.Text:
			for k := range c.Text.MaxTokens {
				names = append(names, fmt.Sprintf("%s[%d]", c.Name, k))
			}
		case columns.Category:
			if c.Encode == columns.Learnt {
				names = append(names, c.Name)
				break
			}
			for _, category := range c.Categories {
				names = append(names, c.Name+"="+category)
			}
			if c.Other {
				names = append(names, c.Name+" (other)")
			}
			if c.MissingCategory {
				names = append(names, c.Name+" (missing)")
			}
		case columns.Date:
			for _, part := range c.Parts {
				if part == Year {
					names = append(names, c.Name+".year")
				} else {
					names = append(names, c.Name+"."+string(part)+".sin", c.Name+"."+string(part)+".cos")
				}
			}
		case columns.Image, columns.Ignored:
		}
		if c.Missing.Indicator {
			names = append(names, c.Name+" (missing)")
		}
	}
	return names
}

// Encode writes the features of a row of codes, of which there are Codes, to x, which has
// Features elements.
func (e *Encoder) Encode(codes []float64, x []float32) {
	for i := range e.document.Columns {
		c := &e.document.Columns[i]
		code := codes[0]
		row := codes[:c.codes()]
		codes = codes[len(row):]
		missing := math.IsNaN(code)
		if missing {
			code = e.fills[i]
		}
		n := e.widths[i]
		own := x[:n]
		x = x[n:]
		if c.Missing.Indicator {
			own[n-1] = float32(b2i(missing))
			own = own[:n-1]
		}
		switch c.Kind {
		case columns.Number:
			own[0] = c.Scale.apply(code)
		case columns.Boolean:
			own[0] = float32(code)
		case columns.Category:
			if c.Encode == columns.Learnt {
				own[0] = float32(c.place(code))
			} else {
				c.encodeCategory(code, own)
			}
		case columns.Date:
			c.encodeDate(code, own)
		case columns.Text:
			if missing {
				putTokens(own, e.texts[i].fill)
				break
			}
			for k, token := range row {
				own[k] = float32(token)
			}
		case columns.Image, columns.Ignored:
		}
	}
}

// encodeCategory sets at most one feature.
func (c *Column) encodeCategory(code float64, x []float32) {
	clear(x)
	if place := c.place(code); place > 0 {
		x[place-1] = 1
	}
}

// place returns which value of a category a code stands for, counted from 1, and 0 for
// none of them.
func (c *Column) place(code float64) int {
	known := len(c.Categories)
	switch {
	case math.IsNaN(code) && c.MissingCategory:
		return c.places()
	case code < float64(known): // false for NaN
		return 1 + int(code)
	case c.Other:
		return 1 + known
	}
	return 0
}

// encodeDate writes the parts of a date.
func (c *Column) encodeDate(seconds float64, x []float32) {
	t := columns.TimeOf(seconds)
	for _, part := range c.Parts {
		k, n := cycle(part, t)
		if n == 0 {
			x[0] = c.Scale.apply(float64(k))
			x = x[1:]
			continue
		}
		x[0], x[1] = sine(k, n), cosine(k, n)
		x = x[2:]
	}
}

// cycle returns where in its cycle of length n a part of a time is; n is 0 for the year,
// which has none.
func cycle(part Part, t time.Time) (k, n int) {
	switch part {
	case Year:
		return t.Year(), 0
	case Month:
		return int(t.Month()) - 1, 12
	case Day:
		return t.Day() - 1, 31
	case Weekday:
		return (int(t.Weekday()) + 6) % 7, 7
	case Hour:
		return t.Hour(), 24
	case Minute:
		return t.Minute(), 60
	}
	panic("preprocess: part " + string(part)) // Validate refuses it
}

// cosine returns cos(2 pi k/n), and sine sin(2 pi k/n) as the cosine of a quarter less.
func cosine(k, n int) float32 {
	return float32(detmath.Cos(float64(2*math.Pi*float64(k)) / float64(n)))
}

func sine(k, n int) float32 {
	return float32(detmath.Cos(float64(2*math.Pi*float64(4*k-n)) / float64(4*n)))
}

// Binding reads the rows of one table for an encoder. It is immutable and safe for
// concurrent use.
type Binding struct {
	encoder *Encoder
	columns []int // of the table, for each column of the document
	targets []int // of the table, for the target's columns; nil if it does not have them
}

// Bind returns a binding for a table with these columns, in any order, and the names
// of those that the document does not know. It fails if the table lacks columns that
// the features are made of; it may lack the target.
func (e *Encoder) Bind(names []string) (b *Binding, unknown []string, err error) {
	b = &Binding{encoder: e}
	at := map[string]int{}
	for i, name := range names {
		at[name] = i
	}
	known := map[string]bool{}
	for _, name := range e.document.names() {
		known[name] = true
	}
	for _, name := range names {
		if !known[name] {
			unknown = append(unknown, name)
		}
	}
	var lacking []string
	for _, c := range e.document.Columns {
		i, ok := at[c.Name]
		if !ok {
			lacking = append(lacking, c.Name)
		}
		b.columns = append(b.columns, i)
	}
	if len(lacking) > 0 {
		return nil, unknown, missingColumns(lacking, unknown)
	}
	for _, name := range e.document.Target.columns() {
		i, ok := at[name]
		if !ok {
			b.targets = nil
			break
		}
		b.targets = append(b.targets, i)
	}
	return b, unknown, nil
}

func missingColumns(lacking, unknown []string) error {
	what := "column " + columns.Names(lacking) + " is"
	if len(lacking) > 1 {
		what = "columns " + columns.Names(lacking) + " are"
	}
	fix := "add what the model was trained with"
	if near, ok := spelling.Nearest(lacking[0], unknown); ok {
		fix = fmt.Sprintf("rename %q, if that is %q", near, lacking[0])
	} else if len(unknown) > 0 {
		fix += "; columns that it does not know: " + columns.Names(unknown)
	}
	return &fault.FieldError{Field: "columns", Value: what, Problem: "missing from the table", Fix: fix}
}

// Codes writes the codes of a row of the table, of which the encoder has Codes. It
// fails with a *fault.DataError for a cell that is not of its column's kind, and for a
// missing cell in a column whose rows are left out where one is missing.
func (b *Binding) Codes(at table.Place, row []table.Cell, codes []float64) error {
	for i := range b.columns {
		c := &b.encoder.document.Columns[i]
		cell := row[b.columns[i]]
		own := codes[:c.codes()]
		codes = codes[len(own):]
		if b.encoder.missing.Is(cell) {
			if c.Missing.Strategy == columns.Drop {
				return c.bad(at, cell, "is missing, and the model was trained on rows without missing cells in this column", "fill it in, or remove the row")
			}
			own[0] = math.NaN()
			continue
		}
		if text := b.encoder.texts[i]; text != nil {
			text.encode(columns.Label(cell), own)
			continue
		}
		code, ok := c.code(cell, b.encoder.categories[i])
		if !ok {
			return c.bad(at, cell, "is not a "+string(c.Kind)+" as in training", "correct the cell, or leave it empty")
		}
		if c.Kind == columns.Number && math.IsInf(float64(c.Scale.apply(code)), 0) {
			return c.bad(at, cell, fmt.Sprintf("is out of scale: the column's standard deviation is %g", c.Scale.StandardDeviation), "correct the value, or remove the row")
		}
		own[0] = code
	}
	return nil
}

// Row writes the features of a row of the table. It fails as Codes does.
func (b *Binding) Row(at table.Place, row []table.Cell, x []float32) error {
	codes := make([]float64, b.encoder.codes)
	if err := b.Codes(at, row, codes); err != nil {
		return err
	}
	b.encoder.Encode(codes, x)
	return nil
}

// HasTarget reports whether the table has the target's columns.
func (b *Binding) HasTarget() bool { return b.targets != nil }

// Dropped reports whether a row has a missing cell in a column whose rows are left out
// where one is missing.
func (b *Binding) Dropped(row []table.Cell) bool {
	for i, at := range b.columns {
		if b.encoder.document.Columns[i].Missing.Strategy == columns.Drop && b.encoder.missing.Is(row[at]) {
			return true
		}
	}
	return false
}

// Label returns the class of a row as the table has it; ok is false if the cell is missing.
func (b *Binding) Label(row []table.Cell) (label string, ok bool) {
	cell := row[b.targets[0]]
	if b.encoder.missing.Is(cell) {
		return "", false
	}
	return columns.Label(cell), true
}

// Class returns the class of a row; ok is false if the cell is missing, or is a class
// that was not seen in training.
func (b *Binding) Class(row []table.Cell) (class int, ok bool) {
	label, ok := b.Label(row)
	if !ok {
		return 0, false
	}
	if b.encoder.document.Target.NumericClasses {
		if d, ok := number.ParseDecimal(label); ok {
			label = d.String()
		}
	}
	class, ok = b.encoder.classes[label]
	return class, ok
}

// Quantities writes the quantities of a row, in their own units, NaN for a cell that is
// missing. It fails with a *fault.DataError for one that is not a number.
func (b *Binding) Quantities(at table.Place, row []table.Cell, values []float64) error {
	for i, q := range b.encoder.document.Target.Quantities {
		cell := row[b.targets[i]]
		values[i] = math.NaN()
		if b.encoder.missing.Is(cell) {
			continue
		}
		v, ok := q.Format.Number(cell)
		if !ok {
			return (&Column{Name: q.Name}).bad(at, cell, "is not a number", "correct the cell, or leave it empty")
		}
		values[i] = v
	}
	return nil
}

// code returns the code of a cell that is not missing.
func (c *Column) code(cell table.Cell, categories map[string]int) (float64, bool) {
	switch c.Kind {
	case columns.Number:
		return c.Format.Number(cell)
	case columns.Boolean:
		v, ok := c.Format.Boolean(cell)
		return float64(b2i(v)), ok
	case columns.Category:
		return float64(lookUp(categories, columns.Label(cell))), true
	case columns.Date:
		return c.Format.Date(cell)
	case columns.Text, columns.Image, columns.Ignored:
	}
	return 0, false
}

func (c *Column) bad(at table.Place, cell table.Cell, problem, fix string) error {
	return BadCell(at, c.Name, cell, problem, fix)
}

// BadCell returns the error for a cell.
func BadCell(at table.Place, column string, cell table.Cell, problem, fix string) *fault.DataError {
	e := &fault.DataError{File: at.File, Line: at.Line, Column: column, Problem: problem, Fix: fix}
	if at.Line == 0 {
		e.Row = at.Row
	}
	if label := columns.Label(cell); strings.TrimSpace(label) != "" {
		e.Value = fault.Quote(label)
	}
	return e
}
