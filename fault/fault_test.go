package fault_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"reprise/fault"
)

func TestKindOfFindsTheOutermostKind(t *testing.T) {
	field := &fault.FieldError{Field: "f", Value: "0", Problem: "must be positive", Fix: "use 1"}
	for _, c := range []struct {
		err  error
		want fault.Kind
	}{
		{nil, fault.Internal},
		{errors.New("unknown"), fault.Internal},
		{field, fault.Invalid},
		{fmt.Errorf("read: %w", field), fault.Invalid},
		{errors.Join(errors.New("one"), field), fault.Invalid},
		{fault.As(fault.Conflict, field), fault.Conflict},
		{fmt.Errorf("wait: %w", context.Canceled), fault.Canceled},
		{fault.As(fault.Unavailable, context.DeadlineExceeded), fault.Unavailable},
		{fault.New(fault.NotFound, "run %q", "x"), fault.NotFound},
	} {
		if got := fault.KindOf(c.err); got != c.want {
			t.Errorf("KindOf(%v) = %v, want %v", c.err, got, c.want)
		}
	}
}

func TestAsKeepsTheErrorAndNil(t *testing.T) {
	if fault.As(fault.Invalid, nil) != nil {
		t.Error("nil became an error")
	}
	cause := errors.New("cause")
	if err := fault.As(fault.Corrupt, cause); !errors.Is(err, cause) || err.Error() != "cause" {
		t.Errorf("As changed the error to %v", err)
	}
}

func TestKindIsItsName(t *testing.T) {
	seen := map[string]bool{}
	for k := fault.Internal; k <= fault.Forbidden; k++ {
		text, err := k.MarshalText()
		if err != nil || seen[string(text)] || len(text) == 0 {
			t.Errorf("kind %d is written %q, %v", k, text, err)
		}
		seen[string(text)] = true
		var back fault.Kind
		if err := back.UnmarshalText(text); err != nil || back != k {
			t.Errorf("%s reads back as %v, %v", text, back, err)
		}
	}
	if _, err := (fault.Forbidden + 1).MarshalText(); err == nil {
		t.Error("a kind that does not exist was written")
	}
	later := fault.Invalid
	if err := later.UnmarshalText([]byte("of_a_later_version")); err != nil || later != fault.Internal {
		t.Errorf("an unknown name reads as %v, %v", later, err)
	}
}

func TestFieldErrorNamesFieldValueProblemAndFix(t *testing.T) {
	e := fault.FieldError{Field: "config.batch_size", Value: "0", Problem: "must be positive", Fix: "use 1 or more"}
	if got, want := e.Error(), "config.batch_size: 0 must be positive; use 1 or more"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	e = fault.FieldError{Field: "name", Problem: "is missing"}
	if got, want := e.Error(), "name: is missing"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
