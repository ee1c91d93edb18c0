// Package preprocess turns the rows of a table into the features that a model is trained
// on. What that needs to know is learnt from the training rows alone, and written down in
// a Document: prediction needs it and the model's weights, and nothing else. Documents of
// images and of text say how these become the inputs of a model.
//
// A cell first becomes a code, a float64: a number itself, the index of a category, 0 or 1
// for a boolean, the seconds since 1970-01-01 UTC for a date, and NaN for a missing cell.
// A text becomes max_tokens codes; if it is missing, the first of them is NaN.
// Codes then become features, float32s, by the same code in training and in prediction:
// a row has the same bits alone and in any batch.
//
// # Features
//
// The features of a row are those of its columns, in the order of the document:
//
//   - number: (v-mean)/standard deviation, 0 in a column that does not vary.
//   - boolean: 0 or 1.
//   - category: one feature for each category, in the order of their bytes, 1 for the
//     category of the cell and 0 for the others. A value that a single training row has
//     is not a category, unless all are like that, but belongs with those that are not
//     known at all: they share one more feature if there was any in training, and are 0
//     in all features if there was none. With the strategy category, missing cells have
//     a feature of their own if there was any in training, and are unknown otherwise.
//     With encode: embedding it is one feature instead: 0 where all of these would be 0,
//     and otherwise 1 plus the place of the one that would be 1.
//   - text: its tokens, the first max_tokens of them, followed by 0, which is padding.
//     Token 1 is for what is not known. Words follow, those that are in most training rows
//     first and of equal ones in the order of their bytes; those of a single row are not
//     known, unless all are like that. For bytes and byte pairs the tokens of package
//     tokenizer follow.
//   - date: the parts year (standardised as a number is), month, day, weekday, hour and
//     minute, as far as they vary in training. All but the year are cyclic, of two
//     features each: sine and cosine of 2 pi k/n, where k counts from 0 (January 1 is
//     month 0 and day 0, Monday is weekday 0) and n is 12, 31, 7, 24 or 60.
//
// A column with an indicator has one more feature: 1 where the cell is missing.
//
// Mean and standard deviation are those of number.Standardise over the training rows in
// ascending order, in which missing cells have been replaced. The median of an even number
// of values is the mean of the two in the middle. A date is replaced as a whole, so that
// its parts fit each other.
//
// # The document
//
// It is JSON in one canonical form: the keys of Document in order, no white space, and
// every number with the fewest digits that stand for it. Marshal writes that form, Parse
// accepts no other, and Hash is the SHA-256 of it.
//
// Documents and encoders are immutable and safe for concurrent use; a Builder is used by
// one goroutine at a time.
package preprocess

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"unicode/utf8"

	"reprise/dataset/columns"
	"reprise/dataset/number"
)

// The versions of documents. One with texts or embedded categories, which the first did not
// have, is of the second; every other is of the first.
const (
	Version       = "reprise.preprocessing.v1"
	SecondVersion = "reprise.preprocessing.v2"
)

// version returns the version that a document has by its columns.
func (d Document) version() string {
	if slices.ContainsFunc(d.Columns, func(c Column) bool { return c.Text != nil || c.Encode != "" }) {
		return SecondVersion
	}
	return Version
}

// Document is what was learnt from the training rows of a table.
type Document struct {
	Version string `json:"version"`
	// Missing are the texts that stand for a missing cell, beside those of package
	// columns.
	Missing []string `json:"missing,omitempty"`
	// Columns are the columns that features are made of, in their order, in the document
	// of a table. Every document has one of Columns, Pixels and Text.
	Columns []Column `json:"columns,omitempty"`
	// Pixels says how bytes become inputs, such as those of images.
	Pixels *Pixels `json:"pixels,omitempty"`
	// Text says how text becomes tokens.
	Text *Text `json:"text,omitempty"`
	// Ignored are the names of the columns that were there and are not used.
	Ignored []string `json:"ignored,omitempty"`
	// Target is what is to be predicted.
	Target Target `json:"target,omitzero"`
}

// Pixels says that a sample is bytes in row-major order, each of which is divided by the
// Divisor in float32.
type Pixels struct {
	// Shape is [height width channels], or another shape of fewer dimensions.
	Shape   []int `json:"shape"`
	Divisor int   `json:"divisor"`
	// Resize is AreaResize where files of images of any size become samples, and "" where
	// they must have the size.
	Resize string `json:"resize,omitempty"`
	// Column is the column with the paths of the images, where a table has them.
	Column string `json:"column,omitempty"`
}

// AreaResize is the rule of imagefile.Pixels.Resize.
const AreaResize = "area"

// Text says that a sample is tokens, and what follows each of them is predicted.
type Text struct {
	// Tokenizer is the tokenizer in the JSON form of its package.
	Tokenizer string `json:"tokenizer"`
	// Context is the number of tokens in a sample.
	Context int `json:"context"`
}

// Column says how a column becomes features.
type Column struct {
	Name    string         `json:"name"`
	Kind    columns.Kind   `json:"kind"`
	Format  columns.Format `json:"format,omitzero"`
	Missing Fill           `json:"missing"`
	// Scale is that of a number, or of the year of a date.
	Scale *Scale `json:"scale,omitempty"`
	// Categories are the values of a category that have a feature, in the order of their
	// bytes. Other says that a feature follows for all other values, MissingCategory that
	// one follows for missing cells.
	Categories      []string `json:"categories,omitempty"`
	Other           bool     `json:"other,omitempty"`
	MissingCategory bool     `json:"missing_category,omitempty"`
	// Encode is embedding for a category that is one feature.
	Encode columns.Encoding `json:"encode,omitempty"`
	// Parts are those of a date, in the order of Parts.
	Parts []Part `json:"parts,omitempty"`
	// Text is how a text becomes tokens.
	Text *Words `json:"text,omitempty"`
}

// Scale is how a number is standardised. A standard deviation of 0 makes it 0.
type Scale struct {
	Mean              float64 `json:"mean"`
	StandardDeviation float64 `json:"standard_deviation"`
}

func (s Scale) apply(v float64) float32 {
	return number.Scale{Mean: s.Mean, SD: s.StandardDeviation}.Apply(v)
}

// Fill says what replaces a missing cell.
type Fill struct {
	Strategy columns.Strategy `json:"strategy"`
	// Value is the code that does, of a number, a boolean or a date.
	Value float64 `json:"value,omitempty"`
	// Category is the value that does, of a category or text with the strategy constant.
	Category  string `json:"category,omitempty"`
	Indicator bool   `json:"indicator,omitempty"`
}

// Part is a part of a date.
type Part string

// The parts of a date.
const (
	Year    Part = "year"
	Month   Part = "month"
	Day     Part = "day"
	Weekday Part = "weekday"
	Hour    Part = "hour"
	Minute  Part = "minute"
)

// Parts returns the parts of a date in the order of their features.
func Parts() []Part { return []Part{Year, Month, Day, Weekday, Hour, Minute} }

// Target is what a model predicts: one of the classes, or quantities.
type Target struct {
	// Column holds the class, in a classification of the rows of a table.
	Column string `json:"column,omitempty"`
	// Classes are the names of the classes, in the order of a model's outputs; with
	// NumericClasses, all are numbers, and 1.0 is the class 1.
	Classes        []string `json:"classes,omitempty"`
	NumericClasses bool     `json:"numeric_classes,omitempty"`
	// Quantities are those of a regression.
	Quantities []Quantity `json:"quantities,omitempty"`
}

// Quantity is a column that is predicted as a number.
type Quantity struct {
	Name   string         `json:"name"`
	Format columns.Format `json:"format,omitzero"`
	Scale  Scale          `json:"scale"`
}

// Marshal returns the canonical form. It fails for a document that is not valid.
func (d Document) Marshal() ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(d); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// Hash returns the SHA-256 of the canonical form in lower-case hex. It fails as Marshal
// does.
func (d Document) Hash() (string, error) {
	raw, err := d.Marshal()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

// Parse returns the document that raw is the canonical form of. It fails for anything
// else: other versions, unknown fields, other spellings of the same document.
func Parse(raw []byte) (Document, error) {
	var version struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(raw, &version); err != nil {
		return Document{}, fmt.Errorf("preprocessing document: %w", err)
	}
	if version.Version != Version && version.Version != SecondVersion {
		return Document{}, fmt.Errorf("preprocessing document: version %q is not known; this build reads %s and %s", version.Version, Version, SecondVersion)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	var d Document
	if err := decoder.Decode(&d); err != nil {
		return Document{}, fmt.Errorf("preprocessing document: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Document{}, errors.New("preprocessing document: something follows its end")
	}
	canonical, err := d.Marshal()
	if err != nil {
		return Document{}, err
	}
	if !bytes.Equal(canonical, raw) {
		return Document{}, errors.New("preprocessing document: it is not in its canonical form, and was changed since it was written")
	}
	return d, nil
}

// Validate fails unless an encoder can be made of the document.
func (d Document) Validate() error {
	fail := func(format string, a ...any) error {
		return fmt.Errorf("preprocessing document: "+format, a...)
	}
	if version := d.version(); d.Version != version {
		return fail("version %q is not %s", d.Version, version)
	}
	names := map[string]bool{}
	for _, name := range d.names() {
		if names[name] {
			return fail("column %q comes twice", name)
		}
		names[name] = true
	}
	for _, text := range slices.Concat(d.Missing, d.names(), d.Target.Classes) {
		if !utf8.ValidString(text) {
			return fail("%q is not UTF-8", text)
		}
	}
	if err := d.validateForm(); err != nil {
		return fail("%w", err)
	}
	features := 0
	for _, c := range d.Columns {
		if err := c.validate(); err != nil {
			return fail("column %q: %w", c.Name, err)
		}
		features += c.features()
	}
	if features == 0 && len(d.Columns) > 0 {
		return fail("it has no features")
	}
	if d.Text != nil {
		return nil
	}
	if err := d.Target.validate(d.ofTable()); err != nil {
		return fail("target: %w", err)
	}
	return nil
}

// ofTable reports whether samples are rows of a table, or what they have the paths of.
func (d Document) ofTable() bool {
	return d.Pixels == nil && d.Text == nil || d.Pixels != nil && d.Pixels.Column != ""
}

// validateForm fails unless the document is about one kind of input.
func (d Document) validateForm() error {
	forms := b2i(len(d.Columns) > 0) + b2i(d.Pixels != nil) + b2i(d.Text != nil)
	if forms != 1 {
		return errors.New("it has not exactly one of columns, pixels and text")
	}
	if !d.ofTable() && d.Missing != nil || len(d.Columns) == 0 && d.Ignored != nil {
		return errors.New("missing and ignored are for columns")
	}
	if p := d.Pixels; p != nil {
		size := 1
		for _, n := range p.Shape {
			if n < 1 || n > maxPixels/size {
				return fmt.Errorf("pixels of shape %v", p.Shape)
			}
			size *= n
		}
		if len(p.Shape) == 0 || p.Divisor < 1 || p.Divisor > math.MaxUint8 {
			return fmt.Errorf("pixels of shape %v divided by %d", p.Shape, p.Divisor)
		}
		if p.Resize != "" && (p.Resize != AreaResize || len(p.Shape) != 3) {
			return fmt.Errorf("pixels of shape %v resized by %q", p.Shape, p.Resize)
		}
		if !utf8.ValidString(p.Column) {
			return fmt.Errorf("the column %q of images is not UTF-8", p.Column)
		}
	}
	if d.Text != nil && (d.Text.Context < 1 || d.Text.Tokenizer == "") {
		return errors.New("text without a tokenizer or a context")
	}
	return nil
}

// maxPixels bounds the bytes of a sample.
const maxPixels = 1 << 30

// Size returns the bytes of a sample.
func (p Pixels) Size() int {
	size := 1
	for _, n := range p.Shape {
		size *= n
	}
	return size
}

// Scale writes what the bytes of a sample are in training to x.
func (p Pixels) Scale(pixels []byte, x []float32) {
	for i, v := range pixels {
		x[i] = float32(v) / float32(p.Divisor)
	}
}

// names returns the names of all columns.
func (d Document) names() []string {
	var names []string
	for _, c := range d.Columns {
		names = append(names, c.Name)
	}
	return append(append(names, d.Target.columns()...), d.Ignored...)
}

// columns returns the names of the columns of the target.
func (t Target) columns() []string {
	if t.Column != "" {
		return []string{t.Column}
	}
	names := make([]string, len(t.Quantities))
	for i, q := range t.Quantities {
		names[i] = q.Name
	}
	return names
}

func (c Column) validate() error {
	if !c.Kind.Used() {
		return fmt.Errorf("the kind %q has no features", c.Kind)
	}
	if !slices.Contains(columns.Strategies(c.Kind), c.Missing.Strategy) {
		return fmt.Errorf("the strategy %q is not one of the kind %s", c.Missing.Strategy, c.Kind)
	}
	if !finite(c.Missing.Value) || c.Scale != nil && !c.Scale.valid() {
		return errors.New("a figure is not finite")
	}
	scaled := c.Kind == columns.Number || slices.Contains(c.Parts, Year)
	category, text := c.Kind == columns.Category, c.Kind == columns.Text
	switch {
	case scaled != (c.Scale != nil):
		return errors.New("a scale is missing, or one too many")
	case text != (c.Text != nil):
		return errors.New("how a text is cut is missing, or one too many")
	case c.Encode != "" && (c.Encode != columns.Learnt || !category):
		return fmt.Errorf("the encoding %q does not fit the kind %s", c.Encode, c.Kind)
	case !category && (c.Categories != nil || c.Other || c.MissingCategory || c.Missing.Category != "" && !text):
		return errors.New("categories are for the kind category")
	case c.Kind != columns.Date && c.Parts != nil:
		return errors.New("parts are for the kind date")
	case (category || text) && c.Missing.Value != 0, c.Missing.Strategy == columns.Drop && c.Missing.Value != 0:
		return errors.New("a value that replaces nothing")
	case (c.Missing.Category != "") != ((category || text) && c.Missing.Strategy == columns.Constant):
		return errors.New("a category that replaces missing cells is missing, or one too many")
	case c.MissingCategory && c.Missing.Strategy != columns.OwnCategory:
		return errors.New("missing cells have a category, which is not the strategy")
	}
	for i, name := range c.Categories {
		if i > 0 && c.Categories[i-1] >= name || !utf8.ValidString(name) {
			return fmt.Errorf("category %q is out of order, or not UTF-8", name)
		}
	}
	if text {
		return c.Text.validate()
	}
	known := Parts()
	for _, part := range c.Parts {
		at := slices.Index(known, part)
		if at < 0 {
			return fmt.Errorf("part %q is not known or out of order", part)
		}
		known = known[at+1:]
	}
	return nil
}

func (t Target) validate(table bool) error {
	if (t.Column != "") != (len(t.Classes) > 0 && table) || (len(t.Classes) > 0) == (len(t.Quantities) > 0) {
		return errors.New("it is neither classes of a column nor quantities")
	}
	seen := map[string]bool{}
	for _, class := range t.Classes {
		if _, ok := number.ParseDecimal(class); seen[class] || t.NumericClasses && !ok {
			return fmt.Errorf("class %q comes twice, or is not a number as the others are", class)
		}
		seen[class] = true
	}
	for _, q := range t.Quantities {
		if !q.Scale.valid() || q.Scale.StandardDeviation == 0 {
			return fmt.Errorf("quantity %q has no scale", q.Name)
		}
	}
	return nil
}

func (s Scale) valid() bool {
	return finite(s.Mean) && finite(s.StandardDeviation) && s.StandardDeviation >= 0
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// features returns the number of features of a column.
func (c Column) features() int {
	n := b2i(c.Missing.Indicator)
	switch c.Kind {
	case columns.Number, columns.Boolean:
		n++
	case columns.Category:
		if c.Encode == columns.Learnt {
			n++
		} else {
			n += c.places()
		}
	case columns.Date:
		n += 2 * len(c.Parts)
		if slices.Contains(c.Parts, Year) {
			n--
		}
	case columns.Text:
		n += c.Text.MaxTokens
	case columns.Image, columns.Ignored:
	}
	return n
}

// places returns the number of values that a category has.
func (c Column) places() int { return len(c.Categories) + b2i(c.Other) + b2i(c.MissingCategory) }

// codes returns the number of codes of a column.
func (c Column) codes() int {
	if c.Kind == columns.Text {
		return c.Text.MaxTokens
	}
	return 1
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
