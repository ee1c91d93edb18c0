package figures

import "strings"

// Or lists words as alternatives: "a, b or c".
func Or(words []string) string { return list(words, " or ") }

// And lists words that belong together: "a, b and c".
func And(words []string) string { return list(words, " and ") }

func list(words []string, last string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + last + words[len(words)-1]
}
