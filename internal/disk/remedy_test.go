package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"
)

func TestRemedyTellsWhatMayPass(t *testing.T) {
	for err, want := range map[error]string{
		syscall.ENOSPC:        "free some space",
		syscall.EDQUOT:        "free some of your quota",
		syscall.EMFILE:        "raise the limit of open files",
		syscall.EROFS:         "mount it for writing",
		syscall.EACCES:        "give this user permission",
		syscall.ENOENT:        "put it back",
		syscall.EINVAL:        "",
		errors.ErrUnsupported: "",
	} {
		wrapped := fmt.Errorf("save: %w", &fs.PathError{Op: "write", Path: "f", Err: err})
		if got := Remedy(wrapped); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
	if got := Remedy(nil); got != "" {
		t.Errorf("no error: %q", got)
	}
}
