package disk

import (
	"errors"
	"io/fs"
	"os"
)

// renamer is a file system that renames without replacing in one operation.
type renamer interface {
	RenameNew(from, to string) error
}

// RenameNew renames a file or folder. Unlike FS.Rename it replaces nothing: it
// fails with fs.ErrExist if the new name exists.
func RenameNew(f FS, from, to string) error {
	if r, ok := f.(renamer); ok {
		return r.RenameNew(from, to)
	}
	if err := absent(f, to); err != nil {
		return err
	}
	return f.Rename(from, to)
}

func absent(f FS, name string) error {
	switch _, err := f.Lstat(name); {
	case err == nil:
		return &fs.PathError{Op: "rename", Path: name, Err: fs.ErrExist}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return nil
}

// RenameNew implements the function RenameNew. If the system cannot do it in one
// operation, a file replaces an empty one that is created first, which fails if the
// name is taken; and a folder can replace nothing but an empty folder that another
// process created in the same instant.
func (o OS) RenameNew(from, to string) error {
	err := renameNew(from, to)
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return o.claimAndRename(from, to)
}

func (o OS) claimAndRename(from, to string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		err = absent(o, to)
	} else {
		var claim *os.File
		if claim, err = os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644); err == nil {
			err = claim.Close()
		}
	}
	if err != nil {
		return err
	}
	return os.Rename(from, to)
}
