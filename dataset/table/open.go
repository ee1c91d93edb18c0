package table

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"reprise/fault"
	"reprise/internal/disk"
	"reprise/internal/spelling"
)

// The fields of Options, as a fault.FieldError names them.
const (
	FieldPath      = "path"
	FieldSeparator = "separator"
	FieldEncoding  = "encoding"
	FieldIgnore    = "columns"
)

// Options say what to read and how. The zero value of each field but Path is the default.
type Options struct {
	// Path is a file, or a pattern as filepath.Match has it, such as logs/*.csv.gz, for
	// several. They are read in the byte order of their paths.
	Path string
	// Separator is the character between cells of text; "" finds it out.
	Separator string
	// Encoding is one of Encodings; "" is utf-8.
	Encoding string
	// Ignore names columns that are left out, whatever they hold: also lists, and groups
	// with all that is in them.
	Ignore []string
}

// Open opens a table. It fails with a *fault.FieldError for options that make no sense and
// a *fault.DataError for files that are not a table, or not the same one.
func Open(ctx context.Context, options Options) (Reader, error) {
	if err := options.check(); err != nil {
		return nil, err
	}
	files, err := Files(options.Path)
	if err != nil {
		return nil, err
	}
	r := &reader{options: options, files: files, selection: newSelection(options.Ignore)}
	for i, path := range files {
		f, err := openFile(ctx, path, options, r.selection, nil)
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		if i == 0 {
			r.columns, r.format = f.columns(), f.format()
		}
		err = r.fits(path, f)
		r.orders = append(r.orders, r.order(f))
		if i == 0 && err == nil {
			r.file = f
			continue
		}
		if err := errors.Join(err, f.close()); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	err = r.selection.err(options.Path)
	if err == nil && len(r.columns) == 0 {
		err = &fault.DataError{File: files[0], Problem: "has no columns", Fix: "name a file with data"}
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (o Options) check() error {
	var list []error
	if o.Path == "" {
		list = append(list, &fault.FieldError{Field: FieldPath, Problem: "is missing", Fix: "name a file"})
	}
	switch o.Separator {
	case "", ",", ";", "\t", "|", " ", ":":
	default:
		list = append(list, &fault.FieldError{Field: FieldSeparator, Value: strconv.Quote(o.Separator), Problem: "does not separate cells",
			Fix: `use one of ",", ";", "\t", "|", ":" and " "`})
	}
	if o.Encoding != "" && !slices.Contains(Encodings(), o.Encoding) {
		fix := "use one of " + strings.Join(Encodings(), ", ")
		if near, ok := spelling.Nearest(o.Encoding, Encodings()); ok {
			fix = "did you mean " + near + "?"
		}
		list = append(list, &fault.FieldError{Field: FieldEncoding, Value: fault.Quote(o.Encoding), Problem: "is not an encoding that is read here", Fix: fix})
	}
	return errors.Join(list...)
}

// Files returns the files that a path means: itself, or what matches it as a pattern, in
// byte order.
func Files(path string) ([]string, error) {
	isPattern := strings.ContainsAny(path, "*?[")
	if !isPattern || disk.Exists(path) {
		return []string{path}, nil
	}
	matches, err := filepath.Glob(path)
	if err != nil {
		return nil, &fault.FieldError{Field: FieldPath, Value: fault.Quote(path), Problem: "is not a pattern: " + err.Error(),
			Fix: "write * for any characters, ? for one and [a-z] for one of some"}
	}
	files := slices.DeleteFunc(matches, func(match string) bool {
		info, err := os.Stat(match)
		return err == nil && info.IsDir()
	})
	switch {
	case len(files) == 0:
		return nil, &fault.DataError{File: path, Problem: "no file matches this pattern", Fix: "check the folder and the pattern"}
	case len(files) > MaxFiles:
		return nil, &fault.DataError{File: path, Value: fmt.Sprintf("%d files", len(files)), Problem: fmt.Sprintf("match, more than the limit of %d", MaxFiles),
			Fix: "join them to fewer files"}
	}
	slices.Sort(files)
	return files, nil
}

// selection says which columns are left out.
type selection struct {
	seen map[string]bool // by the name in Options.Ignore
}

func newSelection(ignore []string) *selection {
	s := &selection{seen: map[string]bool{}}
	for _, name := range ignore {
		s.seen[name] = false
	}
	return s
}

// leaveOut is the fix for a column that cannot be read and may not be needed.
func leaveOut(column string) string {
	key := column
	if strings.ContainsFunc(column, func(r rune) bool { return r != '_' && r != '.' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		key = strconv.Quote(column)
	}
	return "leave it out: dataset.columns: {" + key + ": ignored}"
}

// drops reports whether a column, or a group that it is in, is left out.
func (s *selection) drops(name string) bool {
	if len(s.seen) == 0 {
		return false
	}
	for end := len(name); end > 0; end = strings.LastIndexByte(name[:end], '.') {
		if _, ok := s.seen[name[:end]]; ok {
			s.seen[name[:end]] = true
			return true
		}
	}
	return false
}

// err refuses names that are in no file.
func (s *selection) err(path string) error {
	var list []error
	for _, name := range slices.Sorted(maps.Keys(s.seen)) {
		if !s.seen[name] {
			list = append(list, &fault.FieldError{Field: FieldIgnore, Value: fault.Quote(name), Problem: "is not a column of " + fault.ShowPath(path),
				Fix: "correct the name, or leave it out"})
		}
	}
	return errors.Join(list...)
}

// fileReader reads one file.
type fileReader interface {
	format() fileFormat
	columns() []string
	// next fills the row and returns the line that it begins on. row says which row it is,
	// for errors.
	next(ctx context.Context, cells []Cell, row int) (line int, err error)
	close() error
}

// reader reads files one after the other.
type reader struct {
	options   Options
	files     []string
	selection *selection
	format    fileFormat
	columns   []string // of the table
	// orders has, for each file, the table's column of each of its own; nil if they are the
	// same.
	orders [][]int
	at     int // index of the open file
	file   fileReader
	row    int // rows read from it
	cells  []Cell
	err    error // what Next returns from now on
}

func (r *reader) Columns() []string { return slices.Clone(r.columns) }

// fits checks that a further file has the columns of the first.
func (r *reader) fits(path string, f fileReader) error {
	first := r.files[0]
	if f.format() != r.format {
		return &fault.DataError{File: path, Problem: fmt.Sprintf("is %s, and %s is %s", f.format(), fault.ShowPath(first), r.format),
			Fix: "name files of one format"}
	}
	lacks, has := difference(r.columns, f.columns()), difference(f.columns(), r.columns)
	if len(lacks)+len(has) == 0 {
		return nil
	}
	var parts []string
	if len(lacks) > 0 {
		parts = append(parts, "lacks "+nameColumns(lacks))
	}
	if len(has) > 0 {
		parts = append(parts, "has "+nameColumns(has)+" in addition")
	}
	return &fault.DataError{File: path, Problem: fmt.Sprintf("does not have the columns of %s: it %s", fault.ShowPath(first), strings.Join(parts, ", and ")),
		Fix: "give all files of a table the same columns, or name fewer files"}
}

func difference(a, b []string) []string {
	in := make(map[string]bool, len(b))
	for _, name := range b {
		in[name] = true
	}
	return slices.DeleteFunc(slices.Clone(a), func(name string) bool { return in[name] })
}

// nameColumns lists names of columns, only the first if there are many.
func nameColumns(names []string) string {
	const most = 10
	shown := make([]string, 0, most)
	for _, name := range names[:min(len(names), most)] {
		shown = append(shown, fault.Quote(name))
	}
	list := strings.Join(shown, ", ")
	if more := len(names) - len(shown); more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	if len(names) == 1 {
		return "the column " + list
	}
	return "the columns " + list
}

func (r *reader) order(f fileReader) []int {
	if slices.Equal(f.columns(), r.columns) {
		return nil
	}
	at := make(map[string]int, len(r.columns))
	for i, name := range r.columns {
		at[name] = i
	}
	order := make([]int, len(f.columns()))
	for i, name := range f.columns() {
		order[i] = at[name]
	}
	return order
}

// Next implements Reader.
func (r *reader) Next(ctx context.Context, row []Cell) (Place, error) {
	if len(row) != len(r.columns) {
		panic(fmt.Sprintf("table: a row of %d cells for %d columns", len(row), len(r.columns)))
	}
	if r.row&0xff == 0 && ctx.Err() != nil {
		return Place{}, fmt.Errorf("read %s: %w", fault.ShowPath(r.files[r.at]), ctx.Err())
	}
	if r.err != nil {
		return Place{}, r.err
	}
	for {
		line, err := r.nextOf(ctx, row)
		if err == nil {
			r.row++
			return Place{File: r.files[r.at], Row: r.row, Line: line}, nil
		}
		if errors.Is(err, io.EOF) && r.at+1 < len(r.files) {
			err = r.advance(ctx)
			if err == nil {
				continue
			}
		}
		if ctx.Err() != nil {
			return Place{}, fmt.Errorf("read %s: %w", fault.ShowPath(r.files[r.at]), ctx.Err())
		}
		r.err = err
		return Place{}, err
	}
}

// nextOf reads a row of the open file.
func (r *reader) nextOf(ctx context.Context, row []Cell) (int, error) {
	order := r.orders[r.at]
	if order == nil {
		return r.file.next(ctx, row, r.row+1)
	}
	if r.cells == nil {
		r.cells = make([]Cell, len(row))
	}
	line, err := r.file.next(ctx, r.cells, r.row+1)
	for i, at := range order {
		row[at] = r.cells[i]
	}
	return line, err
}

// advance opens the next file.
func (r *reader) advance(ctx context.Context) error {
	if err := r.file.close(); err != nil {
		return err
	}
	r.file = nil
	r.at++
	r.row = 0
	columns := slices.Clone(r.columns)
	for i, at := range r.orders[r.at] {
		columns[i] = r.columns[at]
	}
	f, err := openFile(ctx, r.files[r.at], r.options, r.selection, columns)
	if err != nil {
		return err
	}
	r.file = f
	if !slices.Equal(f.columns(), columns) {
		return &fault.DataError{File: r.files[r.at], Problem: "was changed while it was read", Fix: "leave the files alone during a run"}
	}
	return nil
}

// Close implements Reader.
func (r *reader) Close() error {
	if r.file == nil {
		return nil
	}
	f := r.file
	r.file, r.err = nil, fmt.Errorf("table: %w", os.ErrClosed)
	return f.close()
}
