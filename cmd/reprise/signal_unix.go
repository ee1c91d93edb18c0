//go:build unix

package main

import (
	"os/signal"
	"syscall"
)

// ignoreLimitSignals turns the signal for a file that is larger than the process
// may write into the error of the write, which interrupts a run.
func ignoreLimitSignals() { signal.Ignore(syscall.SIGXFSZ) }
