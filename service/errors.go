package service

import (
	"errors"
	"fmt"
	"io/fs"

	"reprise/api"
	"reprise/datadir"
	"reprise/eventstore"
	"reprise/integration"
	"reprise/journal"
)

// explain makes the error that a method returns one of package api. Every method
// defers it.
func explain(err *error) {
	if *err == nil {
		return
	}
	e := api.ErrorOf(*err)
	if !errors.As(*err, new(*api.Error)) {
		e.Code, e.Path = codeOf(*err)
		e.Message, e.Remedy = remedyOf(*err)
	}
	*err = e
}

// codeOf returns the situation that an error is about, and the path that it names.
func codeOf(err error) (code api.Code, path string) {
	var noLog *datadir.MissingLogError
	var corrupt *eventstore.CorruptionError
	var noRun *journal.RunNotFoundError
	var wrong *journal.ContradictionError
	switch {
	case errors.Is(err, datadir.ErrDataDirGone):
		return api.DirGone, ""
	case errors.As(err, new(*integration.UnfinishedError)):
		return api.RunUnfinished, ""
	case errors.As(err, &wrong) && wrong.Derived:
		return api.DerivedWrong, ""
	case errors.As(err, &noLog):
		return api.LogMissing, noLog.Dir
	case errors.As(err, &corrupt) && corrupt.Path != "":
		return api.LogCorrupt, corrupt.Path
	case errors.As(err, &noRun) && noRun.Runs == 0:
		return api.NoRuns, ""
	case errors.As(err, &noRun):
		return api.RunNotFound, ""
	}
	return "", ""
}

// remedyOf returns the text of an error and what its user can do about the cause; the
// remedy is "" where the text says it, or nothing is known. If a file is missing, the
// text says what to do.
func remedyOf(err error) (text, remedy string) {
	if left, ok := err.(*integration.UnfinishedError); ok { //nolint:errorlint // the text of a wrapped one has its remedy
		return fmt.Sprintf("run %s: %v", left.Run, left.Cause), datadir.Remedy(left.Cause)
	}
	advised := err
	if !errors.Is(err, fs.ErrNotExist) {
		advised = datadir.Advise(err)
	}
	if a, ok := advised.(*datadir.AdvisedError); ok { //nolint:errorlint // the text of a wrapped one has its remedy
		return a.Err.Error(), a.Remedy
	}
	return err.Error(), ""
}
