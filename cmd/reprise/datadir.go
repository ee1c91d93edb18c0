package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"reprise/datadir"
	"reprise/internal/flock"
	"reprise/service"
)

// workspace returns the data directory that flag, environment or convention
// name; it need not exist.
func (env *environment) workspace() (datadir.Workspace, error) {
	dir := env.dataDir
	if dir == "" {
		dir = env.getenv("REPRISE_DATA_DIR")
	}
	if dir == "" {
		base := env.xdg("XDG_DATA_HOME", ".local/share", "Library/Application Support")
		if base == "" {
			return datadir.Workspace{}, invalid(errors.New("there is no home directory to keep runs in; " +
				"name a folder with --data-dir FOLDER or REPRISE_DATA_DIR, or set XDG_DATA_HOME or HOME to an absolute path"))
		}
		dir = filepath.Join(base, "reprise")
	}
	dir, err := filepath.Abs(dir)
	if file := fileOn(dir); err == nil && file != "" {
		err = invalid(fmt.Errorf("%s is a file; name a folder with --data-dir FOLDER or REPRISE_DATA_DIR", file))
	}
	return datadir.Workspace{Dir: dir}, err
}

// fileOn returns the part of a path that is a file, where the path is meant as a
// folder that may not exist yet; "" if no part is.
func fileOn(path string) string {
	for {
		info, err := os.Stat(path)
		if err == nil {
			if info.IsDir() {
				return ""
			}
			return path
		}
		parent := filepath.Dir(path)
		if parent == path {
			return ""
		}
		path = parent
	}
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

// holder describes this process in the lock of a data directory.
func (env *environment) holder(command string) flock.Info {
	return flock.Info{PID: os.Getpid(), Command: command, StartedAt: env.now()}
}

// writerAlive reports whether some process holds the data directory's lock.
func writerAlive(w datadir.Workspace) bool { return service.WriterAlive(w) }
