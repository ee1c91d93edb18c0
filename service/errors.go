package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"

	"reprise/api"
	"reprise/datadir"
	"reprise/device"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/integration"
	"reprise/journal"
	"reprise/queue"
)

// explain makes the error that a method returns one of package api. Every method
// defers it. What fails because the context of the call has ended says only that.
func explain(ctx context.Context, err *error) {
	if *err == nil {
		return
	}
	if ctx.Err() != nil && endOnly(*err) {
		*err = api.EndOf(ctx)
		return
	}
	shown, remedy := *err, ""
	if !errors.As(*err, new(*api.Error)) {
		remedy, shown = remedyOf(*err)
		shown = fault.As(fault.KindOf(*err), shown)
	}
	e := api.ErrorOf(shown)
	if remedy != "" {
		e.Remedy = remedy
	}
	if code, path := codeOf(*err); code != "" && e.Code == "" {
		coded := *e
		coded.Code, coded.Path = code, path
		e = &coded
	}
	*err = inUTF8(e)
}

// inUTF8 returns an error without bytes that are not UTF-8, such as of a path: a wire
// would lose them. They are written as \xff.
func inUTF8(e *api.Error) *api.Error {
	valid := *e
	valid.Message, valid.Path, valid.Remedy = escaped(e.Message), escaped(e.Path), escaped(e.Remedy)
	valid.Mistakes = slices.Clone(e.Mistakes)
	for i := range valid.Mistakes {
		m := &valid.Mistakes[i]
		for _, text := range []*string{&m.Field, &m.Value, &m.Problem, &m.Fix, &m.Example, &m.File, &m.Excerpt, &m.Setting} {
			*text = escaped(*text)
		}
		if m.Said.Within(e.Message) {
			m.Said = &api.Span{From: len(escaped(e.Message[:m.Said.From])), To: len(escaped(e.Message[:m.Said.To]))}
		}
	}
	if i := e.Instead; i != nil {
		valid.Instead = &api.FieldValue{Field: i.Field, Value: escaped(i.Value)}
	}
	return &valid
}

// escaped writes the bytes of a text that are not UTF-8 as \xff.
func escaped(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); {
		_, n := utf8.DecodeRuneInString(text[i:])
		if part := text[i : i+n]; utf8.ValidString(part) {
			out.WriteString(part)
		} else {
			fmt.Fprintf(&out, `\x%02x`, part[0])
		}
		i += n
	}
	return out.String()
}

// endOnly reports whether an error says nothing but that a context has ended.
func endOnly(err error) bool {
	return !slices.ContainsFunc(fault.Parts(err), func(part error) bool {
		return !errors.Is(part, context.Canceled) && !errors.Is(part, context.DeadlineExceeded)
	})
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
	case errors.Is(err, device.ErrNoSuitableDevice):
		return api.NoDevice, ""
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
	case errors.Is(err, queue.ErrNoGroup):
		return api.GroupNotFound, ""
	}
	return "", ""
}

// remedyOf takes an error apart: it returns what its user can do about the cause, and
// what went wrong; the remedy is "" where the error says it, or nothing is known. If a
// file is missing, the error says what to do.
func remedyOf(err error) (remedy string, wrong error) {
	if left, ok := err.(*integration.UnfinishedError); ok { //nolint:errorlint // the text of a wrapped one has its remedy
		return datadir.Remedy(left.Cause), fmt.Errorf("run %s: %w", left.Run, left.Cause)
	}
	advised := err
	if !errors.Is(err, fs.ErrNotExist) {
		advised = datadir.Advise(err)
	}
	if a, ok := advised.(*datadir.AdvisedError); ok { //nolint:errorlint // the text of a wrapped one has its remedy
		return a.Remedy, a.Err
	}
	return "", err
}
