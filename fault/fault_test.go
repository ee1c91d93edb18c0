package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
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
		{errors.Join(syscall.ENOSPC, field), fault.Invalid}, // a kind that was named comes first
		{errors.Join(fault.New(fault.Corrupt, "a"), field), fault.Corrupt},
		{fault.As(fault.Unavailable, context.DeadlineExceeded), fault.Unavailable},
		{fault.New(fault.NotFound, "run %q", "x"), fault.NotFound},
	} {
		if got := fault.KindOf(c.err); got != c.want {
			t.Errorf("KindOf(%v) = %v, want %v", c.err, got, c.want)
		}
	}
}

func TestErrorsOfTheSystemHaveKinds(t *testing.T) {
	for _, c := range []struct {
		err  error
		want fault.Kind
	}{
		{context.Canceled, fault.Canceled},
		{context.DeadlineExceeded, fault.Unavailable},
		{os.ErrDeadlineExceeded, fault.Unavailable},
		{syscall.ETIMEDOUT, fault.Unavailable},
		{&net.DNSError{IsTimeout: true}, fault.Unavailable},
		{syscall.ECONNREFUSED, fault.Unavailable},
		{syscall.ENOSPC, fault.Exhausted},
		{syscall.EDQUOT, fault.Exhausted},
		{syscall.EMFILE, fault.Exhausted},
		{syscall.ENFILE, fault.Exhausted},
		{syscall.ENOMEM, fault.Exhausted},
		{syscall.EAGAIN, fault.Exhausted},
		{syscall.EROFS, fault.Unavailable},
		{syscall.EIO, fault.Unavailable},
		{syscall.EACCES, fault.Forbidden},
		{syscall.EPERM, fault.Forbidden},
		{syscall.ENOENT, fault.Unavailable}, // not NotFound: its caller did not name the file
		{fs.ErrNotExist, fault.Unavailable},
		{fs.ErrExist, fault.Internal},
		{syscall.EINVAL, fault.Internal},
	} {
		for _, err := range []error{c.err, fmt.Errorf("save: %w", &fs.PathError{Op: "write", Path: "f", Err: c.err})} {
			if got := fault.KindOf(err); got != c.want {
				t.Errorf("KindOf(%v) = %v, want %v", err, got, c.want)
			}
		}
		if got := fault.KindOf(fault.As(fault.NotFound, c.err)); got != fault.NotFound {
			t.Errorf("%v keeps its kind %v against As", c.err, got)
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

func TestPartsTakesJoinedErrorsApart(t *testing.T) {
	a, b, c := errors.New("a"), errors.New("b"), errors.New("c")
	for _, test := range []struct {
		err  error
		text string
		kind fault.Kind
	}{
		{nil, "[]", fault.Internal},
		{a, "[a]", fault.Internal},
		{errors.Join(a, errors.Join(b, c)), "[a b c]", fault.Internal},
		{fault.As(fault.Invalid, errors.Join(a, b)), "[a b]", fault.Invalid},
		{errors.Join(fault.As(fault.Invalid, errors.Join(a, fault.As(fault.Corrupt, b)))), "[a b]", fault.Invalid},
		{fmt.Errorf("both: %w", fault.As(fault.Invalid, errors.Join(a, b))), "[both: a\nb]", fault.Invalid},
		{fmt.Errorf("save: %w; close: %w", a, b), "[save: a; close: b]", fault.Internal},
		{errors.Join(fmt.Errorf("%w; %w", a, b), c), "[a; b c]", fault.Internal},
		{fault.As(fault.Corrupt, fmt.Errorf("%w, %w", a, b)), "[a, b]", fault.Corrupt},
	} {
		parts := fault.Parts(test.err)
		if got := fmt.Sprint(parts); got != test.text {
			t.Errorf("Parts(%v) = %s, want %s", test.err, got, test.text)
		}
		for _, part := range parts {
			if kind := fault.KindOf(part); kind != test.kind {
				t.Errorf("part %v of %v is %v, want %v", part, test.err, kind, test.kind)
			}
		}
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

func TestAnAcceptedRequestIsNotAtFault(t *testing.T) {
	for k := fault.Internal; k <= fault.Forbidden; k++ {
		want := k
		if k == fault.Invalid || k == fault.NotFound || k == fault.Conflict {
			want = fault.Unavailable
		}
		if got := k.Accepted(); got != want {
			t.Errorf("%v becomes %v, want %v", k, got, want)
		}
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
	e = fault.FieldError{Field: "layer", Value: "missing", Fix: "name one"}
	if got, want := e.Error(), "layer: missing; name one"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFieldErrorUnwrapsToItsCause(t *testing.T) {
	limit := errors.New("beyond the limits")
	if err := error(&fault.FieldError{Field: "payload", Cause: limit}); !errors.Is(err, limit) || fault.KindOf(err) != fault.Invalid {
		t.Errorf("%v is %v", err, fault.KindOf(err))
	}
	if err := error(&fault.FieldError{Field: "payload"}); errors.Unwrap(err) != nil {
		t.Error("a field error without a cause unwraps to something")
	}
}
