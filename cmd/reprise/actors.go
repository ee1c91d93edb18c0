package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reprise/actor"
	"reprise/integration"
)

// snapshotInterval is the time over which `reprise actors` measures rates.
const snapshotInterval = time.Second

// actorSnapshot is what a process answers about its actors.
type actorSnapshot struct {
	PID int       `json:"pid"`
	At  time.Time `json:"at"`
	// Actors are the root and all below it, parents first.
	Actors []actorRow `json:"actors"`
	// DeadLetters counts the messages that nobody handled; Letters are the newest.
	DeadLetters uint64      `json:"dead_letters"`
	Letters     []letterRow `json:"newest_dead_letters,omitempty"`
}

// actorRow is a supervisor or an actor in `reprise actors`.
type actorRow struct {
	Path     string      `json:"path"`
	Kind     string      `json:"kind"` // supervisor or actor
	State    actor.State `json:"state"`
	Depth    int         `json:"mailbox_depth"`
	Handled  uint64      `json:"handled"`
	Restarts int         `json:"restarts"`
	Age      float64     `json:"age_seconds"`
	// Rate is that of messages handled since the previous snapshot; nil without one.
	Rate *float64 `json:"messages_per_second"`
	// branch draws the tree.
	branch string
}

func snapshotOf(host *integration.Host, pid int, now time.Time) actorSnapshot {
	l := actorSnapshot{PID: pid, At: now, Actors: appendActors(nil, host.Actors())}
	l.addLetters(host)
	return l
}

func appendActors(rows []actorRow, t actor.Tree) []actorRow {
	kind := "actor"
	if t.Supervisor {
		kind = "supervisor"
	}
	rows = append(rows, actorRow{
		Path: t.Path, Kind: kind, State: t.State, Depth: t.Depth, Handled: t.Handled, Restarts: t.Restarts, Age: t.Age.Seconds(),
	})
	for _, child := range t.Children {
		rows = appendActors(rows, child)
	}
	return rows
}

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
	var first, second actorSnapshot
	if err := askControl(ctx, w, "/v1/actors", &first); err != nil {
		return err
	}
	if err := wait(ctx, snapshotInterval); err != nil {
		return errInterrupted
	}
	if err := askControl(ctx, w, "/v1/actors", &second); err != nil {
		second = first // it has just ended: this is what there was
	}
	second.setRates(first)
	return env.printActors(second, format)
}

// watchActors prints the tree every snapshotInterval until ctx is done or the process
// has ended. On a terminal, each tree replaces the one before it.
func (env *environment) watchActors(ctx context.Context, format string) error {
	w, err := env.workspace()
	if err != nil {
		return err
	}
	_, terminal := terminalWidth(env.stdout)
	var before actorSnapshot
	for n := 0; ; n++ {
		var l actorSnapshot
		err := askControl(ctx, w, "/v1/actors", &l)
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
			l.setRates(before)
		}
		before = l
		if terminal && format == formatTable {
			_, _ = fmt.Fprint(env.stdout, "\x1b[H\x1b[2J") // home, and clear
		} else if n > 0 && format == formatTable {
			_, _ = fmt.Fprintln(env.stdout)
		}
		if err := env.printSnapshot(l, format); err != nil {
			return err
		}
		if wait(ctx, snapshotInterval) != nil {
			return errInterrupted
		}
	}
}

// printSnapshot prints one of several snapshots.
func (env *environment) printSnapshot(l actorSnapshot, format string) error {
	switch format {
	case formatJSON:
		return writeJSONLine(env.stdout, l)
	case formatYAML:
		if _, err := fmt.Fprintln(env.stdout, "---"); err != nil {
			return err
		}
	}
	return env.printActors(l, format)
}

func (env *environment) printActors(l actorSnapshot, format string) error {
	return env.listing(format, l, l.table)
}

// setRates works out the rates from an earlier snapshot.
func (l *actorSnapshot) setRates(before actorSnapshot) {
	seconds := l.At.Sub(before.At).Seconds()
	if seconds <= 0 {
		return
	}
	handled := map[string]uint64{}
	for _, r := range before.Actors {
		handled[r.Path] = r.Handled
	}
	for i := range l.Actors {
		r := &l.Actors[i]
		was, known := handled[r.Path]
		if r.Kind == "supervisor" || known && was > r.Handled {
			continue // it handles none, or is another actor of the same name
		}
		rate := float64(r.Handled-was) / seconds
		r.Rate = &rate
	}
}

// table draws the tree for people.
func (l actorSnapshot) table(t *table) error {
	actors, waiting, restarts := 0, 0, 0
	t.columns(column{title: "ACTOR"}, column{title: "STATE"}, column{title: "MAILBOX", right: true}, column{title: "MSG/S", right: true},
		column{title: "HANDLED", right: true, drop: 1}, column{title: "RESTARTS", right: true}, column{title: "AGE", right: true})
	for _, r := range drawTree(l.Actors) {
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
		t.row(r.branch, string(r.State), depth, rate, handled, thousands(r.Restarts),
			shortDuration(time.Duration(r.Age*float64(time.Second))))
	}
	t.line("\n%s in process %d, %s waiting, %s", plural(actors, "actor"), l.PID, plural(waiting, "message"), plural(restarts, "restart"))
	l.letters(t)
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

// drawTree gives every row its branch of the tree.
func drawTree(rows []actorRow) []actorRow {
	rows = append([]actorRow(nil), rows...)
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
