package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"reprise/datadir"
)

// warnOfOlderLog says, beside what a command shows, that the log which it shows is
// older than the files in its folder. check is what datadir.CheckFiles returned.
func (env *environment) warnOfOlderLog(check error) {
	var older *datadir.OlderLogError
	if errors.As(check, &older) {
		writeLines(env.stderr, "reprise: warning: "+older.Error())
	}
}

// warnOfSettled says what the user has to know of what was settled when a data
// directory was opened for writing.
func (env *environment) warnOfSettled(settled datadir.Settled) {
	for _, path := range settled.SetAside {
		writeLines(env.stderr, fmt.Sprintf("reprise: warning: %s was written by an older version, and no event of the log names it; "+
			"it was kept under this name. If this is the right event log, delete it; if not, put the newer events.db back", path))
	}
	for _, u := range settled.Unsettled {
		writeLines(env.stderr, "reprise: warning: "+u.Error())
	}
}

// outside fails where a path lies in the data directory, or in the folder that
// its runs really lie in.
func outside(w datadir.Workspace, path string) error {
	at := real(path)
	for _, dir := range []string{w.Dir, w.RunsDir()} {
		if relative, err := filepath.Rel(real(dir), at); err == nil && filepath.IsLocal(relative) {
			return invalid(fmt.Errorf("%s: lies in the data directory %s; name a place outside it", path, w.Dir))
		}
	}
	return nil
}

// real resolves the symbolic links of a path, as far as the path exists.
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
