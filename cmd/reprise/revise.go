package main

import (
	"errors"
	"strings"

	"reprise/api"
	"reprise/fault"
)

// revise returns err with the errors of the service in it as change returns them; change
// returns one that need not change as it is. What err says besides, such as the name of a
// file or that something else failed too, stays.
func revise(err error, change func(*api.Error) *api.Error) error {
	parts := fault.Parts(err)
	if len(parts) < 2 {
		return reviseOne(err, change)
	}
	for i, part := range parts {
		parts[i] = reviseOne(part, change)
	}
	return fault.As(fault.KindOf(err), errors.Join(parts...))
}

// reviseOne is revise for an error that is not joined from others.
func reviseOne(err error, change func(*api.Error) *api.Error) error {
	var was *api.Error
	if !errors.As(err, &was) {
		return err
	}
	now := change(was)
	switch {
	case now == was:
		return err
	case err == error(was): //nolint:errorlint // nothing was added to it
		return now
	}
	return &revisedError{err, was, now}
}

// revisedError is an error in whose tree one of the service was revised.
type revisedError struct {
	err      error
	was, now *api.Error
}

// Error returns the text of the tree with the revised text in its place.
func (e *revisedError) Error() string {
	return strings.Replace(e.err.Error(), e.was.Error(), e.now.Error(), 1)
}

// Kind returns that of the tree.
func (e *revisedError) Kind() fault.Kind { return fault.KindOf(e.err) }

// Unwrap returns the revised error first, so that errors.As finds it and not the other.
func (e *revisedError) Unwrap() []error { return []error{e.now, e.err} }
