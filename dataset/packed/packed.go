// Package packed keeps data that is too large for memory in one file, from which any part
// can be read at any time.
//
// A Writer writes a file under a temporary name, which Unname takes from it: the file is
// gone once nobody has it open, and nobody else can change it. What a process that was
// killed left is removed by Sweep.
//
// # Why there is no memory map
//
// A File is read by ReadAt. A map gives a row of 160 bytes that is cached in 0.1 instead of
// 0.8 microseconds, but its pages count as memory of the process until they are given
// back, so that a limit on memory does not hold; giving them back after each batch
// of 4,096 rows makes a row take 4 to 9 microseconds. A map also turns a file that
// is cut off into a signal that ends the process, where ReadAt returns an error.
//
// A Writer is used by one goroutine at a time; a File is safe for concurrent use.
package packed

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"reprise/fault"
	"reprise/internal/disk"
	"reprise/internal/flock"
)

const (
	bufferBytes = 1 << 20
	// partial begins the names of files.
	partial = ".packing-"
)

// Scratch is a file that is gone once it is closed. A system that does not allow that keeps
// it until Sweep finds it.
type Scratch struct {
	*os.File
	size int64
}

// NewScratch makes a file of some size in a folder. What is not written is zeros.
func NewScratch(dir string, size int64) (*Scratch, error) {
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
	return &Scratch{f, size}, nil
}

// Size returns the size that the file was made with.
func (s *Scratch) Size() int64 { return s.size }

// Writer writes a file.
type Writer struct {
	file   *os.File
	lock   *flock.Lock // tells Sweep that somebody writes
	buffer []byte
	body   *File // its size is without what is in the buffer
}

// Create begins a file in a folder, which is made if need be.
func Create(dir string) (*Writer, error) {
	if err := disk.MkdirAll(disk.OS{}, dir, 0o755); err != nil {
		return nil, err
	}
	const attempts = 100
	for range attempts {
		f, err := os.CreateTemp(dir, partial+"*")
		if err != nil {
			return nil, err
		}
		lock, err := flock.Seize(f.Name())
		if err == nil {
			return &Writer{file: f, lock: lock, buffer: make([]byte, 0, bufferBytes), body: &File{file: f, path: f.Name()}}, nil
		}
		_ = f.Close()
		if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, flock.ErrLocked) { // else Sweep was faster
			_ = os.Remove(f.Name())
			return nil, err
		}
	}
	return nil, fmt.Errorf("every file that was begun in %s was removed", dir)
}

// Folder returns the folder that the file is in.
func (w *Writer) Folder() string { return filepath.Dir(w.body.path) }

// Write appends to the body.
func (w *Writer) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		take := min(len(p), bufferBytes-len(w.buffer))
		w.buffer = append(w.buffer, p[:take]...)
		p = p[take:]
		if len(w.buffer) == bufferBytes {
			if err := w.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (w *Writer) flush() error {
	if len(w.buffer) == 0 {
		return nil
	}
	n, err := w.file.Write(w.buffer)
	w.body.size += int64(n)
	w.buffer = w.buffer[:0]
	return err
}

// Finish ends the body, which can be read from now on.
func (w *Writer) Finish() (*File, error) {
	if err := w.flush(); err != nil {
		return nil, err
	}
	w.buffer = nil
	return w.body, nil
}

// Unname removes the name of the file, so that it is gone once nobody has it open. A
// system that does not allow that keeps it until Sweep finds it.
func (w *Writer) Unname() {
	_ = os.Remove(w.file.Name())
	_ = w.lock.Release()
}

// Discard removes the file, which nobody may use afterwards.
func (w *Writer) Discard() {
	_ = w.file.Close() // before the removal: some systems want that
	w.Unname()
}

// Sweep removes what writers that were killed left in a folder.
func Sweep(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // there is nothing, or it does no harm
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !strings.HasPrefix(e.Name(), partial) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if lock, err := flock.Seize(path); err == nil {
			_ = os.Remove(path)
			_ = lock.Release()
		}
	}
}

// File is the body of a file.
type File struct {
	file *os.File
	path string
	size int64
}

// Size returns the bytes of the body.
func (f *File) Size() int64 { return f.size }

// ReadAt reads a part of the body. It fails with a *DamagedError if the file is shorter
// than it was when it was opened.
func (f *File) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 || at+int64(len(p)) > f.size {
		return 0, io.EOF
	}
	n, err := f.file.ReadAt(p, at)
	if errors.Is(err, io.EOF) {
		return n, &DamagedError{Path: f.path, Problem: "was cut off while it was in use"}
	}
	return n, err
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// DamagedError says that a file is not as it was written.
type DamagedError struct{ Path, Problem string }

// Error says what is wrong, and that it can be made good.
func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s %s; it is a copy, and is made again when the data are opened the next time", fault.ShowPath(e.Path), e.Problem)
}

// Kind returns Unavailable: the data can be packed again.
func (e *DamagedError) Kind() fault.Kind { return fault.Unavailable }
