package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/internal/pemkey"
)

// anchor is a head that was kept elsewhere, and the key that it was signed with.
type anchor struct{ head, key string }

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
are kept beside the log with what the events add up to; and it checks whether the files of
runs show that the log is older than they are. It does not read checkpoints: "reprise
runs verify" does, and checks what only training can tell.
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

// request asks for a verification against what the files of the anchor hold.
func (a anchor) request() (r api.VerifyLogRequest, err error) {
	if a.head != "" {
		if r.Head, err = fileContent("--head", a.head, "give a file that `reprise events head` wrote"); err != nil {
			return r, err
		}
	}
	if a.key != "" {
		r.PublicKey, err = fileContent("--key", a.key, pemkey.Hint)
	}
	return r, err
}

// fileContent returns the content of a file that a flag names; fix says what helps
// where it cannot be read.
func fileContent(flag, file, fix string) (string, error) {
	content, err := readInput(file)
	if err != nil {
		return "", unusable(errorf("%s %s: %w", flag, file, err), fix)
	}
	return string(content), nil
}

// asGiven makes an error of the service speak of the anchor's flags.
func (a anchor) asGiven(err error) error {
	return asGiven(err, fileArgument("head", "--head", a.head), fileArgument("public_key", "--key", a.key))
}

func (env *environment) verifyLog(ctx context.Context, kept anchor, format string) error {
	request, err := kept.request()
	if err != nil {
		return err
	}
	return env.withService(ctx, func(ctx context.Context, s api.Service) error {
		v, err := finish(s.VerifyLog(ctx, request), newCounter(env, "verifying", "events"))
		if err != nil {
			return kept.asGiven(err)
		}
		if err := env.listing(format, v.Verdict, func(t *table) error {
			writeVerdict(t, v.Verdict)
			if v.CorruptLog != "" {
				t.line("\n" + savesIntact)
				t.command("  ", wayBackFrom(env.program, v.CorruptLog))
			}
			return nil
		}); err != nil {
			return err
		}
		if v.Verdict.Problem != nil {
			return errReported
		}
		return nil
	})
}

func writeVerdict(t *table, v api.LogVerdict) {
	switch p := v.Problem; {
	case p == nil && v.Events == 0:
		t.line("the log is empty")
	case p == nil:
		t.row("events", thousands(uint64(v.Events)))
		t.row("about", plural(v.Runs, "run")+" and "+plural(v.Devices, "device"))
		t.row("head hash", v.HeadHash.String())
		t.line("\nverified: every event is what was appended, and follows from those before it")
		if head := v.Head; head != nil {
			signed := "an unsigned head"
			if head.Signature != nil {
				signed = "a signed head"
			}
			t.line("verified: nothing up to position %d was changed since %s, by %s",
				head.Head.Position, head.Time.UTC().Format(time.RFC3339), signed)
		}
	case p.Derived:
		t.line("NOT VERIFIED: %s; %s", p.What, commandsFor(api.DerivedWrong))
	case p.Position == 0:
		t.line("NOT VERIFIED: %s", p.What)
	case p.Aggregate == "":
		t.line("NOT VERIFIED: the first bad event is at position %d: %s", p.Position, p.What)
	default:
		t.line("NOT VERIFIED: the first bad event is at position %d (version %d of %s): %s", p.Position, p.Version, p.Aggregate, p.What)
	}
}
