package integration

import (
	"errors"
	"strings"

	"reprise/checkpoint"
	"reprise/device"
	"reprise/internal/disk"
	"reprise/nn"
	"reprise/training"
)

// outlook is what becomes of a run after an error.
type outlook int

const (
	// mayHeal: the actor is restarted from the last checkpoint. One that does not
	// get over it within its intensity is interrupted.
	mayHeal outlook = iota
	// mayPass: the run is interrupted at once, since a restart would come upon
	// the same, and says what its user can do.
	mayPass
	// neverWorks: the run fails.
	neverWorks
	// unrecorded: nothing more can be recorded, and the next process recovers the
	// run.
	unrecorded
)

// outlookOf is the one place that decides it. An error that is not known to be
// permanent may pass.
func outlookOf(err error) outlook {
	switch {
	case errors.As(err, new(*logError)):
		return unrecorded
	case isPermanent(err):
		return neverWorks
	case errors.As(err, new(*obstacle)), errors.As(err, new(*filesError)), disk.Remedy(err) != "":
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

// permanentError marks an error that no time and no machine mends.
type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }

// checkDevices is what a user can do where nothing better is known.
const checkDevices = "check the devices (reprise devices)"

// obstacle is an error that keeps a run from training for now.
type obstacle struct {
	err error
	// fix is what the user can do; "" where err says it.
	fix string
}

func (o *obstacle) Error() string {
	if o.fix == "" {
		return o.err.Error()
	}
	return o.err.Error() + "; " + o.fix
}

func (o *obstacle) Unwrap() error { return o.err }

// explain returns the text of an error for the record, with what the user can
// do about it.
func explain(err error) string {
	if errors.As(err, new(*obstacle)) {
		return err.Error()
	}
	fix := disk.Remedy(err)
	if strings.Contains(err.Error(), fix) { // it says so itself
		fix = ""
	}
	if fix == "" && errors.As(err, new(*checkpoint.CorruptError)) {
		fix = "put a copy of it back, or fork the run from an earlier checkpoint"
	}
	return (&obstacle{err, fix}).Error()
}

// filesError says that files of the run cannot be read or written, or are not
// what its events say.
type filesError struct{ error }

func (e *filesError) Unwrap() error { return e.error }

// refusalError says what is to be done where no device takes the run.
func refusalError(err error) error {
	var refused *device.NoSuitableDeviceError
	if !errors.As(err, &refused) {
		return err
	}
	if refused.Transient() {
		return &obstacle{err, "end what uses the device, or wait for it"}
	}
	return &obstacle{err, "use a machine that has such a device"}
}

// logError says that the event log could not be read or written.
type logError struct{ error }

func (e *logError) Unwrap() error { return e.error }
