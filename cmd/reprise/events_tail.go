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
	"reprise/eventstore"
	"reprise/internal/disk"
	"reprise/journal"
)

// followInterval is the time between two looks at a log that another process
// writes.
const followInterval = 200 * time.Millisecond

// tailOptions is what `events tail` was asked for.
type tailOptions struct {
	filter eventFilter
	follow bool
	lines  int
	after  logPosition
	format string
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
	t.filter.add(c)
	c.Flags().BoolVarP(&t.follow, "follow", "f", false, "wait for new events")
	c.Flags().IntVarP(&t.lines, "lines", "n", 20, "print the `N` newest events first")
	c.Flags().Var(&t.after, "after", "print every event after this `POSITION` instead; 0 prints them all")
	return c
}

func (env *environment) tail(ctx context.Context, t tailOptions) error {
	store, waited, err := env.openFollowed(ctx, t.follow)
	if err != nil {
		return err
	}
	if waited { // all of it is new
		t.after = logPosition{given: true}
	}
	defer func() { _ = store.Close() }() // it was only read
	if t.filter.run != "" {
		list, err := store.runs(ctx)
		if err != nil {
			return err
		}
		id, err := list.Resolve(t.filter.run)
		if err != nil {
			return err
		}
		t.filter.run = string(journal.AggregateOf(id))
	}
	out := &eventPrinter{env: env, format: t.format}
	out.width, _ = terminalWidth(env.stdout)
	after, err := out.catchUp(ctx, store, t)
	for err == nil && t.follow {
		if err = wait(ctx, followInterval); err == nil {
			after, err = out.printAfter(ctx, store, after, t.filter)
		}
	}
	if errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	return err
}

// openFollowed opens the log for reading; to follow one that is not there yet,
// it waits for it, and says so.
func (env *environment) openFollowed(ctx context.Context, follow bool) (store *logReader, waited bool, err error) {
	w, err := env.workspace()
	if err != nil {
		return nil, false, err
	}
	for follow && !disk.Exists(w.EventsPath()) {
		if err := w.CheckLogExists(false); err != nil {
			return nil, waited, err
		}
		waited = true
		if err := wait(ctx, followInterval); err != nil {
			return nil, waited, errInterrupted
		}
	}
	store, err = env.openReader(ctx)
	return store, waited, err
}

// logPosition is a position of the log given by a flag.
type logPosition struct {
	position eventstore.Position
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
	p.position, p.given = eventstore.Position(v), true
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

// catchUp prints what is there already and returns the position it got to.
func (p *eventPrinter) catchUp(ctx context.Context, store eventstore.Store, t tailOptions) (eventstore.Position, error) {
	if t.after.given {
		return p.printAfter(ctx, store, t.after.position, t.filter)
	}
	head, err := store.Head(ctx)
	if err != nil {
		return 0, err
	}
	list, err := newest(ctx, store, head.Position, t)
	for i := 0; err == nil && i < len(list); i++ {
		err = p.print(list[i])
	}
	return head.Position, err
}

// newest returns the last wanted events up to the end. It looks back further and
// further, so that a long log is not read for a few of them.
func newest(ctx context.Context, store eventstore.Store, end eventstore.Position, t tailOptions) ([]eventstore.Event, error) {
	for back := eventstore.Position(1000); t.lines > 0; back *= 8 {
		var list []eventstore.Event
		from := end - min(back, end)
		_, err := eventstore.Walk(ctx, store, from, end, func(e eventstore.Event) error {
			if t.filter.takes(e) {
				list = append(list, e)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(list) >= t.lines || from == 0 {
			return list[max(len(list)-t.lines, 0):], nil
		}
	}
	return nil, nil
}

// printAfter prints the events after a position and returns the position of the last.
func (p *eventPrinter) printAfter(
	ctx context.Context, store eventstore.Store, after eventstore.Position, filter eventFilter,
) (eventstore.Position, error) {
	return eventstore.Walk(ctx, store, after, eventstore.End, func(e eventstore.Event) error {
		if !filter.takes(e) {
			return nil
		}
		return p.print(e)
	})
}

// print writes one event. Columns have fixed widths, since later events are not known.
func (p *eventPrinter) print(e eventstore.Event) error {
	p.printed++
	switch p.format {
	case formatJSON:
		return writeJSONLine(p.env.stdout, api.EventOf(e))
	case formatYAML:
		raw, err := json.Marshal(api.EventOf(e))
		if err != nil {
			return err
		}
		if raw, err = yamlOf(raw); err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.env.stdout, "---\n%s", raw)
		return err
	}
	of, at, what := visible(string(e.Aggregate)), localTime(e.Time), visible(describe.Headline(e))
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
