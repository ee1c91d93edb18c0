package integration

import (
	"errors"

	"reprise/checkpoint"
	"reprise/device"
	"reprise/nn"
	"reprise/training"
)

// outlook is what becomes of a run after an error.
type outlook int

const (
	// mayHeal: the actor is restarted from the last checkpoint. A run that exceeds
	// its restart intensity is interrupted.
	mayHeal outlook = iota
	// mayPass: the run is interrupted at once, since a restart would meet the same
	// error, and says what its user can do.
	mayPass
	// neverWorks: the run fails.
	neverWorks
	// unrecorded: nothing more can be recorded, and the next process recovers the
	// run.
	unrecorded
)

// outlookOf is the one place that decides it. An error that is not known to be
// permanent may pass; Remedy knows which ones do.
func outlookOf(err error) outlook {
	switch {
	case errors.As(err, new(*logError)):
		return unrecorded
	case isPermanent(err):
		return neverWorks
	case isAdvised(err), errors.As(err, new(*filesError)), Remedy(err) != "":
		return mayPass
	default:
		return mayHeal
	}
}

// isPermanent reports whether repeating what gave the error gives it again,
// anywhere and at any time: it follows from the run's request and record alone.
func isPermanent(err error) bool {
	if errors.As(err, new(*permanentError)) || errors.As(err, new(*nn.NumericalError)) || errors.As(err, new(*checkpoint.ContentError)) {
		return true
	}
	for _, permanent := range []error{
		nn.ErrInvalidModel, device.ErrInvalid, training.ErrNotReproducible, training.ErrInvalidTransition,
		training.ErrInvalidCheckpoint, training.ErrNonMonotonicCheckpoint,
	} {
		if errors.Is(err, permanent) {
			return true
		}
	}
	return false
}

// permanentError marks an error that neither time nor another machine mends.
type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }

// checkDevices is what a user can do where nothing better is known.
const checkDevices = "check the devices (reprise devices)"

// filesError says that files of the run cannot be read or written, or are not
// what its events say.
type filesError struct{ error }

func (e *filesError) Unwrap() error { return e.error }

// logError says that the event log could not be read or written.
type logError struct{ error }

func (e *logError) Unwrap() error { return e.error }
