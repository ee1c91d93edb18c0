package main

import (
	"errors"

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
	for _, warning := range settled.Warnings() {
		writeLines(env.stderr, "reprise: warning: "+warning)
	}
}
