package main

import (
	"regexp"
	"strings"

	"charm.land/lipgloss/v2"
)

// wrapWords breaks a line between words so that each part has at most width
// columns; parts after the first begin with indent. A word longer than that gets a
// line to itself, whole. A width of 0 breaks nothing.
func wrapWords(line string, width int, indent string) string {
	if width <= 0 || lipgloss.Width(line) <= width {
		return line
	}
	margin := line[:len(line)-len(strings.TrimLeft(line, " "))]
	var b strings.Builder
	b.WriteString(margin)
	used, empty := len(margin), true
	for i, word := range strings.Split(line[len(margin):], " ") {
		n := lipgloss.Width(word)
		switch {
		case i == 0 || empty:
		case used+1+n > width:
			b.WriteString("\n" + indent)
			used = lipgloss.Width(indent)
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

// together stands for a space at which no line is broken.
const together = "\u00a0"

// command writes a command line that can be pasted into a shell: on a terminal that
// it does not fit, broken between words with a backslash.
func (t *table) command(indent, line string) {
	// A flag and its value stay together.
	line = regexp.MustCompile(`( --?[a-z-]+) ([^- ])`).ReplaceAllString(line, "$1"+together+"$2")
	broken := wrapWords(indent+line, max(t.width-len(" \\"), 0), indent+"    ")
	if lipgloss.Width(indent+line) <= t.width {
		broken = indent + line
	}
	_ = t.flush() // which keeps the error
	t.write(strings.ReplaceAll(strings.ReplaceAll(broken, "\n", " \\\n"), together, " "))
}
