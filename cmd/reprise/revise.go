package main

import (
	"errors"
	"fmt"
	"slices"

	"reprise/api"
	"reprise/fault"
)

// wrapping is an error with more text around others. Its text is put together when it is
// asked for, so that revise can change an error of the service in it.
type wrapping struct {
	format string
	a      []any
}

// errorf returns an error as fmt.Errorf does, for a format with %w. An error of the
// service that it wraps can still be revised.
func errorf(format string, a ...any) error {
	_ = fmt.Errorf(format, a...) // so that vet checks the formats
	return &wrapping{format, a}
}

// Error returns the text.
func (e *wrapping) Error() string { return fmt.Errorf(e.format, e.a...).Error() }

// Unwrap returns the errors that it wraps.
func (e *wrapping) Unwrap() []error {
	var list []error
	for _, a := range e.a {
		if err, ok := a.(error); ok {
			list = append(list, err)
		}
	}
	return list
}

// revise returns err with the errors of the service in it as change returns them. What
// err says besides, such as the name of a file or that something else failed too, stays.
func revise(err error, change func(*api.Error) *api.Error) error {
	if parts := fault.Parts(err); len(parts) > 1 {
		for i, part := range parts {
			parts[i] = revise(part, change)
		}
		return fault.As(fault.KindOf(err), errors.Join(parts...))
	}
	switch e := err.(type) { //nolint:errorlint // it walks the tree itself
	case nil:
		return nil
	case *api.Error:
		return change(e)
	case interruptedError:
		return interruptedError{revise(e.error, change)}
	case *wrapping:
		revised := &wrapping{e.format, slices.Clone(e.a)}
		for i, a := range revised.a {
			if part, ok := a.(error); ok {
				revised.a[i] = revise(part, change)
			}
		}
		return revised
	case interface{ Unwrap() []error }:
		if only := e.Unwrap(); len(only) == 1 { // of errors.Join
			return revise(only[0], change)
		}
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil && inner.Error() == err.Error() && errors.As(inner, new(*api.Error)) { // of fault.As
			return fault.As(fault.KindOf(err), revise(inner, change))
		}
	}
	return err
}
