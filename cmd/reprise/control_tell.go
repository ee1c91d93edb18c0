package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"reprise/actor"
	"reprise/fault"
	"reprise/integration"
)

// maxTold bounds a message from outside: its payload, and what names and types it.
const maxTold = integration.MaxPayload + 1<<16

// shownLetters is how many dead letters `reprise actors` prints.
const shownLetters = 5

// toldError is the answer to a message that was refused.
type toldError struct {
	Kind  fault.Kind `json:"kind"`
	Error string     `json:"error"`
}

// tellActor hands a message to an actor of the host, and answers with what it answers.
func tellActor(host *integration.Host) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), controlPatience)
		defer cancel()
		message, err := readMessage(http.MaxBytesReader(w, r.Body, maxTold))
		var answer integration.Answer
		if err == nil {
			answer, err = host.Tell(ctx, message)
		}
		if err == nil {
			writeAnswer(w, answer)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(toldStatus(fault.KindOf(err)))
		_ = json.NewEncoder(w).Encode(toldError{fault.KindOf(err), err.Error()}) // the client has gone
	}
}

func readMessage(r io.Reader) (integration.Message, error) {
	var message integration.Message
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	err := d.Decode(&message)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more than one JSON value")
		}
	}
	if err != nil {
		return message, fault.New(fault.Invalid, "the message cannot be read: %w; send one JSON object with to, type and payload", err)
	}
	return message, nil
}

func toldStatus(kind fault.Kind) int {
	switch kind {
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.Exhausted:
		return http.StatusTooManyRequests
	case fault.Unavailable, fault.Canceled:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// letterRow is a dead letter in `reprise actors`.
type letterRow struct {
	To     string             `json:"to"`
	Type   string             `json:"type"`
	Reason actor.LetterReason `json:"reason"`
	At     time.Time          `json:"at"`
}

// addLetters adds the host's dead letters to a snapshot.
func (l *actorSnapshot) addLetters(host *integration.Host) {
	count, newest := host.Letters()
	l.DeadLetters = count
	for _, n := range newest[max(0, len(newest)-shownLetters):] {
		l.Letters = append(l.Letters, letterRow{n.To, n.Type, n.Reason, n.At})
	}
}

// letters prints the newest dead letters, if there are any.
func (l actorSnapshot) letters(t *table) {
	if l.DeadLetters == 0 {
		return
	}
	t.line("\n%s:", plural(l.DeadLetters, "dead letter"))
	if hidden := l.DeadLetters - uint64(len(l.Letters)); hidden > 0 {
		t.line("  (%s before these)", thousands(hidden))
	}
	for _, row := range l.Letters {
		t.line("  %s to %s: %s", row.Type, row.To, strings.ReplaceAll(string(row.Reason), "\n", "\n    "))
	}
}
