package main

import "reprise/datadir"

// warnOfSettled says what the user has to know of what was settled when a data
// directory was opened for writing.
func (env *environment) warnOfSettled(settled datadir.Settled) {
	for _, warning := range settled.Warnings() {
		writeLines(env.stderr, "reprise: warning: "+warning)
	}
}
