package table

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"reprise/fault"
)

// show returns a cell in a form to compare: 7 is an Integer, 7f a Number, "7" a Text and -
// is missing.
func show(c Cell) string {
	switch c.Kind {
	case Missing:
		return "-"
	case Text:
		return strconv.Quote(c.Text)
	case Integer:
		return strconv.FormatInt(c.Integer, 10)
	case Number:
		return strconv.FormatFloat(c.Number, 'g', -1, 64) + "f"
	case Boolean:
		return strconv.FormatBool(c.Integer == 1)
	default:
		return c.Time.Format(time.RFC3339Nano)
	}
}

// read returns the rows of a table, each in a line, below its columns. The error is the one
// of opening or reading.
func read(options Options) (string, error) {
	ctx := context.Background()
	r, err := Open(ctx, options)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(strings.Join(r.Columns(), " | ") + "\n")
	row := make([]Cell, len(r.Columns()))
	for {
		_, err := r.Next(ctx, row)
		if errors.Is(err, io.EOF) {
			return b.String(), r.Close()
		}
		if err != nil {
			return b.String(), errors.Join(err, r.Close())
		}
		for i, c := range row {
			b.WriteString(map[bool]string{true: "", false: " "}[i == 0] + show(c))
		}
		b.WriteString("\n")
	}
}

// file writes a file into a folder of the test.
func file(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func gz(content string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(content))
	_ = w.Close()
	return b.String()
}

func zst(content string) string {
	w, _ := zstd.NewWriter(nil)
	return string(w.EncodeAll([]byte(content), nil))
}

// refused checks that an error is a *fault.DataError or a *fault.FieldError whose text
// has all the parts.
func refused(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if !errors.As(err, new(*fault.DataError)) && !errors.As(err, new(*fault.FieldError)) {
		t.Errorf("%T %v is neither a DataError nor a FieldError", err, err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q lacks %q", err, part)
		}
	}
}

func TestATableMayBeCompressed(t *testing.T) {
	const content, want = "a,b\n1,x\n2,y\n", "a | b\n\"1\" \"x\"\n\"2\" \"y\"\n"
	for name, packed := range map[string]string{
		"t.csv": content, "t.csv.gz": gz(content), "t.CSV.GZ": gz(content), "t.csv.zst": zst(content), "t.txt.zstd": zst(content),
		"two.csv.gz": gz("a,b\n1,x\n") + gz("2,y\n"), // members follow each other
	} {
		got, err := read(Options{Path: file(t, name, packed)})
		if err != nil || got != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestDamageOfACompressedTableIsReported(t *testing.T) {
	content := strings.Repeat("a,b\n1,x\n2,y\n", 1000)
	whole, wholeZ := gz(content), zst(content)
	for name, packed := range map[string]string{
		"cut.csv.gz": whole[:len(whole)-9], "cut.csv.zst": wholeZ[:len(wholeZ)-3],
		"sum.csv.gz": whole[:len(whole)-8] + "\x01" + whole[len(whole)-7:], "short.csv.gz": whole[:5],
		"bits.csv.zst": wholeZ[:len(wholeZ)/2] + "\xff\xff" + wholeZ[len(wholeZ)/2+2:],
	} {
		_, err := read(Options{Path: file(t, name, packed)})
		refused(t, err, name, "compressed data", "again")
	}
}

func TestNameAndContentMustAgree(t *testing.T) {
	parquet, err := os.ReadFile("testdata/parquet/duckdb-snappy.parquet")
	if err != nil {
		t.Fatal(err)
	}
	array, err := os.ReadFile("testdata/npy/f8.npy")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, content string
		parts         []string
	}{
		{"t.csv", gz("a\n1\n"), []string{"is compressed by gzip by its content, and not compressed by its name", "t.csv.gz"}},
		{"t.csv.zst", gz("a\n1\n"), []string{"compressed by gzip", "compressed by Zstandard", "t.csv.gz"}},
		{"t.csv.gz", "a\n1\n", []string{"is not compressed by its content", "call it", "t.csv"}},
		{"t.csv", string(parquet), []string{"is Parquet by its content, and text in columns by its name"}},
		{"t.parquet", "a\n1\n", []string{"is something else by its content, and Parquet by its name"}},
		{"t.parquet", string(array), []string{"an array of NumPy (.npy) by its content, and Parquet by its name"}},
		{"t.npz", string(array), []string{"an array of NumPy (.npy) by its content, and an archive of NumPy (.npz) by its name"}},
		{"t.csv", `{"a": 1}`, []string{"is JSON by its content", "text in columns by its name", ".jsonl"}},
		{"t.csv", `[{"a": 1}]`, []string{"is JSON by its content"}},
		{"t.jsonl", "a,b\n1,2\n", []string{"not a list or lines of objects", "JSON by its name"}},
		{"t.json", "[1, 2]", []string{"not a list or lines of objects"}},
		{"t.tsv", "a,b\n1,2\n", []string{"has commas between its cells, and no tabs as its name says", `dataset.separator: ","`}},
		{"t.csv", "PK\x03\x04\x14\x00[Content_Types].xml", []string{"an office document", "save the sheet as CSV"}},
		{"t.xls", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", []string{"an office document"}},
		{"t.csv", "SQLite format 3\x00", []string{"a SQLite database"}},
		{"t.feather", "ARROW1\x00\x00", []string{"an Arrow or Feather file", "Parquet"}},
		{"t.csv.gz", gz(gz("a\n1\n")), []string{"compressed twice"}},
		{"t.csv", "abc,def\n1,\x002", []string{"a zero byte"}},
		{"t.csv", "", []string{"is empty"}},
		{"t.csv", "\n\n", []string{"no lines with text"}},
		{"t.csv.gz", gz(""), []string{"no lines with text"}},
	} {
		_, err := read(Options{Path: file(t, c.name, c.content)})
		refused(t, err, append(c.parts, c.name)...)
	}
	for _, content := range []string{`{"a": "1"}`, "a\n1\n"} { // an ending that says nothing
		if got, err := read(Options{Path: file(t, "t.data", content)}); err != nil || got != "a\n\"1\"\n" {
			t.Errorf("%q: %q, %v", content, got, err)
		}
	}
}

func TestFilesOfATable(t *testing.T) {
	folder := t.TempDir()
	put := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("b.csv", "y;x\n4;3\n") // another order of columns, another separator
	put("a.csv.gz", gz("x,y\n1,2\n"))
	put("c.csv", "x,y\n")
	put("d.csv", "x,y\n5,6\n")
	pattern := filepath.Join(folder, "*.csv*")
	got, err := read(Options{Path: pattern})
	if want := "x | y\n\"1\" \"2\"\n\"3\" \"4\"\n\"5\" \"6\"\n"; err != nil || got != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	r, err := Open(context.Background(), Options{Path: pattern})
	if err != nil {
		t.Fatal(err)
	}
	row := make([]Cell, 2)
	var places []string
	for range 3 {
		p, err := r.Next(context.Background(), row)
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, fmt.Sprint(filepath.Base(p.File), " ", p.Row, " ", p.Line))
	}
	if got := strings.Join(places, ", "); got != "a.csv.gz 1 2, b.csv 1 2, d.csv 1 2" {
		t.Error(got)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(context.Background(), row); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}

	put("e.csv", "x,z\n1,2\n")
	_, err = read(Options{Path: pattern})
	refused(t, err, "e.csv", "a.csv.gz", `lacks the column "y"`, `has the column "z" in addition`)
	put("e.csv", "")
	put("e.csv", `x,y`)
	put("f.csv.jsonl", `{"x": 1, "y": 2}`)
	_, err = read(Options{Path: pattern})
	refused(t, err, "f.csv.jsonl", "is JSON", "is text in columns", "one format")
	_, err = read(Options{Path: filepath.Join(folder, "*.parquet")})
	refused(t, err, "no file matches")
	_, err = read(Options{Path: filepath.Join(folder, "[")})
	refused(t, err, "is not a pattern")
	_, err = read(Options{Path: filepath.Join(folder, "missing.csv")})
	refused(t, err, "cannot be read", "missing.csv")
	_, err = read(Options{Path: folder})
	refused(t, err, "cannot be read")
}

func TestAPatternMayBeTheNameOfAFile(t *testing.T) {
	if got, err := read(Options{Path: file(t, "a[1].csv", "x\n1\n")}); err != nil || got != "x\n\"1\"\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestMistakesInOptionsAreReportedTogether(t *testing.T) {
	_, err := read(Options{Path: "x.csv", Separator: "ab", Encoding: "utf8"})
	refused(t, err, `separator: "ab" does not separate cells`, `encoding: "utf8" is not an encoding that is read here; did you mean utf-8?`)
	_, err = read(Options{Path: "testdata/npy/f8.npy", Separator: ",", Encoding: "latin-1"})
	refused(t, err, "separator:", "encoding:", "has no meaning where the file is an array of NumPy")
	_, err = read(Options{Path: file(t, "t.csv", "a,b\n1,2\n"), Ignore: []string{"c", "a", "d"}})
	refused(t, err, `columns: "c" is not a column`, `columns: "d" is not a column`)
	if strings.Contains(err.Error(), `"a"`) {
		t.Errorf("%v names a column that is there", err)
	}
}

func TestReadingStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	r, err := Open(ctx, Options{Path: file(t, "t.csv", "a\n"+strings.Repeat("1\n", 1000))})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := r.Next(ctx, make([]Cell, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := r.Next(context.Background(), make([]Cell, 1)); err != nil {
		t.Errorf("reading does not continue: %v", err)
	}
	if _, err := Open(ctx, Options{Path: file(t, "t.jsonl", `{"a": 1}`)}); !errors.Is(err, context.Canceled) {
		t.Errorf("JSON: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
