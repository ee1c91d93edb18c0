package datadir

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"syscall"

	"reprise/checkpoint"
	"reprise/device"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/internal/disk"
)

// AdvisedError is an error with what its user can do about it. Its text is the one
// place that puts the two together: "record: no space left on device; free some space".
type AdvisedError struct {
	Err    error
	Remedy string
}

// Error returns the error's text and the remedy.
func (e *AdvisedError) Error() string { return e.Err.Error() + "; " + e.Remedy }

// Kind returns that of Err.
func (e *AdvisedError) Kind() fault.Kind { return fault.KindOf(e.Err) }

// Unwrap returns Err.
func (e *AdvisedError) Unwrap() error { return e.Err }

// Advised makes e known as an error whose text says what to do.
func (e *AdvisedError) Advised() bool { return true }

// Advise returns the error with the remedy for its cause. An error whose cause has
// none, or that says already what to do, stays as it is.
func Advise(err error) error { return AdviseOr(err, "") }

// AdviseOr is Advise with the remedy for errors whose cause has none; "" for none.
func AdviseOr(err error, otherwise string) error {
	if err == nil || IsAdvised(err) {
		return err
	}
	remedy := Remedy(err)
	if remedy == "" {
		remedy = otherwise
	}
	if remedy == "" {
		return err
	}
	return &AdvisedError{err, remedy}
}

// IsAdvised reports whether the text of an error says what to do.
func IsAdvised(err error) bool {
	var says interface{ Advised() bool }
	return errors.As(err, &says) && says.Advised()
}

// Remedy returns what a user can do about the cause of an error, such as "free some
// space" for a disk that is full; "" if its cause is not one that may pass.
func Remedy(err error) string {
	for _, r := range remedies() {
		if r.is(err) {
			return r.fix(err)
		}
	}
	return ""
}

// remedy is a cause, known by its type, and what to do about it.
type remedy struct {
	is  func(error) bool
	fix func(error) string
}

// remedies is the table of the causes that may pass, the most specific first.
func remedies() []remedy {
	return []remedy{
		cause(ErrDataDirGone, "put the folder back, or restore a backup"),
		ofType(func(e *eventstore.DeniedError) string {
			if e.Writing {
				return "run this as the owner of " + e.Folder
			}
			return "its owner can let you read it: chmod -R a+rX " + e.Folder
		}),
		ofType(func(e *device.NoSuitableDeviceError) string {
			if e.Transient() {
				return "end what uses the device, or wait for it"
			}
			return "use a machine that has such a device"
		}),
		ofType(func(*checkpoint.CorruptError) string {
			return "put a copy of it back, or fork the run from an earlier checkpoint"
		}),
		cause(eventstore.ErrLocked, "end the transaction or the program that holds the lock, then try again"),
		cause(syscall.ENOSPC, "free some space"),
		cause(syscall.EDQUOT, "free some of your quota"),
		cause(syscall.EFBIG, "allow larger files (ulimit -f)"),
		cause(syscall.EROFS, "mount it for writing, or use a folder that can be written"),
		cause(fs.ErrPermission, "give this user permission"),
		cause(syscall.EMFILE, "raise the limit of open files (ulimit -n)"),
		cause(syscall.ENFILE, "close files of other programs: the system allows no more"),
		cause(syscall.ENOMEM, "free some memory, or allow this process more (ulimit -v)"),
		cause(syscall.EAGAIN, "end other programs: the system allows no more of what they hold"),
		cause(syscall.ESTALE, "mount the network file system again"),
		cause(syscall.ETIMEDOUT, "make sure that the disk answers again"),
		cause(syscall.ENXIO, "connect the disk again"),
		cause(syscall.ENODEV, "connect the disk again"),
		cause(syscall.EIO, "the disk itself failed: check it, and copy what it still holds to another"),
		cause(disk.ErrNotRegular, "move it away, and put a regular file in its place"),
		cause(disk.ErrNotFolder, "move it away"),
		cause(fs.ErrNotExist, "put it back"),
		cause(syscall.ENOTDIR, "put the folder back"),
	}
}

// Unusable says that a file or folder that the user named cannot be used, and the fix;
// nothing was written, and it is Invalid. Where another one would meet the same, as on a
// system without memory, it is not the user's mistake, and the remedy is the cause's.
func Unusable(err error, fix string) error {
	if Remedy(err) != "" && !isOfThePath(err) {
		return Advise(err)
	}
	return fault.As(fault.Invalid, &AdvisedError{Err: err, Remedy: fix})
}

// UnusableField is Unusable as a *fault.FieldError, or one with the kind of the cause.
func UnusableField(field string, err error, fix string) error {
	e := &fault.FieldError{Field: field, Problem: err.Error(), Fix: fix, Cause: err}
	if remedy := Remedy(err); remedy != "" && !isOfThePath(err) {
		e.Fix = remedy
		return fault.As(fault.KindOf(err), e)
	}
	return e
}

// isOfThePath reports whether the cause of an error is the path that was named.
func isOfThePath(err error) bool {
	return slices.ContainsFunc([]error{
		fs.ErrPermission, fs.ErrNotExist, syscall.ENOTDIR, syscall.EROFS, disk.ErrNotRegular, disk.ErrNotFolder,
	}, func(cause error) bool { return errors.Is(err, cause) })
}

// Passing reports whether an error says nothing about the files that were accessed: the
// process or the system had too little of something, or a disk did not answer.
func Passing(err error) bool {
	return slices.ContainsFunc([]error{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EAGAIN, syscall.EINTR,
		syscall.ESTALE, syscall.ETIMEDOUT, syscall.ENXIO, syscall.ENODEV,
		context.Canceled, context.DeadlineExceeded,
	}, func(cause error) bool { return errors.Is(err, cause) })
}

// cause is the remedy for errors that wrap a value.
func cause(target error, fix string) remedy {
	return remedy{
		is:  func(err error) bool { return errors.Is(err, target) },
		fix: func(error) string { return fix },
	}
}

// ofType is the remedy for errors that wrap one of a type.
func ofType[E error](fix func(E) string) remedy {
	return remedy{
		is: func(err error) bool { return errors.As(err, new(E)) },
		fix: func(err error) string {
			var found E
			errors.As(err, &found)
			return fix(found)
		},
	}
}
