package checkpoint

import (
	"errors"
	"fmt"
	"path/filepath"

	"reprise/fault"
)

// ErrMissing is wrapped by the *CorruptError of a checkpoint whose folder is missing,
// or one of its files. Nothing is known to be damaged then, and a copy from elsewhere
// is as good as the original.
var ErrMissing = fault.New(fault.Corrupt, "is missing")

// ErrContent is wrapped by the *fault.FieldError of a Content that cannot be written.
var ErrContent = fault.New(fault.Invalid, "a checkpoint cannot hold it")

// CorruptError says that a checkpoint is not what its Ref pins: a file is
// missing (ErrMissing), or its content is not what was written.
type CorruptError struct {
	Folder string // the checkpoint's
	File   string // within Folder; "" where the folder itself is at fault
	What   string
	// Err is ErrMissing if there is nothing at all, else nil.
	Err error
}

// Error names the file and what is wrong with it.
func (e *CorruptError) Error() string {
	if errors.Is(e.Err, ErrMissing) {
		return fmt.Sprintf("checkpoint is missing: %s: %s", filepath.Join(e.Folder, e.File), e.What)
	}
	return fmt.Sprintf("checkpoint is corrupt: %s: %s", filepath.Join(e.Folder, e.File), e.What)
}

// Kind returns Corrupt.
func (e *CorruptError) Kind() fault.Kind { return fault.Corrupt }

// Unwrap returns Err.
func (e *CorruptError) Unwrap() error { return e.Err }

// CommittedError says that a checkpoint was committed, although the log at hand does
// not have its event: the log is older than the checkpoint, or another one.
type CommittedError struct {
	Folder string
	// Position is that of the event in its log; 0 if it is not known.
	Position uint64
}

// Error names the folder and where the event was.
func (e *CommittedError) Error() string {
	if e.Position == 0 {
		return e.Folder + " was committed, and the event log does not have its event"
	}
	return fmt.Sprintf("%s was committed by event %d, which the event log does not have", e.Folder, e.Position)
}

// Kind returns Corrupt.
func (e *CommittedError) Kind() fault.Kind { return fault.Corrupt }

// ForeignError says that a folder that is to be removed contains something that this
// package did not write.
type ForeignError struct {
	Folder, Name string
}

// Error names what is there and what to do.
func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s cannot be removed: reprise did not write %q, which is in it; move that elsewhere", e.Folder, e.Name)
}

// Kind returns Conflict.
func (e *ForeignError) Kind() fault.Kind { return fault.Conflict }

// VersionError says that a manifest or a note is intact, but of a version that this
// program cannot read.
type VersionError struct {
	Got, Known int
}

// Error names both versions and what to do.
func (e *VersionError) Error() string {
	if e.Got < 1 {
		return fmt.Sprintf("the format has no version %d; this program reads version %d", e.Got, e.Known)
	}
	return fmt.Sprintf("the checkpoint was written by a newer version of reprise (format version %d, this one reads %d): upgrade reprise", e.Got, e.Known)
}

// Kind returns Internal.
func (e *VersionError) Kind() fault.Kind { return fault.Internal }

// Advised makes it known that the text says what to do.
func (e *VersionError) Advised() bool { return e.Got >= 1 }
