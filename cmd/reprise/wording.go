package main

import (
	"fmt"
	"strings"

	"reprise/api"
)

// argument is a field of a request to the service, as the user gave it: --at 15m for
// the field at.
type argument struct {
	field, flag, value string
	// file says that the value is the content of a file, or the file itself: it is not
	// shown, and flag names the file.
	file bool
}

// fileArgument is a field that a file was given for: by a flag, or by its name alone.
func fileArgument(field, flag, file string) argument {
	return argument{field: field, flag: strings.TrimSpace(flag + " " + file), file: true}
}

// asGiven makes what a service says about fields of its request speak of the
// arguments that they come from.
func asGiven(err error, arguments ...argument) error {
	return revise(err, func(e *api.Error) *api.Error { return errorAsGiven(e, arguments) })
}

// errorAsGiven is asGiven for one error.
func errorAsGiven(e *api.Error, arguments []argument) *api.Error {
	named := e.Reworded(func(m api.Mistake) api.Mistake {
		for _, a := range arguments {
			if m.Field != a.field {
				continue
			}
			m.Field = a.flag
			switch {
			case a.file:
				m.Value = ""
			case m.Value != "" && a.value != "":
				m.Value = a.value
			}
			break
		}
		return m
	})
	for _, a := range arguments {
		if i := e.Instead; i != nil && i.Field == a.field {
			named.Instead = &api.FieldValue{Field: a.flag, Value: i.Value}
		}
	}
	return named
}

// withCommands completes what a service says in a situation in which commands help, and
// makes what it says about the data directory speak of the flag that names it, and of
// this program.
func (env *environment) withCommands(err error) error { return revise(err, env.errorWithCommands) }

// errorWithCommands is withCommands for one error.
func (env *environment) errorWithCommands(e *api.Error) *api.Error {
	named := e.Reworded(func(m api.Mistake) api.Mistake {
		if fix := commandsFor(m.Code); fix != "" {
			m.Fix, m.Code = fix, "" // it has been answered
		}
		return m
	})
	switch e.Code {
	case api.InterruptedEarly:
		named.Remedy, named.Code = "resume it with:\n  "+env.commandFor("runs resume", e.Run), ""
		return named
	case api.NotBegun:
		named.Remedy = "`" + env.commandFor("runs explain", e.Run) + "` says what it waits for"
		return named
	case api.RunDeleted:
		named.Remedy = "see what happened to it with: " + env.commandFor("runs events", e.Run)
		return named
	case api.RunStopped:
		named.Remedy = "submit it again with: " + env.commandFor("runs retry", e.Run)
		return named
	case api.StepsOmitted:
		named.Message += fmt.Sprintf(" that `%s --all` lists", env.commandFor("runs show", e.Run))
		named.Code = ""
		return named
	case api.NoEvents:
		named.Remedy = "start a run with: " + env.program + " train JOB"
	default:
	}
	if w, err := env.workspace(); err == nil {
		return errorAsGiven(named, []argument{fileArgument("data_dir", "--data-dir", w.Dir)})
	}
	return named
}
