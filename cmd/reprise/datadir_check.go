package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"reprise/eventstore"
	"reprise/integration"
)

// warnOfOlderLog says, beside what a command shows, that the log which it shows is
// older than the files beside it.
func (env *environment) warnOfOlderLog(ctx context.Context, store eventstore.Store, w integration.Workspace) {
	var older *integration.OlderLogError
	if err := integration.CheckFiles(ctx, store, w); errors.As(err, &older) {
		_, _ = fmt.Fprintln(env.stderr, "reprise: warning: "+older.Error())
	}
}

// warnOfSettled says what the user has to know of what was settled as a data directory
// was opened for writing.
func (env *environment) warnOfSettled(settled integration.Settled) {
	for _, path := range settled.SetAside {
		_, _ = fmt.Fprintf(env.stderr, "reprise: warning: %s was written by an older version, and no event of the log names it; "+
			"it was kept under this name. If this is the right event log, delete it; if not, put the newer events.db back\n", path)
	}
	for _, u := range settled.Unsettled {
		_, _ = fmt.Fprintln(env.stderr, "reprise: warning: "+u.Error())
	}
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
