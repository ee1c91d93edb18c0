// Package fault is the one vocabulary in which every part of Reprise says what went
// wrong: a [Kind], from which exit codes and the statuses of HTTP and gRPC follow, and
// a [FieldError], which names a field, its value, what is wrong with it and the fix.
//
// An error has a kind if it, or one that it wraps, has a method Kind() Kind. Types
// that belong to one context implement that method; [As] gives a kind to any other
// error. Errors of the operating system have kinds without it: see [KindOf].
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says what a caller can do about an error. The zero Kind is Internal.
type Kind uint8

// The kinds.
const (
	// Internal is a failure that the caller can do nothing about, or one whose kind
	// nobody has named.
	Internal Kind = iota
	// Invalid is a request that can never work as it is: nothing was changed.
	Invalid
	// NotFound names something that does not exist.
	NotFound
	// Conflict is a request that does not fit the present state, such as resuming a
	// run that has ended: it works only once the state is another.
	Conflict
	// Unavailable is a failure that may pass without a change to the request: a
	// deadline, a network that is down, a file that is away, what another process holds.
	Unavailable
	// Exhausted is a bound that was reached: a queue, a quota, memory or a disk.
	Exhausted
	// Corrupt is data that is not what was written, or that contradicts itself.
	Corrupt
	// Canceled is a request that its caller, or a signal, ended.
	Canceled
	// Unauthenticated is a request whose caller is not known.
	Unauthenticated
	// Forbidden is a request that its caller may not make.
	Forbidden
)

// kindNames are the names of the kinds, as they are written in answers.
func kindNames() [Forbidden + 1]string {
	return [...]string{
		Internal: "internal", Invalid: "invalid", NotFound: "not_found", Conflict: "conflict",
		Unavailable: "unavailable", Exhausted: "exhausted", Corrupt: "corrupt", Canceled: "canceled",
		Unauthenticated: "unauthenticated", Forbidden: "forbidden",
	}
}

// String returns the name, such as "not_found".
func (k Kind) String() string {
	if names := kindNames(); int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// MarshalText writes the name.
func (k Kind) MarshalText() ([]byte, error) {
	if k > Forbidden {
		return nil, fmt.Errorf("there is no kind of error %d", uint8(k))
	}
	return []byte(k.String()), nil
}

// UnmarshalText reads a name. A name that it does not know, as of a later version, is
// Internal.
func (k *Kind) UnmarshalText(text []byte) error {
	*k = Internal
	for kind, name := range kindNames() {
		if name == string(text) {
			*k = Kind(kind)
		}
	}
	return nil
}

// Accepted returns the kind of an error that an accepted request meets later, when the
// request itself cannot be at fault any more: Unavailable for Invalid, NotFound and
// Conflict, such as for data that a run was trained on and that is gone.
func (k Kind) Accepted() Kind {
	switch k {
	case Invalid, NotFound, Conflict:
		return Unavailable
	default:
		return k
	}
}

// KindOf returns the kind of an error: that of the first error in its tree, outermost
// and leftmost, that has one. If none has, it is what the system's error or the end of
// a context in the tree says, and Internal if nothing is known.
//
// A missing file is Unavailable and not NotFound, and a file that exists already has no
// kind: who looked up what the caller named says so with [As].
func KindOf(err error) Kind {
	var kinded interface{ Kind() Kind }
	if errors.As(err, &kinded) {
		return kinded.Kind()
	}
	return systemKind(err)
}

// As returns err with a kind, which it has in place of its own; nil stays nil. Its
// text and what it unwraps to do not change.
func As(kind Kind, err error) error {
	if err == nil {
		return nil
	}
	return &kindError{kind, err}
}

// New returns an error of a kind with a text, as fmt.Errorf does.
func New(kind Kind, format string, a ...any) error {
	return &kindError{kind, fmt.Errorf(format, a...)}
}

// Parts returns the errors that were joined in err with errors.Join, and err itself if
// none were; nil for nil. Each part has the kind that As gave to the whole. An error that
// wraps several in a text of its own is one part: taken apart, it would lose that text.
func Parts(err error) []error {
	if err == nil {
		return nil
	}
	if marked, ok := err.(*kindError); ok { //nolint:errorlint // the parts of a wrapped one are not all of it
		parts := Parts(marked.err)
		for i := range parts {
			parts[i] = As(marked.kind, parts[i])
		}
		return parts
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var parts []error
	var texts []string
	for _, part := range joined.Unwrap() {
		if part != nil {
			parts, texts = append(parts, Parts(part)...), append(texts, part.Error())
		}
	}
	if err.Error() != strings.Join(texts, "\n") {
		return []error{err}
	}
	return parts
}

type kindError struct {
	kind Kind
	err  error
}

func (e *kindError) Kind() Kind    { return e.kind }
func (e *kindError) Error() string { return e.err.Error() }
func (e *kindError) Unwrap() error { return e.err }

// FieldError says what is wrong with the value of a field, and how to correct it. It
// is Invalid.
type FieldError struct {
	// Field is the path of the field, such as "config.batch_size".
	Field string
	// Value is the value as its caller wrote it; "" if the field was left out.
	Value string
	// Problem completes the sentence that begins with the value: "must be positive".
	Problem string
	// Fix says what to do: "use 1 or more".
	Fix string
	// Example is a value that the field could have, where it was left out; else "".
	Example string
	// Code names the problem for callers that can say better than Fix what helps, such as
	// which command; "" where Fix says it all. Package api has the list.
	Code string
	// Cause is what Unwrap returns, such as a sentinel that callers branch on; nil if
	// there is none. The text does not show it.
	Cause error
}

// Error returns "config.batch_size: 0 must be positive; use 1 or more".
func (e *FieldError) Error() string {
	text := e.Field + ":"
	for _, part := range []string{e.Value, e.Problem} {
		if part != "" {
			text += " " + part
		}
	}
	if e.Fix != "" {
		text += "; " + e.Fix
	}
	return text
}

// Kind returns Invalid.
func (e *FieldError) Kind() Kind { return Invalid }

// Unwrap returns Cause.
func (e *FieldError) Unwrap() error { return e.Cause }
