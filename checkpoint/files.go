package checkpoint

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"reprise/internal/fsync"
)

// fileLayer is every operation on files that this package makes, so that tests
// can fail each of them, and lose what was not synced.
type fileLayer interface {
	// MkdirAll makes a folder and its parents, durable.
	MkdirAll(path string) error
	Mkdir(path string) error
	// Create makes a file that is not there yet.
	Create(path string) (outFile, error)
	Open(path string) (inFile, error)
	// Kind reports what is at a path, following no link.
	Kind(path string) (kind, error)
	// Names lists a folder in lexical order.
	Names(path string) ([]string, error)
	Rename(from, to string) error
	// RemoveAll removes a folder with all that is in it; one that is missing is
	// removed already.
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

// osFiles are the files of the operating system.
type osFiles struct{}

const (
	folderMode = 0o755
	fileMode   = 0o644
)

func (osFiles) MkdirAll(path string) error { return fsync.MkdirAll(path, folderMode) }

func (osFiles) Mkdir(path string) error { return os.Mkdir(path, folderMode) }

func (osFiles) Create(path string) (outFile, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
}

func (osFiles) Open(path string) (inFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return osInFile{f}, nil
}

func (osFiles) Kind(path string) (kind, error) {
	info, err := os.Lstat(path)
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

func (osFiles) Names(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

func (osFiles) Rename(from, to string) error { return os.Rename(from, to) }

func (osFiles) RemoveAll(path string) error { return os.RemoveAll(path) }

func (osFiles) SyncDir(path string) error { return fsync.Dir(path) }

type osInFile struct{ *os.File }

// Size fails for what is no regular file: it has no end to read up to.
func (f osInFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, errNotRegular
	}
	return info.Size(), nil
}

var errNotRegular = errors.New("it is not a regular file")
