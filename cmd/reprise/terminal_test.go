package main

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
)

func TestControlCharactersAreMadeVisible(t *testing.T) {
	for s, want := range map[string]string{
		"":                          "",
		"plain, naïve 数 \U0001F600": "plain, naïve 数 \U0001F600",
		`a \ "quoted" name`:         `a \ "quoted" name`,
		"x\x1b]0;pwned\a":           `x\x1b]0;pwned\a`,
		"a\x1b[31mred":              `a\x1b[31mred`,
		"z\nnew\tcell\rback":        `z\nnew\tcell\rback`,
		"\x00\b\x7f":                `\x00\b\x7f`,
		"\u009b31m\u0085":           `\u009b31m\u0085`, // CSI and NEL of C1
		"\x9b31m":                   `\x9b31m`,         // CSI of an 8-bit terminal; not UTF-8
		"safe\u202etxt.exe\u2066":   `safe\u202etxt.exe\u2066`,
		"\u200f\u061c\ufeff\u00ad":  `\u200f\u061c\ufeff\u00ad`,
		"\u2028\u2029":              `\u2028\u2029`,
		"\U000e0041":                `\U000e0041`,
		"a\u200db\u200c\u00a0":      "a\u200db\u200c\u00a0", // joiners and a space
		"half \xe2\x82":             `half \xe2\x82`,
		"\uFFFD":                    "\uFFFD",
	} {
		if got := visible(s); got != want {
			t.Errorf("%q is shown as %s, want %s", s, got, want)
		}
	}
	if got, want := visibleLines("a\n\tb\r\x1b"), "a\n\tb"+`\r\x1b`; got != want {
		t.Errorf("lines are shown as %q, want %q", got, want)
	}
}

func FuzzVisible(f *testing.F) {
	f.Add("a\x1b[0m\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		for _, shown := range []string{visible(s), visibleLines(s)} {
			if !utf8.ValidString(shown) {
				t.Fatalf("%q is shown as %q", s, shown)
			}
			for _, r := range shown {
				if isControl(r) && r != '\n' && r != '\t' {
					t.Fatalf("%q is shown as %q", s, shown)
				}
			}
		}
		if strings.ContainsAny(visible(s), "\n\t") {
			t.Fatalf("%q is shown as %q", s, visible(s))
		}
	})
}

func TestTablesShowOneLineForARow(t *testing.T) {
	var out bytes.Buffer
	table := newTable(&out)
	table.row("CLASS", "ROWS")
	table.row("z\nnew\tcell", "2")
	table.row("x\x1b[31m", "1")
	table.line("of %s", "a\x1b[31mred")
	if err := table.flush(); err != nil {
		t.Fatal(err)
	}
	if want := "CLASS         ROWS\n" + `z\nnew\tcell  2` + "\n" + `x\x1b[31m     1` + "\n" + `of a\x1b[31mred` + "\n"; out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestTextInPiecesIsWrittenInWholeCharacters(t *testing.T) {
	const text = "é € \U0001F600 \x1b[1m \xff \xe2\x82 end\n\xf0\x9f"
	for size := 1; size <= len(text); size++ {
		var out bytes.Buffer
		w := &textWriter{w: &out}
		for at := 0; at < len(text); at += size {
			if _, err := w.Write([]byte(text[at:min(at+size, len(text))])); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		if out.String() != visibleLines(text) {
			t.Errorf("in pieces of %d: %q, want %q", size, out.String(), visibleLines(text))
		}
	}
}

func TestYAMLQuotesControlCharacters(t *testing.T) {
	type named struct {
		Names []string `json:"names"`
		Text  string   `json:"text"`
		Count uint64   `json:"count"`
	}
	for _, name := range []string{
		"plain", "", "1", "yes", "a: b", "two\nlines\n", "x\x1b]0;pwned\a", "\u009b31m", "z\u202e", "\x7f", "\x00", "nl\n\x1b[1m",
		"\t\x1b", "\U000e0041", `back\slash "quoted"`,
	} {
		want := named{[]string{name, "other", "two\nlines"}, name, 1 << 63}
		raw, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		out, err := yamlOf(raw)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if shown := string(out); visibleLines(shown) != shown {
			t.Errorf("%q is written as %q", name, shown)
		}
		var got named
		if err := yaml.Unmarshal(out, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is written as\n%s\nand read as %+v, %v", name, out, got, err)
		}
	}
}
