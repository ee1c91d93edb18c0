package table

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go/format"

	"reprise/fault"
)

// memory is a file in memory.
type memory struct {
	*bytes.Reader
	name string
}

func (m *memory) Name() string               { return m.name }
func (m *memory) Size() int64                { return m.Reader.Size() }
func (m *memory) Stat() (fs.FileInfo, error) { return m, nil }
func (m *memory) Mode() fs.FileMode          { return 0 }
func (m *memory) ModTime() time.Time         { return time.Time{} }
func (m *memory) IsDir() bool                { return false }
func (m *memory) Sys() any                   { return nil }
func (m *memory) Close() error               { return nil }
func (m *memory) Write([]byte) (int, error)  { return 0, fs.ErrPermission }
func (m *memory) Truncate(int64) error       { return fs.ErrPermission }
func (m *memory) Sync() error                { return fs.ErrPermission }

// fuzzed reads a file in memory: the first rows and how it ended, which is io.EOF, an error that
// says what to do, or nil after as many rows as are read here. What it has read is what a
// table may hold.
func fuzzed(t *testing.T, name string, content []byte, options Options) (columns []string, rows [][]Cell, _ error) {
	t.Helper()
	const most = 2000
	check := func(err error) error {
		if !errors.As(err, new(*fault.DataError)) && !errors.As(err, new(*fault.FieldError)) {
			t.Fatalf("%T %v says not what to do", err, err)
		}
		if strings.Contains(err.Error(), "panicked") {
			t.Fatal(err)
		}
		return err
	}
	in, err := newInput(name, &memory{bytes.NewReader(content), name})
	if err != nil {
		return nil, nil, check(err)
	}
	f, err := in.open(context.Background(), options, newSelection(options.Ignore), nil)
	if err != nil {
		return nil, nil, check(errors.Join(err, in.close()))
	}
	seen := map[string]bool{}
	for _, name := range f.columns() {
		if seen[name] {
			t.Fatalf("two columns are called %q", name)
		}
		seen[name] = true
	}
	for len(rows) < most {
		row := make([]Cell, len(f.columns()))
		if _, err = f.next(context.Background(), row, len(rows)+1); err != nil {
			break
		}
		for i, c := range row {
			if c.Kind > Time || len(c.Text) > MaxCellBytes || !utf8.ValidString(c.Text) || c.Kind != Text && c.Text != "" {
				t.Fatalf("a cell of %q is %+v", f.columns()[i], c)
			}
		}
		rows = append(rows, row)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		check(err)
	}
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	return f.columns(), rows, err
}

func FuzzCSV(f *testing.F) {
	for _, seed := range []string{
		"a,b\n1,2\n", "a;b\r\n\"1\";\"x\"\"y\"\r\n", "a\tb\n1\n", "a\rb\r", ",\n1,2", "\xef\xbb\xbfa\n\xff\n", "\xff\xfea\x00\n\x00", "a\n\"", "a,a\n", "\n", "a|b,c\n1|2,3\n",
		gz("a,b\n1,2\n"), zst("a,b\n1,2\n"), gz("a,b\n")[:12],
	} {
		f.Add([]byte(seed), uint8(0))
		f.Add([]byte(seed), uint8(3))
	}
	f.Fuzz(func(t *testing.T, content []byte, encoding uint8) {
		options := Options{Separator: ",", Encoding: Encodings()[int(encoding)%len(Encodings())]}
		name := "t.csv" + map[packing]string{gzipped: ".gz", zstandard: ".zst"}[packed(content)]
		columns, rows, err := fuzzed(t, name, content, options)
		if !errors.Is(err, io.EOF) || packed(content) != plain || options.Encoding != "utf-8" || bytes.ContainsRune(content, '\r') {
			return
		}
		// What is read is what encoding/csv reads.
		want, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")))).ReadAll()
		if err != nil || len(want) != len(rows)+1 || len(want[0]) != len(columns) {
			t.Fatalf("%d rows of %d cells, and encoding/csv: %q, %v", len(rows), len(columns), want, err)
		}
		for i, row := range rows {
			for j, c := range row {
				if c.Text != want[i+1][j] {
					t.Fatalf("row %d has %q, want %q", i+1, c.Text, want[i+1][j])
				}
			}
		}
	})
}

func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a": 1, "b": "x"}` + "\n" + `{"a": null}`, `[{"a": {"b": [1]}}]`, `[]`, `{"a":1}{"a":2}`, `{"\u0061": "\ud800", "a": -0.5e3}`,
		`{"a": {"b": 1}, "a.b": 2}`, `{"a":"\\"}`, `[{"a":1},`, `{"a":1e999}`, "{\"a\":\"\xff\"}", strings.Repeat(`{"a":`, 50), `{"":{"":0}}`, `{"a":{}}`, `{"x":01}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		_, rows, err := fuzzed(t, "t.json", content, Options{Encoding: "utf-8"})
		if !errors.Is(err, io.EOF) {
			return
		}
		// encoding/json reads as many objects, with as many plain values.
		content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
		var objects []any
		if text := bytes.TrimLeft(content, " \t\r\n"); text[0] == '[' {
			if err := json.Unmarshal(text, &objects); err != nil {
				t.Fatalf("encoding/json refuses the list: %v", err)
			}
		} else {
			for d := json.NewDecoder(bytes.NewReader(content)); ; {
				var object any
				err := d.Decode(&object)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("encoding/json refuses a row: %v", err)
				}
				objects = append(objects, object)
			}
		}
		if len(objects) != len(rows) {
			t.Fatalf("%d rows, and encoding/json has %d", len(rows), len(objects))
		}
		for i, row := range rows {
			got := 0
			for _, c := range row {
				if c.Kind != Missing {
					got++
				}
			}
			if want := valuesIn(objects[i]); got != want {
				t.Fatalf("row %d has %d values, and encoding/json %d", i+1, got, want)
			}
		}
	})
}

// valuesIn counts the values of an object and of those within it that are not null.
func valuesIn(v any) int {
	object, ok := v.(map[string]any)
	if !ok {
		if v == nil {
			return 0
		}
		return 1
	}
	n := 0
	for _, v := range object {
		n += valuesIn(v)
	}
	return n
}

// seeds adds the files of a folder.
func seeds(f *testing.F, pattern string) {
	f.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		f.Fatal(pattern, err)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
		f.Add(content[:len(content)/2])
	}
}

func FuzzParquet(f *testing.F) {
	seeds(f, "testdata/parquet/duckdb-*.parquet")
	f.Add([]byte(onePage{element: typed(format.Int32), rows: 1, pages: []string{page(f, format.DataPage, format.Plain, 1, -1, "\x01\x00\x00\x00")}}.bytes(f)))
	f.Add([]byte("PAR1\x19\xfc\xff\xff\xff\xff\x07\x07\x00\x00\x00PAR1"))
	f.Fuzz(func(t *testing.T, content []byte) { fuzzed(t, "t.parquet", content, Options{}) })
}

// FuzzParquetPage changes a page alone, which a change of a whole file rarely leaves readable.
func FuzzParquetPage(f *testing.F) {
	for _, data := range []string{
		"\x01\x00\x00\x00", "\x02\x00\x00\x00\x06\x01\x07\x00\x00\x00", "\x02\x02\x01", "\x80\x01\x04\x02\x08\x00\x01\x00\x00\x00\xff",
		"\x80\x01\x04\x01\x04\x80\x01\x04\x01\x04ab", "\x80\x01\x04\x01\x00\x80\x01\x04\x01\x04ab",
	} {
		for kind := range uint8(8) {
			f.Add(kind, kind, int32(3), false, []byte(data))
			f.Add(kind, uint8(8), int32(3), true, []byte(data))
		}
	}
	f.Fuzz(func(t *testing.T, physical, encoding uint8, values int32, isOptional bool, data []byte) {
		element := typed(format.Type(physical % 8))
		element.TypeLength.V, element.TypeLength.Valid = 2, true
		if isOptional {
			element = optional(element)
		}
		if element.Type.V == format.FixedLenByteArray {
			element.LogicalType.Value = &format.Float16Type{}
		}
		file := onePage{element: element, rows: int64(values), pages: []string{
			page(t, format.DictionaryPage, format.Plain, 1, -1, strings.Repeat("\x00", 12)[:map[bool]int{true: 4, false: 12}[physical%8 == 6]]),
			page(t, format.DataPage, format.Encoding(encoding%10), values, -1, string(data)),
		}}
		fuzzed(t, "t.parquet", []byte(file.bytes(t)), Options{})
	})
}

func FuzzNPY(f *testing.F) {
	seeds(f, "testdata/npy/*.npy")
	f.Add([]byte(npyOf("'<U0'", "False", "(9000000000000000000,)", "")))
	f.Fuzz(func(t *testing.T, content []byte) { fuzzed(t, "t.npy", content, Options{}) })
}

func FuzzNPZ(f *testing.F) {
	seeds(f, "testdata/npy/*.npz")
	f.Fuzz(func(t *testing.T, content []byte) { fuzzed(t, "t.npz", content, Options{}) })
}
