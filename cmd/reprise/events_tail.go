package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/api/describe"
)

// tailOptions is what `events tail` was asked for.
type tailOptions struct {
	run, aggregate, kind string
	follow               bool
	lines                int
	after                logPosition
	format               string
}

func newEventsTailCommand(env *environment) *cobra.Command {
	var t tailOptions
	c := &cobra.Command{
		Use:   "tail",
		Short: "Print the newest events, and with -f new ones as they happen",
		Long: `Tail prints the last events of the log that pass the filters. With --follow it
continues with every new one as it becomes durable, even while another process
writes them, until Ctrl-C. No event is left out, and none is printed twice.

JSON is one object per line, and YAML one document per event.`,
		Example: `  reprise events tail -f
  reprise events tail --after 0 --type training.epoch_completed -o json
  reprise events tail -f -n 0 --run latest`,
		Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkListFormat(t.format); err != nil {
				return err
			}
			if t.lines < 0 {
				return usageError(c, "--lines: %d must not be negative; use 0 to print none of the old events", t.lines)
			}
			if err := exclusive(c, "after", "lines"); err != nil {
				return err
			}
			return env.tail(c.Context(), t)
		},
	}
	addListFormat(c, &t.format)
	c.Flags().StringVar(&t.run, "run", "", "only events of this `RUN`: an id, the beginning of one, or latest")
	c.Flags().StringVar(&t.aggregate, "aggregate", "", "only events of aggregates whose id begins with `PREFIX`, such as device/ or run/2026")
	c.Flags().StringVar(&t.kind, "type", "", "only events whose type begins with `PREFIX`, such as training.epoch_completed or device.")
	c.Flags().BoolVarP(&t.follow, "follow", "f", false, "wait for new events")
	c.Flags().IntVarP(&t.lines, "lines", "n", 20, "print the `N` newest events first")
	c.Flags().Var(&t.after, "after", "print every event after this `POSITION` instead; 0 prints them all")
	return c
}

func (env *environment) tail(ctx context.Context, t tailOptions) error {
	r := api.TailRequest{Run: t.run, Aggregate: api.AggregateID(t.aggregate), Type: t.kind, Follow: t.follow}
	if t.after.given {
		r.After = &t.after.position
	} else {
		r.Newest = uint(t.lines)
	}
	out := &eventPrinter{env: env, format: t.format}
	out.width, _ = terminalWidth(env.stdout)
	wanted := reading
	if t.follow {
		wanted = writing // it waits for a folder that does not exist yet
	}
	err := env.withServiceFor(ctx, wanted, func(ctx context.Context, s api.Service) error {
		for e, err := range s.Tail(ctx, r) {
			if err == nil {
				err = out.print(e)
			}
			if err != nil {
				return asGiven(err, argument{field: "type", flag: "--type"}, argument{field: "aggregate", flag: "--aggregate"})
			}
		}
		return nil
	})
	if errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	return err
}

// logPosition is a position of the log given by a flag.
type logPosition struct {
	position api.Position
	given    bool
}

// String implements pflag.Value.
func (p *logPosition) String() string {
	if !p.given {
		return ""
	}
	return strconv.FormatUint(uint64(p.position), 10)
}

// Set implements pflag.Value.
func (p *logPosition) Set(text string) error {
	v, err := parseCount(text)
	if err != nil {
		return fmt.Errorf("%q is not a position; `reprise events tail` lists them", text)
	}
	p.position, p.given = api.Position(v), true
	return nil
}

// Type implements pflag.Value.
func (p *logPosition) Type() string { return "POSITION" }

// wait returns after d, or with ctx's error before.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// eventPrinter prints events as they come.
type eventPrinter struct {
	env     *environment
	format  string
	width   int // of the terminal; 0 where there is none
	printed int
}

// print writes one event. Columns have fixed widths, since later events are not known.
func (p *eventPrinter) print(e api.Event) error {
	p.printed++
	switch p.format {
	case formatJSON:
		return writeJSONLine(p.env.stdout, e)
	case formatYAML:
		raw, err := json.Marshal(e)
		if err != nil {
			return err
		}
		if raw, err = yamlOf(raw); err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.env.stdout, "---\n%s", raw)
		return err
	}
	of, at, what := visible(string(e.Aggregate)), localTime(e.Time), visible(describe.Headline(e.Stored()))
	aggregateWidth, room := 24, 0
	if p.width > 0 && p.width < roomyTail {
		of, at, aggregateWidth = shortAggregate(of), timeOfDay(at), 14
		room = max(p.width-8-len(at)-aggregateWidth-3*columnGap, leastValue)
	}
	if p.printed == 1 {
		_, err := fmt.Fprintf(p.env.stdout, "%8s  %-*s  %-*s  %s\n", "POSITION", len(at), "TIME", aggregateWidth, "OF", "WHAT HAPPENED")
		if err != nil {
			return err
		}
	}
	before := fmt.Sprintf("%8s  %s  %-*s  ", thousands(e.Position), at, aggregateWidth, of)
	_, err := fmt.Fprintln(p.env.stdout, strings.Join(beside(before, what, lipgloss.Width(before), room), "\n"))
	return err
}

// roomyTail is the width in columns from which events are printed whole.
const roomyTail = 130

// shortAggregate leaves of an aggregate's id its kind and the end.
func shortAggregate(id string) string {
	kind, name, found := strings.Cut(id, "/")
	if !found {
		return id
	}
	return kind + "/" + shortEnd(name)
}

// shortEnd leaves the end of an id, which differs between those of the same time.
func shortEnd(id string) string {
	const end = 5
	if len(id) <= end+1 {
		return id
	}
	return "…" + id[len(id)-end:]
}
