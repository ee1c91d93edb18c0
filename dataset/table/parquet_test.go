package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// The files are written by DuckDB: testdata/make_duckdb.mjs.
func TestParquetOfDuckDB(t *testing.T) {
	const want = `flag | i8 | i16 | i32 | i64 | u8 | u64 | f32 | f64 | d9 | d18 | d38 | whole | day | clock | at_us | at_ms | at_ns | at_tz | name | id | wind.speed | wind.from.degree
true -2 0 0 0 255 "18446744073709551615" 0.5f 0f 0f 0f 0f "900000000000000000000" 1969-12-31T00:00:00Z "13:45:00.5" 2024-02-29T12:00:00.123456Z 2024-02-29T12:00:00.123Z 2024-02-29T12:00:00.123456789Z 2024-02-29T10:00:00Z "straße 0" "00112233-4455-6677-8899-aabbccddee00" 0f 0
false -1 -3 100000 10000000000 254 "18446744073709551614" 1.5f 0.14285714285714285f 1.25f -1.0625f 1.2345678901234568e+16f "9000000000000000000000" 1970-01-01T00:00:00Z "13:45:01.5" 2024-02-29T13:00:00.123456Z 2024-02-29T12:00:00.123Z 2024-02-29T12:00:00.123456789Z 2024-02-29T10:00:00Z "straße 1" "00112233-4455-6677-8899-aabbccddee01" 1f 90
true 0 -6 200000 20000000000 253 "18446744073709551613" 2.5f 0.2857142857142857f 2.5f -2.125f 2.4691357802469136e+16f "90000000000000000000000" 1970-01-02T00:00:00Z "13:45:02.5" 2024-02-29T14:00:00.123456Z 2024-02-29T12:00:00.123Z 2024-02-29T12:00:00.123456789Z 2024-02-29T10:00:00Z "straße 2" "00112233-4455-6677-8899-aabbccddee02" 2f 180
- - - - - - - - - - - - - - - - 2024-02-29T12:00:00.123Z 2024-02-29T12:00:00.123456789Z 2024-02-29T10:00:00Z - - - -
true 2 -12 400000 40000000000 251 "18446744073709551611" 4.5f 0.5714285714285714f 5f -4.25f 4.938271560493827e+16f "9000000000000000000000000" 1970-01-04T00:00:00Z "13:45:04.5" 2024-02-29T16:00:00.123456Z 2024-02-29T12:00:00.123Z 2024-02-29T12:00:00.123456789Z 2024-02-29T10:00:00Z "straße 4" "00112233-4455-6677-8899-aabbccddee04" 4f 360
`
	for _, codec := range []string{"uncompressed", "snappy", "gzip", "zstd", "brotli", "lz4_raw"} {
		path := "testdata/parquet/duckdb-" + codec + ".parquet"
		if got, err := read(Options{Path: path}); err != nil || got != want {
			t.Errorf("%s: %v\n%s", codec, err, got)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := read(Options{Path: file(t, "t.parquet.gz", gz(string(content)))}); err != nil || got != want {
			t.Errorf("%s in gzip: %v\n%s", codec, err, got)
		}
	}
	got, err := read(Options{Path: "testdata/parquet/duckdb-list.parquet", Ignore: []string{"list"}})
	if err != nil || got != "n\n1\n" {
		t.Errorf("%q, %v", got, err)
	}
	_, err = read(Options{Path: "testdata/parquet/duckdb-list.parquet"})
	refused(t, err, `column "list": is a list`, "dataset.columns: {list: ignored}")
	_, err = read(Options{Path: "testdata/parquet/duckdb-interval.parquet"})
	refused(t, err, `column "span"`, "is a type that is not read")
}

// The files are written by parquet-go, in several row groups of many pages:
// testdata/make_parquet.go.
func TestEncodingsOfParquet(t *testing.T) {
	var b strings.Builder
	b.WriteString("delta_int | delta_long | delta_text | delta_length | dictionary | split | split_float | plain | flag | at | price | group.inner.value\n")
	for i := range 1000 {
		long, word, flag, value := fmt.Sprint((i*i*i)<<20), fmt.Sprintf(`"word%d"`, i%7), fmt.Sprint(i%3 == 0), fmt.Sprint(-i)
		if i%5 == 0 {
			long, word, flag = "-", "-", "-"
		}
		if i%4 < 2 {
			value = "-"
		}
		number := func(v float64) string { return show(Cell{Kind: Number, Number: v}) }
		b.WriteString(strings.Join([]string{
			fmt.Sprint(i*i%1001 - 500), long, fmt.Sprintf(`"%s%d"`, strings.Repeat("x", i%20), i), fmt.Sprintf("%q", strings.Repeat("y", i%11)), word,
			number(float64(i) / 8), number(float64(-i) / 4), fmt.Sprintf(`"plain%d"`, i), flag,
			time.UnixMilli(int64(i) * 123456789).UTC().Format(time.RFC3339Nano), number(float64(i*101) / 100), value,
		}, " ") + "\n")
	}
	for _, name := range []string{"go-v1", "go-v2"} {
		got, err := read(Options{Path: "testdata/parquet/" + name + ".parquet"})
		if want := b.String(); err != nil || got != want {
			lines, wanted := strings.Split(got, "\n"), strings.Split(want, "\n")
			for i := range min(len(lines), len(wanted)) {
				if lines[i] != wanted[i] {
					t.Errorf("%s: row %d: %s, want %s", name, i, lines[i], wanted[i])
					break
				}
			}
			t.Errorf("%s: %d rows, %v", name, len(lines), err)
		}
	}
}

// onePage is a file of Parquet with one column, called x, and pages as they are given.
type onePage struct {
	element format.SchemaElement
	codec   format.CompressionCodec
	pages   []string
	rows    int64
	change  func(*format.FileMetaData)
}

func (o onePage) bytes(t testing.TB) string {
	t.Helper()
	content := "PAR1" + strings.Join(o.pages, "")
	o.element.Name = "x"
	meta := format.FileMetaData{
		Version: 1, NumRows: o.rows,
		Schema: []format.SchemaElement{{Name: "root", NumChildren: thrift.Null[int32]{V: 1, Valid: true}}, o.element},
		RowGroups: []format.RowGroup{{NumRows: o.rows, Columns: []format.ColumnChunk{{MetaData: format.ColumnMetaData{
			Type: o.element.Type.V, Codec: o.codec, NumValues: o.rows, DataPageOffset: 4, TotalCompressedSize: int64(len(content) - 4),
			PathInSchema: []string{"x"}, Encoding: []format.Encoding{format.Plain},
		}}}}},
	}
	if o.change != nil {
		o.change(&meta)
	}
	footer, err := thrift.Marshal(&thrift.CompactProtocol{}, &meta)
	if err != nil {
		t.Fatal(err)
	}
	return content + string(footer) + string(binary.LittleEndian.AppendUint32(nil, uint32(len(footer)))) + "PAR1"
}

func (o onePage) read(t *testing.T) (string, error) {
	t.Helper()
	return read(Options{Path: file(t, "t.parquet", o.bytes(t))})
}

func typed(physical format.Type) format.SchemaElement {
	return format.SchemaElement{Type: thrift.Null[format.Type]{V: physical, Valid: true}}
}

func optional(e format.SchemaElement) format.SchemaElement {
	e.RepetitionType = thrift.Null[format.FieldRepetitionType]{V: format.Optional, Valid: true}
	return e
}

// page returns a page and its header. A size below 0 is that of the data.
func page(t testing.TB, kind format.PageType, encoding format.Encoding, values int32, size int, data string) string {
	t.Helper()
	if size < 0 {
		size = len(data)
	}
	h := format.PageHeader{Type: kind, CompressedPageSize: int32(len(data)), UncompressedPageSize: int32(size)}
	switch kind {
	case format.DictionaryPage:
		h.DictionaryPageHeader = thrift.Null[format.DictionaryPageHeader]{Valid: true, V: format.DictionaryPageHeader{NumValues: values, Encoding: encoding}}
	default:
		h.DataPageHeader = thrift.Null[format.DataPageHeader]{Valid: true, V: format.DataPageHeader{NumValues: values, Encoding: encoding, DefinitionLevelEncoding: format.RLE}}
	}
	header, err := thrift.Marshal(&thrift.CompactProtocol{}, &h)
	if err != nil {
		t.Fatal(err)
	}
	return string(header) + data
}

func TestValuesOfParquetWithoutAWriter(t *testing.T) {
	int96 := string(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(nil, uint64(12*time.Hour)), 2440589))
	float16Type := typed(format.FixedLenByteArray)
	float16Type.TypeLength = thrift.Null[int32]{V: 2, Valid: true}
	float16Type.LogicalType.Value = &format.Float16Type{}
	for _, c := range []struct {
		name string
		file onePage
		want string
	}{
		{"INT96", onePage{element: typed(format.Int96), rows: 1, pages: []string{page(t, format.DataPage, format.Plain, 1, -1, int96)}}, "1970-01-02T12:00:00Z"},
		{"FLOAT16", onePage{element: float16Type, rows: 2, pages: []string{page(t, format.DataPage, format.Plain, 2, -1, "\x00\x38\x00\xfc")}}, "0.5f\n-Inff"},
		{"an RLE boolean", onePage{element: typed(format.Boolean), rows: 3, pages: []string{page(t, format.DataPage, format.RLE, 3, -1, "\x02\x00\x00\x00\x06\x01")}}, "true\ntrue\ntrue"},
		{"a dictionary without an offset", onePage{element: typed(format.Int32), rows: 2, pages: []string{
			page(t, format.DictionaryPage, plainDictionary, 2, -1, "\x07\x00\x00\x00\x08\x00\x00\x00"),
			page(t, format.DataPage, plainDictionary, 1, -1, "\x01\x02\x01"), page(t, format.DataPage, format.RLEDictionary, 1, -1, "\x00\x02"),
		}}, "8\n7"},
		{"nulls alone", onePage{element: optional(typed(format.ByteArray)), codec: format.Snappy, rows: 2, pages: []string{
			page(t, format.DataPage, format.RLEDictionary, 2, 6, string(snappy.Encode(nil, []byte("\x02\x00\x00\x00\x04\x00")))),
		}}, "-\n-"},
		{"an empty page", onePage{element: typed(format.Int32), rows: 1, pages: []string{
			page(t, format.DataPage, format.Plain, 0, -1, ""), page(t, format.DataPage, format.Plain, 1, -1, "\x01\x00\x00\x00"),
		}}, "1"},
	} {
		if got, err := c.file.read(t); err != nil || got != "x\n"+c.want+"\n" {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
}

func TestParquetThatLiesIsRefused(t *testing.T) {
	four := "\x01\x00\x00\x00"
	good := onePage{element: typed(format.Int32), rows: 1, pages: []string{page(t, format.DataPage, format.Plain, 1, -1, four)}}
	changed := func(change func(*format.FileMetaData)) onePage {
		c := good
		c.change = change
		return c
	}
	chunk := func(change func(*format.ColumnMetaData)) onePage {
		return changed(func(m *format.FileMetaData) { change(&m.RowGroups[0].Columns[0].MetaData) })
	}
	paged := func(physical format.Type, rows int64, pages ...string) onePage {
		return onePage{element: typed(physical), rows: rows, pages: pages}
	}
	varint := func(v uint64) string { return string(binary.AppendUvarint(nil, v)) }
	zstdBomb := paged(format.Int32, 1, page(t, format.DataPage, format.Plain, 1, 4, zst(strings.Repeat("\x00", 10<<20))))
	zstdBomb.codec = format.Zstd
	gzipBomb := zstdBomb
	gzipBomb.codec, gzipBomb.pages = format.Gzip, []string{page(t, format.DataPage, format.Plain, 1, 4, gz(strings.Repeat("\x00", 10<<20)))}
	snappyBomb := zstdBomb
	snappyBomb.codec, snappyBomb.pages = format.Snappy, []string{page(t, format.DataPage, format.Plain, 1, 4, varint(1<<31)+"\x00")}
	lz4Junk := zstdBomb
	lz4Junk.codec, lz4Junk.pages = format.Lz4Raw, []string{page(t, format.DataPage, format.Plain, 1, 4, "\xff\xff\xff\xff")}
	for _, c := range []struct {
		name string
		file onePage
		part string
	}{
		{"rows", changed(func(m *format.FileMetaData) { m.NumRows = math.MaxInt64 }), "it claims 9223372036854775807 rows"},
		{"rows of a group", changed(func(m *format.FileMetaData) { m.RowGroups[0].NumRows = -1 }), "row group 0 has -1 rows"},
		{"children", changed(func(m *format.FileMetaData) { m.Schema[0].NumChildren.V = math.MaxInt32 }), "lacks elements"},
		{"no children", changed(func(m *format.FileMetaData) { m.Schema[0].NumChildren.V = 0 }), "outside of its groups"},
		{"no columns", changed(func(m *format.FileMetaData) { m.RowGroups[0].Columns = nil }), "0 columns"},
		{"another file", changed(func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].FilePath = "/etc/passwd" }), "in another file"},
		{"values", chunk(func(m *format.ColumnMetaData) { m.NumValues = math.MaxInt64 }), "values in a row group of 1 rows"},
		{"size", chunk(func(m *format.ColumnMetaData) { m.TotalCompressedSize = math.MaxInt64 }), "its data is said to be at bytes 4 to"},
		{"offset", chunk(func(m *format.ColumnMetaData) { m.DataPageOffset = -5 }), "its data is said to be"},
		{"type", chunk(func(m *format.ColumnMetaData) { m.Type = format.Double }), "in the schema"},
		{"codec", chunk(func(m *format.ColumnMetaData) { m.Codec = format.LZO }), "the compression LZO is not read"},
		{"no pages", chunk(func(m *format.ColumnMetaData) { m.TotalCompressedSize = 0 }), "a column ends before its rows do"},
		{"a page without end", paged(format.Int32, 1, page(t, format.DataPage, format.Plain, 1, math.MaxInt32, four)), "a page claims 2147483647 bytes"},
		{"few values", paged(format.Int32, 1<<40, page(t, format.DataPage, format.Plain, math.MaxInt32, -1, four)), "row 2"},
		{"a dictionary of many values", paged(format.Int32, 1, page(t, format.DictionaryPage, format.Plain, math.MaxInt32, -1, four)), "a dictionary claims 2147483647 values"},
		{"beyond the dictionary", paged(format.Int32, 1, page(t, format.DictionaryPage, format.Plain, 1, -1, four), page(t, format.DataPage, format.RLEDictionary, 1, -1, "\x02\x02\x03")), "number 3 of a dictionary of 1"},
		{"no dictionary", paged(format.Int32, 1, page(t, format.DataPage, format.RLEDictionary, 1, -1, "\x02\x02\x03")), "of a dictionary of 0"},
		{"wide numbers of a dictionary", paged(format.Int32, 1, page(t, format.DataPage, format.RLEDictionary, 1, -1, "\x40\x02\x03")), "have 64 bits"},
		{"two dictionaries", paged(format.Int32, 1, page(t, format.DictionaryPage, format.Plain, 1, -1, four), page(t, format.DictionaryPage, format.Plain, 1, -1, four)), "two dictionaries"},
		{"no runs", paged(format.Boolean, 1, page(t, format.DataPage, format.RLE, 1, -1, "\x01\x00\x00\x00\x00")), "damaged"},
		{"a long text", paged(format.ByteArray, 1, page(t, format.DataPage, format.Plain, 1, -1, "\xff\xff\xff\x7fx")), "damaged"},
		{"not UTF-8", paged(format.ByteArray, 1, page(t, format.DataPage, format.Plain, 1, -1, "\x01\x00\x00\x00\xff")), `row 1, column "x": "\xff" is not text in UTF-8`},
		{"many differences", paged(format.Int32, 1<<40, page(t, format.DataPage, format.DeltaBinaryPacked, math.MaxInt32, -1, "\x80\x01\x04"+varint(1<<40)+"\x00")), "row 2"},
		{"no miniblocks", paged(format.Int32, 1, page(t, format.DataPage, format.DeltaBinaryPacked, 1, -1, "\x80\x01\x00\x05\x00")), "differences is not valid"},
		{"wide differences", paged(format.Int64, 2, page(t, format.DataPage, format.DeltaBinaryPacked, 2, -1, "\x80\x01\x01\x02\x00\x00\x41")), "differences is not valid"},
		{"a negative length", paged(format.ByteArray, 1, page(t, format.DataPage, format.DeltaLengthByteArray, 1, -1, "\x80\x01\x04\x01\x01")), "damaged"},
		{"a prefix of nothing", paged(format.ByteArray, 1, page(t, format.DataPage, format.DeltaByteArray, 1, -1, "\x80\x01\x04\x01\x02"+"\x80\x01\x04\x01\x00")), "begins as more than the text before"},
		{"an encoding for another type", paged(format.ByteArray, 1, page(t, format.DataPage, format.DeltaBinaryPacked, 1, -1, four)), "is not known"},
		{"a Zstandard bomb", zstdBomb, "does not have the size that its header says"},
		{"a gzip bomb", gzipBomb, "does not have the size that its header says"},
		{"a Snappy bomb", snappyBomb, "does not have the size that its header says"},
		{"LZ4 junk", lz4Junk, "decompress a page"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := c.file.read(t)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		refused(t, err, c.part, "t.parquet")
		if got := after.TotalAlloc - before.TotalAlloc; got > 40<<20 {
			t.Errorf("%s: took %d bytes of memory", c.name, got)
		}
	}
	if got, err := good.read(t); err != nil || got != "x\n1\n" {
		t.Errorf("the file without lies: %q, %v", got, err)
	}
}

// A list in the metadata that claims more elements than there are bytes takes no memory.
func TestMetadataOfParquetIsCheckedBeforeItIsDecoded(t *testing.T) {
	for name, footer := range map[string]string{
		"a list of structs":    "\x15\x02\x19\xfc\xff\xff\xff\xff\x07",
		"a list of lists":      "\x29\xf9\xff\xff\xff\xff\x07",
		"a text":               "\x48\xff\xff\xff\xff\x07",
		"structs in structs":   strings.Repeat("\x1c", 1000),
		"empty structs":        "\x29\xfc\xff\x0f" + strings.Repeat("\x00", 3000),
		"nothing":              "",
		"an end of no struct":  "\x0f",
		"a map":                "\x1b\xff\xff\xff\xff\x07\xcc",
		"the number of fields": "\x05\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
	} {
		content := "PAR1" + footer + string(binary.LittleEndian.AppendUint32(nil, uint32(len(footer)))) + "PAR1"
		_, err := read(Options{Path: file(t, "t.parquet", content)})
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		refused(t, err, "t.parquet", "damaged")
	}
	for _, content := range []string{"PAR1", "PAR1PAR1", "PAR1\x00\x00\x00\x00", "PAR1\xff\xff\xff\xffPAR1", "PAR1\x00\x00\x00\x00PARE"} {
		_, err := read(Options{Path: file(t, "t.parquet", content)})
		refused(t, err, "t.parquet")
	}
}

// Whatever byte of a file is changed: it is read, or refused with an error, in little memory.
func TestAnyByteOfParquetMayBeWrong(t *testing.T) {
	content, err := os.ReadFile("testdata/parquet/duckdb-uncompressed.parquet")
	if err != nil {
		t.Fatal(err)
	}
	step := 1
	if testing.Short() {
		step = 7
	}
	path := file(t, "t.parquet", "")
	failed := 0
	for at := 4; at < len(content); at += step {
		for _, with := range []byte{0, 0x7f, content[at] ^ 1} {
			changed := append([]byte(nil), content...)
			changed[at] = with
			writeFile(t, path, string(changed))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := read(Options{Path: path})
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 64<<20 {
				t.Errorf("byte %d = %#x: took %d bytes of memory", at, with, got)
			}
			if err != nil {
				failed++
				var kinded interface{ Advised() bool }
				if !errors.As(err, &kinded) || strings.Contains(err.Error(), "panicked") {
					t.Errorf("byte %d = %#x: %v", at, with, err)
				}
			}
		}
	}
	if failed < 100 {
		t.Errorf("only %d changes were refused", failed)
	}
}
