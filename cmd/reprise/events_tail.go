package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"reprise/eventstore"
	"reprise/integration"
)

// followInterval is the time between two looks at a log that another process
// writes.
const followInterval = 200 * time.Millisecond

// tailing is what `events tail` was asked for.
type tailing struct {
	filter eventFilter
	follow bool
	lines  int
	after  logPosition
	format string
}

func newEventsTailCommand(env *environment) *cobra.Command {
	var t tailing
	c := &cobra.Command{
		Use:   "tail",
		Short: "Print the newest events, and with -f those to come",
		Long: `Tail prints the last events of the log that pass the filters, and with --follow
goes on with every new one as it becomes durable, also while another process
writes them, until Ctrl-C. No event is left out and none comes twice.

As JSON it prints an object on each line, as YAML a document for each event.`,
		Example: `  reprise events tail -f
  reprise events tail --after 0 --type training.epoch_completed -o json
  reprise events tail -f -n 0 --run latest`,
		Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkListFormat(t.format); err != nil {
				return err
			}
			if t.lines < 0 {
				return invalid(fmt.Errorf("-n %d: must not be negative", t.lines))
			}
			return env.tail(c.Context(), t)
		},
	}
	addListFormat(c, &t.format)
	t.filter.add(c)
	c.Flags().BoolVarP(&t.follow, "follow", "f", false, "wait for events to come")
	c.Flags().IntVarP(&t.lines, "lines", "n", 20, "print so many of the newest events first")
	c.Flags().Var(&t.after, "after", "print every event behind this position instead; 0 prints them all")
	return c
}

func (env *environment) tail(ctx context.Context, t tailing) error {
	store, waited, err := env.openFollowed(ctx, t.follow)
	if err != nil {
		return err
	}
	if waited { // all of it is new
		t.after = logPosition{given: true}
	}
	defer func() { _ = store.Close() }() // it was only read
	if t.filter.run != "" {
		id, err := integration.NewRunLog(store, env.now).Resolve(ctx, t.filter.run)
		if err != nil {
			return err
		}
		t.filter.run = string(integration.AggregateOf(id))
	}
	out := &eventPrinter{env: env, format: t.format}
	after, err := out.catchUp(ctx, store, t)
	for err == nil && t.follow {
		if err = wait(ctx, followInterval); err == nil {
			after, err = out.printBehind(ctx, store, after, t.filter)
		}
	}
	if errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	return err
}

// openFollowed opens the log for reading; to follow one that is not there yet,
// it waits for it, and says so.
func (env *environment) openFollowed(ctx context.Context, follow bool) (store eventstore.Store, waited bool, err error) {
	w, err := env.workspace()
	if err != nil {
		return nil, false, err
	}
	for follow && !exists(w.EventsPath()) {
		if err := checkLogThere(w, false); err != nil {
			return nil, waited, err
		}
		waited = true
		if err := wait(ctx, followInterval); err != nil {
			return nil, waited, errInterrupted
		}
	}
	store, _, err = env.openReader()
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
	v, err := strconv.ParseUint(text, 10, 64)
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
	printed int
}

// catchUp prints what is there already and returns the position it got to.
func (p *eventPrinter) catchUp(ctx context.Context, store eventstore.Store, t tailing) (eventstore.Position, error) {
	if t.after.given {
		return p.printBehind(ctx, store, t.after.position, t.filter)
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

// newest returns the last events up to the end that are wanted. It looks back
// ever further, so that a long log is not read for a few of them.
func newest(ctx context.Context, store eventstore.Store, end eventstore.Position, t tailing) ([]eventstore.Event, error) {
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

// printBehind prints the events behind a position and returns the last one's.
func (p *eventPrinter) printBehind(ctx context.Context, store eventstore.Store, after eventstore.Position, filter eventFilter) (eventstore.Position, error) {
	return eventstore.Walk(ctx, store, after, eventstore.End, func(e eventstore.Event) error {
		if !filter.takes(e) {
			return nil
		}
		return p.print(e)
	})
}

// print writes one event. Columns have fixed widths: what comes is not known.
func (p *eventPrinter) print(e eventstore.Event) error {
	p.printed++
	switch p.format {
	case formatJSON:
		return writeJSONLine(p.env.stdout, eventRowOf(e))
	case formatYAML:
		raw, err := json.Marshal(eventRowOf(e))
		if err != nil {
			return err
		}
		if raw, err = yaml.JSONToYAML(raw); err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.env.stdout, "---\n%s", raw)
		return err
	}
	if p.printed == 1 {
		if _, err := fmt.Fprintf(p.env.stdout, "%8s  %-19s  %-24s  %s\n", "POSITION", "TIME", "OF", "WHAT HAPPENED"); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(p.env.stdout, "%8d  %s  %-24s  %s\n", e.Position, stamp(e.Time), e.Aggregate, headline(e))
	return err
}
