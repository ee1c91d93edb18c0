package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"reprise/checkpoint"
	"reprise/dataset"
	"reprise/device"
	"reprise/eventstore"
	"reprise/internal/disk"
)

func TestEveryCauseThatMayPassHasARemedy(t *testing.T) {
	transient := &device.NoSuitableDeviceError{Refusals: []device.Refusal{{Reasons: []device.Reason{{Transient: true}}}}}
	for _, c := range []struct {
		cause error
		want  string
	}{
		{syscall.ENOSPC, "free some space"},
		{syscall.EDQUOT, "free some of your quota"},
		{syscall.EFBIG, "allow larger files (ulimit -f)"},
		{syscall.EMFILE, "raise the limit of open files (ulimit -n)"},
		{syscall.EROFS, "mount it for writing, or use a folder that can be written"},
		{syscall.EACCES, "give this user permission"},
		{syscall.ENOENT, "put it back"},
		{&eventstore.DeniedError{Folder: "/data", Writing: true, Err: syscall.EACCES}, "run this as the owner of /data"},
		{&eventstore.DeniedError{Folder: "/data", Err: syscall.EACCES}, "its owner can let you read it: chmod -R a+rX /data"},
		{eventstore.ErrLocked, "end the transaction or the program that holds the lock, then try again"},
		{&device.NoSuitableDeviceError{}, "use a machine that has such a device"},
		{transient, "end what uses the device, or wait for it"},
		{&checkpoint.CorruptError{Folder: "step-1", Err: checkpoint.ErrMissing}, "put a copy of it back, or fork the run from an earlier checkpoint"},
		{disk.ErrNotRegular, "move it away, and put a regular file in its place"},
		{disk.ErrNotFolder, "move it away"},
		{syscall.EINVAL, ""},
		{errors.ErrUnsupported, ""},
		{errors.New("other"), ""},
	} {
		wrapped := fmt.Errorf("save: %w", &fs.PathError{Op: "write", Path: "f", Err: c.cause})
		if got := Remedy(wrapped); got != c.want {
			t.Errorf("%v: %q, want %q", c.cause, got, c.want)
		}
		want := wrapped.Error()
		if c.want != "" {
			want += "; " + c.want
		}
		// Advice is given once, whoever adds to the error afterwards.
		advised := Advise(wrapped)
		if got := advised.Error(); got != want || !errors.Is(advised, c.cause) {
			t.Errorf("%v: advised %q, want %q", c.cause, got, want)
		}
		again := Advise(errors.Join(fmt.Errorf("run r: %w", advised)))
		if got := again.Error(); got != "run r: "+want {
			t.Errorf("%v: advised again %q", c.cause, got)
		}
	}
	if Remedy(nil) != "" || Advise(nil) != nil {
		t.Errorf("no error: %q, %v", Remedy(nil), Advise(nil))
	}
}

func TestAnErrorThatSaysWhatToDoIsLeftAlone(t *testing.T) {
	own := fmt.Errorf("open: %w", &dataset.DataError{File: "f.csv", Problem: "cannot be read", Fix: "close other files", Cause: syscall.EMFILE})
	if got := AdviseOr(own, "something else"); got.Error() != own.Error() {
		t.Errorf("%q", got)
	}
	if got := AdviseOr(errors.New("odd"), "look at it").Error(); got != "odd; look at it" {
		t.Errorf("%q", got)
	}
	if got := AdviseOr(syscall.ENOSPC, "look at it").Error(); got != "no space left on device; free some space" {
		t.Errorf("%q", got)
	}
}
