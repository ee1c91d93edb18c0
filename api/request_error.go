package api

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"reprise/fault"
)

// maxErrors bounds how many mistakes of one request are reported at once.
const maxErrors = 10

// RequestError says what is wrong with a request, where, and how to fix it.
type RequestError struct {
	// File is the request's file as the user named it; "" for a mistake that is
	// not in a file.
	File string
	// Line and Column are counted from 1, Column in characters; both are 0 if
	// the mistake has no place in a file.
	Line, Column int
	// Setting names the Setting that the mistake is in, with its origin; "" if the
	// mistake is not in one.
	Setting string
	// Field is the path of the wrong field, such as config.batch_size; "" if
	// the file as a whole is wrong.
	Field string
	// Value is the offending value as written; "" if there is none.
	Value string
	// Problem says what is wrong with it, Fix what to do, as an imperative.
	Problem, Fix string

	excerpt string
	cause   error
	meant   string // the field that an unknown key was probably meant for
	set     string // the field that the setting sets
	order   int    // of the setting among the others, from 1; 0 for none
}

// Error returns the place, the message and, below it, the line of the file with
// a caret under the place:
//
//	job.yaml:7:22: config.batch_size: 0 must be at least 1; use a size such as 32
//	    7 | config: {batch_size: 0, learning_rate: 0.001}
//	      |                      ^
func (e *RequestError) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
		}
		b.WriteString(": ")
	}
	if e.Setting != "" {
		b.WriteString(e.Setting + ": ")
	}
	if e.Field != "" && (e.Setting == "" || e.Field != e.set) {
		b.WriteString(e.Field + ": ")
	}
	if e.Value != "" {
		b.WriteString(e.Value + " ")
	}
	b.WriteString(e.Problem)
	if e.Fix != "" {
		b.WriteString("; " + e.Fix)
	}
	return b.String() + e.excerpt
}

// Kind returns Invalid.
func (e *RequestError) Kind() fault.Kind { return fault.Invalid }

// Unwrap returns the domain's error that this one gives a place to; nil if there is
// none.
func (e *RequestError) Unwrap() error { return e.cause }

// flatten returns the errors that an error of this package is made of.
func flatten(err error) []*RequestError {
	var one *RequestError
	if all, ok := err.(*mistakes); ok { //nolint:errorlint // a wrapped one says more
		return all.all
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var list []*RequestError
		for _, e := range joined.Unwrap() {
			list = append(list, flatten(e)...)
		}
		return list
	}
	if errors.As(err, &one) {
		return []*RequestError{one}
	}
	if err == nil {
		return nil
	}
	return []*RequestError{{Problem: err.Error(), cause: err}}
}

// sortErrors puts errors in the order of their places: those of the file, then
// those of settings, then those that have no place.
func sortErrors(errs []*RequestError) {
	kind := func(e *RequestError) int {
		switch {
		case e.order > 0:
			return 1
		case e.Line > 0:
			return 0
		}
		return 2
	}
	slices.SortStableFunc(errs, func(a, b *RequestError) int {
		return cmp.Or(cmp.Compare(kind(a), kind(b)), cmp.Compare(a.order, b.order), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// mistakes are several errors, of which only some are shown.
type mistakes struct {
	all   []*RequestError
	shown []error
}

func (m *mistakes) Error() string   { return errors.Join(m.shown...).Error() }
func (m *mistakes) Unwrap() []error { return m.shown }

// Join returns errors about one request as one, as ParseTrainingRequest does: in
// the order of their places, each once, at most 10 and a count of the rest. It
// returns nil if all are nil.
func Join(errs ...error) error {
	var all []*RequestError
	file := ""
	for _, err := range errs {
		for _, e := range flatten(err) {
			all = append(all, e)
			file = cmp.Or(file, e.File)
		}
	}
	return join(file, all)
}

// join returns the errors as one: nil for none, the error itself for one, else
// several in the order of their places, at most maxErrors and the number of the others.
func join(file string, errs []*RequestError) error {
	if len(errs) == 0 {
		return nil
	}
	if len(errs) == 1 {
		return errs[0]
	}
	errs = slices.Clone(errs)
	sortErrors(errs)
	shown := len(errs)
	if shown > maxErrors+1 { // a note that one is not shown would be as long as the one
		shown = maxErrors
	}
	rest := len(errs) - shown
	list := make([]error, 0, shown+1)
	for _, e := range errs[:shown] {
		list = append(list, e)
	}
	if rest > 0 {
		list = append(list, &RequestError{File: file, Problem: fmt.Sprintf("%d more mistakes are not shown", rest), Fix: "correct these first"})
	}
	return &mistakes{all: errs, shown: list}
}

// A line of more than excerptWidth characters is cut to about that many around
// its caret.
const excerptWidth = 120

// excerptOf returns a line of the file with a caret under a column, ready to be
// appended to a message; "" if there is no such line.
func excerptOf(lines [][]rune, at position) string {
	if at.line < 1 || at.line > len(lines) || at.column < 1 {
		return ""
	}
	line := lines[at.line-1]
	caret := min(at.column-1, len(line))
	first, last := 0, len(line)
	if len(line) > excerptWidth {
		first = max(caret-2*excerptWidth/3, 0)
		last = min(first+excerptWidth, len(line))
	}
	var text, pad strings.Builder
	if first > 0 {
		text.WriteString("...")
		pad.WriteString("   ")
	}
	for i, r := range line[first:last] {
		text.WriteRune(printable(r))
		if first+i < caret {
			pad.WriteString(blank(r))
		}
	}
	if last < len(line) {
		text.WriteString("...")
	}
	return fmt.Sprintf("\n%5d | %s\n      | %s^", at.line, text.String(), pad.String())
}

// printable keeps a hostile file from controlling the terminal that shows it.
func printable(r rune) rune {
	if r == '\t' || unicode.IsPrint(r) {
		return r
	}
	return unicode.ReplacementChar
}

// blank returns what to print under r in the line of the caret.
func blank(r rune) string {
	if r == '\t' {
		return "\t"
	}
	return " "
}

// shorten returns one printable line of at most 60 characters.
func shorten(text string) string { return shortenTo(60, text) }

func shortenTo(limit int, text string) string {
	out := make([]rune, 0, limit)
	for _, r := range text {
		if len(out) >= limit {
			return string(out) + "..."
		}
		switch r {
		case '\t':
			out = append(out, '\\', 't')
		case '\n':
			out = append(out, '\\', 'n')
		default:
			out = append(out, printable(r))
		}
	}
	return string(out)
}
