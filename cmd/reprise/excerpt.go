package main

import (
	"regexp"
	"strings"

	"charm.land/lipgloss/v2"
)

// An excerpt is two lines of an error about a request: a line of the file after its
// number, and a caret under a place in it.
var (
	excerptLine  = regexp.MustCompile(`^ *[0-9]+ \| `)
	excerptCaret = regexp.MustCompile(`^ +\| [ \t]*\^$`)
)

// fitExcerpts cuts the excerpts among some lines to width columns around their
// carets, so that no terminal wraps them and every caret stays under its place. A
// width of 0 cuts nothing.
func fitExcerpts(lines []string, width int) {
	for i := 0; width > 0 && i+1 < len(lines); i++ {
		margin := excerptLine.FindString(lines[i])
		if margin == "" || !excerptCaret.MatchString(lines[i+1]) || len(margin) > strings.Index(lines[i+1], "| ")+2 {
			continue
		}
		start := strings.Index(lines[i+1], "| ") + 2
		text := []rune(strings.ReplaceAll(lines[i][len(margin):], "\t", " "))
		caret := len([]rune(lines[i+1][start:])) - 1 // in characters of the text
		shown, at := fitAround(text, min(caret, len(text)), width-len(margin))
		lines[i] = margin + shown
		lines[i+1] = lines[i+1][:start] + strings.Repeat(" ", at) + "^"
	}
}

// fitAround cuts a text to width columns around one of its characters, and returns
// what is left and the column of the character in it.
func fitAround(text []rune, caret, width int) (shown string, column int) {
	const dots = "..."
	columns := func(part []rune) int { return lipgloss.Width(string(part)) }
	first, last := 0, len(text)
	if columns(text) > width || caret == len(text) && columns(text) == width {
		room := max(width-2*len(dots)-1, 1)
		first, last = caret, caret
		for first > 0 && columns(text[first-1:caret]) <= 2*room/3 {
			first--
		}
		if first <= len(dots) {
			first = 0
		}
		for last < len(text) && columns(text[first:last+1]) <= room {
			last++
		}
		if len(text)-last <= len(dots) && columns(text[first:]) <= room+len(dots) {
			last = len(text)
		}
	}
	before, after := "", ""
	if first > 0 {
		before = dots
	}
	if last < len(text) {
		after = dots
	}
	return before + string(text[first:last]) + after, len(before) + columns(text[first:caret])
}
