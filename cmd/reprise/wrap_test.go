package main

import "testing"

func TestLinesAreBrokenBetweenWords(t *testing.T) {
	for _, c := range []struct {
		line   string
		width  int
		indent string
		want   string
	}{
		{"one two three", 0, "", "one two three"},
		{"one two three", 13, "", "one two three"},
		{"one two three", 12, "", "one two\nthree"},
		{"one two three", 7, "  ", "one two\n  three"},
		{"one two three", 1, "", "one\ntwo\nthree"},
		{"  one  two", 7, "    ", "  one \n    two"},
		{"  ärger über", 8, "", "  ärger\nüber"},
		{"0123456789 a", 5, " ", "0123456789\n a"},
		{"", 5, "", ""},
	} {
		if got := wrapWords(c.line, c.width, c.indent); got != c.want {
			t.Errorf("%q in %d columns: %q, want %q", c.line, c.width, got, c.want)
		}
	}
	if got, want := reflow("a b\nc d\n\n  code   here\ne", 5), "a b c\nd\n\n  code   here\ne"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
