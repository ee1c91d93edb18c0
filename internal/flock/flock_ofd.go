//go:build linux || darwin

package flock

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Locks of the open file description can be queried without being taken, unlike
// those of flock(2), and belong to one open file description rather than to the
// process, unlike other locks of fcntl(2).

// tryLock takes the exclusive lock and reports whether it got it.
func tryLock(f *os.File) (bool, error) {
	err := control(f, setLock, &unix.Flock_t{Type: unix.F_WRLCK, Len: 1})
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return false, nil
	}
	return err == nil, err
}

// isLocked reports whether another open file description holds the lock.
func isLocked(f *os.File) (bool, error) {
	wanted := unix.Flock_t{Type: unix.F_RDLCK, Len: 1}
	err := control(f, getLock, &wanted)
	return err == nil && wanted.Type != unix.F_UNLCK, err
}

func control(f *os.File, command int, lock *unix.Flock_t) error {
	for {
		if err := unix.FcntlFlock(f.Fd(), command, lock); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
