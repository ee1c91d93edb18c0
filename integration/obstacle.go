package integration

import (
	"errors"
	"syscall"

	"reprise/checkpoint"
	"reprise/datadir"
	"reprise/device"
	"reprise/eventstore"
	"reprise/nn"
	"reprise/training"
	"reprise/training/loop"
)

// outlook is what becomes of a run after an error.
type outlook int

const (
	// mayHeal: the actor is restarted from the last checkpoint. A run that exceeds
	// its restart intensity is interrupted.
	mayHeal outlook = iota
	// mayPass: the run is interrupted at once, since a restart would meet the same
	// error, and says what its user can do. Its job waits, and tries again by itself.
	mayPass
	// needsHelp: the same, but somebody has to do something before another attempt has
	// any use. Its job is left until it is resumed.
	needsHelp
	// neverWorks: the run fails, since it would on any machine and in any version.
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
	case elsewhere(err) != "":
		return needsHelp
	case datadir.IsAdvised(err), errors.As(err, new(*loop.FilesError)), datadir.Remedy(err) != "":
		if passes(err) {
			return mayPass
		}
		return needsHelp
	default:
		return mayHeal
	}
}

// passes reports whether what keeps a run from training may pass without anybody doing
// something about the run. Whatever is wrong with data that the run was begun with counts:
// an attempt to open them costs nothing and holds no device. What is not known to pass
// needs somebody, so that no run trains the same steps again and again.
func passes(err error) bool {
	var refused *device.NoSuitableDeviceError
	switch {
	case errors.As(err, new(*dataError)):
		return true
	case errors.As(err, &refused):
		return refused.Transient()
	}
	return datadir.Passing(err) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, eventstore.ErrLocked)
}

// dataError says that the data set of a run cannot be opened.
type dataError struct{ error }

func (e *dataError) Unwrap() error { return e.error }

// isPermanent reports whether repeating what gave the error gives it again, on any
// machine, in any version and whatever the user does: it follows from the
// arithmetic that the request asks for.
func isPermanent(err error) bool {
	return errors.As(err, new(*nn.NumericalError)) || errors.Is(err, checkpoint.ErrContent)
}

// elsewhere returns what a user can do about an error that comes again on this
// machine and in this version, and need not on others; "" for other errors.
func elsewhere(err error) string {
	switch {
	case errors.Is(err, training.ErrNotReproducible):
		return "check this machine's memory and CPU, or resume it with the version and the machine that recorded it"
	case errors.Is(err, training.ErrInvalidCheckpoint):
		return "put the run's own checkpoint back"
	case errors.Is(err, nn.ErrInvalidModel), errors.Is(err, device.ErrInvalid):
		return useItsVersion
	case contradicts(err):
		return "report this defect, and resume it with another version"
	}
	return ""
}

// contradicts reports whether an event did not fit the record that it was for.
func contradicts(err error) bool {
	return errors.Is(err, training.ErrInvalidTransition) || errors.Is(err, training.ErrInvalidCheckpoint) ||
		errors.Is(err, training.ErrNonMonotonicCheckpoint)
}

// useItsVersion is what a user can do about a run that this version refuses, since
// another one began it.
const useItsVersion = "resume it with the version that recorded it, or fork it with other settings"

// checkDevices is what a user can do where nothing better is known.
const checkDevices = "check the devices (reprise devices)"

// explain returns the text of an error for the record, with what the user can do
// about it.
func explain(err error) string {
	if fix := elsewhere(err); fix != "" && !datadir.IsAdvised(err) {
		return (&datadir.AdvisedError{Err: err, Remedy: fix}).Error()
	}
	return datadir.Advise(err).Error()
}

// logError says that the event log could not be read or written.
type logError struct{ error }

func (e *logError) Unwrap() error { return e.error }
