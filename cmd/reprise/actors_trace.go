package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"reprise/actor"
)

// traceStep is a message of a trace in `reprise actors --trace`.
type traceStep struct {
	Correlation uint64    `json:"correlation"`
	Message     uint64    `json:"message"`
	Causation   uint64    `json:"causation"`
	From        string    `json:"from,omitempty"`
	To          string    `json:"to"` // "" for the answer to a question
	Type        string    `json:"type"`
	Sent        time.Time `json:"sent"`
	// After is the time since the first message was sent; Waited and Took are
	// null for a message that was not handled yet, and for an answer.
	After  time.Duration  `json:"after_ns"`
	Waited *time.Duration `json:"waited_ns"`
	Took   *time.Duration `json:"took_ns"`
	Error  string         `json:"error,omitempty"`
	Caused []traceStep    `json:"caused"`
}

func traceStepOf(s actor.Step, start time.Time) traceStep {
	h := traceStep{
		Correlation: s.Correlation, Message: s.Message, Causation: s.Causation,
		From: s.From, To: s.To, Type: s.Type, Sent: s.Sent, After: s.Sent.Sub(start), Caused: []traceStep{},
	}
	if s.Handled {
		h.Waited, h.Took = &s.Waited, &s.Took
	}
	if s.Err != nil {
		h.Error = s.Err.Error()
	}
	for _, next := range s.Caused {
		h.Caused = append(h.Caused, traceStepOf(next, start))
	}
	return h
}

// traceActor traces the next message to the actor, and prints what it led to.
func (env *environment) traceActor(ctx context.Context, name, format string) error {
	w, err := env.workspace()
	if err != nil {
		return err
	}
	var l actorSnapshot
	if err := askControl(ctx, w, "/v1/actors", &l); err != nil {
		return err
	}
	path, err := l.resolve(name)
	if err != nil {
		return invalid(err)
	}
	var trace traceStep
	if err := askControl(ctx, w, "/v1/trace?actor="+url.QueryEscape(path), &trace); err != nil {
		return err
	}
	return env.listing(format, trace, func(t *table) error {
		t.columns(column{title: "MESSAGE"}, column{title: "TO", cut: 16}, column{title: "SENT AT", right: true},
			column{title: "WAITED", right: true}, column{title: "TOOK", right: true}, column{cut: 16})
		trace.rows(t, "", "")
		return nil
	})
}

// resolve returns the path of the only actor that the name means: a path, or the
// end of one.
func (l actorSnapshot) resolve(name string) (string, error) {
	var matches []string
	for _, r := range l.Actors {
		switch {
		case r.Kind != "actor":
		case r.Path == name:
			return name, nil
		case strings.HasSuffix(r.Path, "/"+name):
			matches = append(matches, r.Path)
		}
	}
	switch len(matches) {
	case 1:
		return matches[0], nil
	case 0:
		return "", fmt.Errorf("--trace %s: no such actor; `reprise actors` lists them all", name)
	}
	return "", fmt.Errorf("--trace %s: is ambiguous: it could be %s; give more of the path", name, strings.Join(matches, ", "))
}

// rows draws the message and what it led to. A chain of messages, each of which
// led to one other, is not indented.
func (h traceStep) rows(t *table, first, rest string) {
	to, waited, took := h.To, "-", "not handled yet"
	switch {
	case to == "":
		to, took = "answer", "-"
	case h.Waited != nil:
		waited, took = preciseDuration(*h.Waited), preciseDuration(*h.Took)
	}
	kind := h.Type[strings.LastIndex(h.Type, ".")+1:]
	t.row(first+kind, to, "+"+preciseDuration(h.After), waited, took, excerpt(h.Error))
	for i, next := range h.Caused {
		switch {
		case len(h.Caused) == 1:
			next.rows(t, rest+"└ ", rest)
		case i == len(h.Caused)-1:
			next.rows(t, rest+"└─ ", rest+"   ")
		default:
			next.rows(t, rest+"├─ ", rest+"│  ")
		}
	}
}

// preciseDuration formats a short time with three digits: 12.3µs, 1.05ms.
func preciseDuration(d time.Duration) string {
	for unit := time.Duration(1000 * 1000 * 1000); unit >= 1; unit /= 10 {
		if d >= 100*unit {
			return d.Round(unit).String()
		}
	}
	return d.String()
}
