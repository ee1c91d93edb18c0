package disktest

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
)

// Register makes the disk SQLite's under the returned name, until unregister is
// called. Databases lie below the disk's root.
func (d *Disk) Register() (name string, unregister func()) {
	name = fmt.Sprintf("disktest-%p", d)
	vfs.Register(name, &system{d, vfs.Find("os").(vfs.VFSFilename)})
	return name, func() { vfs.Unregister(name) }
}

// system is the operating system's file layer of SQLite, on a Disk.
type system struct {
	disk *Disk
	vfs.VFSFilename
}

func (s *system) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	if name == nil { // a temporary file: nothing depends on it
		return s.VFSFilename.OpenFilename(name, flags)
	}
	path := name.String()
	op := Op{"open", path, Reads}
	if flags&vfs.OPEN_CREATE != 0 {
		op = Op{"create", path, Grows}
	}
	var opened vfs.File
	var node *node
	err := s.disk.do(operation{Op: op, carry: func() error {
		var err error
		if opened, flags, err = s.VFSFilename.OpenFilename(name, flags); err == nil {
			node, err = s.disk.created(path)
		}
		return err
	}})
	if err != nil {
		if opened != nil {
			err = errors.Join(err, opened.Close())
		}
		return nil, flags, err
	}
	journal := flags&(vfs.OPEN_MAIN_JOURNAL|vfs.OPEN_SUPER_JOURNAL|vfs.OPEN_WAL) != 0
	return &database{
		systemFile: opened.(systemFile), disk: s.disk, node: node, path: path,
		nameUnsynced: flags&vfs.OPEN_CREATE != 0 && journal,
	}, flags, nil
}

func (s *system) Delete(path string, syncDir bool) error {
	err := s.disk.do(operation{Op: Op{"remove", path, Changes}, carry: func() error {
		if err := s.VFSFilename.Delete(path, false); err != nil {
			return err
		}
		return s.disk.forget(path)
	}})
	if err != nil || !syncDir {
		return err
	}
	return s.disk.SyncDir(filepath.Dir(path))
}

func (s *system) Access(path string, flags vfs.AccessFlag) (found bool, err error) {
	err = s.disk.do(operation{Op: Op{"access", path, Reads}, carry: func() error {
		found, err = s.VFSFilename.Access(path, flags)
		return err
	}})
	return found, err
}

// systemFile is all that SQLite asks of the operating system's files, but for
// mapping them to memory, which could not be failed.
type systemFile interface {
	vfs.File
	vfs.FileLockState
	vfs.FileHasMoved
	vfs.FileSizeHint
	vfs.FilePersistWAL
	vfs.FilePowersafeOverwrite
	vfs.FileSharedMemory
}

// database is a file of SQLite's.
type database struct {
	systemFile
	disk *Disk
	node *node
	path string
	// nameUnsynced is set until the first sync of a journal that was made: it
	// syncs the folder, too, whether or not that works.
	nameUnsynced bool
}

func (f *database) ReadAt(b []byte, off int64) (n int, err error) {
	var end error
	err = f.disk.do(operation{Op: Op{"read", f.path, Reads}, carry: func() error {
		n, end = f.systemFile.ReadAt(b, off)
		return nil
	}})
	if err != nil {
		return 0, err
	}
	return n, end
}

func (f *database) WriteAt(b []byte, off int64) (n int, err error) {
	some := func(b []byte) error {
		n, err := f.systemFile.WriteAt(b, off)
		f.node.edit(edit{at: off, data: append([]byte(nil), b[:n]...)})
		return err
	}
	err = f.disk.do(operation{
		Op:    Op{"write", f.path, Grows},
		carry: func() error { return some(b) },
		tear:  func() { _ = some(b[:len(b)/2]) },
	})
	if errors.Is(err, syscall.ENOSPC) {
		return 0, vfs.SystemError(err, sqlite3.FULL)
	}
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

func (f *database) Truncate(size int64) error {
	return f.disk.do(operation{Op: Op{"truncate", f.path, Changes}, carry: func() error {
		f.node.edit(edit{size: size, truncate: true})
		return f.systemFile.Truncate(size)
	}})
}

func (f *database) SizeHint(size int64) error {
	return f.disk.do(operation{Op: Op{"allocate", f.path, Grows}, carry: func() error {
		now, err := f.systemFile.Size()
		if err != nil || size <= now {
			return err
		}
		f.node.edit(edit{size: size, truncate: true})
		return f.systemFile.SizeHint(size)
	}})
}

func (f *database) Sync(vfs.SyncFlag) error {
	if err := f.disk.syncContent(f.path, f.node); err != nil || !f.nameUnsynced {
		return err
	}
	f.nameUnsynced = false
	return f.disk.SyncDir(filepath.Dir(f.path))
}

func (f *database) Size() (size int64, err error) {
	err = f.disk.do(operation{Op: Op{"size", f.path, Reads}, carry: func() error {
		size, err = f.systemFile.Size()
		return err
	}})
	return size, err
}

func (f *database) Close() error {
	err := f.disk.do(operation{Op: Op{"close", f.path, Reads}, carry: func() error { return nil }})
	return errors.Join(err, f.systemFile.Close())
}
