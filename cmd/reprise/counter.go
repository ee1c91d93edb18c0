package main

import (
	"fmt"
	"strings"
	"time"
)

// counter shows how far a long piece of work is on standard error: one line
// that is written over on a terminal, a line every few seconds elsewhere.
type counter struct {
	env      *environment
	what     string
	terminal bool
	bytes    bool // what is counted
	started  time.Time
	last     time.Time
	shown    bool
}

func newCounter(env *environment, what string) *counter {
	_, terminal := terminalWidth(env.stderr)
	now := env.now()
	return &counter{env: env, what: what, terminal: terminal, started: now, last: now}
}

// update tells how many of how many parts are done.
func (c *counter) update(done, of uint64) {
	now := c.env.now()
	interval := plainInterval
	if c.terminal {
		interval = frame
	}
	if now.Sub(c.last) < interval {
		return
	}
	c.last, c.shown = now, true
	eta := ""
	if done > 0 && done < of {
		left := time.Duration(float64(now.Sub(c.started)) / float64(done) * float64(of-done))
		eta = "  ETA " + shortDuration(left)
	}
	format := thousands[uint64]
	if c.bytes {
		format = fileSize
	}
	text := fmt.Sprintf("%s: %s of %s%s", c.what, format(done), format(of), eta)
	if c.terminal {
		_, _ = fmt.Fprintf(c.env.stderr, "\r\x1b[K%s  %s", bar(done, of, counterWidth), text)
		return
	}
	_, _ = fmt.Fprintln(c.env.stderr, text)
}

// counterWidth is the width of the bar in characters.
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
	if c.shown && c.terminal {
		_, _ = fmt.Fprint(c.env.stderr, "\r\x1b[K")
	}
}
