package main

import (
	"strings"
	"unicode/utf8"
)

// wrapWords breaks a line between words so that each part has at most width
// columns; parts after the first begin with indent. A word longer than that gets a
// line to itself, whole. A width of 0 breaks nothing.
func wrapWords(line string, width int, indent string) string {
	if width <= 0 || utf8.RuneCountInString(line) <= width {
		return line
	}
	margin := line[:len(line)-len(strings.TrimLeft(line, " "))]
	var b strings.Builder
	b.WriteString(margin)
	used, empty := len(margin), true
	for i, word := range strings.Split(line[len(margin):], " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0 || empty:
		case used+1+n > width:
			b.WriteString("\n" + indent)
			used = utf8.RuneCountInString(indent)
			if word == "" { // of several spaces
				empty = true
				continue
			}
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += n
		empty = word == "" && empty
	}
	return b.String()
}

// reflow wraps the paragraphs of a text at width columns. Lines that are indented
// stay as they are.
func reflow(text string, width int) string {
	var out []string
	paragraph := ""
	flush := func() {
		if paragraph != "" {
			out = append(out, wrapWords(paragraph, width, ""))
		}
		paragraph = ""
	}
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" || strings.HasPrefix(line, " ") {
			flush()
			out = append(out, line)
			continue
		}
		if paragraph != "" {
			paragraph += " "
		}
		paragraph += line
	}
	flush()
	return strings.Join(out, "\n")
}
