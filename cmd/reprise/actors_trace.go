package main

import (
	"context"
	"strings"
	"time"

	"reprise/api"
)

// traceActor traces the next message to the actor, and prints what it led to.
func (env *environment) traceActor(ctx context.Context, name, format string) error {
	w, err := env.workspace()
	if err != nil {
		return err
	}
	trace, err := askHolder(ctx, w, api.Service.Trace, api.TraceRequest{Actor: name})
	if err != nil {
		return asGiven(err, argument{field: "actor", flag: "--trace"})
	}
	return env.listing(format, trace, func(t *table) error {
		t.columns(column{title: "MESSAGE"}, column{title: "TO", cut: 16}, column{title: "SENT AT", right: true},
			column{title: "WAITED", right: true}, column{title: "TOOK", right: true}, column{cut: 16})
		writeTrace(t, trace, "", "")
		return nil
	})
}

// writeTrace draws the message and what it led to. A chain of messages, each of which
// led to one other, is not indented.
func writeTrace(t *table, h api.TraceStep, first, rest string) {
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
			writeTrace(t, next, rest+"└ ", rest)
		case i == len(h.Caused)-1:
			writeTrace(t, next, rest+"└─ ", rest+"   ")
		default:
			writeTrace(t, next, rest+"├─ ", rest+"│  ")
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
