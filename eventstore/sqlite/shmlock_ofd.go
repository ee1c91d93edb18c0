//go:build linux || darwin

package sqlite

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/ncruces/go-sqlite3"
	"golang.org/x/sys/unix"
)

// connectedLock is the byte of the index of a write-ahead log that every connection
// which uses the index holds a shared lock on ("dead man's switch"): who finds it
// free builds the index again.
const connectedLock = 128

// indexInUse reports whether somebody is connected to the database whose index of its
// write-ahead log is at path.
func indexInUse(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	others, err := heldByOthers(f)
	return others, errors.Join(err, f.Close())
}

// joinIndex is indexInUse, and where somebody is connected it takes part, until the
// returned lock is closed: whoever comes next then does not build the index again, even
// if the others end first. The lock is nil where nobody is connected. Nothing in the
// file is touched.
func joinIndex(path string) (lock io.Closer, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	joined, err := joinOthers(f)
	if err != nil || !joined {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func joinOthers(f *os.File) (joined bool, err error) {
	if others, err := heldByOthers(f); !others || err != nil {
		return false, err
	}
	err = ofd(f, ofdSetLock, &unix.Flock_t{Type: unix.F_RDLCK, Start: connectedLock, Len: 1})
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return false, sqlite3.BUSY // somebody is about to build the index
	}
	if err != nil {
		return false, err
	}
	return heldByOthers(f) // they may have ended before the lock was taken
}

// heldByOthers reports whether somebody holds a lock other than f's own.
func heldByOthers(f *os.File) (bool, error) {
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: connectedLock, Len: 1}
	err := ofd(f, ofdGetLock, &lock)
	return err == nil && lock.Type != unix.F_UNLCK, err
}

func ofd(f *os.File, command int, lock *unix.Flock_t) error {
	for {
		if err := unix.FcntlFlock(f.Fd(), command, lock); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
