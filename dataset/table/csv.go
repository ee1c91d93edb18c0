package table

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"reprise/fault"
	"reprise/internal/figures"
)

// openText opens a text as separated cells or JSON.
func (in *input) openText(ctx context.Context, options Options, selection *selection, columns []string) (fileReader, error) {
	text, err := in.decode(options.Encoding)
	if err != nil {
		return nil, err
	}
	buffered := bufio.NewReaderSize(text, headBytes)
	start, err := buffered.Peek(headBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, in.failed(err)
	}
	isWhole := err != nil
	named, separator, _ := ending(in.path)
	isJSON := looksLikeJSON(start)
	switch {
	case named == separated && isJSON:
		return nil, contradiction(in.path, "JSON", "text in columns", "end its name in .jsonl")
	case named == jsonRows && !isJSON:
		if at := bytes.IndexByte(start, 0); at >= 0 {
			return nil, notText(in.path, at)
		}
		return nil, contradiction(in.path, "not a list or lines of objects", "JSON", "write one object per row, or correct its ending")
	case isJSON:
		if err := options.onlyForText(jsonRows); err != nil {
			return nil, err
		}
		return openJSON(ctx, in, buffered, options, selection, columns)
	}
	if at := bytes.IndexByte(start, 0); at >= 0 {
		return nil, notText(in.path, at)
	}
	comma, err := chooseSeparator(in.path, cmp.Or(options.Separator, separator), options.Separator != "", start, isWhole)
	if err != nil {
		return nil, err
	}
	return openCSV(in, buffered, comma, firstLine(start), selection)
}

func notText(path string, at int) error {
	return &fault.DataError{File: path, Offset: int64(at), HasOffset: true, Value: "a zero byte", Problem: "is in no text",
		Fix: "name a file of a format that is read; for text in UTF-16 write dataset.encoding: utf-16-le, or utf-16-be"}
}

// chooseSeparator returns the separator of a text: the one that is given by the request or
// the file's ending, else the one that the text has.
func chooseSeparator(path, given string, byRequest bool, start []byte, isWhole bool) (rune, error) {
	found := findSeparator(start, isWhole)
	if given == "" {
		return found, nil
	}
	comma := []rune(given)[0]
	if first := firstLine(start); !strings.ContainsRune(first, comma) && found != comma && strings.ContainsRune(first, found) {
		problem := fmt.Sprintf("has %s between its cells, and no %s as its name says", separatorName(found), separatorName(comma))
		if byRequest {
			problem = fmt.Sprintf("has %s between its cells, and no %s", separatorName(found), separatorName(comma))
		}
		return 0, &fault.DataError{File: path, Line: 1, Problem: problem, Fix: fmt.Sprintf("write dataset.separator: %q", string(found))}
	}
	return comma, nil
}

// firstLine returns the first line of a text that is not empty.
func firstLine(text []byte) string {
	text = bytes.TrimLeft(text, "\r\n")
	if end := bytes.IndexAny(text, "\r\n"); end >= 0 {
		text = text[:end]
	}
	return string(text)
}

// budget hands on a text up to the end of the largest row that may come, since
// encoding/csv holds a row as a whole, however large.
type budget struct {
	r    io.Reader
	left int64
}

var errRowTooLarge = errors.New("the row is too large")

func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errRowTooLarge
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// csvFile reads text in columns.
type csvFile struct {
	in     *input
	budget *budget
	csv    *csv.Reader
	comma  rune
	first  string // the text of the first line
	names  []string
	keep   []int // the columns that are read, by their place in the file
	all    []string
	line   int // where the last row began
}

func openCSV(in *input, text *bufio.Reader, comma rune, first string, selection *selection) (*csvFile, error) {
	f := &csvFile{in: in, comma: comma, first: first, budget: &budget{r: NewLineEnds(text)}}
	f.csv = csv.NewReader(f.budget)
	f.csv.Comma, f.csv.ReuseRecord = comma, true
	header, err := f.read()
	if errors.Is(err, io.EOF) {
		return nil, in.bad("has no lines with text", "begin it with a line that names the columns")
	}
	if err != nil {
		return nil, err
	}
	line, _ := f.csv.FieldPos(0)
	if len(header) > MaxColumns {
		return nil, &fault.DataError{File: in.path, Line: line, Value: fmt.Sprintf("%d columns", len(header)),
			Problem: fmt.Sprintf("are more than the limit of %d", MaxColumns), Fix: "use fewer columns"}
	}
	if f.all, err = nameAll(in.path, line, header); err != nil {
		return nil, err
	}
	for i, name := range f.all {
		if !selection.drops(name) {
			f.keep, f.names = append(f.keep, i), append(f.names, name)
		}
	}
	return f, nil
}

// nameAll returns the names of columns in a header.
func nameAll(path string, line int, header []string) ([]string, error) {
	names := make([]string, len(header))
	at := make(map[string]int, len(header))
	bad := func(name, problem, fix string) error {
		return &fault.DataError{File: path, Line: line, Value: fault.Quote(name), Problem: problem, Fix: fix}
	}
	for i, name := range header {
		name = strings.TrimSpace(name)
		if !utf8.ValidString(name) {
			return nil, notUTF8(path, line, "", name)
		}
		if len(name) > MaxCellBytes {
			return nil, bad(name, fmt.Sprintf("is longer than the limit of %d bytes", MaxCellBytes), "use shorter names")
		}
		if first, ok := at[name]; ok && name != "" {
			return nil, bad(name, fmt.Sprintf("is the name of columns %d and %d", first+1, i+1), "give every column a name of its own")
		}
		names[i], at[name] = name, i
	}
	for i, name := range names {
		if name != "" {
			continue
		}
		name = fmt.Sprintf("column%d", i+1)
		if other, ok := at[name]; ok {
			return nil, bad(name, fmt.Sprintf("is the name of column %d, and column %d has none", other+1, i+1), "give every column a name of its own")
		}
		names[i], at[name] = name, i
	}
	return names, nil
}

func (f *csvFile) format() fileFormat { return separated }
func (f *csvFile) columns() []string  { return f.names }
func (f *csvFile) close() error       { return f.in.close() }

// read returns the next row, explaining what is wrong with it.
func (f *csvFile) read() ([]string, error) {
	// encoding/csv reads ahead by a small buffer.
	f.budget.left = MaxRowBytes + headBytes
	record, err := f.csv.Read()
	if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return record, err
	}
	return record, f.explain(err, record)
}

func (f *csvFile) next(ctx context.Context, cells []Cell, _ int) (int, error) {
	record, err := f.read()
	if err != nil {
		if errors.Is(err, csv.ErrFieldCount) {
			err = f.countRagged(ctx, err)
		}
		return 0, err
	}
	f.line, _ = f.csv.FieldPos(0)
	for i, at := range f.keep {
		text := record[at]
		if len(text) > MaxCellBytes || !utf8.ValidString(text) {
			line, _ := f.csv.FieldPos(at)
			return 0, checkText(f.in.path, line, 0, f.names[i], text)
		}
		cells[i] = Cell{Kind: Text, Text: text}
	}
	return f.line, nil
}

// checkText returns what is wrong with a text that is too long or not UTF-8; nil if
// nothing is.
func checkText(path string, line, row int, column, text string) error {
	switch {
	case len(text) > MaxCellBytes:
		return &fault.DataError{File: path, Line: line, Row: row, Column: column, Value: fmt.Sprintf("%d bytes", len(text)),
			Problem: fmt.Sprintf("are more than the limit of %d for a cell", MaxCellBytes), Fix: "shorten the text"}
	case !utf8.ValidString(text) && line > 0:
		return notUTF8(path, line, column, text)
	case !utf8.ValidString(text):
		return &fault.DataError{File: path, Row: row, Column: column, Value: fault.Quote(text), Problem: "is not text in UTF-8",
			Fix: "write the column as text, or " + leaveOut(column)}
	}
	return nil
}

// countRagged reads the rest of a file one of whose rows has too few or too many cells, to
// say how many such rows there are.
func (f *csvFile) countRagged(ctx context.Context, first error) error {
	var bad *fault.DataError
	if !errors.As(first, &bad) {
		return first
	}
	more, last := 0, 0
	for rows := 0; ; rows++ {
		if rows&0xff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		_, err := f.read()
		if err == nil {
			continue
		}
		if !errors.Is(err, csv.ErrFieldCount) {
			break // the end, or something that is reported once this is corrected
		}
		more++
		last, _ = f.csv.FieldPos(0)
	}
	if more > 0 {
		rows := fmt.Sprintf("%d more rows do not either", more)
		if more == 1 {
			rows = "another row does not either"
		}
		bad.Problem += fmt.Sprintf(" (%s, the last on line %d)", rows, last)
	}
	return bad
}

// explain explains an error of encoding/csv. record is the part of the row that was read
// before it.
func (f *csvFile) explain(err error, record []string) error {
	if errors.Is(err, errRowTooLarge) {
		return &fault.DataError{File: f.in.path, Line: f.line + 1, Problem: fmt.Sprintf("a row takes more than the limit of %d bytes", MaxRowBytes),
			Fix: "look for a quote that is not closed, in or before this line", Cause: err}
	}
	var parse *csv.ParseError
	if !errors.As(err, &parse) {
		return f.in.failed(err)
	}
	e := &fault.DataError{File: f.in.path, Cause: err}
	Explain(e, parse, record, f.csv, len(f.all))
	if errors.Is(err, csv.ErrFieldCount) {
		switch found := findSeparator([]byte(f.first), true); {
		case strings.HasPrefix(strings.TrimSpace(record[0]), "#"):
			e.Fix = "remove the line: tables have no comments"
		case strings.HasPrefix(f.first, "#"):
			e.Fix += "; line 1 looks like a comment: remove it, or its # if it names the columns"
		case found != f.comma && len(f.all) == 1:
			e.Fix += fmt.Sprintf(", or write dataset.separator: %q", string(found))
		case len(record) > len(f.all):
			e.Fix += ", and quote those that hold " + separatorName(f.comma)
		}
	}
	return e
}

// Explain fills in what an error of encoding/csv means: the line, what is wrong there, and
// what to do. record is the part of the row that was read before it, reader has read it,
// and columns is the number of them in the header.
func Explain(e *fault.DataError, parse *csv.ParseError, record []string, reader *csv.Reader, columns int) {
	e.Line, e.Problem, e.Fix = parse.Line, parse.Err.Error(), "correct the line"
	opened := parse.StartLine
	if n := len(record); n > 0 { // the cells before the one where reading stopped
		opened, _ = reader.FieldPos(n - 1)
		opened += strings.Count(record[n-1], "\n")
	}
	switch err := parse.Err; {
	case errors.Is(err, csv.ErrFieldCount):
		e.Line = parse.StartLine
		e.Value, e.Problem = figures.Plural(len(record), "cell"), fmt.Sprintf("do not fit the %s of the header", figures.Plural(columns, "column"))
		if len(record) == 1 {
			e.Problem = strings.Replace(e.Problem, "do not", "does not", 1)
		}
		e.Fix = "give every row one cell for each column"
	case errors.Is(err, csv.ErrQuote) && opened < parse.Line:
		e.Line = opened
		e.Problem = fmt.Sprintf("a quote opens here that is not closed before line %d, or not at the end of its cell", parse.Line)
		e.Fix = `close it, and write quotes within a quoted cell twice, as in "5"" disk"`
	case errors.Is(err, csv.ErrBareQuote), errors.Is(err, csv.ErrQuote):
		e.Value, e.Problem = fmt.Sprintf("the quote at byte %d of the line", parse.Column), "is out of place"
		e.Fix = `quote the whole cell and write quotes within it twice, as in "5"" disk"`
	}
}
