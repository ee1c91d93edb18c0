package fault

import (
	"context"
	"errors"
	"io/fs"
	"syscall"
)

// systemKind is the one table from errors of the operating system, and of contexts, to
// kinds. It is Internal for an error that it does not know.
func systemKind(err error) Kind {
	for _, row := range []struct {
		cause error
		kind  Kind
	}{
		{context.Canceled, Canceled},

		{syscall.ENOSPC, Exhausted},
		{syscall.EDQUOT, Exhausted},
		{syscall.EFBIG, Exhausted},
		{syscall.ENOMEM, Exhausted},
		{syscall.EMFILE, Exhausted},
		{syscall.ENFILE, Exhausted},
		{syscall.EAGAIN, Exhausted}, // of threads and locks
		{syscall.ENOBUFS, Exhausted},

		{fs.ErrPermission, Forbidden}, // EACCES, EPERM

		{fs.ErrNotExist, Unavailable},
		{syscall.ENOTDIR, Unavailable}, // a folder on the way is gone
		{syscall.EROFS, Unavailable},
		{syscall.EBUSY, Unavailable},
		{syscall.EINTR, Unavailable},
		{syscall.EIO, Unavailable},
		{syscall.ENXIO, Unavailable},
		{syscall.ENODEV, Unavailable},
		{syscall.ESTALE, Unavailable},
		{syscall.ECONNREFUSED, Unavailable},
		{syscall.ECONNRESET, Unavailable},
		{syscall.ECONNABORTED, Unavailable},
		{syscall.ENETDOWN, Unavailable},
		{syscall.ENETUNREACH, Unavailable},
		{syscall.EHOSTDOWN, Unavailable},
		{syscall.EHOSTUNREACH, Unavailable},
	} {
		if errors.Is(err, row.cause) {
			return row.kind
		}
	}
	// A deadline: context.DeadlineExceeded, os.ErrDeadlineExceeded, ETIMEDOUT, net.Error.
	var late interface{ Timeout() bool }
	if errors.As(err, &late) && late.Timeout() {
		return Unavailable
	}
	return Internal
}
