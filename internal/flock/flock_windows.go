package flock

import (
	"errors"
	"math"
	"os"

	"golang.org/x/sys/windows"
)

// The locked bytes are away from the holder's note, which others want to read.
// Windows cannot be asked about a lock: a process must try to take it, and holds it
// for that moment. So Acquire and Probe first take the byte that gives them their
// turn, which nobody keeps.
const (
	lockOffset = math.MaxUint32
	turnOffset = math.MaxUint32 - 1
)

// tryLock takes the exclusive lock and reports whether it got it.
func tryLock(f *os.File) (bool, error) {
	return inTurn(f, func() (bool, error) {
		return try(f, windows.LOCKFILE_EXCLUSIVE_LOCK)
	})
}

// isLocked reports whether another opening of the file holds the lock.
func isLocked(f *os.File) (bool, error) {
	free, err := inTurn(f, func() (bool, error) {
		got, err := try(f, 0)
		if got {
			err = unlock(f, lockOffset)
		}
		return got, err
	})
	return err == nil && !free, err
}

// inTurn waits for others that are trying, a moment each, and then calls attempt.
func inTurn(f *os.File, attempt func() (bool, error)) (bool, error) {
	at := windows.Overlapped{Offset: turnOffset}
	if err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK, 0, 1, 0, &at); err != nil {
		return false, err
	}
	got, err := attempt()
	return got, errors.Join(err, unlock(f, turnOffset))
}

func try(f *os.File, flags uint32) (bool, error) {
	at := windows.Overlapped{Offset: lockOffset}
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return false, nil
	}
	return err == nil, err
}

func unlock(f *os.File, offset uint32) error {
	at := windows.Overlapped{Offset: offset}
	return windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, &at)
}
