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
	uid, gid, foreign := owner(filepath.Dir(name))
	if !foreign {
		return os.OpenFile(name, flag, perm)
	}
	f, err := os.OpenFile(name, flag|os.O_EXCL, perm)
	if errors.Is(err, fs.ErrExist) && flag&os.O_EXCL == 0 {
		return os.OpenFile(name, flag, perm)
	}
	if err != nil {
		return nil, err
	}
	if err := f.Chown(uid, gid); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// mkdir is os.Mkdir with the owner that create gives.
func mkdir(name string, perm fs.FileMode) error {
	uid, gid, foreign := owner(filepath.Dir(name))
	if err := os.Mkdir(name, perm); err != nil || !foreign {
		return err
	}
	return os.Lchown(name, uid, gid) // a link that took its place is not followed
}

// createIn is create below a root that the name does not leave.
func createIn(root *os.Root, name string, flag int, perm fs.FileMode) (*os.File, error) {
	info, err := root.Stat(filepath.Dir(name))
	uid, gid, foreign := ownerOf(info, err)
	if !foreign {
		return root.OpenFile(name, flag, perm)
	}
	f, err := root.OpenFile(name, flag|os.O_EXCL, perm)
	if errors.Is(err, fs.ErrExist) && flag&os.O_EXCL == 0 {
		return root.OpenFile(name, flag, perm)
	}
	if err != nil {
		return nil, err
	}
	if err := f.Chown(uid, gid); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// mkdirIn is mkdir below a root that the name does not leave.
func mkdirIn(root *os.Root, name string, perm fs.FileMode) error {
	info, err := root.Stat(filepath.Dir(name))
	uid, gid, foreign := ownerOf(info, err)
	if err := root.Mkdir(name, perm); err != nil || !foreign {
		return err
	}
	return root.Lchown(name, uid, gid)
}

// owner returns the owner of a file or folder, and whether this process, as root,
// creates files on behalf of that user.
func owner(name string) (uid, gid int, foreign bool) { return ownerOf(os.Stat(name)) }

func ownerOf(info fs.FileInfo, err error) (uid, gid int, foreign bool) {
	if err != nil || os.Geteuid() != 0 {
		return 0, 0, false // creating the file reports the error
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid == 0 {
		return 0, 0, false
	}
	return int(stat.Uid), int(stat.Gid), true
}

// GiveToOwner gives a file to the owner of its folder, if this process is root and the
// owner is another user: for what was not created through this package.
func GiveToOwner(name string) error {
	uid, gid, foreign := owner(filepath.Dir(name))
	if !foreign {
		return nil
	}
	return os.Lchown(name, uid, gid)
}

// CreateLike creates an empty file that belongs to the owner of like, a file or
// folder, if this process is root and the owner is another user. Otherwise, or if
// the file exists, it does nothing, and the next to open the file creates it.
func CreateLike(name, like string) error {
	uid, gid, foreign := owner(like)
	if !foreign {
		return nil
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Chown(uid, gid), f.Close())
}
