package dataset

import (
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"reprise/dataset/columns"
	"reprise/dataset/preprocess"
	"reprise/internal/figures"
)

// tableData is what a data set of a table has beside its codes.
type tableData struct {
	encoder *preprocess.Encoder
	content string // the SHA-256 of all cells
	columns []columns.Column
	targets []string
	group   string // the column by which the rows were split, if it is no feature
	leftOut string
	notes   []string // about the split
}

func newTableData(d preprocess.Document, t *tableReading) (*tableData, error) {
	data := &tableData{columns: t.meaning, content: hex.EncodeToString(t.content.Sum(nil)), leftOut: t.leftOut(), notes: t.notes}
	var err error
	if data.encoder, err = preprocess.NewEncoder(d); err != nil {
		return nil, err
	}
	for _, at := range t.target {
		data.targets = append(data.targets, t.names[at])
	}
	if t.source.Table.Split.Method == SplitGroup {
		data.group = t.names[t.by]
	}
	return data, nil
}

// leftOut says how many rows are left out, and why; "" for none.
func (t *tableReading) leftOut() string {
	parts := make([]string, 0, len(t.left))
	for _, why := range slices.Sorted(maps.Keys(t.left)) {
		parts = append(parts, fmt.Sprintf("%s that %s", figures.Plural(t.left[why], "row"), strings.Replace(why, "has", have(t.left[why]), 1)))
	}
	return strings.Join(parts, ", ")
}

func have(n int) string {
	if n == 1 {
		return "has"
	}
	return "have"
}

// Notes says what was decided about the data that nobody asked for: rows that are left
// out, classes that are rarer than there are folds, columns that are not used, and what
// becomes of missing cells.
func (d *Dataset) Notes() []string {
	if d.images != nil {
		return slices.Clone(d.images.notes)
	}
	var notes []string
	if d.kept != "" {
		notes = append(notes, d.kept)
	}
	if d.table == nil {
		return notes
	}
	if d.table.leftOut != "" {
		notes = append(notes, "left out: "+d.table.leftOut)
	}
	notes = append(notes, d.table.notes...)
	for _, c := range d.table.columns {
		if d.table.other(c.Name) {
			continue
		}
		switch {
		case !c.Kind.Used() && c.Reason != columns.Asked:
			notes = append(notes, fmt.Sprintf("column %q is not used: %s", c.Name, c.Reason))
		case c.Kind.Used() && c.MissingCells > 0:
			notes = append(notes, fmt.Sprintf("column %q: %s missing; %s", c.Name, areMissing(c.MissingCells), c.Missing))
		}
	}
	return notes
}

// ReadsOtherFiles reports whether the data comes from files that its Source does not name,
// such as the images that a table has the paths of.
func (d *Dataset) ReadsOtherFiles() bool { return d.images != nil && d.images.column != "" }

func areMissing(n int) string {
	if n == 1 {
		return "1 cell is"
	}
	return fmt.Sprintf("%d cells are", n)
}

// other reports whether a column is no feature, as the target.
func (t *tableData) other(name string) bool {
	return slices.Contains(t.targets, name) || name == t.group && t.group != ""
}

// Section is some features of a sample that belong together.
type Section = preprocess.Section

// Sections returns the parts of a sample of a table that has texts or embedded categories:
// features that are tokens, and those that are numbers. It returns nil for all other data.
func (d *Dataset) Sections() []Section {
	if d.table == nil {
		return nil
	}
	sections := d.table.encoder.Sections()
	if !slices.ContainsFunc(sections, func(s preprocess.Section) bool { return s.Vocabulary > 0 }) {
		return nil
	}
	return sections
}

// ColumnKind describes what a column of a table means.
type ColumnKind struct {
	columns.Column
	// Role is feature, image, target, group, or unused.
	Role string `json:"role"`
	// Tokens says what became of a text; nil for other columns.
	Tokens *TokenSummary `json:"tokens,omitempty"`
}

// TokenSummary describes a column of text in tokens.
type TokenSummary struct {
	Tokenizer columns.Tokenizer `json:"tokenizer"`
	// Vocabulary is the number of tokens, padding and unknown included.
	Vocabulary int `json:"vocabulary"`
	// MaxTokens is how many tokens of a text are used.
	MaxTokens int `json:"max_tokens"`
}

// kinds describes all columns.
func (t *tableData) kinds() []ColumnKind {
	list := make([]ColumnKind, len(t.columns))
	for i, c := range t.columns {
		list[i] = ColumnKind{Column: c, Role: "feature"}
		switch {
		case slices.Contains(t.targets, c.Name):
			list[i].Role = "target"
		case t.other(c.Name):
			list[i].Role = "group"
		case !c.Kind.Used():
			list[i].Role = "unused"
		case c.Kind == columns.Text:
			list[i].Tokens = t.tokens(c.Name)
		}
	}
	return list
}

// tokens describes a column of text.
func (t *tableData) tokens(name string) *TokenSummary {
	document, texts := t.encoder.Document(), 0
	sections := slices.DeleteFunc(t.encoder.Sections(), func(s preprocess.Section) bool { return !s.Text })
	for _, c := range document.Columns {
		switch {
		case c.Name == name:
			return &TokenSummary{Tokenizer: c.Text.Tokenizer, Vocabulary: sections[texts].Vocabulary, MaxTokens: c.Text.MaxTokens}
		case c.Text != nil:
			texts++
		}
	}
	return nil
}

// inspectTable summarises the columns of numbers in training, without missing cells.
func (d *Dataset) inspectTable() ([]ColumnSummary, error) {
	var list []ColumnSummary
	var places []int
	for j, c := range d.table.encoder.Document().Columns {
		if c.Kind == columns.Number {
			list = append(list, ColumnSummary{Name: c.Name, StandardDeviation: c.Scale.StandardDeviation,
				Values: Values{Min: math.Inf(1), Mean: c.Scale.Mean, Max: math.Inf(-1)}})
			places = append(places, d.table.encoder.Place(j))
		}
	}
	err := d.eachRow(d.parts[Train], func(_ int, _ []byte, values []float64) error {
		for k := range list {
			if v := values[places[k]]; !math.IsNaN(v) {
				list[k].Min, list[k].Max = min(list[k].Min, v), max(list[k].Max, v)
			}
		}
		return nil
	})
	return slices.DeleteFunc(list, func(s ColumnSummary) bool { return s.Min > s.Max }), err
}
