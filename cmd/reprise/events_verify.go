package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"reprise/datadir"
	"reprise/eventstore"
	"reprise/journal"
)

// logVerdict is what `events verify` prints.
type logVerdict struct {
	Verified bool                `json:"verified"`
	Events   eventstore.Position `json:"events"`
	HeadHash eventstore.Hash     `json:"head_hash"`
	Runs     int                 `json:"runs"`
	Devices  int                 `json:"devices"`
	// Head is the one that the log was compared with, if any.
	Head *eventstore.Attestation `json:"head,omitempty"`
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
	Type      string                 `json:"type,omitempty"`
	What      string                 `json:"what"`
}

// anchor is a head that was kept elsewhere, and the key that it was signed with.
type anchor struct{ head, key string }

// anchored is what `events verify --head` prints of the head.
type anchored struct {
	eventstore.Attestation
	signed bool
}

func newEventsVerifyCommand(env *environment) *cobra.Command {
	var format string
	var kept anchor
	c := &cobra.Command{
		Use:   "verify",
		Short: "Check the whole event log and name the first bad event",
		Long: `Verify reads the whole log and checks each event against its hash and each hash
against the one before it, positions and versions for gaps, the end against the
recorded end, and the file's own structure. It then compares every event with those
before it, in each field that follows from them; the read models and snapshots that
are kept beside the log with what the events add up to; and the log with the files
of runs. "reprise runs verify" checks what only training can tell.
docs/durability.md lists what is compared with what.

Exit code 0 means that the log is whole; 1 that it is not, and the first bad event
is named. It writes nothing, and works while a process trains.

Whoever can write the log can write another one that is whole. --head FILE compares
with a head that "reprise events head" wrote and that was kept elsewhere: exit code
0 then also means that nothing up to there was changed. --key PUB checks its
signature with the Ed25519 public key in PUB (PEM); a signed head needs it.`,
		Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.verifyLog(c.Context(), kept, format)
		},
	}
	addListFormat(c, &format)
	c.Flags().StringVar(&kept.head, "head", "", "compare with the head in `FILE`, which \"reprise events head\" wrote")
	c.Flags().StringVar(&kept.key, "key", "", "check the head's signature with the Ed25519 public key in the file `PUB` (PEM)")
	return c
}

// read returns the head, whose signature may be wrong, and the key; both are nil
// where no head was given.
func (a anchor) read() (*anchored, ed25519.PublicKey, error) {
	if a.head == "" {
		if a.key != "" {
			return nil, nil, invalid(fmt.Errorf("--key %s: there is nothing to check with it; give the head as well: --head FILE", a.key))
		}
		return nil, nil, nil
	}
	raw, err := readInput(a.head)
	if err != nil {
		return nil, nil, unusable(fmt.Errorf("--head %s: %w", a.head, err), "give a file that `reprise events head` wrote")
	}
	head, err := eventstore.ParseAttestation(raw)
	if err != nil {
		return nil, nil, invalid(fmt.Errorf("--head %s: is not a head: %w; give a file that `reprise events head` wrote", a.head, err))
	}
	signed := head.Signature != nil
	switch {
	case signed && a.key == "":
		return nil, nil, invalid(fmt.Errorf("--head %s: is signed; give the public key to check it with: --key PUB", a.head))
	case !signed && a.key != "":
		return nil, nil, invalid(fmt.Errorf("--head %s: is not signed; leave out --key, "+
			"or sign the next one with `reprise events head --sign KEY`", a.head))
	case !signed:
		return &anchored{Attestation: head}, nil, nil
	}
	key, err := readPublicKey("--key", a.key)
	return &anchored{head, true}, key, err
}

func (env *environment) verifyLog(ctx context.Context, kept anchor, format string) error {
	head, key, err := kept.read()
	if err != nil {
		return err
	}
	verdict, err := env.checkLog(ctx, head, key)
	if err != nil {
		return err
	}
	if err := env.listing(format, verdict, func(t *table) error {
		verdict.write(t, head)
		if verdict.wayBack != "" {
			t.line("\n" + savesIntact)
			t.command("  ", verdict.wayBack)
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

func (v logVerdict) write(t *table, head *anchored) {
	switch p := v.Problem; {
	case p == nil && v.Events == 0:
		t.line("the log is empty")
	case p == nil:
		t.row("events", thousands(uint64(v.Events)))
		t.row("about", plural(v.Runs, "run")+" and "+plural(v.Devices, "device"))
		t.row("head hash", v.HeadHash.String())
		t.line("\nverified: every event is what was appended, and follows from those before it")
		if head != nil {
			signed := "an unsigned head"
			if head.signed {
				signed = "a signed head"
			}
			t.line("verified: nothing up to position %d was changed since %s, by %s",
				head.Head.Position, head.Time.UTC().Format(time.RFC3339), signed)
		}
	case p.Position == 0:
		t.line("NOT VERIFIED: %s", p.What)
	case p.Aggregate == "":
		t.line("NOT VERIFIED: the first bad event is at position %d: %s", p.Position, p.What)
	default:
		t.line("NOT VERIFIED: the first bad event is at position %d (version %d of %s): %s", p.Position, p.Version, p.Aggregate, p.What)
	}
}

// checkLog returns the verdict; an error means that there is none.
func (env *environment) checkLog(ctx context.Context, head *anchored, key ed25519.PublicKey) (logVerdict, error) {
	var verdict logVerdict
	found := func(err error) (logVerdict, error) {
		var bad *eventstore.CorruptionError
		var contradiction *journal.ContradictionError
		switch {
		case errors.As(err, &bad):
			verdict.Problem = &logProblem{Position: bad.Position, Aggregate: bad.Aggregate, Version: bad.Version, What: bad.What}
			verdict.wayBack = wayBack(env.program, err)
		case errors.As(err, &contradiction):
			verdict.Problem = &logProblem{Position: contradiction.Position, Aggregate: contradiction.Aggregate,
				Version: contradiction.Version, Type: contradiction.Type, What: contradiction.What}
		default:
			return verdict, err
		}
		return verdict, nil
	}
	store, err := env.openLog(ctx) // the verdict says what the files show
	if err != nil {
		return found(err)
	}
	defer func() { _ = store.Close() }() // it was only read
	report, err := journal.VerifyLog(ctx, store)
	verdict.Events, verdict.HeadHash = report.Head.Position, report.Head.Hash
	verdict.Runs, verdict.Devices = report.Runs, report.Devices
	verdict.Verified = err == nil
	if err != nil {
		return found(err)
	}
	var older *datadir.OlderLogError
	if errors.As(store.compared, &older) {
		verdict.Verified, verdict.Problem = false, &logProblem{What: older.Error()}
		return verdict, nil
	} else if store.compared != nil {
		return found(store.compared)
	}
	if head == nil {
		return verdict, nil
	}
	verdict.Head = &head.Attestation
	if head.signed {
		err = head.CheckSignature(key)
	}
	if err == nil {
		err = head.Check(ctx, store, report.Head)
	}
	if errors.Is(err, eventstore.ErrBadSignature) || errors.Is(err, eventstore.ErrNotContained) {
		verdict.Verified, verdict.Problem = false, &logProblem{What: "the head that was kept: " + err.Error()}
		err = nil
	}
	return verdict, err
}
