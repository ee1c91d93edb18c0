package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"hash"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"reprise/dataset/columns"
	"reprise/dataset/packed"
	"reprise/dataset/preprocess"
	tablefile "reprise/dataset/table"
	"reprise/fault"
	"reprise/internal/figures"
	"reprise/internal/spelling"
	"reprise/tensor"
)

// isTable reports whether a path, or a pattern of paths, names tables other than a plain
// .csv file, by its ending.
func isTable(path string) bool {
	name := strings.ToLower(filepath.Base(path))
	packed := filepath.Ext(name)
	if slices.Contains([]string{".gz", ".gzip", ".zst", ".zstd"}, packed) {
		name = strings.TrimSuffix(name, packed)
	} else if !isPattern(path) && packed == ".csv" {
		return false
	}
	return slices.Contains([]string{
		".csv", ".tsv", ".tab", ".psv", ".json", ".jsonl", ".ndjson", ".parquet", ".pq", ".npy", ".npz",
	}, filepath.Ext(name))
}

// Reads reports whether a path names a file of data by its ending: a table or a text.
func Reads(path string) bool { return isTable(path) || isCSV(path) || isText(path) }

// isCSV reports whether a path names a plain .csv file.
func isCSV(path string) bool { return strings.EqualFold(filepath.Ext(path), ".csv") }

// isPattern reports whether a path may stand for several files.
func isPattern(path string) bool { return strings.ContainsAny(path, "*?[") }

// openCSVOrTable opens a .csv file as it always was, where that is possible: a table of
// numbers keeps its fingerprint and its bits. Any other is opened as a table.
func (r reading) openCSVOrTable(ctx context.Context, source Source, p packing) (*Dataset, error) {
	if !source.Table.IsZero() || source.Image != (ImageOptions{}) {
		return r.openTable(ctx, source, p)
	}
	if _, err := checkFraction(source.ValidationFraction); err != nil {
		return nil, err
	}
	t, share, plainErr := r.openNumbers(ctx, source, p)
	if plainErr == nil {
		var d *Dataset
		if d, plainErr = t.dataset(ctx, share); !errors.As(plainErr, new(*preprocess.SpillError)) {
			return d, plainErr
		}
	}
	if unkept := new(preprocess.SpillError); errors.As(plainErr, &unkept) {
		if p.asked {
			return nil, p.explain(plainErr, source.Path)
		}
		d, err := r.openCSV(ctx, source)
		if err == nil {
			d.kept = unkeptNote(d.Bytes(), unkept)
		}
		return d, err
	}
	if isContextError(plainErr) || r < thirdReading || t != nil && t.mistakes.onlyLabel() {
		return nil, plainErr
	}
	d, err := r.readTable(ctx, source, p)
	if unread := new(unreadError); errors.As(err, &unread) && !strings.Contains(plainErr.Error(), useCommas) {
		return nil, plainErr // it says more about a file of which no cell was judged
	}
	return d, bare(err)
}

// bare returns the error that an unreadError marks, and any other as it is.
func bare(err error) error {
	if unread := new(unreadError); errors.As(err, &unread) {
		return unread.error
	}
	return err
}

// unreadError is an error of reading a file or finding its target, before any cell was
// judged.
type unreadError struct{ error }

// Unwrap returns the error.
func (e *unreadError) Unwrap() error { return e.error }

// tableReading is a table while it is opened.
type tableReading struct {
	packing
	reading reading
	source  Source
	files   []string // or patterns for them
	options columns.Options
	share   float64  // for validation
	names   []string // of the columns
	target  []int    // of the target's columns
	by      int      // the column of the split; -1 for none
	image   int      // the column with the paths of images; -1 for none
	rows    int      // of all files
	meaning []columns.Column
	missing columns.Missing

	builder *preprocess.Builder
	labels  labelColumn
	table   *table // for labels and their errors
	targets []float64
	formats []columns.Format // of the targets
	keys    []tablefile.Cell // of each row in the column of the split
	fileOf  []Split          // of each row, with SplitFiles
	left    map[string]int   // how many rows are left out, by why
	notes   []string         // about the split
	content hash.Hash        // of all cells
	images  []imageSource    // of each row, with a column of images
	scratch *packed.File     // for the builder's codes; nil if they are in memory
	unkept  error            // why they are in memory, although they should not be
}

// openTable opens a table by the rules of package columns. It reads the files twice: to
// find out what the columns mean, and to take their values.
func (r reading) openTable(ctx context.Context, source Source, p packing) (*Dataset, error) {
	d, err := r.readTable(ctx, source, p)
	return d, bare(err)
}

// readTable is openTable, with unreadErrors.
func (r reading) readTable(ctx context.Context, source Source, p packing) (*Dataset, error) {
	options := source.Table.columns()
	options.NoImages = r <= fourthReading
	t := &tableReading{packing: p, reading: r, source: source, options: options, by: -1, image: -1}
	if err := t.check(); err != nil {
		return nil, err
	}
	if err := t.profile(ctx); err != nil {
		return nil, err
	}
	if t.image < 0 && t.needs() > p.limit {
		d, err := t.openPacked(ctx)
		if unkept := new(preprocess.SpillError); !errors.As(err, &unkept) || p.asked {
			return d, p.explain(err, t.source.Path)
		}
		t.unkept = err
	}
	return t.open(ctx)
}

// check finds what is wrong with the source, whatever the files hold.
func (t *tableReading) check() error {
	errs := t.options.Check()
	share, err := checkFraction(t.source.ValidationFraction)
	t.share = share
	split := t.source.Table.Split
	errs = append(append(errs, err), split.check(share*b2f(split.Method != SplitFiles && split.Folds == 0))...)
	errs = append(errs, split.checkFolds(t.source.ValidationFraction)...)
	errs = append(errs, t.source.Image.check()...)
	if split.Method == SplitStratified && t.source.Task == Regression {
		errs = append(errs, &fault.FieldError{Field: FieldSplit + ".method", Value: string(split.Method), Problem: "needs classes, and the task is regression",
			Fix: "use random, or leave it out"})
	}
	t.files = []string{t.source.Path}
	if split.Method == SplitFiles {
		t.files = append(t.files, split.ValidationPath)
		if split.TestPath != "" {
			t.files = append(t.files, split.TestPath)
		}
	}
	return joinAll(errs)
}

func b2f(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// joinAll returns errors as one; nil for none.
func joinAll(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// each calls do for every row of the files, with the split of the file.
func (t *tableReading) each(ctx context.Context, start func(names []string) error, do func(split Split, at tablefile.Place, row []tablefile.Cell) error) error {
	var ignored []string
	for name, spec := range t.options.Columns {
		if spec.Kind == columns.Ignored {
			ignored = append(ignored, name)
		}
	}
	slices.Sort(ignored)
	for i, path := range t.files {
		if err := t.eachOf(ctx, path, Split(i), ignored, start, do); err != nil {
			return err
		}
	}
	return nil
}

func (t *tableReading) eachOf(
	ctx context.Context, path string, split Split, ignored []string, start func(names []string) error,
	do func(split Split, at tablefile.Place, row []tablefile.Cell) error,
) error {
	r, err := tablefile.Open(ctx, tablefile.Options{Path: path, Encoding: t.source.Table.Encoding, Separator: t.source.Table.Separator, Ignore: ignored})
	if err != nil {
		return &unreadError{err}
	}
	defer func() { _ = r.Close() }() // it was only read
	if err := start(r.Columns()); err != nil {
		return err
	}
	if split != Train && !slices.Equal(r.Columns(), t.names) {
		return &fault.DataError{File: path, Value: "columns " + listColumns(r.Columns()), Problem: "are not those of " + showPath(t.source.Path),
			Fix: "give it the columns " + listColumns(t.names) + ", in that order"}
	}
	row := make([]tablefile.Cell, len(r.Columns()))
	for {
		at, err := r.Next(ctx, row)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case isContextError(err):
			return fmt.Errorf("read %s: %w", path, err)
		case err != nil:
			return &unreadError{err}
		}
		if err := do(split, at, row); err != nil {
			return err
		}
	}
}

// profile finds out what the columns mean. All problems are reported at once.
func (t *tableReading) profile(ctx context.Context) error {
	var profiler *columns.Profiler
	err := t.each(ctx, func(names []string) error {
		if profiler != nil {
			return nil
		}
		t.names = slices.Clone(names)
		profiler = columns.NewProfiler(t.names, t.options)
		return t.findColumns()
	}, func(_ Split, at tablefile.Place, row []tablefile.Cell) error {
		profiler.Add(at, row)
		t.rows++
		return nil
	})
	if err != nil {
		return err
	}
	if t.rows < 2 {
		return &unreadError{&DataError{File: t.source.Path, Value: figures.Plural(t.rows, "row"), Problem: "is not enough to train and validate on", Fix: "add rows"}}
	}
	t.missing = columns.NewMissing(t.options.Missing)
	var errs []error
	profiles := profiler.Profiles()
	problems := make([]*columns.Problem, len(profiles))
	for i := range profiles {
		var c columns.Column
		c, problems[i] = profiles[i].Infer()
		target := slices.Contains(t.target, i)
		if target {
			problems[i] = t.targetProblem(&profiles[i])
		}
		if i == t.by && t.source.Table.Split.Method == SplitGroup {
			problems[i] = nil // any value tells a group
		}
		if t.reading <= thirdReading && c.Kind == columns.Text && c.Reason != columns.Asked {
			c.Kind = columns.Ignored
		}
		t.meaning = append(t.meaning, c)
	}
	if err := t.findImages(); err != nil {
		return err
	}
	for i, problem := range problems {
		if problem != nil && (t.image < 0 || i == t.by || slices.Contains(t.target, i)) {
			errs = append(errs, t.problem(problem))
		}
	}
	return joinAll(cutErrors(errs, "column"))
}

// cutErrors keeps the first errors and counts the others. what has one of them, such as
// column.
func cutErrors(errs []error, what string) []error {
	if left := len(errs) - maxMistakes; left > 0 {
		return append(errs[:maxMistakes:maxMistakes], fmt.Errorf("%s with problems; correct the others first", figures.Plural(left, "more "+what)))
	}
	return errs
}

// targetProblem finds cells of a quantity that are not numbers. Those of classes are
// judged by labelColumn.
func (t *tableReading) targetProblem(p *columns.Profile) *columns.Problem {
	if t.source.Task != Regression || p.NotNumbers.Count == 0 {
		return nil
	}
	if p.Numbers == 0 {
		words := "is not a number"
		if p.NotNumbers.Count > 1 {
			words = "are not numbers"
		}
		return &columns.Problem{Column: p.Name, Count: p.NotNumbers.Count, First: p.NotNumbers, Problem: words, Fix: notTargets}
	}
	_, problem := p.InferAs(columns.Number)
	return problem
}

// problem makes an error of a problem of a column.
func (t *tableReading) problem(p *columns.Problem) error {
	e := &DataError{File: t.source.Path, Column: p.Column, Problem: p.Problem, Fix: p.Fix}
	if p.Count == 0 {
		return e
	}
	e.File, e.Line = p.First.Place.File, p.First.Place.Line
	if e.Line == 0 {
		e.Row = p.First.Place.Row
	}
	e.Value = quote(p.First.Text)
	if p.Count > 1 {
		e.Value = fmt.Sprintf("%d cells, the first of them %s,", p.Count, e.Value)
	}
	return e
}

// findColumns finds the columns of the target and of the split.
func (t *tableReading) findColumns() error {
	errs := t.checkNames()
	target := t.source.Target
	if target == "" {
		return &unreadError{&fault.FieldError{Field: FieldTarget, Value: "no column", Problem: "is named as the target of " + showPath(t.source.Path),
			Fix: "name the column to predict, one of " + listColumns(t.names), Example: t.names[len(t.names)-1]}}
	}
	list := []string{target}
	if !slices.Contains(t.names, target) && t.source.Task == Regression {
		names, err := csv.NewReader(strings.NewReader(target)).Read()
		if err == nil && len(names) > 1 {
			list = names
		}
	}
	for _, name := range list {
		at := slices.Index(t.names, strings.TrimSpace(name))
		switch {
		case at < 0:
			return &unreadError{t.noColumn(FieldTarget, strings.TrimSpace(name))}
		case slices.Contains(t.target, at):
			return &unreadError{&fault.FieldError{Field: FieldTarget, Value: quote(name), Problem: "is named twice", Fix: "name every column once"}}
		}
		t.target = append(t.target, at)
		t.formats = append(t.formats, t.options.Columns[t.names[at]].Format)
	}
	if len(t.target) == len(t.names) {
		return &unreadError{&DataError{File: t.source.Path, Column: target, Problem: "the target is the only column: there is nothing to learn from", Fix: "add a column"}}
	}
	if column := t.source.Table.Split.Column; column != "" {
		t.by = slices.Index(t.names, column)
		switch {
		case t.by < 0:
			errs = append(errs, t.noColumn(FieldSplit+".column", column))
		case slices.Contains(t.target, t.by):
			errs = append(errs, &fault.FieldError{Field: FieldSplit + ".column", Value: quote(column), Problem: "is the target", Fix: "split by another column"})
		}
	}
	return joinAll(errs)
}

// checkNames finds options of columns that the table does not have. Ignored columns are
// not among the names that were read: the reader finds them.
func (t *tableReading) checkNames() []error {
	o := columns.Options{Columns: map[string]columns.Spec{}}
	for name, spec := range t.options.Columns {
		if spec.Kind != columns.Ignored {
			o.Columns[name] = spec
		}
	}
	return o.CheckNames(t.names)
}

func (t *tableReading) noColumn(field, name string) error {
	fix := "use one of " + listColumns(t.names)
	if near, ok := spelling.Nearest(name, t.names); ok {
		fix = fmt.Sprintf("did you mean %s?", quote(near))
	}
	return &fault.FieldError{Field: field, Value: quote(name), Problem: "is not a column of " + showPath(t.source.Path), Fix: fix}
}

// open takes the values and makes a data set of them.
func (t *tableReading) open(ctx context.Context) (*Dataset, error) {
	skip := make([]string, 0, len(t.target)+1)
	for _, at := range t.target {
		skip = append(skip, t.names[at])
	}
	if t.source.Table.Split.Method == SplitGroup {
		skip = append(skip, t.names[t.by])
	}
	t.builder = preprocess.NewBuilder(t.meaning, skip, t.options.Missing)
	if t.scratch != nil {
		t.builder.SpillTo(t.scratch)
	}
	t.labels, t.targets, t.keys, t.fileOf, t.images = labelColumn{}, nil, nil, nil, nil
	t.left, t.content = map[string]int{}, sha256.New()
	if t.image < 0 && len(t.builder.Columns()) == 0 {
		return nil, &DataError{File: t.source.Path, Problem: "has no column to learn from: " + t.whyIgnored(), Fix: "give a column a kind, as in columns: {NAME: category}"}
	}
	t.table = &table{reading: currentReading, path: t.source.Path, task: t.source.Task, target: t.source.Target}
	t.hashNames()
	err := t.each(ctx, func(names []string) error {
		if !slices.Equal(names, t.names) {
			return t.changed()
		}
		return nil
	}, t.add)
	if err != nil {
		return nil, err
	}
	if t.image >= 0 {
		return t.imageSet(ctx)
	}
	return t.dataset(ctx)
}

func (t *tableReading) changed() error { return changed(t.source.Path) }

func changed(path string) error {
	return &DataError{File: path, Problem: "changed while it was read", Fix: "try again once nothing writes to it"}
}

// whyIgnored says why the first columns are not used.
func (t *tableReading) whyIgnored() string {
	var why []string
	for i, c := range t.meaning {
		if !slices.Contains(t.target, i) && len(why) < 3 {
			why = append(why, fmt.Sprintf("%q is %s (%s)", c.Name, c.Kind, c.Reason))
		}
	}
	return strings.Join(why, ", ")
}

func (t *tableReading) hashNames() {
	for _, name := range t.names {
		t.hashText(name)
	}
}

func (t *tableReading) hashText(s string) {
	var size [8]byte
	binary.LittleEndian.PutUint64(size[:], uint64(len(s)))
	t.content.Write(size[:])
	_, _ = io.WriteString(t.content, s) // a hash never fails
}

// add takes a row.
func (t *tableReading) add(split Split, at tablefile.Place, row []tablefile.Cell) error {
	for _, c := range row {
		t.hashText(columns.Label(c))
	}
	for _, i := range t.target {
		if t.missing.Is(row[i]) {
			t.left["has no "+t.names[i]]++
			return nil
		}
	}
	if t.by >= 0 && t.missing.Is(row[t.by]) {
		t.left["has no "+t.names[t.by]]++
		return nil
	}
	if t.image >= 0 {
		if t.missing.Is(row[t.image]) {
			t.left["has no "+t.names[t.image]]++
			return nil
		}
		t.images = append(t.images, t.imageOf(at, row[t.image]))
	} else if kept, err := t.builder.Add(at, row); err != nil {
		return err
	} else if !kept {
		t.left["has a missing cell in a column with missing: drop"]++
		return nil
	}
	if err := t.addTarget(at, row); err != nil {
		return err
	}
	if t.by >= 0 {
		t.keys = append(t.keys, row[t.by])
	}
	t.fileOf = append(t.fileOf, split)
	return t.checkSize(at)
}

func (t *tableReading) addTarget(at tablefile.Place, row []tablefile.Cell) error {
	if t.source.Task != Regression {
		t.table.path, t.table.rowsOnly = at.File, at.Line == 0
		line := at.Line
		if line == 0 {
			line = at.Row
		}
		return t.labels.add(t.table, line, strings.Clone(columns.Label(row[t.target[0]])))
	}
	for k, i := range t.target {
		v, ok := t.formats[k].Number(row[i])
		if !ok {
			return preprocess.BadCell(at, t.names[i], row[i], "is not a number", "correct the cell, or leave it empty")
		}
		t.targets = append(t.targets, v)
	}
	return nil
}

// dataset splits the rows, learns from those for training, and makes a data set.
func (t *tableReading) dataset(ctx context.Context) (*Dataset, error) {
	n := len(t.fileOf)
	if n < 2 {
		return nil, &DataError{File: t.source.Path, Value: figures.Plural(n, "row"), Problem: "is not enough to train and validate on, of those that are not left out: " + t.leftOut(),
			Fix: "add rows, or have missing cells replaced"}
	}
	d := &Dataset{name: filepath.Base(t.source.Path)}
	b := &block{}
	target := preprocess.Target{}
	if t.source.Task != Regression {
		names, labels, err := t.labels.classes(t.table)
		if err != nil {
			return nil, err
		}
		d.classNames, b.labels = names, labels
		target = preprocess.Target{Column: t.names[t.target[0]], Classes: names, NumericClasses: t.labels.numberLine > 0}
	}
	of, err := t.split(b.labels, d.classNames)
	if err != nil {
		return nil, err
	}
	d.parts = partition(b, of)
	train := d.parts[Train].rows
	document, err := t.builder.Fit(ctx, train)
	if err != nil {
		return nil, t.inFile(err)
	}
	if t.source.Task == Regression {
		b.targets = t.targets
		if target.Quantities, err = t.quantities(train); err != nil {
			return nil, err
		}
		for _, q := range target.Quantities {
			d.targets = append(d.targets, Target{Name: q.Name, Mean: q.Scale.Mean, StandardDeviation: q.Scale.StandardDeviation})
		}
	}
	document.Target = target
	if d.table, err = newTableData(document, t); err != nil {
		return nil, fmt.Errorf("%s: %w", showPath(t.source.Path), err)
	}
	d.shape = tensor.Shape{d.table.encoder.Features()}
	d.columnNames = d.table.encoder.Names()
	if t.scratch != nil {
		return t.pack(ctx, d, b)
	}
	if t.unkept != nil {
		d.kept = unkeptNote(t.needs(), t.unkept)
	}
	b.values = t.builder.Values()
	return d.seal()
}

// inFile names the file in an error that does not.
func (t *tableReading) inFile(err error) error {
	if bad := new(DataError); errors.As(err, &bad) && bad.File == "" {
		bad.File = t.source.Path
	}
	return err
}

// quantities returns how the targets of a regression are standardised.
func (t *tableReading) quantities(train []uint32) ([]preprocess.Quantity, error) {
	var list []preprocess.Quantity
	for i, c := range currentReading.standardise(t.targets, len(t.target), train) {
		name := t.names[t.target[i]]
		if c.SD == 0 {
			return nil, &DataError{File: t.source.Path, Column: name, Value: fmt.Sprint(c.Mean),
				Problem: "is the target of every training row, up to rounding: there is nothing to learn", Fix: "name a column that varies"}
		}
		list = append(list, preprocess.Quantity{Name: name, Format: t.formats[i], Scale: preprocess.Scale{Mean: c.Mean, StandardDeviation: c.SD}})
	}
	return list, nil
}

// split returns the split of each row, which is of one of the classes, if there are any.
func (t *tableReading) split(labels []int32, classes []string) ([]Split, error) {
	o := t.source.Table.Split
	if o.Folds > 0 {
		return t.fold(labels, classes)
	}
	n := len(t.fileOf)
	validation := currentReading.validationRows(n, t.share)
	test := testRows(n, validation, o.TestFraction)
	var of []Split
	switch method := o.Method; {
	case method == SplitFiles:
		of = t.fileOf
	case method == SplitTime:
		times := make([]float64, n)
		for i, cell := range t.keys {
			v, ok := t.time(cell)
			if !ok {
				return nil, &fault.FieldError{Field: FieldSplit + ".column", Value: quote(o.Column),
					Problem: fmt.Sprintf("has %s, which is neither a date nor a number", quote(columns.Label(cell))), Fix: "name a column of dates or numbers"}
			}
			times[i] = v
		}
		of = splitByTime(times, validation, test)
	case method == SplitGroup:
		groupOf, groups := t.groups()
		if groups < 2 || o.TestFraction > 0 && groups < 3 {
			return nil, &fault.FieldError{Field: FieldSplit + ".column", Value: quote(o.Column),
				Problem: fmt.Sprintf("has %s, too few for every split to have one", figures.Plural(groups, "different value")), Fix: "split by another column"}
		}
		validation = currentReading.validationRows(groups, t.share)
		of = splitByGroup(groupOf, groups, validation, testRows(groups, validation, o.TestFraction), o.Seed)
	case method == SplitStratified, method == "" && len(classes) > 0:
		of = splitStratified(labels, len(classes), validation, test, o.Seed)
	default:
		of = splitAtRandom(n, validation, test, o.Seed)
	}
	return of, t.checkSplit(of)
}

// fold returns the split of each row in a fold.
func (t *tableReading) fold(labels []int32, classes []string) ([]Split, error) {
	o := t.source.Table.Split
	if o.Method == SplitGroup {
		groupOf, groups := t.groups()
		test := testRows(groups, o.Folds-1, o.TestFraction)
		if err := o.foldable(groups, test, "different value", " of "+quote(o.Column)); err != nil {
			return nil, err
		}
		of := foldByGroup(groupOf, groups, test, o)
		return of, t.checkSplit(of)
	}
	of, notes, err := foldOf(len(t.fileOf), labels, classes, o)
	t.notes = notes
	return of, err
}

// groups numbers the values of the column of the split, and returns that of each row.
func (t *tableReading) groups() (of []int32, n int) {
	index := map[string]int32{}
	of = make([]int32, len(t.keys))
	for i, cell := range t.keys {
		label := columns.Label(cell)
		g, ok := index[label]
		if !ok {
			g = int32(len(index))
			index[label] = g
		}
		of[i] = g
	}
	return of, len(index)
}

// time returns when a row is, by the cell of the column of the split.
func (t *tableReading) time(cell tablefile.Cell) (float64, bool) {
	format := t.meaning[t.by].Format
	if v, ok := format.Date(cell); ok {
		return v, true
	}
	return format.Number(cell)
}

// checkSplit fails where a split that was asked for has no rows.
func (t *tableReading) checkSplit(of []Split) error {
	var counts [splits]int
	for _, s := range of {
		counts[s]++
	}
	o := t.source.Table.Split
	for s, n := range counts {
		wanted := Split(s) != Test || o.TestFraction > 0 || o.TestPath != ""
		if n > 0 || !wanted {
			continue
		}
		fix := "use another fraction, or more rows"
		if o.Method == SplitTime {
			fix = "many rows have the same time, which stay together; " + fix
		}
		return &DataError{File: t.source.Path, Value: fmt.Sprintf("the %v split", Split(s)), Problem: "has no rows", Fix: fix}
	}
	return nil
}
