package api

import (
	"slices"
	"strings"

	"reprise/fault"
)

// Mistake is something wrong with a field of a request, or of the training request
// in it.
type Mistake struct {
	// Field is the field's path, such as "at" or "config.batch_size".
	Field string `json:"field,omitempty"`
	// Value is the value as it was written; "" if there is none.
	Value string `json:"value,omitempty"`
	// Problem says what is wrong with the value, Fix what to do. Example is a value
	// that the field could have.
	Problem string `json:"problem"`
	Fix     string `json:"fix,omitempty"`
	Example string `json:"example,omitempty"`
	// Code is "" where Fix says enough.
	Code Code `json:"code,omitempty"`
	// File, Line and Column are the place in a training request's file, counted from
	// 1, Column in characters; Excerpt shows it. Setting is the setting that it is in
	// instead. All are zero for other mistakes.
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Excerpt string `json:"excerpt,omitempty"`
	Setting string `json:"setting,omitempty"`
	// Said is the part of the error's message that says it; nil if the message says it
	// elsewhere, as in a remedy.
	Said *Span `json:"said,omitempty"`
}

// Span is a part of a text in UTF-8, in bytes: what lies before the byte To, from the
// byte From on.
type Span struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// Within reports whether a span is one of a text; nil is not. One that another service
// has sent may not be.
func (s *Span) Within(text string) bool {
	return s != nil && 0 <= s.From && s.From <= s.To && s.To <= len(text)
}

// Reworded returns e with its mistakes as change returns them, in Mistakes and in
// Message, where a mistake that was changed is written as a [fault.FieldError]. Mistakes
// in a training request stay as they are: whoever reads them looks at the request.
func (e *Error) Reworded(change func(Mistake) Mistake) *Error {
	reworded := *e
	reworded.Mistakes = slices.Clone(e.Mistakes)
	var message strings.Builder
	done := 0 // of e.Message
	for i, was := range e.Mistakes {
		said := was.Said
		was.Said = nil
		now := was
		if was.File == "" && was.Setting == "" {
			now = change(was)
		}
		if said.Within(e.Message) && done <= said.From {
			text := e.Message[said.From:said.To]
			if now != was {
				text = now.text()
			}
			message.WriteString(e.Message[done:said.From])
			now.Said = &Span{From: message.Len(), To: message.Len() + len(text)}
			message.WriteString(text)
			done = said.To
		}
		reworded.Mistakes[i] = now
	}
	message.WriteString(e.Message[done:])
	reworded.Message = message.String()
	return &reworded
}

// InUse returns the error of a service whose data directory another process holds; held
// says which, as in "in use by process 4711".
func InUse(dir string, held error) *Error {
	message := "the data directory " + dir + " is " + held.Error()
	return &Error{
		Fault: fault.KindOf(held), Code: DirInUse, Path: dir, Message: message,
		Mistakes: []Mistake{{Field: "data_dir", Value: dir, Problem: "is " + held.Error(), Said: &Span{To: len(message)}}},
	}
}

// text returns the text of a mistake that has no place in a training request.
func (m Mistake) text() string {
	return (&fault.FieldError{Field: m.Field, Value: m.Value, Problem: m.Problem, Fix: m.Fix}).Error()
}

// saying is a mistake with the text that says it; "" if nothing does.
type saying struct {
	Mistake
	text string
}

// mistakesOf returns the mistakes among the errors that err is made of, in the order of
// its text.
func mistakesOf(err error) []saying {
	switch e := err.(type) { //nolint:errorlint // it walks the tree itself
	case *Error:
		list := make([]saying, len(e.Mistakes))
		for i, m := range e.Mistakes {
			list[i] = saying{Mistake: m}
			if m.Said.Within(e.Message) {
				list[i].text = e.Message[m.Said.From:m.Said.To]
			}
		}
		return list
	case *RequestError:
		return []saying{{Mistake{
			Field: e.Field, Value: e.Value, Problem: e.Problem, Fix: e.Fix, File: e.File, Line: e.Line, Column: e.Column,
			Excerpt: strings.TrimPrefix(e.excerpt, "\n"), Setting: e.Setting,
		}, e.Error()}}
	case *fault.FieldError:
		return []saying{{Mistake{Field: e.Field, Value: e.Value, Problem: e.Problem, Fix: e.Fix, Example: e.Example, Code: Code(e.Code)}, e.Error()}}
	case interface{ Unwrap() []error }:
		var list []saying
		for _, part := range e.Unwrap() {
			list = append(list, mistakesOf(part)...)
		}
		return list
	case interface{ Unwrap() error }:
		return mistakesOf(e.Unwrap())
	}
	return nil
}

// placedIn returns the mistakes with the places where a message says them, one after
// another.
func placedIn(message string, list []saying) []Mistake {
	var mistakes []Mistake
	done := 0
	for _, s := range list {
		s.Said = nil
		if at := strings.Index(message[done:], s.text); at >= 0 && s.text != "" {
			s.Said = &Span{From: done + at, To: done + at + len(s.text)}
			done = s.Said.To
		}
		mistakes = append(mistakes, s.Mistake)
	}
	return mistakes
}
