package sqlite

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// The bytes that SQLite locks, https://sqlite.org/walformat.html#locks: a writer locks
// the first one in the index of the write-ahead log, a process that wants exclusive
// access those of the database.
const (
	writeLock  = 120
	lockedFrom = 0x40000000
	lockedLen  = 512
)

// lockHolder names the process that holds a lock on a database, preceded by a space; ""
// if the system does not tell.
func lockHolder(path string) string {
	for _, at := range []struct {
		file       string
		start, len int64
	}{{path + "-shm", writeLock, 1}, {path, lockedFrom, lockedLen}} {
		f, err := os.Open(at.file)
		if err != nil {
			continue
		}
		lock := unix.Flock_t{Type: unix.F_WRLCK, Start: at.start, Len: at.len}
		err = unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lock)
		_ = f.Close() // it was only asked
		if err != nil || lock.Type == unix.F_UNLCK || lock.Pid <= 0 {
			continue
		}
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", lock.Pid))
		if err != nil {
			return fmt.Sprintf(" by process %d", lock.Pid)
		}
		return fmt.Sprintf(" by process %d (%s)", lock.Pid, strings.TrimSpace(string(name)))
	}
	return ""
}
