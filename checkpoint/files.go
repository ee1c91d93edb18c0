package checkpoint

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"reprise/internal/disk"
)

// Folder is a run's folder of checkpoints on a disk. The functions of this package
// are its methods on the operating system's file system.
type Folder struct {
	Path string
	// Disk is the file system; nil stands for that of the operating system.
	Disk disk.FS
}

func (f Folder) files() fileLayer { return diskFiles{disk.Or(f.Disk)} }

// fileLayer is every operation on files that this package makes, so that tests
// can fail each of them, and lose what was not synced.
type fileLayer interface {
	// MkdirAll creates a folder and its parents, durably.
	MkdirAll(path string) error
	Mkdir(path string) error
	// Create creates a file that must not exist yet.
	Create(path string) (outFile, error)
	// Open opens a regular file. It fails with disk.ErrNotRegular for anything else.
	Open(path string) (inFile, error)
	// Kind reports what is at a path, without following links.
	Kind(path string) (kind, error)
	// Names lists a folder in lexical order.
	Names(path string) ([]string, error)
	Rename(from, to string) error
	// RemoveAll removes a folder and its contents. It does nothing if there is none.
	RemoveAll(path string) error
	// SyncDir makes the entries of a folder durable.
	SyncDir(path string) error
}

type outFile interface {
	io.WriteCloser
	Sync() error
}

type inFile interface {
	io.ReadCloser
	Size() (int64, error)
}

type kind int

const (
	missing kind = iota
	folder
	other
)

// diskFiles is the fileLayer of a disk.
type diskFiles struct{ disk disk.FS }

const (
	folderMode = 0o755
	fileMode   = 0o644
)

func (f diskFiles) MkdirAll(path string) error { return disk.MkdirAll(f.disk, path, folderMode) }

func (f diskFiles) Mkdir(path string) error { return f.disk.Mkdir(path, folderMode) }

func (f diskFiles) Create(path string) (outFile, error) {
	return f.disk.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
}

func (f diskFiles) Open(path string) (inFile, error) {
	in, err := disk.Open(f.disk, path)
	if err != nil {
		return nil, err
	}
	return diskInFile{in}, nil
}

func (f diskFiles) Kind(path string) (kind, error) {
	info, err := f.disk.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return missing, nil
	case err != nil:
		return missing, err
	case info.IsDir():
		return folder, nil
	}
	return other, nil
}

func (f diskFiles) Names(path string) ([]string, error) {
	entries, err := f.disk.ReadDir(path)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

func (f diskFiles) Rename(from, to string) error { return f.disk.Rename(from, to) }

func (f diskFiles) RemoveAll(path string) error { return f.disk.RemoveAll(path) }

func (f diskFiles) SyncDir(path string) error { return f.disk.SyncDir(path) }

type diskInFile struct{ disk.File }

func (f diskInFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
