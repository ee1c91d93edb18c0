package api

import (
	"net/http"

	"reprise/fault"
)

// The exit codes of commands.
const (
	ExitCompleted   = 0
	ExitFailed      = 1
	ExitInvalid     = 2 // nothing was changed
	ExitInterrupted = 130
)

// Status is how an error of one kind is answered: by a command, over HTTP and over
// gRPC (whose names Connect uses too).
type Status struct {
	Exit int
	HTTP int
	GRPC string
}

// StatusOf is the one table from kinds of errors to statuses. A kind that it does not
// know is answered as Internal.
func StatusOf(kind fault.Kind) Status {
	switch kind {
	case fault.Invalid:
		return Status{ExitInvalid, http.StatusBadRequest, "invalid_argument"}
	case fault.NotFound:
		return Status{ExitInvalid, http.StatusNotFound, "not_found"}
	case fault.Conflict:
		return Status{ExitInvalid, http.StatusConflict, "failed_precondition"}
	case fault.Unavailable:
		return Status{ExitFailed, http.StatusServiceUnavailable, "unavailable"}
	case fault.Exhausted:
		return Status{ExitFailed, http.StatusTooManyRequests, "resource_exhausted"}
	case fault.Corrupt:
		return Status{ExitFailed, http.StatusInternalServerError, "data_loss"}
	case fault.Canceled:
		return Status{ExitInterrupted, statusClientClosedRequest, "canceled"}
	case fault.Unauthenticated:
		return Status{ExitFailed, http.StatusUnauthorized, "unauthenticated"}
	case fault.Forbidden:
		return Status{ExitFailed, http.StatusForbidden, "permission_denied"}
	default:
		return Status{ExitFailed, http.StatusInternalServerError, "internal"}
	}
}

// statusClientClosedRequest is what servers log for a request that its client gave up.
// It is not a registered code, and no client reads it.
const statusClientClosedRequest = 499
