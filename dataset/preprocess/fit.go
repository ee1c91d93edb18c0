package preprocess

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"reprise/dataset/columns"
	"reprise/dataset/number"
	"reprise/dataset/table"
	"reprise/fault"
)

// Builder collects the codes of a table's rows, and learns from them how they become
// features.
type Builder struct {
	missing columns.Missing
	further []string
	used    []columns.Column
	at      []int // of each used column in the table
	ignored []string
	// labels has the categories of each column in the order in which they came, and
	// index their places in it.
	labels [][]string
	index  []map[string]int
	values []float64 // [rows, used], row-major; once fitted, [rows, codes]
	rows   int
	bytes  int64 // of texts
	spill  spill // of a builder that keeps codes in a file

	// Of the columns once they are fitted: what a category's places in labels become, and
	// how texts become tokens; nil for others.
	final  [][]float64
	texts  []*textEncoder
	widths []int
}

// NewBuilder returns a builder for a table whose columns mean what is given, in the order
// of the table. Columns that are not used, and those that skip names, such as the target,
// get no features. further are the texts that stand for a missing cell.
func NewBuilder(meaning []columns.Column, skip, further []string) *Builder {
	b := &Builder{missing: columns.NewMissing(further), further: further}
	for i, c := range meaning {
		switch {
		case slices.Contains(skip, c.Name):
		case !c.Kind.Used():
			b.ignored = append(b.ignored, c.Name)
		default:
			b.used = append(b.used, c)
			b.at = append(b.at, i)
			b.labels = append(b.labels, nil)
			b.index = append(b.index, map[string]int{})
		}
	}
	return b
}

// Columns returns the columns that features are made of.
func (b *Builder) Columns() []columns.Column { return b.used }

// Rows returns how many rows were added.
func (b *Builder) Rows() int { return b.rows }

// TextBytes returns the memory that texts take until Fit has made tokens of them.
func (b *Builder) TextBytes() int64 { return b.bytes }

// Values returns the codes of all rows, row-major: those of the document once it is fitted.
// The builder does not use them afterwards. One that keeps them in a file has EachRow
// instead.
func (b *Builder) Values() []float64 { return b.values }

// Add adds a row of the table. kept is false if it is left out, for a missing cell in a
// column with the strategy drop. It fails with a *fault.DataError for a cell that is not
// of its column's kind.
func (b *Builder) Add(at table.Place, row []table.Cell) (kept bool, err error) {
	start := len(b.values)
	for i := range b.used {
		code, err := b.code(i, at, row[b.at[i]])
		if err != nil {
			return false, err
		}
		if math.IsNaN(code) && b.used[i].Missing.Strategy == columns.Drop {
			b.values = b.values[:start]
			return false, nil
		}
		b.values = append(b.values, code)
	}
	b.rows++
	return true, b.spillGroup()
}

func (b *Builder) code(i int, at table.Place, cell table.Cell) (float64, error) {
	if b.missing.Is(cell) {
		return math.NaN(), nil
	}
	c := Column{Name: b.used[i].Name, Kind: b.used[i].Kind, Format: b.used[i].Format}
	if c.Kind != columns.Category && c.Kind != columns.Text {
		code, ok := c.code(cell, nil)
		if !ok {
			return 0, c.bad(at, cell, "is not a "+string(c.Kind)+", as the other cells of the column are", "correct the cell, or leave it empty")
		}
		return code, nil
	}
	label := columns.Label(cell)
	if place, ok := b.index[i][label]; ok {
		return float64(place), nil
	}
	label = strings.Clone(label)
	place := len(b.labels[i])
	if c.Kind == columns.Text {
		b.bytes += int64(len(label))
	}
	b.index[i][label] = place
	b.labels[i] = append(b.labels[i], label)
	return float64(place), nil
}

// Fit learns from the training rows, given in ascending order and at least one, what
// becomes of each column, and gives all codes their final values. The document has no
// target yet. Fit may be called once. Of codes in a file, it reads one column at a time.
func (b *Builder) Fit(ctx context.Context, train []uint32) (Document, error) {
	if err := b.spillRest(); err != nil {
		return Document{}, err
	}
	d := Document{Missing: b.further, Ignored: b.ignored, Columns: []Column{}}
	b.final = make([][]float64, len(b.used))
	for i, meaning := range b.used {
		if err := ctx.Err(); err != nil {
			return Document{}, err
		}
		c := Column{Name: meaning.Name, Kind: meaning.Kind, Format: meaning.Format,
			Missing: Fill{Strategy: meaning.Missing.Strategy, Indicator: meaning.Missing.Indicator}}
		values, err := b.column(i, train)
		if err != nil {
			return Document{}, err
		}
		switch c.Kind {
		case columns.Category:
			b.fitCategory(i, &c, values)
		case columns.Text:
			err = b.fitText(ctx, i, &c, values)
		case columns.Number, columns.Boolean, columns.Date, columns.Image, columns.Ignored:
			err = b.fitNumbers(i, &c, values)
		}
		if err != nil {
			return Document{}, err
		}
		d.Columns = append(d.Columns, c)
	}
	d.Version = d.version()
	if err := b.prepare(d.Columns); err != nil || b.spill.to != nil {
		return d, err
	}
	return d, b.expand()
}

// column returns the codes of a column in some rows, which are in ascending order.
func (b *Builder) column(i int, rows []uint32) ([]float64, error) {
	values := make([]float64, 0, len(rows))
	err := b.eachCode(i, func(first int, codes []float64) error {
		for k := len(values); k < len(rows) && int(rows[k]) < first+len(codes); k++ {
			values = append(values, codes[int(rows[k])-first])
		}
		return nil
	})
	return values, err
}

// eachCode calls do with the codes of a column, part by part; first is the row of the first.
func (b *Builder) eachCode(i int, do func(first int, codes []float64) error) error {
	if b.spill.to != nil {
		return b.spill.eachCode(b.rows, len(b.used), i, do)
	}
	const part = 4096
	codes := make([]float64, 0, part)
	for first := 0; first < b.rows; first += part {
		codes = codes[:0]
		for row := first; row < min(first+part, b.rows); row++ {
			codes = append(codes, b.values[row*len(b.used)+i])
		}
		if err := do(first, codes); err != nil {
			return err
		}
	}
	return nil
}

// fitCategory chooses the categories, given the codes of the training rows, and what the
// places of labels become.
func (b *Builder) fitCategory(i int, c *Column, values []float64) {
	counts := map[int]int{}
	for _, code := range values {
		if math.IsNaN(code) {
			c.MissingCategory = c.Missing.Strategy == columns.OwnCategory
			continue
		}
		counts[int(code)]++
	}
	several := 0
	for _, n := range counts {
		several = max(several, n)
	}
	for place := range counts {
		if several == 1 || counts[place] > 1 {
			c.Categories = append(c.Categories, b.labels[i][place])
		} else {
			c.Other = true
		}
	}
	slices.Sort(c.Categories)
	index := map[string]int{}
	for at, name := range c.Categories {
		index[name] = at
	}
	if c.Missing.Strategy == columns.Constant {
		c.Missing.Category = b.used[i].Missing.Value
	}
	if b.used[i].Encode == columns.Learnt {
		c.Encode = columns.Learnt
	}
	b.final[i] = make([]float64, len(b.labels[i]))
	for place, name := range b.labels[i] {
		b.final[i][place] = float64(lookUp(index, name))
	}
}

// fitNumbers learns what replaces missing cells, and how numbers are scaled, from the codes
// of the training rows, which it changes.
func (b *Builder) fitNumbers(i int, c *Column, values []float64) error {
	fill, err := b.fillOf(i, c, values)
	if err != nil {
		return err
	}
	c.Missing.Value = fill + 0 // -0 and 0 are one value, and one document
	for k, v := range values {
		if math.IsNaN(v) {
			values[k] = fill
		}
	}
	switch c.Kind {
	case columns.Number:
		scale := standardise(values)
		c.Scale = &Scale{Mean: scale.Mean, StandardDeviation: scale.SD}
		return b.checkNumbers(i, c, scale)
	case columns.Date:
		fitDate(c, values)
	case columns.Boolean, columns.Category, columns.Text, columns.Image, columns.Ignored:
	}
	return nil
}

// fillOf returns the code that replaces missing cells, given those of the training rows; 0
// where none has a value.
func (b *Builder) fillOf(i int, c *Column, values []float64) (float64, error) {
	present := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	switch strategy := c.Missing.Strategy; {
	case strategy == columns.Constant:
		cell := table.Cell{Kind: table.Text, Text: b.used[i].Missing.Value}
		fill, ok := c.code(cell, nil)
		if !ok {
			return 0, fmt.Errorf("column %q: %q is not a %s", c.Name, cell.Text, c.Kind) // Infer refuses it
		}
		return fill, nil
	case strategy == columns.Drop, len(present) == 0:
		return 0, nil
	case strategy == columns.Median:
		slices.Sort(present)
		low, high := present[(len(present)-1)/2], present[len(present)/2]
		return (low + high) / 2, nil
	}
	return standardise(present).Mean, nil
}

func standardise(values []float64) number.Scale {
	rows := make([]uint32, len(values))
	for k := range rows {
		rows[k] = uint32(k)
	}
	return number.Standardise(number.CurrentRule, values, 1, rows)[0]
}

// checkNumbers refuses whole numbers whose digits a float64 does not hold where that
// would be seen in training, and values that are not finite once they are standardised.
func (b *Builder) checkNumbers(i int, c *Column, scale number.Scale) error {
	meaning := b.used[i]
	if lost := meaning.Lost; lost > 0 && (lost > float64(scale.SD*number.Float32Epsilon) || scale.Rounded) && meaning.Distinct > 1 {
		return BadCell(meaning.LostAt.Place, c.Name, table.Cell{Kind: table.Text, Text: meaning.LostAt.Text},
			fmt.Sprintf("has more digits than a 64-bit float holds, and the column varies by no more than %.3g", scale.SD),
			"subtract a constant from the column, or leave it out if it names things: columns: {"+c.Name+": ignored}")
	}
	return b.eachCode(i, func(_ int, codes []float64) error {
		for _, v := range codes {
			if math.IsInf(float64(c.Scale.apply(v)), 0) {
				return &fault.DataError{Column: c.Name, Value: number.Format(v),
					Problem: fmt.Sprintf("is out of scale: the column's standard deviation is %g", scale.SD), Fix: "correct the value, or remove the row"}
			}
		}
		return nil
	})
}

// fitDate chooses the parts that vary.
func fitDate(c *Column, values []float64) {
	varies := map[Part]bool{}
	first := map[Part]int{}
	years := make([]float64, len(values))
	for k, seconds := range values {
		t := columns.TimeOf(seconds)
		years[k] = float64(t.Year())
		for _, part := range Parts() {
			at, _ := cycle(part, t)
			if k == 0 {
				first[part] = at
			}
			varies[part] = varies[part] || at != first[part]
		}
	}
	maps.DeleteFunc(varies, func(_ Part, v bool) bool { return !v })
	for _, part := range Parts() {
		if varies[part] {
			c.Parts = append(c.Parts, part)
		}
	}
	if varies[Year] {
		scale := standardise(years)
		c.Scale = &Scale{Mean: scale.Mean, StandardDeviation: scale.SD}
	}
}
