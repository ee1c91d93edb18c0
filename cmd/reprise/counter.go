package main

import (
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
)

// counter shows the progress of a long piece of work on standard error: one line
// that is overwritten on a terminal, a line every few seconds elsewhere.
type counter struct {
	env     *environment
	what    string
	unit    string // of what is counted
	width   int    // of the terminal; 0 where there is none
	started time.Time
	last    time.Time
	shown   bool
}

// byteUnit is the unit of a counter of bytes, which it shows as sizes of files.
const byteUnit = "bytes"

func newCounter(env *environment, what, unit string) *counter {
	width, _ := terminalWidth(env.stderr)
	now := env.now()
	return &counter{env: env, what: what, unit: unit, width: width, started: now, last: now}
}

// update shows that done of so many parts are done; of is 0 where that is not known.
func (c *counter) update(done, of uint64) {
	now := c.env.now()
	interval := plainInterval
	if c.width > 0 {
		interval = frame
	}
	if now.Sub(c.last) < interval {
		return
	}
	c.last, c.shown = now, true
	text := c.text(now, done, of)
	switch {
	case c.width > 0 && of > 0:
		_, _ = fmt.Fprintf(c.env.stderr, "\r\x1b[K%s", besideBar(text, done, of, c.width))
		return
	case c.width > 0:
		_, _ = fmt.Fprintf(c.env.stderr, "\r\x1b[K%s", text)
		return
	}
	_, _ = fmt.Fprintln(c.env.stderr, text)
}

func (c *counter) text(now time.Time, done, of uint64) string {
	if of == 0 {
		return fmt.Sprintf("%s: %s %s", c.what, thousands(done), c.unit)
	}
	count := fmt.Sprintf("%s of %s %s", thousands(done), thousands(of), c.unit)
	if c.unit == byteUnit {
		count = fmt.Sprintf("%s of %s", fileSize(done), fileSize(of))
	}
	eta := ""
	if done > 0 && done < of {
		left := time.Duration(float64(now.Sub(c.started)) / float64(done) * float64(of-done))
		eta = "  ETA " + shortDuration(left)
	}
	return fmt.Sprintf("%s: %s%s", c.what, count, eta)
}

// besideBar puts a text beside a bar, on one line of a terminal. The bar gives way:
// a line that is too long could not be overwritten.
func besideBar(text string, done, of uint64, width int) string {
	const least = 4
	room := min(width-lipgloss.Width(text)-columnGap-1, counterWidth)
	if room < least {
		return cutLine(text, width-1)
	}
	return bar(done, of, room) + strings.Repeat(" ", columnGap) + text
}

// counterWidth is the width of the bar in characters, where there is room.
const counterWidth = 24

// bar draws a share as a bar.
func bar(done, of uint64, width int) string {
	full := 0
	if of > 0 {
		full = int(min(done, of) * uint64(width) / of)
	}
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}

// fileSize formats the size of a file, in the units that publishers state.
func fileSize(n uint64) string {
	switch {
	case n < 1000:
		return plural(n, "byte")
	case n < 1e6:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// close clears the line.
func (c *counter) close() {
	if c.shown && c.width > 0 {
		_, _ = fmt.Fprint(c.env.stderr, "\r\x1b[K")
	}
}
