package actor

import "time"

// Driver runs a system in place of worker goroutines and the runtime's clock, so
// that a simulation decides what happens when. If one goroutine runs all steps, the
// same choices give the same history. A Blocking actor then gets no goroutine of
// its own.
type Driver interface {
	// Run accepts a step: an actor handles one message, starts or stops. The driver
	// runs each step once, in any order, one at a time, and never within Run
	// itself, which is called with locks held.
	Run(step func())
	// AfterFunc is time.AfterFunc on the driver's clock. The action counts as a
	// step; stop reports whether it prevented the action.
	AfterFunc(d time.Duration, action func()) (stop func() bool)
}

// afterFunc is time.AfterFunc, or the driver's.
func (s *System) afterFunc(d time.Duration, action func()) (stop func() bool) {
	if s.pool.driver != nil {
		return s.pool.driver.AfterFunc(d, action)
	}
	return time.AfterFunc(d, action).Stop
}
