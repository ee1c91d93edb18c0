package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reprise/api"
)

// snapshotInterval is the time over which `reprise actors` measures rates.
const snapshotInterval = time.Second

func newActorsCommand(env *environment) *cobra.Command {
	var format string
	var watch bool
	var trace string
	c := &cobra.Command{
		Use:   "actors",
		Short: "Show the live supervision tree of the process that trains",
		Long: `Actors asks the process that holds the data directory, such as a running
"reprise train", for its supervision tree: for each supervisor and actor, its
state, the messages waiting in its mailbox, the messages that it handles per
second, its restarts and its age. Messages that no actor has handled are counted
as dead letters; the newest are shown, with the reason.

Rates are measured over one second or, with --watch, since the snapshot before.
With --watch, JSON is one object per line and YAML one document per snapshot, until
Ctrl-C or until the process ends.`,
		Example: `  reprise actors
  reprise actors --watch
  reprise actors --trace run
  reprise actors -o json | jq '.actors[] | select(.restarts > 0)'`,
		Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			if err := exclusive(c, "watch", "trace"); err != nil {
				return err
			}
			if trace != "" {
				return env.traceActor(c.Context(), trace, format)
			}
			if watch {
				return env.watchActors(c.Context(), format)
			}
			return env.showActors(c.Context(), format)
		},
	}
	addListFormat(c, &format)
	c.Flags().StringVar(&trace, "trace", "",
		"trace the next message to this `ACTOR`, a path or the end of one, and all that it leads to within a second")
	c.Flags().BoolVarP(&watch, "watch", "w", false, "refresh every second")
	return c
}

// showActors prints the tree once, with rates over snapshotInterval.
func (env *environment) showActors(ctx context.Context, format string) error {
	w, err := env.workspace()
	if err != nil {
		return err
	}
	first, err := askHolder(ctx, w, api.Service.Actors, api.ActorsRequest{})
	if err != nil {
		return err
	}
	if err := wait(ctx, snapshotInterval); err != nil {
		return errInterrupted
	}
	second, err := askHolder(ctx, w, api.Service.Actors, api.ActorsRequest{})
	if err != nil {
		second = first // it has just ended: this is what there was
	}
	second.SetRates(first)
	return env.printActors(second, format, len(second.Actors))
}

// watchActors prints the tree every snapshotInterval until ctx is done or the process
// has ended. On a terminal, each tree replaces the one before it.
func (env *environment) watchActors(ctx context.Context, format string) error {
	w, err := env.workspace()
	if err != nil {
		return err
	}
	var before api.ActorSnapshot
	for n := 0; ; n++ {
		l, err := askHolder(ctx, w, api.Service.Actors, api.ActorsRequest{})
		switch {
		case ctx.Err() != nil:
			return errInterrupted
		case err != nil && n > 0 && !writerAlive(w):
			_, _ = fmt.Fprintf(env.stderr, "process %d has ended\n", before.PID)
			return nil
		case err != nil:
			return err
		}
		if n > 0 && l.PID == before.PID {
			l.SetRates(before)
		}
		before = l
		room := len(l.Actors)
		_, height, terminal := terminalSize(env.stdout)
		if terminal && format == formatTable {
			room = height - besideActors - len(lettersOf(l))
			_, _ = fmt.Fprint(env.stdout, "\x1b[H\x1b[2J") // home, and clear
		} else if n > 0 && format == formatTable {
			_, _ = fmt.Fprintln(env.stdout)
		}
		if err := env.printSnapshot(l, format, room); err != nil {
			return err
		}
		if wait(ctx, snapshotInterval) != nil {
			return errInterrupted
		}
	}
}

// printSnapshot prints one of several snapshots.
func (env *environment) printSnapshot(l api.ActorSnapshot, format string, room int) error {
	switch format {
	case formatJSON:
		return writeJSONLine(env.stdout, l)
	case formatYAML:
		if _, err := fmt.Fprintln(env.stdout, "---"); err != nil {
			return err
		}
	}
	return env.printActors(l, format, room)
}

func (env *environment) printActors(l api.ActorSnapshot, format string, room int) error {
	return env.listing(format, l, func(t *table) error { return writeActors(t, l, room) })
}

const (
	// besideActors is how many lines a tree has beside its actors: the heading, the totals
	// with an empty line above them, and the line of the cursor.
	besideActors = 4
	// fewestActors are shown even where the terminal has no room for them.
	fewestActors = 5
)

// writeActors draws the tree for people. Where there is not room for all of it, it shows
// the beginning.
func writeActors(t *table, l api.ActorSnapshot, room int) error {
	actors, waiting, restarts := 0, 0, 0
	t.columns(column{title: "ACTOR"}, column{title: "STATE"}, column{title: "MAILBOX", right: true}, column{title: "MSG/S", right: true},
		column{title: "HANDLED", right: true, drop: 1}, column{title: "RESTARTS", right: true}, column{title: "AGE", right: true})
	tree, hidden := drawTree(l.Actors), 0
	if room = max(room, fewestActors); len(tree) > room {
		hidden = len(tree) - room + 1 // the line that says so needs room, too
	}
	for i, r := range tree {
		depth, rate, handled := "", "", ""
		if r.Kind == "actor" {
			actors++
			depth, rate, handled = thousands(r.Depth), "-", thousands(r.Handled)
			if r.Rate != nil {
				rate = formatRate(*r.Rate)
			}
		}
		waiting += r.Depth
		restarts += r.Restarts
		if i >= len(tree)-hidden {
			continue
		}
		t.row(r.branch, string(r.State), depth, rate, handled, thousands(r.Restarts),
			shortDuration(time.Duration(r.Age*float64(time.Second))))
	}
	if hidden > 0 {
		t.line("... and %s more, which `reprise actors` lists", thousands(hidden))
	}
	t.line("\n%s in process %d, %s waiting, %s", plural(actors, "actor"), l.PID, plural(waiting, "message"), plural(restarts, "restart"))
	writeLetters(t, l)
	return nil
}

// formatRate formats a rate: three digits are enough to see what is going on.
func formatRate(rate float64) string {
	switch {
	case rate >= 100:
		return thousands(int64(rate + 0.5))
	case rate == 0:
		return "0"
	}
	return fmt.Sprintf("%.1f", rate)
}

// actorRow is an actor with its branch of the tree.
type actorRow struct {
	api.Actor
	branch string
}

// drawTree gives every actor its branch of the tree.
func drawTree(actors []api.Actor) []actorRow {
	rows := make([]actorRow, len(actors))
	for i, a := range actors {
		rows[i].Actor = a
	}
	for i := range rows {
		r := &rows[i]
		if r.Path == "/" {
			r.branch = "/"
			continue
		}
		names := strings.Split(r.Path[1:], "/")
		for level := 1; level < len(names); level++ {
			if lastBelow(rows[i+1:], "/"+strings.Join(names[:level], "/")) {
				r.branch += "   "
			} else {
				r.branch += "│  "
			}
		}
		if lastBelow(rows[i+1:], r.Path) {
			r.branch += "└─ "
		} else {
			r.branch += "├─ "
		}
		r.branch += names[len(names)-1]
	}
	return rows
}

// lastBelow reports whether none of the rows that follow is a sibling of the
// path.
func lastBelow(following []actorRow, path string) bool {
	parent := path[:strings.LastIndex(path, "/")+1]
	for _, r := range following {
		if !strings.HasPrefix(r.Path, parent) {
			return true
		}
		if !strings.Contains(r.Path[len(parent):], "/") {
			return false
		}
	}
	return true
}

// writeLetters prints the newest dead letters, if there are any.
func writeLetters(t *table, l api.ActorSnapshot) {
	for _, line := range lettersOf(l) {
		t.line("%s", line)
	}
}

// lettersOf returns the lines that tell of the newest dead letters.
func lettersOf(l api.ActorSnapshot) []string {
	if l.DeadLetters == 0 {
		return nil
	}
	lines := []string{"", plural(l.DeadLetters, "dead letter") + ":"}
	if hidden := l.DeadLetters - uint64(len(l.Letters)); hidden > 0 {
		lines = append(lines, fmt.Sprintf("  (%s before these)", thousands(hidden)))
	}
	for _, letter := range l.Letters {
		text := fmt.Sprintf("  %s to %s: %s", letter.Type, letter.To, strings.ReplaceAll(string(letter.Reason), "\n", "\n    "))
		lines = append(lines, strings.Split(text, "\n")...)
	}
	return lines
}
