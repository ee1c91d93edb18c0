//go:build dragonfly || freebsd || netbsd || openbsd

package flock

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// tryLock takes the exclusive lock and reports whether it got it.
func tryLock(f *os.File) (bool, error) {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, err
		}
	}
}

// isLocked reports whether another open file description holds the lock. On these
// systems fcntl(2) sees the locks of flock(2).
func isLocked(f *os.File) (bool, error) {
	for {
		wanted := unix.Flock_t{Type: unix.F_RDLCK, Len: 1}
		if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &wanted); !errors.Is(err, unix.EINTR) {
			return err == nil && wanted.Type != unix.F_UNLCK, err
		}
	}
}
