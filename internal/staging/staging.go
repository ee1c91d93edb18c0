// Package staging makes what a command is about to publish, a file or a folder,
// out of sight, beside the place where it will get its name.
//
//	PARENT/.reprise-partial-0123456789abcdef/
//	  lock      held (internal/flock) for as long as the maker lives
//	  content   the file or folder that is being made
//
// The name is random and the folder new, so that nothing of anybody else's is
// replaced. A maker that dies leaves the folder behind; Sweep removes it, and
// nothing else: a folder of exactly that form whose lock nobody holds.
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

// New makes an area in the folder parent, which exists, and removes what makers
// that died left there. Close must follow. holder is noted in the lock.
func New(parent string, holder flock.Info) (*Area, error) {
	Sweep(parent)
	var err error
	for range attempts {
		var id [idBytes]byte
		_, _ = rand.Read(id[:]) // never fails
		a := &Area{folder: filepath.Join(parent, prefix+hex.EncodeToString(id[:]))}
		if err = os.Mkdir(a.folder, 0o700); err == nil {
			a.lock, err = flock.Acquire(filepath.Join(a.folder, lockName), holder)
		}
		switch {
		case err == nil:
			return a, nil
		case !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, flock.ErrLocked):
			return nil, err
		}
		// The name is taken, or another process swept the folder before it had a
		// lock.
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

// remove removes an area whose lock is held: the content first, so that what is
// left by a crash is still known for what it is.
func remove(folder string, lock *flock.Lock) error {
	err := os.RemoveAll(filepath.Join(folder, contentName))
	// An open file cannot be removed everywhere. Whoever takes the lock now
	// removes the folder, too.
	err = errors.Join(err, lock.Release())
	if err != nil {
		return err
	}
	return errors.Join(removeIfThere(filepath.Join(folder, lockName)), removeIfThere(folder))
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Sweep removes from the folder parent the areas whose makers have died. What it
// cannot remove stays.
func Sweep(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return // whoever works there will say why
	}
	for _, e := range entries {
		if e.IsDir() && isArea(e.Name()) {
			sweep(filepath.Join(parent, e.Name()))
		}
	}
}

// isArea reports whether a name is of the form that New gives.
func isArea(name string) bool {
	id, ok := strings.CutPrefix(name, prefix)
	raw, err := hex.DecodeString(id)
	return ok && err == nil && len(raw) == idBytes && id == strings.ToLower(id)
}

func sweep(folder string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	locked := false
	for _, e := range entries {
		switch {
		case e.Name() == lockName && e.Type().IsRegular():
			locked = true
		case e.Name() != contentName:
			return // it is not of our making
		}
	}
	switch {
	case locked:
		lock, err := flock.Acquire(filepath.Join(folder, lockName), flock.Info{})
		if err != nil {
			return // its maker lives
		}
		_ = remove(folder, lock) // litter may stay
	case len(entries) == 0:
		// Its maker died before it had a lock. One that lives tries another name.
		_ = os.Remove(folder)
	}
}
