package api

import (
	"net/http"

	"reprise/fault"
)

// Status is what a kind of error is to programs: the exit code of a command, and the
// status of HTTP and of gRPC.
type Status struct{ Exit, HTTP, GRPC int }

// The exit codes of a command that has not completed.
const (
	ExitFailed      = 1
	ExitInvalid     = 2   // nothing was written
	ExitInterrupted = 130 // by a signal
)

// statusCanceled says that the client has gone; net/http has no name for it.
const statusCanceled = 499

// statuses is the one table from kinds to statuses. The numbers of gRPC are those of
// google.golang.org/grpc/codes.
var statuses = map[fault.Kind]Status{
	fault.Internal:        {ExitFailed, http.StatusInternalServerError, 13},
	fault.Invalid:         {ExitInvalid, http.StatusBadRequest, 3},
	fault.NotFound:        {ExitInvalid, http.StatusNotFound, 5},
	fault.Conflict:        {ExitInvalid, http.StatusConflict, 9},
	fault.Unavailable:     {ExitFailed, http.StatusServiceUnavailable, 14},
	fault.Exhausted:       {ExitFailed, http.StatusTooManyRequests, 8},
	fault.Corrupt:         {ExitFailed, http.StatusInternalServerError, 15},
	fault.Canceled:        {ExitInterrupted, statusCanceled, 1},
	fault.Unauthenticated: {ExitFailed, http.StatusUnauthorized, 16},
	fault.Forbidden:       {ExitFailed, http.StatusForbidden, 7},
}

// StatusOf returns the statuses of a kind; those of Internal for one that a later
// version has.
func StatusOf(k fault.Kind) Status {
	if s, ok := statuses[k]; ok {
		return s
	}
	return statuses[fault.Internal]
}
