// Package staging holds the file or folder that a command is about to publish,
// out of sight, beside the place where it will get its name.
//
//	PARENT/.reprise-partial-0123456789abcdef/
//	  lock      held (internal/flock) for as long as its maker lives
//	  content   the file or folder that is being made
//
// The name is random and the folder is new, so nothing that belongs to anybody else
// is replaced. A maker that dies leaves the folder behind; Sweep removes it, and
// nothing else: only a folder of exactly that form whose lock nobody holds.
package staging

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"reprise/internal/disk"
	"reprise/internal/flock"
)

const (
	prefix      = ".reprise-partial-"
	idBytes     = 8
	lockName    = "lock"
	contentName = "content"
	// attempts bounds how often New tries another name.
	attempts = 100
)

// Area is where a file or folder is being made. It is used by one goroutine.
type Area struct {
	folder string
	lock   *flock.Lock
}

// New makes an area in the folder parent, which exists, after sweeping that folder.
// The caller must call Close. holder is noted in the lock.
func New(parent string, holder flock.Info) (*Area, error) {
	Sweep(parent)
	return makeArea(parent, func(path string) (*flock.Lock, error) { return flock.Acquire(path, holder) })
}

// makeArea is New with the function that takes the lock, and without the sweep.
func makeArea(parent string, acquire func(path string) (*flock.Lock, error)) (*Area, error) {
	var err error
	for range attempts {
		var id [idBytes]byte
		_, _ = rand.Read(id[:]) // never fails
		a := &Area{folder: filepath.Join(parent, prefix+hex.EncodeToString(id[:]))}
		if err = disk.Or(nil).Mkdir(a.folder, 0o700); err == nil {
			a.lock, err = acquire(filepath.Join(a.folder, lockName))
		}
		switch {
		case err == nil:
			return a, nil
		case !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, flock.ErrLocked):
			_ = os.Remove(filepath.Join(a.folder, lockName)) // which could not be written
			_ = os.Remove(a.folder)
			return nil, err
		}
		// The name is taken, or a sweeper took the folder before its lock was held.
		if _, there := os.Stat(parent); there != nil {
			return nil, there
		}
	}
	return nil, err
}

// Path returns the path of the file or folder that is being made. New does not
// make it.
func (a *Area) Path() string { return filepath.Join(a.folder, contentName) }

// Publish gives what was made its name in the parent folder, durably. It fails
// with fs.ErrExist, and replaces nothing, where the name is taken.
func (a *Area) Publish(name string) error { return disk.Publish(disk.OS{}, a.Path(), name) }

// Close removes the area with what was not published.
func (a *Area) Close() error {
	return errors.Join(remove(a.folder, a.lock))
}

// remove removes an area whose lock is held: the content first, so that Sweep still
// recognizes what a crash leaves, and the lock's file before the lock ends, so that
// nobody can take the lock of an area that is about to go.
func remove(folder string, lock *flock.Lock) error {
	err := os.RemoveAll(filepath.Join(folder, contentName))
	lockPath := filepath.Join(folder, lockName)
	unnamed := false
	if err == nil {
		unnamed = os.Remove(lockPath) == nil
	}
	if err = errors.Join(err, lock.Release()); err != nil {
		return err
	}
	if !unnamed { // Windows does not remove a file that is open, whoever opened it
		err = removeIfThere(lockPath)
	}
	return errors.Join(err, removeIfThere(folder))
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Sweep removes from the folder parent the areas whose makers have died. It leaves
// what it cannot remove.
func Sweep(parent string) {
	entries, err := disk.OS{}.ReadDir(parent)
	if err != nil {
		return // whoever uses the folder reports why
	}
	for _, e := range entries {
		if e.IsDir() && isArea(e.Name()) {
			sweep(filepath.Join(parent, e.Name()))
		}
	}
}

// SweepImports removes from a data directory, whose lock the caller holds, the
// folders that killed imports of earlier versions left there: .import-DIGITS, with
// an event log and nothing else in it.
func SweepImports(dir string) {
	entries, err := disk.OS{}.ReadDir(dir)
	if err != nil {
		return // whoever uses the folder reports why
	}
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), ".import-")
		folder := filepath.Join(dir, e.Name())
		if ok && e.IsDir() && digits != "" && strings.Trim(digits, "0123456789") == "" && holdsOnlyALog(folder) {
			_ = os.RemoveAll(folder) // litter may stay
		}
	}
}

func holdsOnlyALog(folder string) bool {
	entries, err := disk.OS{}.ReadDir(folder)
	for _, e := range entries {
		if !e.Type().IsRegular() || !strings.HasPrefix(e.Name(), "events.db") {
			return false
		}
	}
	return err == nil
}

// isArea reports whether a name has the form that New gives.
func isArea(name string) bool {
	id, ok := strings.CutPrefix(name, prefix)
	raw, err := hex.DecodeString(id)
	return ok && err == nil && len(raw) == idBytes && id == strings.ToLower(id)
}

func sweep(folder string) {
	entries, err := disk.OS{}.ReadDir(folder)
	if err != nil {
		return
	}
	locked := false
	for _, e := range entries {
		switch {
		case e.Name() == lockName && e.Type().IsRegular():
			locked = true
		case e.Name() != contentName:
			return // New did not make it
		}
	}
	switch {
	case locked:
		lock, err := flock.Seize(filepath.Join(folder, lockName))
		if err != nil {
			return // its maker lives
		}
		_ = remove(folder, lock) // litter may stay
	case len(entries) == 0:
		// Its maker died before it took the lock. One that lives tries another name.
		_ = os.Remove(folder)
	}
}
