package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ncruces/go-sqlite3"

	"reprise/eventstore"
	"reprise/internal/disk"
)

// backupPages is the number of pages copied between checks of ctx.
const backupPages = 1024

// Backup copies the store, as it is at one point in time, to a new file at path; appends
// may continue. The copy is synced and verified event by event before it gets its name,
// and is a store like any other. Backup returns the copy's head. It fails with
// fs.ErrExist if the file exists, and leaves no file after a failure.
//
// The copy holds the log, its snapshots and consumers, but not what the events refer to,
// such as checkpoints.
func (s *Store) Backup(ctx context.Context, path string) (eventstore.Head, error) {
	head, err := s.backup(ctx, path)
	if err != nil {
		return eventstore.Head{}, fmt.Errorf("back up event store %s to %s: %w", s.path, path, err)
	}
	return head, nil
}

// Backup is Store.Backup of the store at from, which it opens for reading.
func Backup(ctx context.Context, from, path string) (eventstore.Head, error) {
	store, err := OpenReadOnly(from)
	if err != nil {
		return eventstore.Head{}, err
	}
	head, err := store.Backup(ctx, path)
	return head, errors.Join(err, store.Close())
}

func (s *Store) backup(ctx context.Context, path string) (eventstore.Head, error) {
	if err := absent(s.disk, path); err != nil {
		return eventstore.Head{}, err
	}
	part := disk.TempName(path)
	head, err := s.copyTo(ctx, part)
	if err == nil {
		err = publish(s.disk, part, path)
	}
	if err != nil {
		return eventstore.Head{}, errors.Join(err, removeDatabase(s.disk, part))
	}
	return head, nil
}

func (s *Store) copyTo(ctx context.Context, part string) (eventstore.Head, error) {
	if err := s.withReader(ctx, func(r *reader) error { return s.copyPages(ctx, r.conn, part) }); err != nil {
		return eventstore.Head{}, err
	}
	copied, err := OpenReadOnly(part)
	if err != nil {
		return eventstore.Head{}, err
	}
	head, err := copied.Verify(ctx)
	return head, errors.Join(err, copied.Close())
}

// copyPages copies the database as the connection's transaction sees it.
func (s *Store) copyPages(ctx context.Context, from *connection, to string) (err error) {
	// The first read starts the transaction: all steps copy the same state.
	if _, err := recordedHead(from); err != nil {
		return err
	}
	if err := s.createForOwner(filepath.Dir(to), to); err != nil {
		return err
	}
	through, name, unregister, err := registerLogVFS("")
	if err != nil {
		return err
	}
	defer unregister()
	defer func() {
		// A write that the disk refuses is one to the copy; other errors name their path.
		if last := through.last.take(); last != nil || errors.Is(err, sqlite3.FULL) {
			err = explain(to, true, s.config.BusyTimeout, err, last)
		}
	}()
	if err := createEmpty(filename(to, name)); err != nil {
		return err
	}
	b, err := from.BackupInit("main", filename(to, name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	for done := false; !done; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if done, err = b.Step(backupPages); err != nil && !errors.Is(err, sqlite3.BUSY) {
			return err
		}
	}
	return nil
}

// createEmpty creates a database without tables whose pages have checksums. SQLite computes
// them once it has seen the first page, which a backup writes last: pages that left the
// cache before would have none.
func createEmpty(name string) error {
	conn, err := openFlags(name, sqlite3.OPEN_READWRITE|sqlite3.OPEN_CREATE)
	if err != nil {
		return err
	}
	return errors.Join(conn.EnableChecksums("main"), conn.Close())
}

// Restore creates the store at path as a copy of the backup at from, and returns its
// head. The folder must exist, and no other process may create a store there. The backup
// is verified event by event first, the copy after it is synced and before it gets its
// name. Restore fails with fs.ErrExist if there is a store at path, and leaves nothing
// after a failure.
func Restore(ctx context.Context, from, path string) (eventstore.Head, error) {
	head, err := restore(ctx, from, path)
	if err != nil {
		return eventstore.Head{}, fmt.Errorf("restore event store %s from %s: %w", path, from, err)
	}
	return head, nil
}

func restore(ctx context.Context, from, path string) (eventstore.Head, error) {
	if err := absent(disk.OS{}, path); err != nil {
		return eventstore.Head{}, err
	}
	if err := newStore(path, Config{}).sweep(); err != nil {
		return eventstore.Head{}, err
	}
	source, err := OpenReadOnly(from)
	if err != nil {
		return eventstore.Head{}, err
	}
	verified, err := source.Verify(ctx)
	if err != nil {
		return eventstore.Head{}, errors.Join(err, source.Close())
	}
	head, err := source.Backup(ctx, path)
	if err = errors.Join(err, source.Close()); err != nil {
		return eventstore.Head{}, err
	}
	if head != verified {
		return head, fmt.Errorf("another process writes to it: it was at position %d and is at %d", verified.Position, head.Position)
	}
	return head, nil
}

// absent fails with fs.ErrExist if there is a database at path.
func absent(files disk.FS, path string) error {
	for _, suffix := range databaseSuffixes() {
		if _, err := files.Lstat(path + suffix); err == nil {
			return &fs.PathError{Op: "create", Path: path + suffix, Err: fs.ErrExist}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// publish syncs a closed database and gives it its name.
func publish(files disk.FS, part, path string) error {
	if err := syncFile(files, part); err != nil {
		return err
	}
	// A WAL would not be renamed with the database; a closed database has none that is
	// needed.
	for _, suffix := range databaseSuffixes()[1:] {
		if err := files.Remove(part + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := disk.RenameNew(files, part, path); err != nil {
		return err
	}
	return files.SyncDir(filepath.Dir(path))
}

func syncFile(files disk.FS, path string) error {
	f, err := files.OpenFile(path, os.O_RDWR, 0) // not every system syncs through a handle for reading
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
