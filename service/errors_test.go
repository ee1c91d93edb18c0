package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"reprise/api"
	"reprise/datadir"
	"reprise/fault"
	"reprise/integration"
)

func TestARunThatWasLeftHasItsRemedyApart(t *testing.T) {
	for _, c := range []struct {
		cause           error
		code            api.Code
		message, remedy string
	}{
		{syscall.ENOSPC, api.RunUnfinished, "run r: no space left on device", "free some space"},
		{errors.New("the host ended"), api.RunUnfinished, "run r: the host ended", ""},
		{fmt.Errorf("%w: d/events.db is gone", datadir.ErrDataDirGone), api.DirGone,
			"run r: " + datadir.ErrDataDirGone.Error() + ": d/events.db is gone", datadir.Remedy(datadir.ErrDataDirGone)},
	} {
		var err error = &integration.UnfinishedError{Run: "r", Cause: c.cause}
		explain(t.Context(), &err)
		var e *api.Error
		if !errors.As(err, &e) || e.Code != c.code || e.Message != c.message || e.Remedy != c.remedy || e.Fault == fault.Invalid {
			t.Errorf("%+v, want %+v", err, c)
		}
	}
}

func TestTheCodeOfADirWithRunsIsThatOfTheLanguage(t *testing.T) {
	if datadir.CodeHasRuns != string(api.DirHasRuns) {
		t.Errorf("%q and %q are not the same", datadir.CodeHasRuns, api.DirHasRuns)
	}
}

// The words of a mistake are found again in the message after bytes that are no UTF-8
// were written out.
func TestAMistakeIsFoundAfterWhatWasEscaped(t *testing.T) {
	err := fmt.Errorf("caf\xe9: %w", &fault.FieldError{Field: "at", Value: "\xe9", Problem: "is late"})
	explain(t.Context(), &err)
	got := err.(*api.Error).Reworded(func(m api.Mistake) api.Mistake { //nolint:errorlint // as above
		m.Field = "--at"
		return m
	})
	if want := `caf\xe9: --at: \xe9 is late`; got.Message != want {
		t.Errorf("%q, want %q", got.Message, want)
	}
}

func TestAllMistakesOfJoinedErrorsAreKept(t *testing.T) {
	unreadable := &api.Error{Fault: fault.Invalid, Message: "JOB x: no such file", Mistakes: []api.Mistake{{Field: "one"}}}
	err := errors.Join(unreadable, &fault.FieldError{Field: "data_dir", Problem: "is read-only", Fix: "use another"})
	explain(t.Context(), &err)
	e, ok := err.(*api.Error) //nolint:errorlint // a wrapped one would not cross a wire as it is
	if !ok || e.Fault != fault.Invalid || e.Message != "JOB x: no such file\ndata_dir: is read-only; use another" || len(e.Mistakes) != 2 {
		t.Errorf("%+v", err)
	}
	err = fault.As(fault.Unavailable, fmt.Errorf("later: %w", unreadable))
	explain(t.Context(), &err)
	if e := api.ErrorOf(err); e.Fault != fault.Unavailable || e.Message != "later: JOB x: no such file" || len(e.Mistakes) != 1 {
		t.Errorf("%+v", e)
	}
}

func TestTheCodeOfAnErrorOutlivesAFailureBesideIt(t *testing.T) {
	noLog := &datadir.MissingLogError{Dir: "/d"}
	for _, err := range []error{
		errors.Join(noLog, nil), errors.Join(noLog, errors.New("close: I/O error")), errors.Join(&api.Error{Message: "close"}, noLog),
	} {
		text := err.Error()
		explain(t.Context(), &err)
		if e := api.ErrorOf(err); e.Code != api.LogMissing || e.Path != "/d" || e.Error() != text {
			t.Errorf("%+v of %s", e, text)
		}
	}
}

func TestWhatFailsBesideTheEndOfACallIsKept(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := fmt.Errorf("read events: %w", context.Canceled)
	if explain(ctx, &err); err.Error() != "context canceled" || fault.KindOf(err) != fault.Canceled {
		t.Errorf("%v", err)
	}
	err = errors.Join(context.Canceled, errors.New("close: no"))
	if explain(ctx, &err); err.Error() != "context canceled\nclose: no" {
		t.Errorf("%v", err)
	}
	err = fmt.Errorf("download: %w", context.DeadlineExceeded) // its own
	if explain(t.Context(), &err); err.Error() != "download: context deadline exceeded" || fault.KindOf(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
}

func TestBytesThatAreNotUTF8AreWrittenOut(t *testing.T) {
	err := errors.Join(&fault.FieldError{Field: "folder", Value: "caf\xe9/é\ufffd", Problem: "is a file", Fix: "use \xff"}, &datadir.MissingLogError{Dir: "/d\xff"})
	explain(t.Context(), &err)
	e := api.ErrorOf(err)
	if want := `folder: caf\xe9/é` + "\ufffd" + ` is a file; use \xff`; !strings.HasPrefix(e.Message, want) || !utf8.ValidString(e.Message) ||
		e.Path != `/d\xff` || e.Mistakes[0].Value != `caf\xe9/é`+"\ufffd" || e.Mistakes[0].Fix != `use \xff` {
		t.Errorf("%+v", e)
	}
}
