package actor

import "time"

// Driver moves a system in place of worker goroutines and the runtime's clock,
// so that a simulation decides what happens when: with one goroutine behind it,
// the same choices give the same history. A Blocking actor gets no goroutine of
// its own then.
type Driver interface {
	// Run takes a step: an actor that handles one message, starts or stops. The
	// driver runs each once, in whatever order; never within Run itself, which
	// is called with locks held, and one at a time.
	Run(step func())
	// AfterFunc is time.AfterFunc on the driver's clock. The action counts as a
	// step; stop reports whether it kept the action from being run.
	AfterFunc(d time.Duration, action func()) (stop func() bool)
}

// afterFunc is time.AfterFunc, or the driver's.
func (s *System) afterFunc(d time.Duration, action func()) (stop func() bool) {
	if s.pool.driver != nil {
		return s.pool.driver.AfterFunc(d, action)
	}
	return time.AfterFunc(d, action).Stop
}
