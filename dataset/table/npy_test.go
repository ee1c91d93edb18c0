package table

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// The arrays in testdata/npy are written by NumPy: testdata/make_numpy.py.
func TestArraysOfNumPy(t *testing.T) {
	const x = "1.5f -2.25f NaNf\n+Inff 0.1f 6f\n"
	for name, want := range map[string]string{
		"f8.npy":          "c0 | c1 | c2\n" + x,
		"fortran.npy":     "c0 | c1 | c2\n" + x,
		"big_endian.npy":  "c0 | c1 | c2\n1.5f -2.25f NaNf\n+Inff 0.10000000149011612f 6f\n",
		"f2.npy":          "c0\n0.5f\n-65504f\n5.960464477539063e-08f\n",
		"i1.npy":          "c0 | c1\n-128 127\n",
		"u8.npy":          "c0\n0\n\"18446744073709551615\"\n",
		"bool.npy":        "c0\ntrue\nfalse\n",
		"text.npy":        "c0\n\"straße\"\n\"\"\n\"𝄞\"\n",
		"bytes.npy":       "c0\n\"ab\"\n\"c\"\n",
		"days.npy":        "c0\n1969-12-31T00:00:00Z\n-\n2024-02-29T00:00:00Z\n",
		"nanoseconds.npy": "c0\n2024-02-29T12:00:00.123456789Z\n",
		"months.npy":      "c0\n1999-12-01T00:00:00Z\n",
		"structured.npy":  "n | v | name\n1 2.5f \"a\"\n-3 4f \"bc\"\n",
		"aligned.npy":     "n | v\n1 2.5f\n",
		"empty.npy":       "c0 | c1 | c2\n",
		"two.npz":         "x0 | x1 | x2 | label\n1.5f -2.25f NaNf \"a\"\n+Inff 0.1f 6f \"b\"\n",
		"packed.npz":      "x0 | x1 | x2 | label\n1.5f -2.25f NaNf 7\n+Inff 0.1f 6f 8\n",
		"fortran.npz":     "x0 | x1 | x2\n" + x,
	} {
		path := "testdata/npy/" + name
		if got, err := read(Options{Path: path}); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for end, pack := range map[string]func(string) string{".gz": gz, ".zst": zst} {
			if got, err := read(Options{Path: file(t, name+end, pack(string(content)))}); err != nil || got != want {
				t.Errorf("%s%s: %q, %v, want %q", name, end, got, err, want)
			}
		}
	}
	got, err := read(Options{Path: "testdata/npy/two.npz", Ignore: []string{"x1", "label"}})
	if err != nil || got != "x0 | x2\n1.5f NaNf\n+Inff 6f\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestArraysThatAreNoTablesAreRefused(t *testing.T) {
	for name, part := range map[string]string{
		"cube.npy":    "shape (2, 2, 2) is not that of a table; reshape",
		"scalar.npy":  "is not that of a table",
		"complex.npy": "complex numbers",
		"object.npy":  "objects of Python",
		"ragged.npz":  `the arrays "x" and "y" have 2 and 3 rows`,
	} {
		_, err := read(Options{Path: "testdata/npy/" + name})
		refused(t, err, name, part)
	}
}

// array returns an array of NumPy with a header.
func npy(header string, data string) string {
	b := []byte("\x93NUMPY\x01\x00")
	b = binary.LittleEndian.AppendUint16(b, uint16(len(header)))
	return string(b) + header + data
}

func npyOf(descr, order, shape, data string) string {
	return npy(fmt.Sprintf("{'descr': %s, 'fortran_order': %s, 'shape': %s, }\n", descr, order, shape), data)
}

func TestDamagedArraysAreRefused(t *testing.T) {
	eight := strings.Repeat("\x00", 8)
	for _, c := range []struct{ content, part string }{
		{npyOf("'<f8'", "False", "(2,)", eight), "8 bytes of data are there, and 2 rows of 8 bytes in the header"},
		{npyOf("'<f8'", "False", "(1,)", eight+"x"), "9 bytes of data"},
		{npyOf("'<f8'", "False", "(9223372036854775807, 100)", eight), "larger than any file"},
		{npyOf("'<f8'", "True", "(1152921504606846975, 1)", eight), "8 bytes of data"},
		{npyOf("'<f8'", "False", "(1, 100001)", eight), "100001 columns are not between 1 and the limit of 100000"},
		{npyOf("'<f8'", "False", "(1, 0)", ""), "0 columns"},
		{npyOf("'<f8'", "False", "(-1,)", eight), "no list of sizes"},
		{npyOf("'<f8'", "False", "(99999999999999999999,)", eight), "not written as Python writes it"},
		{npyOf("'<U0'", "False", "(9000000000000000000,)", ""), "no length"},
		{npyOf("'<U999999999'", "False", "(1,)", ""), "is too large"},
		{npyOf("'<U9999999'", "False", "(1,)", ""), "longer than the limit"},
		{npyOf("'<U99999999999999999999'", "False", "(1,)", ""), "is too large"},
		{npyOf("'<f16'", "False", "(1,)", eight+eight), "differs between machines"},
		{npyOf("'<m8[s]'", "False", "(1,)", eight), "durations"},
		{npyOf("'<M8'", "False", "(1,)", eight), "no unit of time"},
		{npyOf("'<M8[0s]'", "False", "(1,)", eight), "no unit of time"},
		{npyOf("'<M8[Y]'", "False", "(1,)", "\xff\xff\xff\xff\xff\xff\xff\x7f"), "row 1"},
		{npyOf("'|b1'", "False", "(1,)", "\x02"), "is not a boolean"},
		{npyOf("'<U1'", "False", "(1,)", "\x00\x00\x11\x00"), "is not text in UTF-32"},
		{npyOf("'|S1'", "False", "(1,)", "\xff"), "is not text in UTF-8"},
		{npyOf("[('a', '<f8', (2,))]", "False", "(1,)", eight+eight), "is an array in a field"},
		{npyOf("[('a', '<i4'), ('a', '<i4')]", "False", "(1,)", eight), "the name of two fields"},
		{npyOf("[('', '|V99999999999')]", "False", "(1,)", eight), "a field without a name"},
		{npyOf("7", "False", "(1,)", eight), "a structure"},
		{npyOf(strings.Repeat("(", 10_000), "False", "(1,)", eight), "not written as Python"},
		{npy("{'descr': '<f8'}", eight), "lacks descr"},
		{npy("{'descr': '<f8', 'descr': '<f4'}", eight), "not written as Python"},
		{npy("__import__('os')", eight), "not written as Python"},
		{"\x93NUMPY\x02\x00\xff\xff\xff\xff", "claims 4294967295 bytes"},
		{"\x93NUMPY\x09\x00\x02\x00{}", "version 9"},
		{"\x93NUMPY\x01\x00\xff\xff", "ends in the middle"},
		{"\x93NUMPY", "ends in the middle"},
	} {
		_, err := read(Options{Path: file(t, "t.npy", c.content)})
		refused(t, err, c.part, "t.npy")
		if strings.HasPrefix(c.content, "\x93NUMPY\x01") && strings.Contains(c.part, "bytes of data") {
			_, err = read(Options{Path: file(t, "t.npy.gz", gz(c.content))})
			refused(t, err, "t.npy.gz")
		}
	}
}

func archive(t *testing.T, method uint16, arrays map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range arrays {
		e, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err == nil {
			_, err = e.Write([]byte(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDamagedArchivesAreRefused(t *testing.T) {
	small := npyOf("'<f8'", "False", "(1,)", strings.Repeat("\x00", 8))
	whole := archive(t, zip.Store, map[string]string{"x.npy": small})
	bomb := npyOf("'|i1'", "True", "(150000000, 2)", strings.Repeat("\x00", 100_000))
	many := map[string]string{}
	for i := range maxArrays + 1 {
		many[fmt.Sprintf("x%d.npy", i)] = small
	}
	for _, c := range []struct{ content, part string }{
		{archive(t, zip.Store, map[string]string{"notes.txt": "x"}), `holds "notes.txt", which is not an array`},
		{archive(t, zip.Store, map[string]string{"x.npy": small + "y"}), "bytes are in the archive, and"},
		{liar(t, bomb, uint64(len(bomb)+299_900_000)), "stored by columns and compressed"},
		{archive(t, zip.Deflate, many), "1001 arrays, more than the limit of 1000"},
		{archive(t, zip.Deflate, nil), "holds no arrays"},
		{whole[:len(whole)-10], "the archive is damaged"},
		{strings.Replace(whole, strings.Repeat("\x00", 8)+"PK", strings.Repeat("\x01", 8)+"PK", 1), "damaged"},
		{archive(t, zip.Store, map[string]string{"x.npy": npyOf("'<f8'", "False", "(1, 2)", strings.Repeat("\x00", 16)), "x0.npy": small}), `"x0" is the name of two columns`},
	} {
		_, err := read(Options{Path: file(t, "t.npz", c.content)})
		if err == nil {
			t.Errorf("no error; want %q", c.part)
			continue
		}
		refused(t, err, c.part, "t.npz")
	}
}

// liar returns an archive of an array that is said to be of some size.
func liar(t *testing.T, content string, size uint64) string {
	t.Helper()
	var packed, b bytes.Buffer
	c, err := flate.NewWriter(&packed, flate.BestCompression)
	if err == nil {
		_, err = c.Write([]byte(content))
	}
	if err = errors.Join(err, c.Close()); err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(&b)
	e, err := w.CreateRaw(&zip.FileHeader{Name: "x.npy", Method: zip.Deflate, UncompressedSize64: size, CompressedSize64: uint64(packed.Len())})
	if err == nil {
		_, err = e.Write(packed.Bytes())
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// An array whose header and archive claim the same size, which is not there.
func TestAnArchiveThatClaimsTooMuchTakesNoMemory(t *testing.T) {
	for _, order := range []string{"True", "False"} {
		content := npyOf("'|i1'", order, "(100000000, 2)", "")
		path := file(t, "t.npz", liar(t, content, uint64(len(content)+200_000_000)))
		if _, err := read(Options{Path: path}); err == nil {
			t.Error("no error")
		} else {
			refused(t, err, "t.npz", "damaged")
		}
	}
}
