package dataset

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"reprise/dataset/columns"
	"reprise/fault"
)

// The fields of a Source that are for tables, as a fault.FieldError names them.
const (
	FieldColumns   = columns.FieldColumns
	FieldMissing   = columns.FieldMissing
	FieldEncoding  = "encoding"
	FieldSeparator = "separator"
	FieldSplit     = "split"
	FieldFolds     = FieldSplit + ".folds"
	FieldFold      = FieldSplit + ".fold"
)

// TableOptions say how to read a table. Two values are equal if they say the same.
type TableOptions struct {
	// Columns says what columns mean, where that is not to be inferred, and Missing which
	// further texts stand for a missing cell.
	Columns ColumnSpecs `json:"columns,omitempty"`
	Missing Texts       `json:"missing,omitempty"`
	// Encoding and Separator are those of table.Options.
	Encoding  string `json:"encoding,omitempty"`
	Separator string `json:"separator,omitempty"`
	// Root is the folder that the paths of a column of images start from; "" is that of
	// the table.
	Root string `json:"root,omitempty"`
	// Split says which rows are held out.
	Split SplitOptions `json:"split,omitzero"`
}

// IsZero reports whether the options say nothing.
func (o TableOptions) IsZero() bool { return o == TableOptions{} }

// columns returns what the options say about columns.
func (o TableOptions) columns() columns.Options {
	return columns.Options{Columns: o.Columns.specs(), Missing: o.Missing.list()}
}

// ColumnSpecs has a columns.Spec for each of some columns, by name, as JSON: a text, so
// that it can be compared. "" has none. Unmarshalling JSON makes one.
type ColumnSpecs string

func (c ColumnSpecs) specs() map[string]columns.Spec {
	if c == "" {
		return nil
	}
	var specs map[string]columns.Spec
	if err := json.Unmarshal([]byte(c), &specs); err != nil {
		panic("dataset: what is said of columns: " + err.Error()) // it was marshalled
	}
	return specs
}

// MarshalJSON writes the object.
func (c ColumnSpecs) MarshalJSON() ([]byte, error) {
	if c == "" {
		return []byte("{}"), nil
	}
	return []byte(c), nil
}

// UnmarshalJSON reads an object. Equal ones become equal texts.
func (c *ColumnSpecs) UnmarshalJSON(raw []byte) error {
	var specs map[string]columns.Spec
	if err := json.Unmarshal(raw, &specs); err != nil {
		return err
	}
	*c = ""
	if len(specs) == 0 {
		return nil
	}
	text, err := json.Marshal(specs) // by name
	*c = ColumnSpecs(text)
	return err
}

// Texts is a list of texts as JSON: a text, so that it can be compared. "" is the empty
// list.
type Texts string

// NewTexts returns a list as a text.
func NewTexts(list []string) Texts {
	if len(list) == 0 {
		return ""
	}
	text, err := json.Marshal(list)
	if err != nil {
		panic("dataset: " + err.Error()) // texts have a JSON form
	}
	return Texts(text)
}

func (l Texts) list() []string {
	if l == "" {
		return nil
	}
	var list []string
	if err := json.Unmarshal([]byte(l), &list); err != nil {
		panic("dataset: a list of texts: " + err.Error()) // it was marshalled
	}
	return list
}

// MarshalJSON writes the list.
func (l Texts) MarshalJSON() ([]byte, error) {
	if l == "" {
		return []byte("[]"), nil
	}
	return []byte(l), nil
}

// UnmarshalJSON reads a list.
func (l *Texts) UnmarshalJSON(raw []byte) error {
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	*l = NewTexts(list)
	return nil
}

// SplitMethod says by what the rows of a table are split.
type SplitMethod string

// The methods.
const (
	// SplitRandom draws rows.
	SplitRandom SplitMethod = "random"
	// SplitStratified draws rows of each class in proportion. It is the default for
	// classes.
	SplitStratified SplitMethod = "stratified"
	// SplitGroup draws groups of rows that have the same value in a column.
	SplitGroup SplitMethod = "group"
	// SplitTime holds out the rows that are last by a column.
	SplitTime SplitMethod = "time"
	// SplitFiles takes the rows of other files.
	SplitFiles SplitMethod = "files"
)

// SplitMethods returns every method.
func SplitMethods() []SplitMethod {
	return []SplitMethod{SplitRandom, SplitStratified, SplitGroup, SplitTime, SplitFiles}
}

// SplitOptions say which rows of a table are held out. How many are for validation is
// Source.ValidationFraction, unless there are Folds.
type SplitOptions struct {
	// Method is "" for SplitStratified where there are classes, and SplitRandom elsewhere.
	Method SplitMethod `json:"method,omitempty"`
	// Column is that of SplitGroup, which is no feature then, or of SplitTime.
	Column string `json:"column,omitempty"`
	// Seed chooses among the splits that a method could make by drawing.
	Seed uint64 `json:"seed,omitempty"`
	// Folds is into how many parts the rows are divided of which one is for validation;
	// 0 where Source.ValidationFraction says how many rows are. Fold is that part, from 1.
	Folds int `json:"folds,omitempty"`
	Fold  int `json:"fold,omitempty"`
	// TestFraction is how much to keep for the test; 0 is nothing.
	TestFraction float64 `json:"test_fraction,omitempty"`
	// ValidationPath and TestPath are the files of SplitFiles.
	ValidationPath string `json:"validation_path,omitempty"`
	TestPath       string `json:"test_path,omitempty"`
}

// check returns every mistake in the options.
func (o SplitOptions) check(validationFraction float64) []error {
	var errs []error
	fail := func(key, value, problem, fix string) {
		errs = append(errs, &fault.FieldError{Field: FieldSplit + "." + key, Value: value, Problem: problem, Fix: fix})
	}
	if o.Method != "" && !slices.Contains(SplitMethods(), o.Method) {
		names := make([]string, 0, len(SplitMethods()))
		for _, m := range SplitMethods() {
			names = append(names, string(m))
		}
		fail("method", quote(string(o.Method)), "is not a way to split a table", "use one of "+strings.Join(names, ", "))
		return errs
	}
	byColumn := o.Method == SplitGroup || o.Method == SplitTime
	switch {
	case byColumn && o.Column == "":
		fail("column", `""`, "names no column", fmt.Sprintf("name the column to split by %s", o.Method))
	case !byColumn && o.Column != "":
		fail("column", quote(o.Column), "has no meaning here", "add method: group or method: time, or leave it out")
	}
	if o.Seed != 0 && (o.Method == SplitTime || o.Method == SplitFiles) {
		fail("seed", fmt.Sprint(o.Seed), "changes nothing: no row is drawn", "leave it out")
	}
	files := o.Method == SplitFiles
	switch {
	case !(o.TestFraction >= 0 && o.TestFraction < 1):
		fail("test_fraction", fmt.Sprint(o.TestFraction), "is not between 0 and 1", "use a fraction such as 0.1, or leave it out")
	case files && o.TestFraction != 0:
		fail("test_fraction", fmt.Sprint(o.TestFraction), "does not fit method: files", "name a file in test_path, or leave it out")
	case o.TestFraction > 0 && o.TestFraction+max(validationFraction, 0) >= 1:
		fail("test_fraction", fmt.Sprint(o.TestFraction), fmt.Sprintf("leaves nothing for training beside a validation_fraction of %v", validationFraction),
			"use smaller fractions")
	}
	switch {
	case files && o.ValidationPath == "":
		fail("validation_path", `""`, "names no file", "name the file with the rows for validation")
	case !files && o.ValidationPath != "":
		fail("validation_path", quote(o.ValidationPath), "has no meaning here", "add method: files, or leave it out")
	case !files && o.TestPath != "":
		fail("test_path", quote(o.TestPath), "has no meaning here", "add method: files, or leave it out")
	case files && validationFraction != 0:
		errs = append(errs, &fault.FieldError{Field: FieldValidationFraction, Value: fmt.Sprint(validationFraction),
			Problem: "does not fit split: {method: files}", Fix: "leave it out"})
	}
	return errs
}
