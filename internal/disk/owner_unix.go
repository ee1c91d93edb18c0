//go:build unix

package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// create opens a file as os.OpenFile does with O_CREATE. What root creates in the
// folder of another user belongs to that user, who would otherwise be locked out of
// a file that must be written again.
func create(name string, flag int, perm fs.FileMode) (*os.File, error) {
	return createFor(ownerOf(os.Stat(filepath.Dir(name))), flag, func(flag int) (*os.File, error) {
		return os.OpenFile(name, flag, perm)
	})
}

// createIn is create below a root that the name does not leave.
func createIn(root *os.Root, name string, flag int, perm fs.FileMode) (*os.File, error) {
	return createFor(ownerOf(root.Stat(filepath.Dir(name))), flag, func(flag int) (*os.File, error) {
		return root.OpenFile(name, flag, perm)
	})
}

// createFor opens a file, and gives it to the owner of its folder if it is new.
func createFor(to user, flag int, open func(flag int) (*os.File, error)) (*os.File, error) {
	if !to.foreign {
		return open(flag)
	}
	f, err := open(flag | os.O_EXCL)
	if errors.Is(err, fs.ErrExist) && flag&os.O_EXCL == 0 {
		return open(flag)
	}
	if err != nil {
		return nil, err
	}
	if err := f.Chown(to.uid, to.gid); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// mkdir is os.Mkdir with the owner that create gives.
func mkdir(name string, perm fs.FileMode) error {
	to := ownerOf(os.Stat(filepath.Dir(name)))
	if err := os.Mkdir(name, perm); err != nil || !to.foreign {
		return err
	}
	return os.Lchown(name, to.uid, to.gid) // a link that took its place is not followed
}

// mkdirIn is mkdir below a root that the name does not leave.
func mkdirIn(root *os.Root, name string, perm fs.FileMode) error {
	to := ownerOf(root.Stat(filepath.Dir(name)))
	if err := root.Mkdir(name, perm); err != nil || !to.foreign {
		return err
	}
	return root.Lchown(name, to.uid, to.gid)
}

// user is the owner of a file or folder. foreign says that this process, as root,
// creates files on their behalf.
type user struct {
	uid, gid int
	foreign  bool
}

func ownerOf(info fs.FileInfo, err error) user {
	if err != nil || os.Geteuid() != 0 {
		return user{} // creating the file reports the error
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid == 0 {
		return user{}
	}
	return user{int(stat.Uid), int(stat.Gid), true}
}

// Foreign reports whether a file belongs to another user than this process acts for.
func Foreign(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) != os.Geteuid()
}

// GiveToOwner gives a file to the owner of its folder, if this process is root and the
// owner is another user: for what was not created through this package.
func GiveToOwner(name string) error {
	to := ownerOf(os.Stat(filepath.Dir(name)))
	if !to.foreign {
		return nil
	}
	return os.Lchown(name, to.uid, to.gid)
}

// CreateLike creates an empty file that belongs to the owner of like, a file or
// folder, if this process is root and the owner is another user. Otherwise, or if
// the file exists, it does nothing, and the next to open the file creates it.
func CreateLike(name, like string) error {
	to := ownerOf(os.Stat(like))
	if !to.foreign {
		return nil
	}
	f, err := createFor(to, os.O_RDWR|os.O_CREATE|os.O_EXCL, func(flag int) (*os.File, error) {
		return os.OpenFile(name, flag, 0o644)
	})
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}
