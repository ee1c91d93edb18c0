// Package packed keeps data that is too large for memory in a file without a name, from which
// any part can be read at any time. Nobody else can change the file, and it is gone once it
// is closed, or its process has ended.
//
// # Why there is no memory map
//
// A File is read by ReadAt. A map gives a row of 160 bytes that is cached in 0.1 instead of
// 0.8 microseconds, but its pages count as memory of the process until they are given
// back, so that a limit on memory does not hold; giving them back after each batch
// of 4,096 rows makes a row take 4 to 9 microseconds. A map also turns a file that
// is cut off into a signal that ends the process, where ReadAt returns an error.
package packed

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"reprise/fault"
	"reprise/internal/disk"
)

// partial begins the names that files have for a moment.
const partial = ".packing-"

// File is a file without a name. A system that cannot remove the name of an open file keeps
// it until Sweep finds it. It is safe for concurrent use, but for Write.
type File struct {
	file *os.File
	size int64
}

// Create makes a file of some size in a folder, which is made if need be. What is not
// written is zeros.
func Create(dir string, size int64) (*File, error) {
	if err := disk.MkdirAll(disk.OS{}, dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, partial+"*")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(f.Name())
	if err := f.Truncate(size); err != nil {
		_ = f.Close()
		return nil, err
	}
	return &File{f, size}, nil
}

// Folder returns the folder that the file is in.
func (f *File) Folder() string { return filepath.Dir(f.file.Name()) }

// Size returns the size of the file.
func (f *File) Size() int64 { return f.size }

// Write appends to a file that was created empty.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.file.Write(p)
	f.size += int64(n)
	return n, err
}

// WriteAt writes a part of the file.
func (f *File) WriteAt(p []byte, at int64) (int, error) { return f.file.WriteAt(p, at) }

// ReadAt reads a part of the file. It fails with a *DamagedError if the file is shorter than
// what was written.
func (f *File) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 || at+int64(len(p)) > f.size {
		return 0, io.EOF
	}
	n, err := f.file.ReadAt(p, at)
	if errors.Is(err, io.EOF) {
		return n, &DamagedError{Path: f.file.Name(), Problem: "was cut off while it was in use"}
	}
	return n, err
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// Writer writes a File in large pieces.
type Writer struct {
	*bufio.Writer
	file *File
}

// NewWriter begins an empty file in a folder.
func NewWriter(dir string) (*Writer, error) {
	f, err := Create(dir, 0)
	if err != nil {
		return nil, err
	}
	return &Writer{bufio.NewWriterSize(f, 1<<20), f}, nil
}

// Finish returns the file once all of it is written.
func (w *Writer) Finish() (*File, error) { return w.file, w.Flush() }

// Discard closes the file.
func (w *Writer) Discard() { _ = w.file.Close() }

// Sweep removes what processes that were killed left in a folder. Files in use do not need
// their names.
func Sweep(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // there is nothing, or it does no harm
	}
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasPrefix(e.Name(), partial) {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// DamagedError says that a file is not as it was written.
type DamagedError struct{ Path, Problem string }

// Error says what is wrong, and that it can be made good.
func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s %s; it is a copy, and is made again when the data are opened the next time", fault.ShowPath(e.Path), e.Problem)
}

// Kind returns Unavailable: the data can be packed again.
func (e *DamagedError) Kind() fault.Kind { return fault.Unavailable }
