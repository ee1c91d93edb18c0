package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
)

// Names of columns, classes, files and runs come from elsewhere, and so does text
// that a model writes. A terminal obeys the control characters in them: it would
// change its colours or its title, overwrite lines, or show text in another order
// than it has. Everything that people read goes through this file on its way out:
// tables and lines (table.row, table.line), progress, events, errors, and YAML,
// whose encoder leaves control characters as they are. JSON has escapes of its own.

// visible returns s with control characters, text direction marks and bytes that
// are not UTF-8 escaped as in a Go string. It makes one line of any text.
func visible(s string) string { return escape(s, false) }

// visibleLines is visible for text that may have several lines: line feeds and
// tabs stay.
func visibleLines(s string) string { return escape(s, true) }

func escape(s string, lines bool) string {
	clean := func(r rune) bool { return !isControl(r) || lines && (r == '\n' || r == '\t') }
	if utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !clean(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case clean(r):
			b.WriteString(s[:size])
		default:
			quoted := fmt.Sprintf("%+q", s[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		s = s[size:]
	}
	return b.String()
}

// isControl reports whether a terminal may do something else than show r: control
// characters, separators of lines, and format characters, of which only the
// joiners that some scripts and emoji need are harmless.
func isControl(r rune) bool {
	const zeroWidthNonJoiner, zeroWidthJoiner = '\u200c', '\u200d'
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) && r != zeroWidthNonJoiner && r != zeroWidthJoiner
}

// yamlOf returns JSON as YAML. Strings with characters that a terminal may obey,
// which YAML forbids or allows in quotes only, are quoted and escaped.
func yamlOf(raw []byte) ([]byte, error) {
	var v any
	if err := yaml.UnmarshalWithOptions(raw, &v, yaml.UseOrderedMap()); err != nil {
		return nil, err
	}
	out, err := yaml.Marshal(v)
	if err != nil || visibleLines(string(out)) == string(out) {
		return out, err
	}
	return yaml.MarshalWithOptions(v, yaml.CustomMarshaler(func(s string) ([]byte, error) {
		if visibleLines(s) == s {
			return yaml.Marshal(s)
		}
		return []byte(strconv.QuoteToASCII(s)), nil // its escapes are those of YAML, too
	}))
}

// textWriter writes text that comes in pieces, which may end within a character,
// and escapes what visibleLines does.
type textWriter struct {
	w    io.Writer
	rest []byte // the beginning of a character
}

// textOutput returns standard output for text that a model writes: as it is,
// unless it is a terminal. flush writes what is left at the end.
func (env *environment) textOutput() (w io.Writer, flush func() error) {
	if _, ok := terminalWidth(env.stdout); !ok {
		return env.stdout, func() error { return nil }
	}
	t := &textWriter{w: env.stdout}
	return t, t.flush
}

// Write implements io.Writer.
func (t *textWriter) Write(p []byte) (int, error) {
	text := slices.Concat(t.rest, p)
	whole := len(text)
	for start := whole - 1; start >= max(0, whole-utf8.UTFMax+1); start-- {
		if utf8.RuneStart(text[start]) {
			if !utf8.FullRune(text[start:]) {
				whole = start
			}
			break
		}
	}
	_, err := io.WriteString(t.w, visibleLines(string(text[:whole])))
	t.rest = text[whole:]
	return len(p), err
}

func (t *textWriter) flush() error {
	_, err := io.WriteString(t.w, visibleLines(string(t.rest)))
	t.rest = nil
	return err
}
