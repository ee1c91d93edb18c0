// Package spelling finds the name that a misspelt one was most likely meant to
// be, for messages that ask "did you mean".
//
// All functions are safe for concurrent use.
package spelling

import "strings"

// Nearest returns the name that was most likely meant by a misspelt one, if any
// is close enough.
func Nearest(got string, names []string) (string, bool) {
	const longest = 40
	if got == "" || len(got) > longest {
		return "", false
	}
	best, distance := "", min(len(got)/3+1, len(got)-1)+1
	for _, name := range names {
		if plainName(got) == plainName(name) || got == initials(name) {
			return name, true
		}
		if d := editDistance(plainName(got), plainName(name)); d < distance {
			best, distance = name, d
		}
	}
	return best, best != ""
}

// plainName ignores what people write differently: batchSize, batch-size.
func plainName(s string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s))
}

// initials returns lr for learning_rate; one word has none.
func initials(name string) string {
	var out strings.Builder
	for word := range strings.SplitSeq(name, "_") {
		if word != "" {
			out.WriteByte(word[0])
		}
	}
	if out.Len() < 2 {
		return ""
	}
	return out.String()
}

// editDistance counts insertions, deletions, substitutions and swaps of
// neighbours that make b of a.
func editDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
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
