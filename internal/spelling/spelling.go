// Package spelling finds the name that a misspelt one was most likely meant to
// be, for messages that ask "did you mean".
//
// All functions are safe for concurrent use.
package spelling

import (
	"strings"
	"unicode"
)

// longest bounds a misspelt name, in bytes, and reach the characters of a name
// that can be near one.
const (
	longest = 40
	reach   = longest + longest/3 + 1
)

// plain is a name without differences in style: batchSize, batch-size.
type plain struct {
	text [reach]rune
	n    int
	long bool // more letters follow
}

// Nearest returns the name that was most likely meant by a misspelt one, if any
// is close enough for a choice among few, by up to a third of its letters. A misspelt name of more than 40 bytes is near nothing. It
// allocates nothing.
func Nearest(got string, names []string) (string, bool) {
	return nearest(got, names, len(got)/3+1)
}

// Close is Nearest for a choice among many names, where a distant one is near by
// chance: it allows one edit for a short name, and up to three for a long one.
func Close(got string, names []string) (string, bool) {
	return nearest(got, names, min(max(len(got)/4, 1), 3))
}

func nearest(got string, names []string, most int) (string, bool) {
	if got == "" || len(got) > longest {
		return "", false
	}
	var meant, known plain
	meant.set(got)
	best, distance := "", min(most, len(got)-1)+1
	for _, name := range names {
		known.set(name)
		if meant == known && !known.long || isInitials(got, name) {
			return name, true
		}
		if d := editDistance(&meant, &known, distance); d < distance {
			best, distance = name, d
		}
	}
	return best, best != ""
}

func (p *plain) set(s string) {
	*p = plain{}
	for _, r := range s {
		if r == '_' || r == '-' || r == ' ' {
			continue
		}
		if p.n == len(p.text) {
			p.long = true
			return
		}
		p.text[p.n] = unicode.ToLower(r)
		p.n++
	}
}

// isInitials reports whether got is lr for learning_rate; one word has none.
func isInitials(got, name string) bool {
	words := 0
	for word := range strings.SplitSeq(name, "_") {
		if word == "" {
			continue
		}
		if words == len(got) || got[words] != word[0] {
			return false
		}
		words++
	}
	return words >= 2 && words == len(got)
}

// editDistance counts insertions, deletions, substitutions and swaps of
// neighbours that make b of a. If the distance is limit or more, it may return
// any number from limit up.
func editDistance(a, b *plain, limit int) int {
	if b.long || max(a.n-b.n, b.n-a.n) >= limit {
		return limit
	}
	x, y := a.text[:a.n], b.text[:b.n]
	var rows [3][reach + 1]int
	before, last, row := &rows[0], &rows[1], &rows[2]
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}
