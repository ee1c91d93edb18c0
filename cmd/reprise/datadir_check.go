package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"reprise/eventstore"
	"reprise/integration"
	"reprise/internal/disk"
	"reprise/internal/staging"
)

// checkLogThere fails where a data directory has files that an event log belongs
// to, and no event log: it is not an empty one then. withRuns is what may be there
// all the same, since the log is about to come to it.
func checkLogThere(w integration.Workspace, withRuns bool) error {
	if exists(w.EventsPath()) {
		return nil
	}
	var left []string
	for _, suffix := range []string{"-wal", "-journal"} {
		if info, err := os.Stat(w.EventsPath() + suffix); err == nil && info.Size() > 0 {
			left = append(left, filepath.Base(w.EventsPath())+suffix)
		}
	}
	if n := countRuns(w); n > 0 && !withRuns {
		left = append(left, fmt.Sprintf("the files of %s in runs", plural(n, "run")))
	}
	if len(left) == 0 {
		return nil
	}
	return fmt.Errorf("--data-dir %s: the event log is missing: there is no events.db beside %s; put events.db back, "+
		"or restore a backup into an empty folder with `reprise restore` (a restore that was cut off: repeat it), or choose another folder with --data-dir DIR. Nothing was changed",
		w.Dir, strings.Join(left, " and "))
}

// warnOfOlderLog says, beside what a command shows, that the log which it shows is
// older than the files beside it.
func (env *environment) warnOfOlderLog(ctx context.Context, store eventstore.Store, w integration.Workspace) {
	var older *integration.OlderLogError
	if err := integration.CheckFiles(ctx, store, w); errors.As(err, &older) {
		_, _ = fmt.Fprintln(env.stderr, "reprise: warning: "+older.Error())
	}
}

// countRuns returns the number of runs that have files in a data directory.
func countRuns(w integration.Workspace) int {
	names, err := runNames(w)
	if err != nil {
		return 0 // whoever needs it will say why
	}
	return len(names)
}

// runNames returns the names in the folder of the runs' files, other than hidden
// ones.
func runNames(w integration.Workspace) ([]string, error) {
	entries, err := disk.OS{}.ReadDir(w.RunsDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// sweepDataDir removes what killed commands left in a data directory whose lock the
// caller holds.
func sweepDataDir(w integration.Workspace) {
	staging.Sweep(w.Dir)
	staging.Sweep(w.RunsDir())
	staging.SweepImports(w.Dir)
}

// boundStore is the event store of a data directory that has to stay where it is:
// once another file, or none, bears the name of the one that was opened, nothing
// that is appended would ever be read.
type boundStore struct {
	eventstore.Store
	path   string
	opened fs.FileInfo
}

func bound(store eventstore.Store, path string) (eventstore.Store, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return &boundStore{store, path, info}, nil
}

// errDataDirGone says that the data directory is not the one that was opened.
var errDataDirGone = errors.New("the data directory was removed or replaced while this process was using it")

// Append fails with errDataDirGone, and appends nothing, where that has happened.
func (s *boundStore) Append(ctx context.Context, writes ...eventstore.Write) ([]eventstore.Event, error) {
	switch now, err := os.Stat(s.path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %s is gone", errDataDirGone, s.path)
	case err == nil && !os.SameFile(now, s.opened):
		return nil, fmt.Errorf("%w: %s is another file", errDataDirGone, s.path)
	}
	return s.Store.Append(ctx, writes...)
}

// outside fails where a path lies in the data directory, or in the folder that
// its runs really lie in.
func outside(w integration.Workspace, path string) error {
	at := real(path)
	for _, dir := range []string{w.Dir, w.RunsDir()} {
		if relative, err := filepath.Rel(real(dir), at); err == nil && filepath.IsLocal(relative) {
			return invalid(fmt.Errorf("%s: lies in the data directory %s; name a place outside it", path, w.Dir))
		}
	}
	return nil
}

// real returns a path without symbolic links, as far as there is something at it.
func real(path string) string {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved
	}
	parent := filepath.Dir(path)
	if parent == path {
		return path
	}
	return filepath.Join(real(parent), filepath.Base(path))
}
