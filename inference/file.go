package inference

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"reprise/dataset/preprocess"
	"reprise/dataset/table"
	"reprise/fault"
	"reprise/internal/figures"
	"reprise/internal/spelling"
	"reprise/metrics"
)

// File is a file of rows, as package table reads it, or of images: what dataset.EachImage
// takes, or a table with their paths.
type File struct {
	Path                string
	Encoding, Separator string // of a table of text; "" finds them out
}

func (f File) open(ctx context.Context) (table.Reader, error) {
	return table.Open(ctx, table.Options{Path: f.Path, Encoding: f.Encoding, Separator: f.Separator})
}

// onlyImages refuses what is for tables.
func (f File) onlyImages() error {
	var errs []error
	for _, given := range []struct{ field, value string }{{table.FieldEncoding, f.Encoding}, {table.FieldSeparator, f.Separator}} {
		if given.value != "" {
			errs = append(errs, &fault.FieldError{Field: given.field, Value: fault.Quote(given.value), Problem: "has no meaning for images", Fix: "leave it out"})
		}
	}
	return errors.Join(errs...)
}

// PredictFile calls emit with the prediction for each row or image of a file, in order, and
// before that unknown with the columns that the model does not know, if there are any. image
// is the name of the image, "" for rows, and for several images in one file. It holds a few
// hundred rows or images at a time, but for those of IDX and CIFAR-10. It fails with the errors
// of Bind, of the readers and of emit.
func (m *Model) PredictFile(ctx context.Context, f File, unknown func([]string), emit func(image string, p Prediction) error) (err error) {
	if m.TakesImages() {
		return m.predictImages(ctx, f, emit)
	}
	rows, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	binding, more, err := m.Bind(rows.Columns())
	if err != nil {
		return inFile(f.Path, err)
	}
	if len(more) > 0 {
		unknown(more)
	}
	return m.PredictTable(ctx, rows, binding, func(_ table.Place, _ []table.Cell, p Prediction) error { return emit("", p) })
}

// inFile adds the name of a file to what is wrong with its columns.
func inFile(path string, err error) error {
	var field *fault.FieldError
	if errors.As(err, &field) {
		named := *field
		named.Problem = strings.Replace(field.Problem, "the table", fault.ShowPath(path), 1)
		return &named
	}
	return err
}

// Evaluation has the figures of a model on a file.
type Evaluation struct {
	metrics.Figures
	Samples int
	// Unknown are the columns that the model does not know.
	Unknown []string
	// LeftOut counts the rows without figures by why: what they have, such as "no price".
	LeftOut map[string]int
}

// EvaluateFile returns the figures of the model on a file of rows with their target, or of
// images with their classes. trained is how often each class occurs in the training split, nil
// if that is not known: then there is no baseline. progress, if not nil, is called with the
// number of samples now and then. Rows that training would leave out are left out.
//
// It fails with the errors of PredictFile, all of those about columns at once, and for
// classes that the model does not know with a *fault.DataError for each.
func (m *Model) EvaluateFile(ctx context.Context, f File, trained []int, progress func(samples int)) (e Evaluation, err error) {
	figures := m.newEvaluation(trained)
	count := func() {
		if e.Samples++; e.Samples%batchRows == 0 && progress != nil {
			progress(e.Samples)
		}
	}
	if m.TakesImages() {
		err = m.evaluateImages(ctx, f, figures, count, &e)
	} else {
		err = m.evaluateTable(ctx, f, figures, count, &e)
	}
	if err != nil {
		return e, err
	}
	if e.Samples == 0 {
		return e, &fault.DataError{File: f.Path, Problem: "has no row to evaluate" + leftOutOf(e.LeftOut), Fix: "name a file of rows with their target"}
	}
	e.Figures = figures.Figures()
	return e, nil
}

func leftOutOf(rows map[string]int) string {
	parts := make([]string, 0, len(rows))
	for _, why := range slices.Sorted(maps.Keys(rows)) {
		parts = append(parts, fmt.Sprintf("%s with %s", figures.Plural(rows[why], "row"), why))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (left out: " + figures.And(parts) + ")"
}

// newEvaluation returns an evaluation of the model without samples.
func (m *Model) newEvaluation(trained []int) *metrics.Evaluation {
	target := m.bundle.Preprocessing.Target
	if target.Classes != nil {
		if len(trained) != len(target.Classes) {
			trained = nil
		}
		return metrics.NewClassEvaluation(target.Classes, trained)
	}
	var list []metrics.Quantity
	for _, q := range target.Quantities {
		list = append(list, metrics.Quantity{Name: q.Name, Mean: q.Scale.Mean})
	}
	return metrics.NewValueEvaluation(list)
}

func (m *Model) evaluateTable(ctx context.Context, f File, figures *metrics.Evaluation, count func(), e *Evaluation) (err error) {
	all, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, all.Close()) }()
	binding, unknown, err := m.Bind(all.Columns())
	if err := errors.Join(inFile(f.Path, err), m.lacksTarget(f.Path, all.Columns())); err != nil {
		return err
	}
	e.Unknown, e.LeftOut = unknown, map[string]int{}
	quantities := m.bundle.Preprocessing.Target.Quantities
	rows := &labelledRows{Reader: all, model: m, binding: binding, leftOut: e.LeftOut, unknown: map[string]*unknownClass{}}
	truth := make([]float64, len(quantities))
	err = m.PredictTable(ctx, rows, binding, func(at table.Place, row []table.Cell, p Prediction) error {
		if len(rows.unknown) > 0 {
			return nil // there will be no figures
		}
		count()
		if quantities == nil {
			class, _ := binding.Class(row)
			return figures.AddClass(class, p.Outputs)
		}
		if err := binding.Quantities(at, row, truth); err != nil {
			return err
		}
		return figures.AddValues(truth, p.Values)
	})
	return cmp.Or(err, m.refuse(rows.unknown, m.bundle.Preprocessing.Target.Column))
}

// lacksTarget fails for a table without the columns of the target.
func (m *Model) lacksTarget(path string, columns []string) error {
	names := m.Quantities()
	if names == nil {
		names = []string{m.bundle.Preprocessing.Target.Column}
	}
	lacking := slices.DeleteFunc(names, func(name string) bool { return slices.Contains(columns, name) })
	if len(lacking) == 0 {
		return nil
	}
	what := "column " + quoted(lacking) + " is"
	if len(lacking) > 1 {
		what = "columns " + quoted(lacking) + " are"
	}
	fix := "add what is to be predicted; reprise predict does without it"
	if near, ok := spelling.Nearest(lacking[0], columns); ok {
		fix = fmt.Sprintf("rename %q, if that is %q", near, lacking[0])
	}
	return &fault.FieldError{Field: "target", Value: what, Problem: "missing from " + fault.ShowPath(path) + ", and the model predicts that", Fix: fix}
}

func quoted(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = fault.Quote(name)
	}
	return figures.And(list)
}

// labelledRows are the rows of a table that have figures. It counts the others.
type labelledRows struct {
	table.Reader
	model   *Model
	binding *preprocess.Binding
	leftOut map[string]int
	unknown map[string]*unknownClass
	values  []float64
}

// Next implements table.Reader.
func (r *labelledRows) Next(ctx context.Context, row []table.Cell) (table.Place, error) {
	for {
		at, err := r.Reader.Next(ctx, row)
		if err != nil {
			return at, err
		}
		why, err := r.whyNot(at, row)
		if err != nil {
			return at, err
		}
		if why == "" {
			return at, nil
		}
		r.leftOut[why]++
	}
}

// whyNot returns why a row has no figures; "" if it has.
func (r *labelledRows) whyNot(at table.Place, row []table.Cell) (string, error) {
	target := r.model.bundle.Preprocessing.Target
	if r.binding.Dropped(row) {
		return "a missing cell in a column with missing: drop", nil
	}
	if target.Classes != nil {
		name, ok := r.binding.Label(row)
		if !ok {
			return "no " + target.Column, nil
		}
		if _, ok := r.binding.Class(row); !ok {
			note(r.unknown, name, at)
			return "an unknown class", nil
		}
		return "", nil
	}
	r.values = slices.Grow(r.values[:0], len(target.Quantities))[:len(target.Quantities)]
	if err := r.binding.Quantities(at, row, r.values); err != nil {
		return "", err
	}
	for i, v := range r.values {
		if math.IsNaN(v) {
			return "no " + target.Quantities[i].Name, nil
		}
	}
	return "", nil
}

// unknownClass is a class that the model does not know.
type unknownClass struct {
	first table.Place
	rows  int
}

// maxUnknownClasses is how many of them are named in errors, and counted at all.
const maxUnknownClasses = 10

// note counts a row of a class that the model does not know. Those beyond what is named
// share one count.
func note(unknown map[string]*unknownClass, name string, at table.Place) {
	if unknown[name] == nil && len(unknown) > maxUnknownClasses {
		name = "" // as no class is called
	}
	if unknown[name] == nil {
		unknown[name] = &unknownClass{first: at}
	}
	unknown[name].rows++
}

// refuse fails if there are unknown classes, with an error for each, in the order of their
// first rows. column is that of the classes; "" for images without a table.
func (m *Model) refuse(unknown map[string]*unknownClass, column string) error {
	what := "rows"
	if column == "" {
		what = "images"
	}
	names := slices.SortedFunc(maps.Keys(unknown), func(a, b string) int {
		return cmp.Or(cmp.Compare(unknown[a].first.Row, unknown[b].first.Row), cmp.Compare(a, b))
	})
	classes := m.bundle.Preprocessing.Target.Classes
	var errs []error
	for i, name := range names {
		u := unknown[name]
		if i == maxUnknownClasses || name == "" {
			errs = append(errs, fault.New(fault.Invalid, "there are more such classes"))
			break
		}
		e := &fault.DataError{File: u.first.File, Line: u.first.Line, Column: column, Value: fault.Quote(name),
			Problem: "is not a class that the model knows", Fix: "remove the " + what + ", or use " + figures.Or(firstOf(classes))}
		if u.first.Line == 0 {
			e.Row = u.first.Row
		}
		if u.rows > 1 {
			e.Value = fmt.Sprintf("%s, the class of %d %s,", e.Value, u.rows, what)
		}
		if near, ok := spelling.Nearest(name, classes); ok {
			e.Fix = fmt.Sprintf("did you mean %q?", near)
		}
		errs = append(errs, e)
	}
	return errors.Join(errs...)
}

// firstOf quotes names, and only the first of many.
func firstOf(names []string) []string {
	var list []string
	for _, name := range names[:min(len(names), maxUnknownClasses)] {
		list = append(list, fault.Quote(name))
	}
	if more := len(names) - len(list); more > 0 {
		list = append(list, fmt.Sprintf("another of the %d", len(names)))
	}
	return list
}
