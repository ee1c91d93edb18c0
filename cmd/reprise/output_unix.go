//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// outputHeard reports whether standard output and standard error can still be
// written: neither is a pipe whose reader is gone, or a terminal that was closed.
func outputHeard() bool {
	outputs := []unix.PollFd{{Fd: int32(os.Stdout.Fd())}, {Fd: int32(os.Stderr.Fd())}}
	n, err := unix.Poll(outputs, 0)
	return err != nil || n == 0
}
