package queue

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"reprise/fault"
)

// fieldErrors collects what is wrong with several fields.
type fieldErrors []error

func (f *fieldErrors) add(field, value, problem, fix string) {
	*f = append(*f, &fault.FieldError{Field: field, Value: value, Problem: problem, Fix: fix})
}

// join returns the errors as one: nil for none, a single one as it is.
func (f fieldErrors) join() error {
	if len(f) == 1 {
		return f[0]
	}
	return errors.Join(f...)
}

// addNames complains about a list that is too long, or has a bad or repeated entry.
func addNames[S ~string](f *fieldErrors, field string, list []S, most int, what string) {
	if len(list) > most {
		f.add(field, "", fmt.Sprintf("has %d entries, and %d at most are allowed", len(list), most), "use fewer")
	}
	for i, entry := range list {
		problem := badName(string(entry))
		switch {
		case entry == "":
			problem = "is empty"
		case problem == "" && slices.Contains(list[:i], entry):
			problem = "is there twice"
		}
		if problem != "" {
			f.add(fmt.Sprintf("%s[%d]", field, i), shown(string(entry)), problem, fmt.Sprintf("name %s in each entry, each once", what))
		}
	}
}

// badName says what is wrong with a name that people read; "" if nothing is.
func badName(name string) string {
	problem := badText(name, MaxNameLength)
	if problem == "" && strings.TrimSpace(name) != name {
		return "begins or ends with a space"
	}
	return problem
}

// badText says what is wrong with one line of text; "" if nothing is.
func badText(text string, most int) string {
	switch {
	case len(text) > most:
		return fmt.Sprintf("has %d bytes, and %d at most are allowed", len(text), most)
	case !utf8.ValidString(text):
		return "is not UTF-8"
	case strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "has characters that cannot be printed"
	}
	return ""
}

// NameOf makes a name of any text, such as a path: what cannot be printed is escaped as in
// a Go string, and of one that is too long the end stays, which says most.
func NameOf(text string) string {
	var b strings.Builder
	for rest := strings.TrimSpace(text); len(rest) > 0; {
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, rest[0])
		case unicode.IsPrint(r):
			b.WriteString(rest[:size])
		default:
			quoted := strconv.Quote(rest[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		rest = rest[size:]
	}
	name := b.String()
	const cut = "..."
	if len(name) <= MaxNameLength {
		return name
	}
	start := len(name) - MaxNameLength + len(cut)
	for !utf8.RuneStart(name[start]) {
		start++
	}
	return cut + name[start:]
}

// shown returns a value for a message, in quotes and not too long.
func shown(value string) string {
	const most = 40
	if r := []rune(value); len(r) > most {
		return strconv.Quote(string(r[:most])) + "..."
	}
	return strconv.Quote(value)
}
