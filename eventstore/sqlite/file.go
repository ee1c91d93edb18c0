package sqlite

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/ncruces/go-sqlite3"

	"reprise/eventstore"
	"reprise/internal/disk"
)

// prepare creates an event store at s.path if there is none, and removes what
// interrupted attempts to create one have left. A store appears complete or not at all:
// a file that is there and is not an event store never was one, or has been damaged.
func (s *Store) prepare() error {
	found, err := s.inspect()
	if err != nil {
		return err
	}
	if err := s.sweep(); err != nil {
		return err
	}
	if found {
		return errors.Join(s.settle(), s.createForOwner(s.path))
	}
	made := newStore(disk.TempName(s.path), s.config)
	if err := s.createForOwner(filepath.Dir(s.path), made.path); err != nil {
		return err
	}
	conn, through, err := made.connectWriter(sqlite3.OPEN_READWRITE|sqlite3.OPEN_CREATE, true)
	if err != nil {
		return err
	}
	if err := errors.Join(initialise(conn), conn.Close()); err != nil {
		return made.explainWrite(err, through)
	}
	if err := disk.RenameNew(s.disk, made.path, s.path); err != nil {
		return err
	}
	if err := s.createForOwner(s.path); err != nil {
		return err
	}
	return s.disk.SyncDir(filepath.Dir(s.path))
}

// createForOwner creates the files that SQLite would create, if this process is root
// and like, a file or folder, belongs to another user: files created by SQLite would
// belong to root, and the owner could no longer open the store. Without paths, they are
// those beside the store.
func (s *Store) createForOwner(like string, paths ...string) error {
	if _, ok := s.disk.(disk.OS); !ok {
		return nil
	}
	if len(paths) == 0 {
		paths = []string{s.path + "-wal", s.path + "-shm"}
	}
	for _, path := range paths {
		if err := disk.CreateLike(path, like); err != nil {
			return err
		}
	}
	return nil
}

// databaseSuffixes are those of the files that make up a database.
func databaseSuffixes() []string { return []string{"", "-journal", "-wal", "-shm"} }

// sweep removes incomplete stores and backups beside this one, by their temporary
// names. The processes that made them are dead: only one at a time writes here.
func (s *Store) sweep() error {
	folder, base := filepath.Split(s.path)
	entries, err := s.disk.ReadDir(filepath.Clean(folder))
	if err != nil {
		return err
	}
	for _, e := range entries {
		suffix, ok := disk.CutTempName(e.Name(), base)
		if !ok || !e.Type().IsRegular() || !slices.Contains(databaseSuffixes(), suffix) {
			continue
		}
		if err := s.disk.Remove(filepath.Join(folder, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// removeDatabase removes the files of a database that exist.
func removeDatabase(files disk.FS, path string) error {
	for _, suffix := range databaseSuffixes() {
		if err := files.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// initialise turns an empty database into an event store.
func initialise(conn *connection) error {
	// Checksums need room on every page, and hence a file without pages.
	if err := conn.EnableChecksums("main"); err != nil {
		return err
	}
	if err := conn.Exec("PRAGMA journal_mode = WAL"); err != nil {
		return err
	}
	err := conn.Exec(fmt.Sprintf("BEGIN IMMEDIATE; %s PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
		schema, applicationID, schemaVersion))
	if err != nil {
		return err
	}
	// Closing does the same, but does not report a failure.
	_, _, err = conn.WALCheckpoint("main", sqlite3.CHECKPOINT_TRUNCATE)
	return err
}

// settle makes the write-ahead log that an earlier process left durable, and the name
// of the file. If a sync failed in that process, the log may be only in the system's
// memory, marked as written, and no later sync would write it: whatever is appended
// after it would be lost too. So its bytes are written over themselves. The caller has
// inspected it.
func (s *Store) settle() error {
	if err := s.disk.SyncDir(filepath.Dir(s.path)); err != nil {
		return err
	}
	log, err := s.disk.OpenFile(s.path+"-wal", os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	w := wal{file: log}
	_, sound, err := w.readHeader()
	switch {
	case err != nil:
	case sound:
		err = rewrite(log)
	default:
		// It was about to be restarted. SQLite would continue with its salts, and its old
		// content, which is in the file already, would look like part of the new log.
		err = log.Truncate(0)
	}
	// A repeated append is acknowledged from the log without another sync.
	if err == nil {
		err = log.Sync()
	}
	return errors.Join(err, log.Close())
}

// rewrite writes a file's bytes over themselves.
func rewrite(f disk.File) error {
	buffer := make([]byte, 1<<20)
	for at := int64(0); ; {
		n, err := f.ReadAt(buffer, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n == 0 {
			return nil
		}
		if _, err := f.Seek(at, io.SeekStart); err != nil {
			return err
		}
		if _, err := f.Write(buffer[:n]); err != nil {
			return err
		}
		at += int64(n)
	}
}

// inspect reports whether there is a file. It fails with
// *eventstore.CorruptionError if SQLite would silently see less than was committed.
func (s *Store) inspect() (bool, error) {
	log, err := sizeOf(s.disk, s.path+"-wal")
	if err != nil {
		return false, err
	}
	switch size, err := sizeOf(s.disk, s.path); {
	case err != nil:
		return false, err
	case size < 0 && log > 0:
		return false, &eventstore.CorruptionError{What: "the file is missing beside its write-ahead log"}
	case size < 0:
		return false, nil
	case size == 0:
		return true, &eventstore.CorruptionError{What: "the file is empty"}
	}
	// SQLite pads a truncated page with zeros. If there is a log, the page is in it.
	if log <= 0 {
		if err := wholePages(s.disk, s.path); err != nil {
			return true, err
		}
	}
	what, err := walDamage(s.disk, s.path)
	if err != nil || what == "" {
		return true, err
	}
	return true, &eventstore.CorruptionError{Position: s.lastReadable() + 1, What: what}
}

// wholePages fails with *eventstore.CorruptionError if the file ends within a page.
func wholePages(d disk.FS, path string) error {
	size, err := sizeOf(d, path)
	if err != nil {
		return err
	}
	page, err := pageSize(d, path)
	if err != nil || page < 512 { // not a database; SQLite reports that
		return err
	}
	if size%int64(page) != 0 {
		return &eventstore.CorruptionError{What: fmt.Sprintf("the file is cut off: its %d bytes are not a whole number of pages of %d bytes", size, page)}
	}
	return nil
}

// sizeOf returns the size of a file, -1 if it does not exist.
func sizeOf(d disk.FS, path string) (int64, error) {
	info, err := d.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return -1, nil
	case err != nil:
		return 0, err
	case !info.Mode().IsRegular():
		return 0, &fs.PathError{Op: "open", Path: path, Err: disk.ErrNotRegular}
	}
	return info.Size(), nil
}
