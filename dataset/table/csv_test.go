package table

import (
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

func TestSeparatedText(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"commas.csv", "a,b\n1,2\n", "a | b\n\"1\" \"2\"\n"},
		{"semicolons.csv", "a;b\n1,5;2,5\n", "a | b\n\"1,5\" \"2,5\"\n"},
		{"semicolons_in_few_lines.csv", "a;b\n1,5;2\n3;4\n", "a | b\n\"1,5\" \"2\"\n\"3\" \"4\"\n"},
		{"tabs.txt", "a\tb\n1, 2\t3\n", "a | b\n\"1, 2\" \"3\"\n"},
		{"tabs.tsv", "a\tb\n1\t\n", "a | b\n\"1\" \"\"\n"},
		{"one.tsv", "a\n1,2\n", "a\n\"1,2\"\n"},
		{"bars.psv", "a|b\n1|2\n", "a | b\n\"1\" \"2\"\n"},
		{"bars.csv", "a|b\n1|2\n", "a | b\n\"1\" \"2\"\n"},
		{"text_with_bars.csv", "a,b\nx|y,p|q\n", "a | b\n\"x|y\" \"p|q\"\n"},
		{"one_column.csv", "a\n1\n\n2\n", "a\n\"1\"\n\"2\"\n"},
		{"quoted.csv", "\"a,1\",b\n\"x \"\"y\"\"\nz\",\" 2 \"\n", "a,1 | b\n\"x \\\"y\\\"\\nz\" \" 2 \"\n"},
		{"mark.csv", "\xef\xbb\xbfa,b\n1,2\n", "a | b\n\"1\" \"2\"\n"},
		{"crlf.csv", "a,b\r\n1,2\r\n", "a | b\n\"1\" \"2\"\n"},
		{"cr.csv", "a,b\r1,2\r3,4", "a | b\n\"1\" \"2\"\n\"3\" \"4\"\n"},
		{"spaces.csv", " a , b\n 1 , 2\n", "a | b\n\" 1 \" \" 2\"\n"},
		{"index.csv", ",a\n0,x\n", "column1 | a\n\"0\" \"x\"\n"},
		{"last.csv", "a,b,\n1,2,\n", "a | b | column3\n\"1\" \"2\" \"\"\n"},
		{"header.csv", "a,b\n", "a | b\n"},
		{"no_end.csv", "a,b\n1,2", "a | b\n\"1\" \"2\"\n"},
	} {
		got, err := read(Options{Path: file(t, c.name, c.content)})
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}

func TestASeparatorOfTheRequestCounts(t *testing.T) {
	path := file(t, "t.csv", "a:b,c\n1:2,3\n")
	if got, err := read(Options{Path: path, Separator: ":"}); err != nil || got != "a | b,c\n\"1\" \"2,3\"\n" {
		t.Errorf("%q, %v", got, err)
	}
	_, err := read(Options{Path: path, Separator: ";"})
	refused(t, err, "line 1: has commas between its cells, and no semicolons", `dataset.separator: ","`)
}

// Only the first part of a file is looked at, which ends within a line.
func TestTheSeparatorOfLongLines(t *testing.T) {
	line := strings.Repeat("x", headBytes*2/3) + ";1,5\n"
	got, err := read(Options{Path: file(t, "t.csv", "a;b\n"+line+line+line)})
	if err != nil || !strings.HasPrefix(got, "a | b\n") {
		t.Errorf("%.20q, %v", got, err)
	}
}

// A quote that is not closed makes the rest of a file one row.
func TestARowOfTextHasALimit(t *testing.T) {
	content := zst("a,b\n1,2\n\"" + strings.Repeat("x,1\n", MaxRowBytes/4+headBytes))
	_, err := read(Options{Path: file(t, "t.csv.zst", content)})
	refused(t, err, "line 3: a row takes more than the limit of 67108864 bytes", "a quote that is not closed")
}

func TestColumnsOfTextMayBeIgnored(t *testing.T) {
	got, err := read(Options{Path: file(t, "t.csv", "a,b,c\n1,2,3\n"), Ignore: []string{"b"}})
	if err != nil || got != "a | c\n\"1\" \"3\"\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestEncodings(t *testing.T) {
	const text, want = "größe,œuvre\n1,€\n", "größe | œuvre\n\"1\" \"€\"\n"
	encode := func(e interface{ String(string) (string, error) }, text string) string {
		s, err := e.String(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	utf16 := func(end unicode.Endianness, mark unicode.BOMPolicy) string {
		return encode(unicode.UTF16(end, mark).NewEncoder(), text)
	}
	for _, c := range []struct{ encoding, content string }{
		{"", text}, {"utf-8", text}, {"utf-8", "\xef\xbb\xbf" + text},
		{"utf-16", utf16(unicode.LittleEndian, unicode.UseBOM)}, {"utf-16", utf16(unicode.BigEndian, unicode.UseBOM)},
		{"utf-16-le", utf16(unicode.LittleEndian, unicode.IgnoreBOM)}, {"utf-16-be", utf16(unicode.BigEndian, unicode.IgnoreBOM)},
		{"utf-16-le", utf16(unicode.LittleEndian, unicode.UseBOM)},
		{"windows-1252", encode(charmap.Windows1252.NewEncoder(), text)},
	} {
		if got, err := read(Options{Path: file(t, "t.csv", c.content), Encoding: c.encoding}); err != nil || got != want {
			t.Errorf("%s: %q, %v", c.encoding, got, err)
		}
	}
	if got, err := read(Options{Path: file(t, "t.csv", "a\n\xfc\n"), Encoding: "latin-1"}); err != nil || got != "a\n\"ü\"\n" {
		t.Errorf("latin-1: %q, %v", got, err)
	}
	if got, err := read(Options{Path: file(t, "t.jsonl", "{\"a\": \"\xfc\"}"), Encoding: "latin-1"}); err != nil || got != "a\n\"ü\"\n" {
		t.Errorf("latin-1 in JSON: %q, %v", got, err)
	}
	for _, c := range []struct {
		content, encoding string
		parts             []string
	}{
		{utf16(unicode.LittleEndian, unicode.UseBOM), "", []string{"is in UTF-16", "dataset.encoding: utf-16,"}},
		{utf16(unicode.LittleEndian, unicode.IgnoreBOM), "", []string{"is in UTF-16", "dataset.encoding: utf-16-le,"}},
		{utf16(unicode.BigEndian, unicode.IgnoreBOM), "", []string{"is in UTF-16", "dataset.encoding: utf-16-be,"}},
		{utf16(unicode.BigEndian, unicode.IgnoreBOM), "utf-16", []string{"no byte order mark", "utf-16-be"}},
		{utf16(unicode.LittleEndian, unicode.UseBOM) + "\x00\xd8,\x00", "utf-16", []string{"not valid UTF-16"}},
		{"a,b\n1,M\xfcller\n", "", []string{`line 2, column "b": "M\xfcller" is not UTF-8; as latin-1 it is "Müller"`, "dataset.encoding: latin-1"}},
		{"a,b\n1,\x80\n", "", []string{`as windows-1252 it is "€"`, "dataset.encoding: windows-1252"}},
		{"gr\xf6\xdfe,b\n1,2\n", "", []string{"line 1", `"größe"`, "dataset.encoding: latin-1"}},
	} {
		_, err := read(Options{Path: file(t, "t.csv", c.content), Encoding: c.encoding})
		refused(t, err, c.parts...)
	}
	_, err := read(Options{Path: file(t, "t.jsonl", "{\"a\": 1}\n{\"a\":\n\"\xfc\"}")})
	refused(t, err, "line 3", "dataset.encoding: latin-1")
}

func TestMistakesInSeparatedText(t *testing.T) {
	for _, c := range []struct {
		content string
		parts   []string
	}{
		{"a,b\n1\n", []string{"line 2: 1 cell does not fit the 2 columns of the header", "one cell for each column"}},
		{"a,b\n1,2,3\n", []string{"line 2: 3 cells do not fit the 2 columns", "quote those that hold commas"}},
		{"a,b\n1\n1,2\n2,3,4\n\n9\n", []string{"line 2:", "(2 more rows do not either, the last on line 6)"}},
		{"a,b\n1\n1,2\n2\n", []string{"(another row does not either, the last on line 4)"}},
		{"a,b\n# comment\n1,2\n", []string{"line 2", "tables have no comments"}},
		{"a,a\n1,2\n", []string{`line 1: "a" is the name of columns 1 and 2`}},
		{"column2,\n1,2\n", []string{`"column2" is the name of column 1, and column 2 has none`}},
		{"a,b\n\"1,2\n3,4\n", []string{"line 2: a quote opens here that is not closed"}},
		{"a,b\n1,5\" disk\n", []string{"line 2", "is out of place"}},
		{"a,b\n1," + strings.Repeat("x", MaxCellBytes+1) + "\n", []string{`line 2, column "b": 1048577 bytes are more than the limit of 1048576`}},
	} {
		_, err := read(Options{Path: file(t, "t.csv", c.content)})
		refused(t, err, c.parts...)
	}
}

func TestAHundredThousandColumnsOfText(t *testing.T) {
	header := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString("c")
			b.WriteString(strings.Repeat("x", i%3))
			b.WriteByte(byte('a' + i%26))
			b.WriteString(string(rune(0x4e00 + i/26)))
			b.WriteByte(',')
		}
		return strings.TrimSuffix(b.String(), ",")
	}
	got, err := read(Options{Path: file(t, "t.csv", header(MaxColumns)+"\n"+strings.Repeat(",", MaxColumns-1)+"\n")})
	if err != nil || strings.Count(got, "\"\"") != MaxColumns {
		t.Errorf("%.100q, %v", got, err)
	}
	_, err = read(Options{Path: file(t, "t.csv", header(MaxColumns+1)+"\n")})
	refused(t, err, "100001 columns are more than the limit of 100000")
}
