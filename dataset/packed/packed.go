// Package packed keeps data that is too large for memory in one file, from which any part
// can be read at any time.
//
// A Writer writes a file under a temporary name. It gets its own name by Publish, once all
// of it is durable: a file with such a name is whole, unless something damaged it later.
// Open therefore reads all of a file and compares it with its hashes before anybody trusts
// it. A file that does not agree with them is a *DamagedError; it can be made again.
//
// # Why there is no memory map
//
// A File is read by ReadAt. A map gives a row of 160 bytes that is cached in 0.1 instead of
// 0.8 microseconds, but its pages count as memory of the process until they are given
// back, so that a limit on memory does not hold; giving them back after each batch
// of 4,096 rows makes a row take 4 to 9 microseconds. A map also turns a file that
// another process cuts off into a signal that ends this one, where ReadAt returns an error.
//
// # Format
//
// Numbers are little-endian.
//
//	body      as it was written
//	meta      what the writer says about it
//	hashes    the SHA-256 of each MiB of the body
//	uint64    bytes of the body
//	uint64    bytes of meta
//	32 bytes  the SHA-256 of all that follows the body, up to here
//	16 bytes  "reprise.packed.1"
//
// A Writer is used by one goroutine at a time; a File is safe for concurrent use. A file
// that loses its name while it is open can still be read.
package packed

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"reprise/fault"
	"reprise/internal/disk"
	"reprise/internal/flock"
)

const (
	chunkBytes   = 1 << 20
	magic        = "reprise.packed.1"
	trailerBytes = 8 + 8 + sha256.Size + len(magic)
	// maxMeta bounds what is read before it is verified.
	maxMeta = 1 << 30
	// partial begins the names of files that are being written.
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
	buffer []byte      // the current chunk
	sums   []byte
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
			return &Writer{file: f, lock: lock, buffer: make([]byte, 0, chunkBytes), body: &File{file: f, path: f.Name()}}, nil
		}
		_ = f.Close()
		if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, flock.ErrLocked) { // else Sweep was faster
			_ = os.Remove(f.Name())
			return nil, err
		}
	}
	return nil, fmt.Errorf("every file that was begun in %s was removed", dir)
}

// Path returns the present name of the file.
func (w *Writer) Path() string { return w.body.path }

// Folder returns the folder that the file is in.
func (w *Writer) Folder() string { return filepath.Dir(w.body.path) }

// Write appends to the body.
func (w *Writer) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		take := min(len(p), chunkBytes-len(w.buffer))
		w.buffer = append(w.buffer, p[:take]...)
		p = p[take:]
		if len(w.buffer) == chunkBytes {
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
	sum := sha256.Sum256(w.buffer)
	w.sums = append(w.sums, sum[:]...)
	n, err := w.file.Write(w.buffer)
	w.body.size += int64(n)
	w.buffer = w.buffer[:0]
	return err
}

// Finish ends the body, which can be read from now on. The file has no name yet.
func (w *Writer) Finish() (*File, error) {
	if err := w.flush(); err != nil {
		return nil, err
	}
	w.buffer = nil
	return w.body, nil
}

// Publish gives the finished file its name, with what there is to say about it. Another
// file of that name is replaced; whoever has it open keeps it.
func (w *Writer) Publish(path string, meta []byte) error {
	tail := append(append([]byte(nil), meta...), w.sums...)
	tail = binary.LittleEndian.AppendUint64(tail, uint64(w.body.size))
	tail = binary.LittleEndian.AppendUint64(tail, uint64(len(meta)))
	sum := sha256.Sum256(tail)
	tail = append(append(tail, sum[:]...), magic...)
	if _, err := w.file.Write(tail); err != nil {
		return err
	}
	if err := errors.Join(w.file.Chmod(0o644), w.file.Sync()); err != nil {
		return err
	}
	if err := os.Rename(w.file.Name(), path); err != nil {
		return err
	}
	w.body.path = path
	return errors.Join(w.lock.Release(), disk.OS{}.SyncDir(filepath.Dir(path)))
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

// Path returns the name of the file, which it may have lost since.
func (f *File) Path() string { return f.path }

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

// Open opens a file, reads all of it, and returns its body and what its writer said about
// it.
func Open(ctx context.Context, path string) (_ *File, meta []byte, err error) {
	opened, err := disk.OpenOS(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, nil, err
	}
	f := &File{file: opened, path: path}
	defer func() {
		if err != nil {
			_ = opened.Close()
		}
	}()
	meta, sums, err := f.readTail()
	if err != nil {
		return nil, nil, err
	}
	return f, meta, f.verify(ctx, sums)
}

// readTail reads what follows the body.
func (f *File) readTail() (meta, sums []byte, err error) {
	damaged := func(problem string) error { return &DamagedError{f.path, problem} }
	info, err := f.file.Stat()
	if err != nil {
		return nil, nil, err
	}
	var trailer [trailerBytes]byte
	if info.Size() < int64(len(trailer)) {
		return nil, nil, damaged("is cut off")
	}
	if _, err := f.file.ReadAt(trailer[:], info.Size()-int64(len(trailer))); err != nil {
		return nil, nil, err
	}
	if string(trailer[len(trailer)-len(magic):]) != magic {
		return nil, nil, damaged("does not end as a file of packed data does")
	}
	size, metaBytes := binary.LittleEndian.Uint64(trailer[:]), binary.LittleEndian.Uint64(trailer[8:])
	chunks := (size + chunkBytes - 1) / chunkBytes
	if size > uint64(info.Size()) || metaBytes > maxMeta || size+metaBytes+sha256.Size*chunks+uint64(len(trailer)) != uint64(info.Size()) {
		return nil, nil, damaged("has another size than it says")
	}
	f.size = int64(size)
	tail := make([]byte, metaBytes+sha256.Size*chunks, metaBytes+sha256.Size*chunks+16)
	if _, err := f.file.ReadAt(tail, f.size); err != nil {
		return nil, nil, err
	}
	if sha256.Sum256(append(tail, trailer[:16]...)) != [sha256.Size]byte(trailer[16:]) {
		return nil, nil, damaged("does not have the hash that it names")
	}
	return tail[:metaBytes:metaBytes], tail[metaBytes:], nil
}

// verify compares the body with its hashes, several chunks at a time.
func (f *File) verify(ctx context.Context, sums []byte) error {
	var next atomic.Int64
	var workers sync.WaitGroup
	errs := make([]error, runtime.GOMAXPROCS(0))
	for w := range errs {
		workers.Go(func() {
			chunk := make([]byte, chunkBytes)
			for errs[w] == nil {
				i := next.Add(1) - 1
				if i*sha256.Size >= int64(len(sums)) {
					return
				}
				errs[w] = f.verifyChunk(ctx, i, chunk, sums[i*sha256.Size:])
			}
		})
	}
	workers.Wait()
	return errors.Join(errs...)
}

func (f *File) verifyChunk(ctx context.Context, i int64, chunk, sum []byte) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("read %s: %w", f.path, err)
	}
	chunk = chunk[:min(chunkBytes, f.size-i*chunkBytes)]
	if _, err := f.ReadAt(chunk, i*chunkBytes); err != nil {
		return err
	}
	if sha256.Sum256(chunk) != [sha256.Size]byte(sum[:sha256.Size]) {
		return &DamagedError{f.path, fmt.Sprintf("is damaged in the MiB from byte %d on", i*chunkBytes)}
	}
	return nil
}
