// Package columns decides what the columns of a table mean: which are numbers,
// categories, yes or no, or dates, and which are of no use to a model. A Profiler sees
// every cell once; Infer decides by what it counted, and by what the request says.
//
// # Missing cells
//
// A cell is missing if it has no value or is not a number in the sense of IEEE 754, or
// if its text, without the spaces around it, is empty or one of NA, N/A, NaN, null and
// ?, in upper or lower case. A request may name further texts, in exactly the case
// in which they are written; one that is a number stands for every cell of that value,
// so that -999 also covers -999.0.
//
// # Kinds
//
// The first rule that applies decides. Only cells that are not missing count, and all
// rows of the table do, whatever part they are used for.
//
//   - What the request says about a column holds.
//   - A column without a value, and one that has the same value in every row, is
//     ignored. (A value that is present in some rows and missing in others says
//     something: it is a category or a boolean like any other, but numbers that are all
//     equal are ignored.)
//   - Booleans, and the texts true and false, yes and no, t and f, y and n in any case,
//     if a column has only those of one pair, are a boolean.
//   - Numbers in the notation of package number are a number. Whole numbers that count
//     the rows from 0 or 1, each one more than the one before, are ignored, and so are whole
//     numbers that are all different in a column whose name is id or index, or ends in
//     _id, " id" or Id.
//   - Dates are a date: YYYY-MM-DD or YYYY/MM/DD, which may be followed by T or a space
//     and hh:mm, hh:mm:ss or hh:mm:ss.fraction, and by Z or an offset such as +02:00.
//   - Texts that all end as the names of images do, as in .png, are an image: the path of
//     one.
//   - A column of which at least half are numbers, or nine tenths are dates, and others
//     are neither, is a problem: somebody has to say what the others mean. So is a
//     column of numbers with thousands separators, a decimal comma, or a unit such as $
//     or %, and one of dates in another notation: it is read once the request says how.
//   - Texts with at most 100 different values, each in two rows or more on average, are a
//     category, and so are those with at most 1,000, each in 20 rows or more.
//   - Texts of four words or more on average are text, and any others are ignored.
//
// # Choices for missing cells
//
// Unless the request says otherwise, a missing number is replaced by the mean, with
// an indicator column if more than one cell in twenty is missing; a missing boolean by
// the share of true and a missing date by the median, with an indicator column if any is
// missing; a missing category is a category of its own, and a missing text an empty one.
//
// Everything here is a pure function of its input. A Profiler is used by one goroutine at
// a time.
package columns

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"reprise/fault"
	"reprise/internal/spelling"
)

// Kind is what a column means.
type Kind string

// The kinds.
const (
	Number   Kind = "number"
	Category Kind = "category"
	Boolean  Kind = "boolean"
	Date     Kind = "date"
	Text     Kind = "text" // prose
	// Image has the paths of files of images, which are what a model sees then, and
	// nothing else is.
	Image   Kind = "image"
	Ignored Kind = "ignored"
)

// Kinds returns the kinds that a request may give to a column.
func Kinds() []Kind { return []Kind{Number, Category, Boolean, Date, Text, Image, Ignored} }

// Used reports whether a model sees columns of the kind.
func (k Kind) Used() bool {
	return slices.Contains(Kinds(), k) && k != Ignored
}

// Strategy says what replaces a missing cell.
type Strategy string

// The strategies.
const (
	Drop        Strategy = "drop"     // nothing: the row is left out
	Mean        Strategy = "mean"     // of the training rows
	Median      Strategy = "median"   // of the training rows
	Constant    Strategy = "constant" // a value that the request names
	OwnCategory Strategy = "category" // a category of its own
	Empty       Strategy = "empty"    // a text without tokens
)

// Strategies returns the strategies that columns of a kind can have.
func Strategies(kind Kind) []Strategy {
	switch kind {
	case Number, Boolean, Date:
		return []Strategy{Drop, Mean, Median, Constant}
	case Category:
		return []Strategy{Drop, Constant, OwnCategory}
	case Text:
		return []Strategy{Drop, Constant, Empty}
	case Image, Ignored:
	}
	return nil
}

// The limits.
const (
	// MaxCategories is the most different values that a category may have.
	MaxCategories = 10_000
)

// Spec is what a request says about a column. Zero fields leave the choice to Infer.
type Spec struct {
	Kind    Kind     `json:"kind,omitempty"`
	Missing Strategy `json:"missing,omitempty"`
	// Value replaces missing cells with the strategy constant.
	Value string `json:"value,omitempty"`
	// Indicator adds a column that is 1 where the cell is missing, and 0 elsewhere.
	Indicator *bool `json:"indicator,omitempty"`
	// Encode is how a category becomes features.
	Encode Encoding `json:"encode,omitempty"`
	Format
	TextOptions
}

// Options are what a request says about the columns of a table.
type Options struct {
	// Columns has what is said about single columns, by name.
	Columns map[string]Spec `json:"columns,omitempty"`
	// Missing are further texts that stand for a missing cell.
	Missing []string `json:"missing,omitempty"`
	// NoImages says that no column is inferred to be an image, as it was before there were
	// such columns.
	NoImages bool `json:"-"`
}

// The fields that errors name.
const (
	FieldColumns = "columns"
	FieldMissing = "missing"
)

// Check returns every mistake in the options that is one whatever the table: each is a
// *fault.FieldError.
func (o Options) Check() []error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(o.Columns)) {
		errs = append(errs, o.Columns[name].check(name)...)
	}
	return errs
}

func (s Spec) check(name string) []error {
	var errs []error
	fail := func(key, value, problem, fix string) {
		field := FieldColumns + "." + name
		if key != "" {
			field += "." + key
		}
		errs = append(errs, &fault.FieldError{Field: field, Value: value, Problem: problem, Fix: fix})
	}
	if s.Kind != "" && !slices.Contains(Kinds(), s.Kind) {
		fail("kind", fmt.Sprintf("%q", s.Kind), "is not a kind of column", "use one of "+list(Kinds()))
		return errs
	}
	all := []Strategy{Drop, Mean, Median, Constant, OwnCategory, Empty}
	switch may := Strategies(s.Kind); {
	case s.Missing == "":
	case !slices.Contains(all, s.Missing):
		fail("missing", fmt.Sprintf("%q", s.Missing), "says nothing about missing cells", "use one of "+list(all))
	case s.Kind != "" && !slices.Contains(may, s.Missing):
		fix := "leave it out"
		if len(may) > 0 {
			fix = "use one of " + list(may)
		}
		fail("missing", string(s.Missing), "does not fit a column of kind "+string(s.Kind), fix)
	}
	switch {
	case s.Missing == Constant && s.Value == "":
		fail("value", "", "is missing", "name the value that replaces missing cells")
	case s.Missing != Constant && s.Value != "":
		fail("value", fmt.Sprintf("%q", s.Value), "replaces nothing", "write missing: constant beside it, or leave it out")
	}
	if s.Indicator != nil && *s.Indicator && s.Missing == OwnCategory {
		fail("indicator", "true", "adds nothing to the category that missing cells have", "leave it out")
	}
	field := FieldColumns + "." + name
	return slices.Concat(errs, checkEncoding(s.Encode, field, s.Kind), s.Format.check(field, s.Kind), s.TextOptions.check(field, s.Kind))
}

// CheckNames returns an error for each column that the options name and the table does
// not have.
func (o Options) CheckNames(columns []string) []error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(o.Columns)) {
		if slices.Contains(columns, name) {
			continue
		}
		fix := "use one of " + Names(columns)
		if near, ok := spelling.Nearest(name, columns); ok {
			fix = fmt.Sprintf("did you mean %q?", near)
		}
		errs = append(errs, &fault.FieldError{Field: FieldColumns, Value: fmt.Sprintf("%q", name), Problem: "is not a column of the table", Fix: fix})
	}
	return errs
}

// Names lists the names of columns, only the first if there are many.
func Names(columns []string) string {
	const most = 20
	shown := make([]string, 0, most)
	for _, name := range columns[:min(len(columns), most)] {
		shown = append(shown, fmt.Sprintf("%q", name))
	}
	text := strings.Join(shown, ", ")
	if more := len(columns) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func list[T ~string](names []T) string {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = string(name)
	}
	return strings.Join(texts, ", ")
}
