package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"

	"reprise/internal/disk"
)

// readVFS is a VFS for one connection that reads. It creates and deletes no file,
// and needs no more than permission to read.
//
// Where the database has both a write-ahead log and the index of it that
// connections share, SQLite reads as it does beside any writer. If nobody else is
// connected and it may write, it builds the index again, from the log. Otherwise nobody
// is writing, and SQLite would create what is missing; so it is told that the file
// never changes, and gets the pages that were committed to the write-ahead log in
// place of those in the file (stillFile).
//
// Either way the file is locked as a reader locks it, from before that decision
// until the connection is closed: by SQLite's protocol nobody deletes the log or
// its index meanwhile. A writer that comes later creates both before it commits
// anything, which is how changed knows.
type readVFS struct {
	vfs.VFSFilename
	disk  disk.FS
	path  string // of the database, as SQLite resolved it
	still bool   // the connection was told that the file never changes
}

// registerReadVFS makes a readVFS of the VFS called base one of SQLite's, until
// unregister is called, once nothing is open through it.
func registerReadVFS(base string, d disk.FS) (v *readVFS, name string, unregister func(), err error) {
	of, err := findVFS(base)
	if err != nil {
		return nil, "", nil, err
	}
	v = &readVFS{VFSFilename: of, disk: d}
	name = fmt.Sprintf("reprise-read-%p", v)
	vfs.Register(name, v)
	return v, name, func() { vfs.Unregister(name) }, nil
}

func findVFS(base string) (vfs.VFSFilename, error) {
	of, ok := vfs.Find(base).(vfs.VFSFilename)
	if !ok {
		return nil, fmt.Errorf("no VFS %q that opens files by their names", base)
	}
	return of, nil
}

// OpenFilename implements vfs.VFSFilename.
func (v *readVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	const write = vfs.OPEN_READWRITE | vfs.OPEN_CREATE
	switch {
	case flags&vfs.OPEN_MAIN_DB != 0:
		return v.openDatabase(name, flags&^write|vfs.OPEN_READONLY)
	case flags&vfs.OPEN_WAL != 0:
		flags = flags&^write | vfs.OPEN_READONLY
	}
	return v.VFSFilename.OpenFilename(name, flags)
}

// Delete implements vfs.VFS.
func (v *readVFS) Delete(path string, _ bool) error {
	return vfs.SystemError(&fs.PathError{Op: "remove", Path: path, Err: fs.ErrPermission}, sqlite3.READONLY)
}

func (v *readVFS) openDatabase(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, flags, err := v.VFSFilename.OpenFilename(name, flags)
	if err != nil {
		return nil, flags, err
	}
	v.path = name.String()
	if err := f.Lock(vfs.LOCK_SHARED); err != nil {
		_ = f.Close() // it was not used
		return nil, flags, err
	}
	shared, err := v.shared()
	if err == nil && !shared {
		v.still = true
		f, err = openStill(f, v.disk, v.path)
	}
	if err != nil {
		return nil, flags, errors.Join(err, f.Close())
	}
	return f, flags, nil
}

// shared reports whether there are a write-ahead log and the index of it that
// connections share.
func (v *readVFS) shared() (bool, error) {
	for _, suffix := range []string{"-wal", "-shm"} {
		if found, err := v.Access(v.path+suffix, vfs.ACCESS_EXISTS); err != nil || !found {
			return false, err
		}
	}
	return true, nil
}

// changed reports whether what the connection reads may have changed under it, so
// that what it read counts for nothing.
func (v *readVFS) changed() (bool, error) {
	if !v.still {
		return false, nil
	}
	return v.shared()
}

// stillFile is a database file that nobody writes, with the pages that were
// committed to its write-ahead log in the place of its own. It holds a reader's
// lock.
type stillFile struct {
	vfs.File
	log      disk.File // nil where there is none
	pageSize int
	frames   map[uint32]int64 // where in the log the pages are
	size     int64
	page     []byte
	sums     bool // pages end with their checksum
}

// openStill takes over f, which the caller closes where it fails.
func openStill(f vfs.File, d disk.FS, path string) (vfs.File, error) {
	if size, err := sizeOf(d, path+"-journal"); err != nil || size > 0 {
		return f, errors.Join(err, fmt.Errorf("%s-journal: another program was cut off while it changed the log; a command that writes, such as `reprise runs resume`, undoes what it did", path))
	}
	size, err := f.Size()
	if err != nil {
		return f, err
	}
	still := &stillFile{File: f, size: size}
	log, err := disk.Open(d, path+"-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return still, nil
	}
	if err != nil {
		return f, err
	}
	w := wal{file: log, db: f}
	pages, err := w.committed()
	if err != nil {
		return f, errors.Join(err, log.Close())
	}
	if len(pages.at) == 0 {
		return still, log.Close()
	}
	still.log, still.frames = log, pages.at
	still.pageSize, still.size = w.pageSize, int64(pages.length)*int64(w.pageSize)
	still.page = make([]byte, w.pageSize)
	// The checksum of a page is made on its way into the file: those in the log
	// have none yet.
	var header [21]byte
	if _, err := still.ReadAt(header[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return f, errors.Join(err, log.Close())
	}
	still.sums = header[20] == checksumSize
	return still, nil
}

// ReadAt implements io.ReaderAt. SQLite asks for one page or less at a time.
func (f *stillFile) ReadAt(b []byte, at int64) (int, error) {
	if f.log == nil {
		return f.File.ReadAt(b, at)
	}
	if at >= f.size {
		return 0, io.EOF
	}
	size := int64(f.pageSize)
	frame, ok := f.frames[uint32(at/size)+1]
	if !ok {
		return f.File.ReadAt(b, at)
	}
	if _, err := f.log.ReadAt(f.page, frame); err != nil {
		return 0, err
	}
	if f.sums {
		putChecksum(f.page)
	}
	n := copy(b, f.page[at%size:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// Size implements vfs.File.
func (f *stillFile) Size() (int64, error) { return f.size, nil }

// Lock implements vfs.File. The lock that is held is enough.
func (f *stillFile) Lock(vfs.LockLevel) error { return nil }

// Unlock implements vfs.File. The lock is held until Close.
func (f *stillFile) Unlock(vfs.LockLevel) error { return nil }

// CheckReservedLock implements vfs.File.
func (f *stillFile) CheckReservedLock() (bool, error) { return false, nil }

// DeviceCharacteristics implements vfs.File.
func (f *stillFile) DeviceCharacteristics() vfs.DeviceCharacteristic {
	return f.File.DeviceCharacteristics() | vfs.IOCAP_IMMUTABLE
}

// Close implements io.Closer.
func (f *stillFile) Close() error {
	if f.log == nil {
		return f.File.Close()
	}
	return errors.Join(f.log.Close(), f.File.Close())
}

// putChecksum ends a page with its checksum: docs/event-format.md, "Page checksums".
func putChecksum(page []byte) {
	data := len(page) - checksumSize
	s := sum{}.add(binary.LittleEndian, page[:data])
	binary.LittleEndian.PutUint32(page[data:], s[0])
	binary.LittleEndian.PutUint32(page[data+4:], s[1])
}

// validPageSize reports whether SQLite has pages of that size.
func validPageSize(n int) bool { return 512 <= n && n <= 1<<16 && bits.OnesCount(uint(n)) == 1 }
