package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/eventstore/sqlite"
	"reprise/integration"
	"reprise/internal/disk"
	"reprise/internal/flock"
)

// workspace returns the data directory that flag, environment or convention
// name; it need not exist.
func (env *environment) workspace() (integration.Workspace, error) {
	dir := env.dataDir
	if dir == "" {
		dir = env.getenv("REPRISE_DATA_DIR")
	}
	if dir == "" {
		base := env.xdg("XDG_DATA_HOME", ".local/share", "Library/Application Support")
		if base == "" {
			return integration.Workspace{}, invalid(errors.New("there is no home directory to keep runs in; " +
				"name a folder with --data-dir FOLDER or REPRISE_DATA_DIR, or set XDG_DATA_HOME or HOME to an absolute path"))
		}
		dir = filepath.Join(base, "reprise")
	}
	dir, err := filepath.Abs(dir)
	return integration.Workspace{Dir: dir}, err
}

// cacheDir returns the folder that fetched data sets are kept in.
func (env *environment) cacheDir() (string, error) {
	if dir := env.getenv("REPRISE_CACHE_DIR"); dir != "" {
		return filepath.Abs(dir)
	}
	base := env.xdg("XDG_CACHE_HOME", ".cache", "Library/Caches")
	if base == "" {
		return "", invalid(errors.New("there is no home directory to keep it in; " +
			"name a folder with REPRISE_CACHE_DIR, or set XDG_CACHE_HOME or HOME to an absolute path"))
	}
	return filepath.Join(base, "reprise"), nil
}

// xdg returns the base directory of the XDG specification's variable, or its
// default below the home directory on this system; "" where there is neither.
// Relative paths are ignored, as the specification says.
func (env *environment) xdg(variable, unix, darwin string) string {
	if dir := env.getenv(variable); filepath.IsAbs(dir) {
		return dir
	}
	home := env.getenv("HOME")
	switch runtime.GOOS {
	case "windows":
		if dir := env.getenv("LOCALAPPDATA"); filepath.IsAbs(dir) {
			return dir
		}
		home = env.getenv("USERPROFILE")
	case "darwin":
		unix = darwin
	}
	if !filepath.IsAbs(home) {
		return ""
	}
	return filepath.Join(home, filepath.FromSlash(unix))
}

// lock locks a data directory for writing, creating it where it does not exist.
// The returned function ends the lock.
func (env *environment) lock(w integration.Workspace, command string) (func() error, error) {
	if err := disk.MkdirAll(disk.OS{}, w.Dir, 0o755); err != nil {
		return nil, unusableDir(w, err)
	}
	lock, err := flock.Acquire(w.LockPath(), flock.Info{PID: os.Getpid(), Command: command, StartedAt: env.now()})
	if err != nil {
		if errors.Is(err, flock.ErrLocked) {
			return nil, inUse(w, err)
		}
		return nil, unusableDir(w, err)
	}
	sweepDataDir(w)
	return lock.Release, nil
}

// openWriter locks the data directory and opens its event store for writing,
// creating both where they do not exist. The returned function closes them.
func (env *environment) openWriter(ctx context.Context, command string) (eventstore.Store, integration.Workspace, func() error, error) {
	w, err := env.workspace()
	if err != nil {
		return nil, w, nil, err
	}
	release, err := env.lock(w, command)
	if err != nil {
		return nil, w, nil, err
	}
	store, err := openLog(ctx, w)
	if err != nil {
		return nil, w, nil, errors.Join(err, release())
	}
	return store, w, func() error { return errors.Join(store.Close(), release()) }, nil
}

// openLog opens the event log of a data directory whose lock the caller holds. It
// fails, having changed nothing, where the log is missing beside other files or is
// older than they are.
func openLog(ctx context.Context, w integration.Workspace) (eventstore.Store, error) {
	if err := checkLogThere(w, false); err != nil {
		return nil, err
	}
	opened, err := sqlite.Open(w.EventsPath(), sqlite.Config{})
	if err != nil {
		return nil, err
	}
	store, err := bound(opened, w.EventsPath())
	if err == nil {
		err = integration.MarkCheckpoints(ctx, store, w)
	}
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return store, nil
}

// openReader opens the event store for reading, beside a writer if there is
// one. A data directory that does not exist yet reads as an empty store.
func (env *environment) openReader() (eventstore.Store, integration.Workspace, error) {
	w, err := env.workspace()
	if err != nil {
		return nil, w, err
	}
	if !exists(w.EventsPath()) {
		if env.dataDir != "" {
			if _, err := os.Stat(w.Dir); err != nil {
				return nil, w, invalid(fmt.Errorf("--data-dir %s: there is no such folder", w.Dir))
			}
		}
		return memory.New(), w, checkLogThere(w, false)
	}
	store, err := sqlite.OpenReadOnly(w.EventsPath())
	return store, w, err
}

// writerAlive reports whether some process holds the data directory's lock: a
// run that is recorded as running really runs only then.
func writerAlive(w integration.Workspace) bool {
	held, _, err := flock.Probe(w.LockPath())
	return err == nil && held
}

// openRun resolves the name of a run and folds its events.
func openRun(ctx context.Context, log *integration.RunLog, name string) (integration.RunRecord, error) {
	id, err := log.Resolve(ctx, strings.TrimSpace(name))
	if err != nil {
		return integration.RunRecord{}, err
	}
	return log.Load(ctx, id)
}

// exists reports false only where there is certainly nothing of that name.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
