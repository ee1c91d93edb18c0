package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"

	"reprise/internal/disk"
)

// readVFS is a VFS for one connection that reads. It creates and deletes no file,
// and needs no more than permission to read.
//
// Where somebody is connected, SQLite reads as it does beside any writer, and notes in
// the index of the write-ahead log, which all share, up to where it reads. Otherwise
// nobody is writing, and SQLite would create the index or build it again; so it is told
// that the file never changes, and gets the pages that were committed to the
// write-ahead log in place of those in the file (stillFile). Nothing is written then,
// whatever this process may write.
//
// Either way the file is locked as a reader locks it, from before that decision
// until the connection is closed: by SQLite's protocol nobody deletes the log or
// its index meanwhile. A writer that comes later connects before it commits anything,
// and changes the log when it commits, which is how changed knows.
type readVFS struct {
	vfs.VFSFilename
	disk  disk.FS
	path  string    // of the database, as SQLite resolved it
	lock  io.Closer // nil where none is held
	still *stillFile
	found [3]fileState // of a still file, from before it was read
}

// fileState tells one state of a file from a later one.
type fileState struct {
	exists   bool
	size     int64
	modified int64 // in nanoseconds
}

// registerReadVFS registers with SQLite a readVFS that wraps the VFS called base. Call
// unregister once nothing is open through it.
func registerReadVFS(base string, d disk.FS) (v *readVFS, name string, unregister func(), err error) {
	of, err := findVFS(base)
	if err != nil {
		return nil, "", nil, err
	}
	v = &readVFS{VFSFilename: of, disk: d}
	name = fmt.Sprintf("reprise-read-%p", v)
	vfs.Register(name, v)
	return v, name, func() { vfs.Unregister(name); v.release() }, nil
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
	opened, err := v.decide(f)
	if err != nil {
		return nil, flags, errors.Join(err, f.Close())
	}
	return opened, flags, nil
}

// decide returns the locked file as SQLite is to read it.
func (v *readVFS) decide(f vfs.File) (vfs.File, error) {
	if shared, err := v.join(); shared || err != nil {
		return f, err
	}
	var err error
	if v.found, err = v.states(); err != nil {
		return nil, err
	}
	v.still, err = openStill(f, v.disk, v.path)
	return v.still, err
}

// shared reports whether somebody is connected, so that SQLite's protocol tells what
// to read. On a disk that is not the operating system's nobody can be asked: there it
// is whether there are a write-ahead log and its index.
func (v *readVFS) shared() (bool, error) {
	if found, err := v.exists("-wal"); !found || err != nil {
		return false, err
	}
	if !v.real() {
		return v.exists("-shm")
	}
	return indexInUse(v.path + "-shm")
}

// join is shared, and keeps the index from being built again until release.
func (v *readVFS) join() (shared bool, err error) {
	if shared, err = v.shared(); !shared || err != nil || !v.real() {
		return shared, err
	}
	v.lock, err = joinIndex(v.path + "-shm")
	return v.lock != nil, err
}

// release ends what join began, once the connection is closed.
func (v *readVFS) release() {
	if v.lock != nil {
		_ = v.lock.Close() // it was only read
	}
}

// real reports whether the files are the operating system's.
func (v *readVFS) real() bool {
	_, ok := v.disk.(disk.OS)
	return ok
}

func (v *readVFS) exists(suffix string) (bool, error) {
	return v.Access(v.path+suffix, vfs.ACCESS_EXISTS)
}

// states returns those of the database, of its write-ahead log and of the index.
func (v *readVFS) states() (states [3]fileState, err error) {
	for i, suffix := range []string{"", "-wal", "-shm"} {
		info, err := v.disk.Stat(v.path + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return states, err
		}
		states[i] = fileState{true, info.Size(), info.ModTime().UnixNano()}
	}
	return states, nil
}

// changed reports whether what the connection reads may have changed under it, so
// that what it read counts for nothing.
func (v *readVFS) changed() (bool, error) {
	if v.still == nil {
		return false, nil
	}
	if shared, err := v.shared(); shared || err != nil {
		return shared, err
	}
	if now, err := v.states(); now != v.found || err != nil {
		return true, err
	}
	// Times are coarse: a writer that came and went within a tick changed the log.
	return v.still.extended()
}

// stillFile is a database file that nobody writes, with the pages that were committed to
// its write-ahead log in place of its own. It holds a reader's lock.
type stillFile struct {
	vfs.File
	log   disk.File // nil where there is none
	wal   wal
	pages committedPages
	size  int64
	page  []byte
	sums  bool // pages end with their checksum
}

// openStill takes over f; the caller closes f if it fails.
func openStill(f vfs.File, d disk.FS, path string) (*stillFile, error) {
	if size, err := sizeOf(d, path+"-journal"); err != nil || size > 0 {
		return nil, errors.Join(err, fmt.Errorf("%s-journal: another program was cut off while it changed the log; whoever opens the log for writing undoes what it did", path))
	}
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	still := &stillFile{File: f, size: size}
	log, err := disk.Open(d, path+"-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return still, nil
	}
	if err != nil {
		return nil, err
	}
	still.log = log
	if err := still.readLog(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return still, nil
}

// readLog finds the pages that were committed to the log.
func (f *stillFile) readLog() (err error) {
	f.wal = wal{file: f.log}
	if f.pages, err = f.wal.committed(); err != nil || len(f.pages.at) == 0 {
		return err
	}
	f.size = int64(f.pages.length) * int64(f.wal.pageSize)
	f.page = make([]byte, f.wal.pageSize)
	// The checksum of a page is computed when it is written to the file: pages in the log
	// have none yet.
	var header [21]byte
	if _, err := f.ReadAt(header[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	f.sums = header[20] == checksumSize
	return nil
}

// extended reports whether something was committed since the log was read.
func (f *stillFile) extended() (bool, error) {
	if f.log == nil {
		return false, nil
	}
	return f.wal.extended(f.pages)
}

// ReadAt implements io.ReaderAt. SQLite asks for one page or less at a time.
func (f *stillFile) ReadAt(b []byte, at int64) (int, error) {
	if len(f.pages.at) == 0 {
		return f.File.ReadAt(b, at)
	}
	if at >= f.size {
		return 0, io.EOF
	}
	size := int64(f.wal.pageSize)
	frame, ok := f.pages.at[uint32(at/size)+1]
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

// Lock implements vfs.File. The lock that is held suffices.
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
