//go:build unix && !openbsd

package main

import (
	"fmt"
	"os/signal"
	"syscall"

	"reprise/tensor"
)

// leastAddressSpace is about what the Go runtime, the event store and the threads
// reserve, most of it unused; with less, the runtime aborts the process at some point.
const leastAddressSpace = 2 * tensor.GiB

// checkLimits fails where the process may not have what every command needs, and
// turns the signal for a file that is larger than the process may write into the
// error of the write, which interrupts a run.
func checkLimits() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_AS, &limit); err != nil {
		return errorf("read the limit of the address space: %w", err)
	}
	if uint64(limit.Cur) < uint64(leastAddressSpace) { //nolint:unconvert // it is signed on some systems
		return fmt.Errorf("the address space of this process is limited to %v; allow it at least %v (ulimit -v), or leave it unlimited",
			tensor.Bytes(limit.Cur), leastAddressSpace)
	}
	signal.Ignore(syscall.SIGXFSZ) // last: handling signals takes a thread
	return nil
}
