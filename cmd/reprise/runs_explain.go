package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/api/describe"
	"reprise/training"
)

func newRunsExplainCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "explain RUN",
		Short: "Say why a run waits, or where it was placed",
		Long: `Explain says what a run waits for: its data, other runs, somebody who resumes it, or a
device. For a device, it says what the newest recorded decision about a run was: on which device it
was placed, or why it waits, who holds the devices, and when it will probably start.
It reads the decision from the log, makes it again from the recorded snapshot, and
fails if the result differs.`,
		Example: `  reprise runs explain latest
  reprise runs explain latest -o json`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.explainRun(c.Context(), args[0], format)
		},
	}
	addListFormat(c, &format)
	return c
}

func (env *environment) explainRun(ctx context.Context, run, format string) error {
	return env.withService(ctx, func(ctx context.Context, s api.Service) error {
		x, err := s.Explain(ctx, api.ExplainRequest{Run: run})
		if err != nil {
			return err
		}
		if err := env.listing(format, x, func(t *table) error { return writeExplanation(t, x, env.commandFor("runs resume", x.RunID)) }); err != nil {
			return err
		}
		return x.Err()
	})
}

// writeQueued says how a run is queued, and what it waits for beside devices. resume is the
// command that resumes it.
func writeQueued(t *table, r api.Run, resume string) {
	j := *r.Job
	if j.Group != "" {
		t.row("group", j.Group)
	}
	if j.Priority != 0 {
		t.row("priority", fmt.Sprint(j.Priority))
	}
	for _, id := range j.After {
		t.row("comes after", string(id))
	}
	switch r.State {
	case api.Submitted, api.Preparing:
		t.row("starts when", startsWithData(r))
	case api.Paused, training.Interrupted:
		t.row("starts when", "it is resumed with: "+resume)
	case training.Initializing, training.Running, training.Completed, training.Failed: // it has started
	}
	if j.Stopping != "" {
		t.row("soon", string(j.Stopping)+", once it has written a checkpoint")
	}
}

// startsWithData says when a run starts whose data are to be opened.
func startsWithData(r api.Run) string {
	switch {
	case r.Job.Cause == nil:
		return "its data are opened, and then a device is free"
	case r.LacksData() && r.Dataset != "":
		return "its data can be opened; put " + r.Dataset + " back"
	}
	return "its data can be opened, and then a device is free"
}

// writePredecessors says when the runs that a run comes after will probably end, and so
// when it can start.
func writePredecessors(t *table, x api.Explanation) {
	for _, p := range x.Predecessors {
		end := "not known when it ends: " + p.Problem
		if p.End != nil {
			end = "probably ends at " + localTime(*p.End)
		}
		t.row("run "+string(p.RunID), string(p.State)+"; "+end)
	}
	switch {
	case len(x.Predecessors) == 0:
	case x.Start != nil:
		t.row("probable start", localTime(*x.Start)+", if a device is free then")
	default:
		t.row("probable start", "not known: it comes after a run of which it is not known when it ends")
	}
}

func deviceNames[ID ~string](list []ID) string {
	names := make([]string, len(list))
	for i, id := range list {
		names[i] = string(id)
	}
	return strings.Join(names, ", ")
}

// writeUse says what owners had used, where that decides who comes first.
func writeUse(t *table, owners []api.OwnerUse) {
	for _, o := range owners {
		t.row("owner", fmt.Sprintf("%s had used %s of late, with the share %v", cmp.Or(o.Owner, "none"), shortDuration(o.Used), o.Share))
	}
}

func writeExplanation(t *table, x api.Explanation, resume string) error {
	t.row("run", string(x.RunID))
	t.row("state", string(x.State))
	writeDeletion(t, x.Job)
	if x.Job != nil {
		if c := x.Job.Cause; c != nil && x.State != training.Running {
			t.row("reason", c.Message)
		}
		writeQueued(t, api.Run{Result: api.Result{State: x.State}, Job: x.Job, Dataset: x.Data}, resume)
		if x.NextAttempt != nil {
			t.row("next attempt", fmt.Sprintf("%s, after %s", localTime(*x.NextAttempt), plural(x.Job.Deferrals, "failed attempt")))
		}
	}
	writePredecessors(t, x)
	if len(x.Predecessors) > 0 && !x.Recorded {
		return nil
	}
	if !x.Recorded && x.Job != nil && x.State != api.Queued {
		return nil // it never came to a decision, and this says why
	}
	if !x.Recorded && x.Job != nil {
		t.row("decision", "none has been recorded since it began to wait")
		return nil
	}
	if !x.Recorded {
		t.row("decision", "no decision about this run was recorded")
		return nil
	}
	d := x.Decision
	t.row("decision", fmt.Sprintf("event %s, %s", thousands(uint64(d.Position)), localTime(d.Time)))
	switch {
	case d.Outcome == "taking over" && x.Waits():
		t.row("outcome", "gets "+deviceNames(d.On)+" once this has given way:")
		for _, id := range d.GaveWay {
			t.row("  run", string(id))
		}
	case d.Outcome != "waiting":
		how := "was placed on "
		if !d.HadToWait {
			how = "was placed at once on "
		}
		if d.HadToWait {
			how = "after " + shortDuration(d.Waited) + ", it was placed on "
		}
		t.row("outcome", how+deviceNames(d.On))
		for _, id := range d.GaveWay {
			t.row("  in place of", string(id))
		}
	default:
		outcome := "waiting"
		if !x.Waits() {
			outcome = "was waiting then"
		}
		t.row("outcome", fmt.Sprintf("%s, number %d in the queue", outcome, d.Place))
		for _, reason := range d.Reasons {
			lasts := "waiting does not help"
			if reason.Transient {
				lasts = "may pass"
			}
			t.row("  "+string(reason.Code), fmt.Sprintf("%s (%s)", describe.Reason(reason), lasts))
		}
		if x.Waits() {
			t.row("starts when", x.StartsWhen())
		} else {
			t.row("since then", "it stopped waiting; it is "+string(x.State)+" now")
		}
	}
	if d.Outcome == "waiting" && x.Waits() {
		const most = 3
		for i, id := range d.Ahead {
			if i == most && len(d.Ahead) > most+1 {
				t.row("ahead of it", fmt.Sprintf("%d more", len(d.Ahead)-most))
				break
			}
			t.row("ahead of it", string(id))
		}
		writeUse(t, d.Owners)
		for _, h := range d.Holders {
			left := ""
			if h.Remaining > 0 {
				left = ", with probably " + shortDuration(h.Remaining) + " left"
			}
			t.row("held by", fmt.Sprintf("%s: %s; when this was decided, for %s%s", h.RunID, deviceNames(h.On), shortDuration(h.Served), left))
		}
		start := "not known: a run that it waits for has no estimate yet"
		if d.Start != nil {
			start = localTime(d.Time.Add(*d.Start)) + ", " + shortDuration(*d.Start) + " after the decision"
		}
		t.row("probable start", start)
	}
	switch {
	case d.OtherRules:
		t.row("verified", "no: another version's rules made the decision")
	case d.Again:
		t.row("verified", "the recorded snapshot gives the same decision")
	default:
		t.row("verified", "DIFFERS: "+d.Problem)
	}
	return nil
}
