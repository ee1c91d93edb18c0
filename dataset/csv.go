package dataset

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"reprise/dataset/number"
	"reprise/dataset/packed"
	tablefile "reprise/dataset/table"
	"reprise/fault"
	"reprise/internal/disk"
	"reprise/internal/spelling"
	"reprise/tensor"
)

// openCSV reads a CSV file with a header. Every column but the target is a
// feature and holds a number in every row. For classification the target holds
// the classes, all numbers or all names; for regression it is a column of numbers
// or several, separated by commas. Spaces around a cell are ignored; a byte order
// mark, the line ends of any system and empty lines are accepted.
func (r reading) openCSV(ctx context.Context, source Source) (*Dataset, error) {
	t, share, err := r.openNumbers(ctx, source, packing{limit: MaxBytes})
	if err != nil {
		return nil, err
	}
	return t.dataset(ctx, share)
}

// openNumbers reads the cells of a CSV file. It returns the fraction for validation, too.
// Cells that take more memory than packing allows are written to a file; it fails with a
// SpillError where none can be written.
func (r reading) openNumbers(ctx context.Context, source Source, p packing) (*table, float64, error) {
	path := source.Path
	share, err := checkFraction(source.ValidationFraction)
	if err != nil {
		return nil, 0, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, unreadable(path, err)
	}
	// A cell takes at least one byte and a separator in the file and eight bytes in
	// memory, so that this refuses little that the limit on memory would allow.
	if info.Size() > MaxBytes && p.limit >= MaxBytes {
		return nil, 0, &DataError{File: path, Value: fmt.Sprintf("%d bytes", info.Size()),
			Problem: fmt.Sprintf("are more than the limit of %d", int64(MaxBytes)), Fix: "use a smaller file"}
	}
	f, err := disk.Open(disk.OS{}, path)
	if err != nil {
		return nil, 0, unreadable(path, err)
	}
	defer func() { _ = f.Close() }() // it was only read
	t := r.newTable(path, source.Task, source.Target)
	t.packing, t.bytes = p, info.Size()
	err = t.read(ctx, f)
	if err != nil && t.file != nil {
		t.file.Discard()
	}
	return t, share, err
}

func (r reading) newTable(path string, task Task, target string) *table {
	return &table{reading: r, path: path, task: task, target: target, maxBytes: MaxBytes, packing: packing{limit: MaxBytes}}
}

// readCSV is openCSV for an open file and the default fraction.
func (r reading) readCSV(ctx context.Context, file io.Reader, path string, task Task, target string) (*Dataset, error) {
	t := r.newTable(path, task, target)
	if err := t.read(ctx, file); err != nil {
		return nil, err
	}
	return t.dataset(ctx, DefaultValidationFraction)
}

// dataset makes a data set of a table that was read.
func (t *table) dataset(ctx context.Context, fraction float64) (_ *Dataset, err error) {
	defer func() {
		if err != nil && t.file != nil {
			t.file.Discard()
		}
	}()
	r := t.reading
	d := &Dataset{name: filepath.Base(t.path), shape: tensor.Shape{len(t.features)}, columnNames: t.features}
	b := &block{values: t.values, targets: t.targetValues}
	n := len(t.lines)
	of := splitAtRandom(n, r.validationRows(n, fraction), 0, 0)
	d.parts, d.features = partition(b, of), len(t.features)
	train := d.parts[Train]
	if err := t.learn(d, b, train.rows); err != nil {
		return nil, err
	}
	if t.file != nil {
		if b.file, err = finish(t.file); err != nil {
			return nil, err
		}
	}
	d.scaling.columns, err = number.StandardiseRows(r.rule(), len(t.features), train.len(), func(do func(row []float64)) error {
		return d.eachRow(train, func(_ int, _ []byte, row []float64) error {
			do(row)
			return ctx.Err()
		})
	})
	if err != nil {
		return nil, err
	}
	if err := t.checkDigits(t.features, t.digits, d.scaling.columns); err != nil {
		return nil, err
	}
	err = d.eachRowOf(b, n, func(i int) int { return i }, func(i int, _ []byte, row []float64) error {
		return t.checkScaled(i, row, t.features, d.scaling.columns)
	})
	if err != nil {
		return nil, err
	}
	if t.file != nil {
		return t.packing.keep(ctx, d, b)
	}
	return d.seal()
}

// learn gives the data set its classes or its targets.
func (t *table) learn(d *Dataset, b *block, train []uint32) (err error) {
	if t.task != Regression {
		d.label = t.target
		d.classNames, b.labels, err = t.labels.classes(t)
		return err
	}
	columns := t.reading.standardise(t.targetValues, len(t.targets), train)
	if err := t.checkDigits(t.targets, t.targetDigits, columns); err != nil {
		return err
	}
	for i, c := range columns {
		if c.SD == 0 {
			problem := "is the target of every training row: there is nothing to learn"
			if c.Rounded {
				problem = "is the target of every training row, up to rounding: there is nothing to learn"
			}
			return t.bad(0, t.targets[i], number.Format(c.Mean), problem, "name a column that varies")
		}
		d.targets = append(d.targets, Target{Name: t.targets[i], Mean: c.Mean, StandardDeviation: c.SD})
	}
	for i := range t.lines {
		if err := t.checkScaled(i, t.targetValues[i*len(columns):(i+1)*len(columns)], t.targets, columns); err != nil {
			return err
		}
	}
	return nil
}

// table is a CSV file while it is read.
type table struct {
	reading      reading
	path, target string
	task         Task // "" for classes that nobody has said are classes
	maxBytes     int64
	headerLine   int
	first        string // the text of the header's first line
	mistakes     mistakes
	rowsOnly     bool // the format has rows and no lines: what is called a line is a row
	packing      packing
	bytes        int64          // of the file; 0 if that is not known
	file         *packed.Writer // has the values of all rows; nil if they are in memory
	buffer       []byte         // of a row

	features []string // names of the feature columns
	targets  []string // names of the target columns; one for classification
	// targetOf has the index in targets of each column, or -1.
	targetOf     []int
	values       []float64
	lines        []uint32 // the line of each row, for errors
	labels       labelColumn
	targetValues []float64 // of regression, row-major
	// the digits of each feature, and of each target of a regression.
	digits, targetDigits []precision
}

func (t *table) bad(line int, column, value, problem, fix string) *DataError {
	if t.rowsOnly {
		return &DataError{File: t.path, Row: line, Column: column, Value: value, Problem: problem, Fix: fix}
	}
	return &DataError{File: t.path, Line: line, Column: column, Value: value, Problem: problem, Fix: fix}
}

func (t *table) read(ctx context.Context, r io.Reader) error {
	buffered := bufio.NewReader(&contextReader{ctx, r})
	if err := t.skipMark(buffered); err != nil {
		return err
	}
	start, _ := buffered.Peek(buffered.Size()) // as far as there is
	t.first = firstLine(start)
	if t.needs(start) > t.packing.limit {
		if err := t.begin(); err != nil {
			return err
		}
	}
	var lines io.Reader = buffered
	if t.reading != firstReading {
		lines = tablefile.NewLineEnds(buffered)
	}
	room := &rowRoom{Reader: lines, left: math.MaxInt}
	if t.bytes > t.packing.limit {
		room.each = tablefile.MaxRowBytes
	}
	room.nextRow()
	reader := csv.NewReader(room)
	reader.ReuseRecord = true
	header, err := reader.Read()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return t.bad(0, "", "", "the file is empty", "begin it with a line that names the columns")
		}
		return t.csvError(err, header, reader)
	}
	header = slices.Clone(header) // the reader reuses the record
	line, _ := reader.FieldPos(0)
	if err := t.readHeader(line, header); err != nil {
		return err
	}
	for {
		room.nextRow()
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var line int
		if err == nil {
			line, _ = reader.FieldPos(0)
			err = t.addRow(line, header, record, reader)
		} else {
			err = t.csvError(err, record, reader)
		}
		if err != nil {
			if isContextError(err) {
				return err
			}
			return join(t.mistakes.err(t, header, len(t.lines)), err)
		}
	}
	if err := t.mistakes.err(t, header, len(t.lines)); err != nil {
		return err
	}
	switch len(t.lines) {
	case 0:
		return t.bad(0, "", "", "there are no rows below the header", "add rows: at least one to train on and one to validate on")
	case 1:
		return t.bad(0, "", "1 row", "below the header is not enough to train and validate on", "add rows")
	}
	return nil
}

// skipMark skips a byte order mark and refuses one of UTF-16.
func (t *table) skipMark(r *bufio.Reader) error {
	start, _ := r.Peek(3) // the first read returns the error again
	if len(start) >= 2 && (start[0] == 0xFE && start[1] == 0xFF || start[0] == 0xFF && start[1] == 0xFE) {
		return t.bad(1, "", "", "the file is in UTF-16", "save it as UTF-8")
	}
	if string(start) == "\xEF\xBB\xBF" {
		_, _ = r.Discard(3) // was peeked at
	}
	return nil
}

func (t *table) readHeader(line int, header []string) error {
	t.headerLine = line
	seen := map[string]int{}
	for i, name := range header {
		name = strings.TrimSpace(name)
		header[i] = name
		if name == "" {
			return t.bad(line, "", fmt.Sprintf("column %d of %d", i+1, len(header)), "has no name",
				cmp.Or(t.headerHint(header), "name every column in the header"))
		}
		if strings.ContainsRune(name, 0) && t.reading != firstReading {
			return t.bad(line, "", quote(name), "has zero bytes in it, as text in UTF-16 has", "save the file as UTF-8")
		}
		if !utf8.ValidString(name) {
			return t.bad(line, "", quote(name), "is not UTF-8", "save the file as UTF-8")
		}
		if first, ok := seen[name]; ok {
			return t.bad(line, name, "", fmt.Sprintf("columns %d and %d have this name", first, i+1),
				cmp.Or(t.headerHint(header), "give every column a name of its own"))
		}
		seen[name] = i + 1
	}
	if t.target == "" {
		e := &fault.FieldError{Field: FieldTarget, Value: "no column", Problem: "is named as the target of " + showPath(t.path),
			Fix: "name the column to predict, one of " + listColumns(header), Example: header[len(header)-1]}
		if hint := t.headerHint(header); hint != "" {
			e.Fix, e.Example = hint, ""
		}
		return e
	}
	if err := t.findTargets(header, seen); err != nil {
		return err
	}
	if len(header) == len(t.targets) {
		return t.bad(line, t.target, "", "the target is the only column: there is nothing to learn from", "add a column of numbers")
	}
	for i, name := range header {
		if t.targetOf[i] < 0 {
			t.features = append(t.features, name)
		}
	}
	t.digits, t.targetDigits = make([]precision, len(t.features)), make([]precision, len(t.targets))
	return nil
}

// findTargets finds the columns of the target: the one with that name or, for
// regression, all those of a list.
func (t *table) findTargets(header []string, seen map[string]int) error {
	t.targets = []string{t.target}
	if _, ok := seen[t.target]; !ok && t.task == Regression {
		names, err := csv.NewReader(strings.NewReader(t.target)).Read() // quotes as in the header
		if err == nil && len(names) > 1 {
			t.targets = names
		}
	}
	t.targetOf = slices.Repeat([]int{-1}, len(header))
	for i, name := range t.targets {
		name = strings.TrimSpace(name)
		t.targets[i] = name
		at, ok := seen[name]
		if !ok {
			fix := "use one of " + listColumns(header)
			near, found := spelling.Nearest(name, header)
			hint := t.headerHint(header)
			switch {
			case hint != "" && (!found || otherSeparator(t.first) != "" || commentHint(t.headerLine, t.first) != ""):
				fix = hint
			case found:
				fix = fmt.Sprintf("did you mean %s?", quote(near))
			}
			return &fault.FieldError{Field: FieldTarget, Value: quote(name), Problem: "is not a column of " + showPath(t.path), Fix: fix}
		}
		if t.targetOf[at-1] >= 0 {
			return &fault.FieldError{Field: FieldTarget, Value: quote(name), Problem: "is named twice", Fix: "name every column once"}
		}
		t.targetOf[at-1] = i
	}
	return nil
}

// headerHint says what to do about a header that is refused, where it shows that it
// is not meant as one, or has another separator; else "".
func (t *table) headerHint(header []string) string {
	if otherSeparator(t.first) != "" {
		return useCommas
	}
	return cmp.Or(commentHint(t.headerLine, t.first), dataHint(t.headerLine, header))
}

// useCommas is the fix for columns that something else separates.
const useCommas = "separate the columns by commas"

// dataHint says, of a header in which cells are numbers, that it looks like data;
// "" of any other. Columns may be named 2001 and 2002: it is for what is refused
// anyhow.
func dataHint(line int, header []string) string {
	numbers := 0
	for _, name := range header {
		if _, ok := currentReading.parseNumber(strings.TrimSpace(name)); ok {
			numbers++
		}
	}
	if 2*numbers < len(header) || numbers == 0 {
		return ""
	}
	shown := make([]string, 0, len(header))
	names := make([]string, 0, len(header))
	for i, name := range header[:min(len(header), 5)] {
		shown = append(shown, strings.Trim(quote(strings.TrimSpace(name)), `"`))
		names = append(names, fmt.Sprintf("x%d", i+1))
	}
	if len(header) > len(shown) {
		shown, names = append(shown, "..."), append(names, "...")
	} else {
		names[len(names)-1] = "y"
	}
	return fmt.Sprintf("line %d looks like data (%s): add a line above it that names the columns, such as %s, and name the one to predict",
		line, strings.Join(shown, ","), strings.Join(names, ","))
}

// listColumns lists the names of columns, only the first if there are many.
func listColumns(header []string) string { return listFirst(header, 20, quote) }

// listFirst lists the first of some names, and says how many more there are.
func listFirst(names []string, most int, show func(string) string) string {
	shown := make([]string, 0, most)
	for _, name := range names[:min(len(names), most)] {
		shown = append(shown, show(name))
	}
	list := strings.Join(shown, ", ")
	if more := len(names) - len(shown); more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return list
}

func (t *table) addRow(line int, header, record []string, reader *csv.Reader) error {
	perRow, learnt := 8*len(t.features)+4, 0 // a label takes four bytes, a target eight
	if t.task == Regression {
		learnt = len(t.targets)
		perRow = 8 * len(record)
	}
	if t.file == nil && int64(len(t.lines)+1)*int64(perRow) > t.maxBytes {
		return t.bad(line, "", fmt.Sprintf("%d rows of %d numbers", len(t.lines)+1, len(t.features)+learnt),
			fmt.Sprintf("take more memory than the limit of %d bytes", t.maxBytes), "use fewer rows or columns")
	}
	t.targetValues = append(t.targetValues, make([]float64, learnt)...)
	row := t.targetValues[len(t.targetValues)-learnt:]
	feature := 0
	for i, cell := range record {
		cell = strings.TrimSpace(cell)
		if t.targetOf[i] >= 0 && t.task != Regression {
			t.addLabel(i, len(record), line, cell)
			continue
		}
		at, _ := reader.FieldPos(i)
		v, ok := t.reading.parseNumber(cell)
		if !ok {
			e := t.badNumber(at, header[i], cell)
			t.mistakes.add(i, len(record), e, cell == "" || isMissing(cell), e.Fix == notNumbers || e.Fix == notTargets)
		}
		if target := t.targetOf[i]; target >= 0 {
			row[target] = v
			if ok {
				t.targetDigits[target].add(at, cell, v)
			}
			continue
		}
		t.values = append(t.values, v)
		if ok {
			t.digits[feature].add(at, cell, v)
		}
		feature++
	}
	t.lines = append(t.lines, uint32(line))
	return t.spill(line)
}

// csvError explains an error of encoding/csv. record is the part of the row that
// was read before it.
func (t *table) csvError(err error, record []string, reader *csv.Reader) error {
	var parse *csv.ParseError
	if !errors.As(err, &parse) {
		if isContextError(err) {
			return fmt.Errorf("read %s: %w", t.path, err)
		}
		if errors.Is(err, errLongRow) {
			return t.bad(0, "", "", fmt.Sprintf("a row takes more than the limit of %d bytes", tablefile.MaxRowBytes), "look for a quote that is not closed")
		}
		return unreadable(t.path, err)
	}
	e := t.bad(parse.Line, "", "", parse.Err.Error(), "correct the line")
	if name := otherSeparator(t.first); name != "" && len(t.targetOf) == 0 { // in the header
		e.Line, e.Problem, e.Fix, e.Cause = parse.StartLine, "the columns are separated by "+name, useCommas, err
		return e
	}
	tablefile.Explain(e, parse, record, reader, len(t.targetOf))
	if errors.Is(err, csv.ErrFieldCount) && strings.HasPrefix(strings.TrimSpace(record[0]), "#") {
		e.Fix = "remove the line: CSV files have no comments"
	}
	if hint := commentHint(parse.Line, t.first); hint != "" && len(t.targetOf) == 0 {
		e.Fix = hint
	}
	e.Cause = err
	return e
}

// addLabel adds the cell of the target. After a mistake in the target, only its
// missing cells are of interest.
func (t *table) addLabel(column, columns, line int, cell string) {
	missing := cell == "" || number.NotFinite(cell)
	if t.mistakes.label != nil && !missing {
		return
	}
	err := t.labels.add(t, line, cell)
	var bad *DataError
	switch {
	case missing && errors.As(err, &bad):
		t.mistakes.add(column, columns, bad, true, false)
	case err != nil:
		t.mistakes.label = err
	}
}

// isContextError reports whether reading was cancelled.
func isContextError(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// join returns two errors as one.
func join(a, b error) error {
	if a == nil {
		return b
	}
	return errors.Join(a, b)
}
