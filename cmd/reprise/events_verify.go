package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"reprise/eventstore"
	"reprise/integration"
)

// logVerdict is what `events verify` prints.
type logVerdict struct {
	Verified bool                `json:"verified"`
	Events   eventstore.Position `json:"events"`
	HeadHash eventstore.Hash     `json:"head_hash"`
	Runs     int                 `json:"runs"`
	Devices  int                 `json:"devices"`
	// Problem is the first thing that is wrong; null if nothing is.
	Problem *logProblem `json:"problem"`
	wayBack string
}

// logProblem names the first bad event; its position is 0 where the damage is
// not in one event.
type logProblem struct {
	Position  eventstore.Position    `json:"position"`
	Aggregate eventstore.AggregateID `json:"aggregate,omitempty"`
	Version   eventstore.Version     `json:"version,omitempty"`
	What      string                 `json:"what"`
}

func newEventsVerifyCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "verify",
		Short: "Check the whole event log and name the first bad event",
		Long: `Verify reads the whole log: every event against its hash, the hash against the
one before it, positions and versions for holes, the end against the recorded
end, the file's own structure; and then replays every event by the rules of the
system. Exit code 0 means that the log is whole; 1 that it is not, and the first
bad event is named. It writes nothing.

The hash at the head stands for the whole log: kept elsewhere, it shows later
that nothing before it was changed.`,
		Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.verifyLog(c.Context(), format)
		},
	}
	addListFormat(c, &format)
	return c
}

func (env *environment) verifyLog(ctx context.Context, format string) error {
	verdict, err := env.checkLog(ctx)
	if err != nil {
		return err
	}
	if err := env.listing(format, verdict, func(t *table) error {
		switch p := verdict.Problem; {
		case p == nil && verdict.Events == 0:
			t.line("the log is empty")
		case p == nil:
			t.row("events", count(uint64(verdict.Events)))
			t.row("of", some(verdict.Runs, "run")+" and "+some(verdict.Devices, "device"))
			t.row("head hash", verdict.HeadHash.String())
			t.line("\nverified: every event is what was appended, and follows from those before it")
		case p.Position == 0:
			t.line("NOT VERIFIED: %s", p.What)
		case p.Aggregate == "":
			t.line("NOT VERIFIED: the first bad event is at position %d: %s", p.Position, p.What)
		default:
			t.line("NOT VERIFIED: the first bad event is at position %d (version %d of %s): %s", p.Position, p.Version, p.Aggregate, p.What)
		}
		if verdict.wayBack != "" {
			t.line("\n%s", verdict.wayBack)
		}
		return nil
	}); err != nil {
		return err
	}
	if verdict.Problem != nil {
		return errReported
	}
	return nil
}

// checkLog returns the verdict; an error means that there is none.
func (env *environment) checkLog(ctx context.Context) (logVerdict, error) {
	var verdict logVerdict
	damaged := func(err error) (logVerdict, error) {
		var bad *eventstore.CorruptionError
		if !errors.As(err, &bad) {
			return verdict, err
		}
		verdict.Problem = &logProblem{Position: bad.Position, Aggregate: bad.Aggregate, Version: bad.Version, What: bad.What}
		verdict.wayBack = wayBack(env.program, err)
		return verdict, nil
	}
	store, _, err := env.openReader()
	if err != nil {
		return damaged(err)
	}
	defer func() { _ = store.Close() }() // it was only read
	head, err := store.Verify(ctx)
	if err != nil {
		return damaged(err)
	}
	verdict.Events, verdict.HeadHash = head.Position, head.Hash
	timeline := integration.NewTimeline()
	_, err = eventstore.Walk(ctx, store, 0, head.Position, func(e eventstore.Event) error {
		if err := timeline.Apply(e); err != nil {
			verdict.Problem = &logProblem{Position: e.Position, Aggregate: e.Aggregate, Version: e.Version, What: err.Error()}
			return errVisited
		}
		return nil
	})
	if err != nil && !errors.Is(err, errVisited) {
		return damaged(err)
	}
	state := timeline.State()
	verdict.Runs, verdict.Devices = len(state.Runs), len(state.Devices)
	verdict.Verified = verdict.Problem == nil
	return verdict, nil
}

// errVisited ends a visit of events early.
var errVisited = errors.New("visited")
