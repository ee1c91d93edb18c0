package table

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"reprise/fault"
)

// objects cuts a text into JSON objects: those of one list, or of no list, whatever white
// space is between them. It does not check their syntax.
type objects struct {
	r     *bufio.Reader
	path  string
	line  int  // of the next byte
	began bool // the first byte other than space has been seen
	list  bool // the objects are in a list
	ended bool // which has ended
	many  bool // an object has been read
	text  []byte
}

// next returns an object, which is overwritten by the one after it, and the line that it
// begins on; io.EOF after the last.
func (o *objects) next() (object []byte, line int, err error) {
	c, err := o.skip()
	if !o.began && err == nil && c == '[' {
		o.list = true
		c, err = o.skip()
	}
	o.began = true
	switch {
	case errors.Is(err, io.EOF) && o.list && !o.ended:
		return nil, 0, o.bad("the list of rows is not closed", "end it with ], or complete the file")
	case err != nil:
		return nil, 0, err
	case o.list && !o.ended && c == ']':
		o.ended = true
		if c, err = o.skip(); err == nil {
			return nil, 0, o.bad(fmt.Sprintf("%q follows the list of rows", c), "write one list, or one object per line")
		}
		return nil, 0, err
	case o.list && o.many && c != ',':
		return nil, 0, o.bad(fmt.Sprintf("%q follows a row", c), "separate the rows of a list by commas")
	case o.list && o.many:
		if c, err = o.skip(); err != nil {
			return nil, 0, o.ends(err)
		}
	case !o.list && c == ',':
		return nil, 0, o.bad("a comma follows a row", "write one object per line without commas, or all in a list, between [ and ]")
	}
	if c != '{' {
		return nil, 0, o.bad(fmt.Sprintf("%q does not begin an object", c), `write each row as an object, such as {"name": "value"}`)
	}
	o.many = true
	line = o.line
	err = o.collect()
	return o.text, line, err
}

// skip returns the next byte that is not white space.
func (o *objects) skip() (byte, error) {
	for {
		c, err := o.r.ReadByte()
		if err != nil {
			return 0, err
		}
		switch c {
		case '\n':
			o.line++
		case ' ', '\t', '\r':
		default:
			return c, nil
		}
	}
}

// collect puts an object whose first byte has been read into text.
func (o *objects) collect() error {
	o.text = append(o.text[:0], '{')
	depth, quoted, escaped := 1, false, false
	for depth > 0 {
		if _, err := o.r.Peek(1); err != nil {
			return o.ends(err)
		}
		window, _ := o.r.Peek(o.r.Buffered())
		n := 0
		for n < len(window) && depth > 0 {
			c := window[n]
			n++
			switch {
			case c == '\n':
				o.line++
			case escaped:
				escaped = false
			case quoted:
				escaped, quoted = c == '\\', c != '"'
			case c == '"':
				quoted = true
			case c == '{', c == '[':
				if depth++; depth > MaxDepth {
					return o.bad(fmt.Sprintf("is nested deeper than the limit of %d", MaxDepth), "write flat objects")
				}
			case c == '}', c == ']':
				depth--
			}
		}
		if len(o.text)+n > MaxRowBytes {
			return o.bad(fmt.Sprintf("a row takes more than the limit of %d bytes", MaxRowBytes), "look for a quote or a brace that is not closed before this line")
		}
		o.text = append(o.text, window[:n]...)
		_, _ = o.r.Discard(n) // is buffered
	}
	return nil
}

// ends explains the end of the text within a row.
func (o *objects) ends(err error) error {
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return o.bad("the file ends within a row", "complete the file, or remove the row")
	}
	return err
}

func (o *objects) bad(problem, fix string) error {
	return &fault.DataError{File: o.path, Line: o.line, Problem: problem, Fix: fix}
}

// jsonFile reads rows of JSON.
type jsonFile struct {
	in        *input
	objects   objects
	selection *selection
	names     []string
	at        map[string]int // column by name
	learning  bool           // names grows by the keys that are met
	plain     []bool         // the column has a value other than null; while learning
	groups    map[string]bool

	// of the present row
	row  int
	line int
	text []byte
	seen []int // the last row that has the column
	path []byte
}

// openJSON opens rows of JSON. Unless the columns are known, it reads the whole file to
// find them, and then begins again.
func openJSON(ctx context.Context, in *input, text *bufio.Reader, options Options, selection *selection, columns []string) (*jsonFile, error) {
	f := &jsonFile{in: in, selection: selection, objects: objects{r: text, path: in.path, line: 1}, at: map[string]int{}}
	if columns == nil {
		if err := f.learn(ctx); err != nil {
			return nil, err
		}
		columns = f.names
		if err := in.restart(); err != nil {
			return nil, err
		}
		text, err := in.decode(options.Encoding)
		if err != nil {
			return nil, err
		}
		f.objects = objects{r: bufio.NewReaderSize(text, headBytes), path: in.path, line: 1}
	}
	f.names, f.learning, f.seen, f.row = columns, false, make([]int, len(columns)), 0
	clear(f.at)
	for i, name := range columns {
		f.at[name] = i
	}
	return f, nil
}

func (f *jsonFile) format() fileFormat { return jsonRows }
func (f *jsonFile) columns() []string  { return f.names }
func (f *jsonFile) close() error       { return f.in.close() }

// learn reads all rows to find the columns.
func (f *jsonFile) learn(ctx context.Context) error {
	f.learning, f.groups = true, map[string]bool{}
	for {
		if f.row&0xff == 0 && ctx.Err() != nil {
			return fmt.Errorf("read %s: %w", fault.ShowPath(f.in.path), ctx.Err())
		}
		if err := f.read(nil); errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			break
		} else if err != nil {
			return err
		}
	}
	if f.row == 0 {
		return f.in.bad("has no rows", "write one object per row")
	}
	// A group that is null in some rows is no column of its own.
	kept := f.names[:0]
	for i, name := range f.names {
		if f.plain[i] || !f.groups[name] {
			kept = append(kept, name)
		}
	}
	f.names = slices.Clone(kept)
	return nil
}

func (f *jsonFile) next(_ context.Context, cells []Cell, _ int) (int, error) {
	clear(cells)
	err := f.read(cells)
	return f.line, err
}

// read reads a row into cells, or its keys while learning.
func (f *jsonFile) read(cells []Cell) (err error) {
	if f.text, f.line, err = f.objects.next(); err != nil {
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		return f.in.failed(err)
	}
	f.row++
	if !json.Valid(f.text) {
		return f.syntaxError()
	}
	if !utf8.Valid(f.text) {
		at := 0
		for r, size := utf8.DecodeRune(f.text); r != utf8.RuneError || size != 1; r, size = utf8.DecodeRune(f.text[at:]) {
			at += size
		}
		from := max(at-10, 0)
		return notUTF8(f.in.path, f.lineAt(at), "", string(f.text[from:min(at+20, len(f.text))]))
	}
	f.path = f.path[:0]
	_, err = f.object(0, cells)
	return err
}

// lineAt returns the line of byte at of the row.
func (f *jsonFile) lineAt(at int) int { return f.line + bytes.Count(f.text[:at], []byte("\n")) }

func (f *jsonFile) syntaxError() error {
	var any json.RawMessage
	err := json.Unmarshal(f.text, &any)
	e := &fault.DataError{File: f.in.path, Line: f.line, Problem: "the row is not JSON", Fix: "correct it", Cause: err}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		at := int(min(max(syntax.Offset-1, 0), int64(len(f.text))))
		e.Line, e.Problem = f.lineAt(at), "the row is not JSON: "+err.Error()
		for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
			if bytes.HasPrefix(f.text[at:], []byte(word)) || at > 0 && bytes.HasPrefix(f.text[at-1:], []byte(word)) {
				e.Value, e.Problem, e.Fix = word, "is not JSON", "write null where there is no number"
			}
		}
	}
	return e
}

// object reads the object at text[at:], which is valid JSON, and returns its end.
func (f *jsonFile) object(at int, cells []Cell) (int, error) {
	prefix := len(f.path)
	at = f.space(at + 1)
	for f.text[at] != '}' {
		key, end := f.quoted(at)
		f.path = append(f.path[:prefix], key...)
		value := f.space(f.space(end) + 1) // after the colon
		end, err := f.value(value, cells)
		if err != nil {
			return 0, err
		}
		at = f.space(end)
		if f.text[at] == ',' {
			at = f.space(at + 1)
		}
	}
	f.path = f.path[:prefix]
	return at + 1, nil
}

// value reads the value at text[at:] of the key in path.
func (f *jsonFile) value(at int, cells []Cell) (end int, err error) {
	c := f.text[at]
	switch {
	case len(f.selection.seen) > 0 && f.selection.drops(string(f.path)):
		return f.skip(at), nil
	case c == '{':
		if f.learning {
			f.groups[string(f.path)] = true
		}
		f.path = append(f.path, '.')
		return f.object(at, cells)
	case c == '[':
		return 0, f.bad(at, f.shown(at), "is a list, which has no fixed number of cells",
			"write its items under keys of their own, or "+leaveOut(string(f.path)))
	}
	column, err := f.column(at, c == 'n')
	if err != nil {
		return 0, err
	}
	end = f.skip(at)
	if cells == nil || column < 0 {
		return end, nil
	}
	cell, err := f.cell(at, end)
	cells[column] = cell
	return end, err
}

// column returns the column of the key in path; -1 for one of nulls that is none.
func (f *jsonFile) column(at int, null bool) (int, error) {
	column, ok := f.at[string(f.path)]
	if !ok && !f.learning {
		if null {
			return -1, nil
		}
		return 0, f.bad(at, fault.Quote(string(f.path)), "is a key that the file did not have before", "leave the files alone during a run")
	}
	if !ok {
		name := string(f.path)
		switch {
		case len(f.names) == MaxColumns:
			return 0, f.bad(at, fault.Quote(name), fmt.Sprintf("is one key more than the limit of %d columns", MaxColumns), "use fewer keys")
		case len(name) > MaxCellBytes:
			return 0, f.bad(at, fault.Quote(name), fmt.Sprintf("is a key longer than the limit of %d bytes", MaxCellBytes), "use shorter keys")
		}
		column = len(f.names)
		f.at[name] = column
		f.names, f.plain, f.seen = append(f.names, name), append(f.plain, false), append(f.seen, 0)
	}
	if f.learning && !null {
		f.plain[column] = true
	}
	if f.seen[column] == f.row {
		return 0, f.bad(at, fault.Quote(string(f.path)), "is a key that the row has twice", "remove one of them")
	}
	f.seen[column] = f.row
	return column, nil
}

// cell returns the value text[at:end], which is none of an object and a list.
func (f *jsonFile) cell(at, end int) (Cell, error) {
	switch c := f.text[at]; c {
	case '"':
		text, _ := f.quoted(at)
		if len(text) > MaxCellBytes {
			return Cell{}, checkText(f.in.path, f.lineAt(at), 0, string(f.path), string(text))
		}
		return Cell{Kind: Text, Text: string(text)}, nil
	case 't':
		return Cell{Kind: Boolean, Integer: 1}, nil
	case 'f':
		return Cell{Kind: Boolean}, nil
	case 'n':
		return Cell{}, nil
	}
	number := string(f.text[at:end])
	if !strings.ContainsAny(number, ".eE") {
		return wholeNumber(number), nil
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return Cell{}, f.bad(at, fault.Quote(number), "is too large for a number", "use a smaller number, or null")
	}
	return Cell{Kind: Number, Number: v}, nil
}

// wholeNumber returns the cell of a whole number in decimal digits.
func wholeNumber(digits string) Cell {
	if v, err := strconv.ParseInt(digits, 10, 64); err == nil {
		return Cell{Kind: Integer, Integer: v}
	}
	return Cell{Kind: Text, Text: digits}
}

// quoted returns the string at text[at:] and its end.
func (f *jsonFile) quoted(at int) (text []byte, end int) {
	end = f.skip(at)
	text = f.text[at+1 : end-1]
	if bytes.IndexByte(text, '\\') < 0 {
		return text, end
	}
	var s string
	_ = json.Unmarshal(f.text[at:end], &s) // is valid
	return []byte(s), end
}

func (f *jsonFile) space(at int) int {
	for f.text[at] == ' ' || f.text[at] == '\n' || f.text[at] == '\t' || f.text[at] == '\r' {
		at++
	}
	return at
}

// skip returns the end of the value at text[at:].
func (f *jsonFile) skip(at int) int {
	switch f.text[at] {
	case '"':
		for at++; f.text[at] != '"'; at++ {
			if f.text[at] == '\\' {
				at++
			}
		}
		return at + 1
	case '{', '[':
		depth := 0
		for {
			switch f.text[at] {
			case '"':
				at = f.skip(at)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return at + 1
				}
			}
			at++
		}
	}
	for {
		switch f.text[at] {
		case ',', '}', ']', ' ', '\t', '\r', '\n':
			return at
		}
		at++
	}
}

// shown returns the beginning of a value, to show.
func (f *jsonFile) shown(at int) string {
	end := f.skip(at)
	const most = 40
	if end-at > most {
		return strings.ToValidUTF8(string(f.text[at:at+most]), "") + "..."
	}
	return string(f.text[at:end])
}

func (f *jsonFile) bad(at int, value, problem, fix string) error {
	return &fault.DataError{File: f.in.path, Line: f.lineAt(at), Column: string(f.path), Value: value, Problem: problem, Fix: fix}
}
