package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reprise/datadir"
	"reprise/device"
	"reprise/eventstore"
	"reprise/journal"
	"reprise/training"
)

// systemState is what `state` prints.
type systemState struct {
	Position eventstore.Position `json:"position"`
	// End is the position at which the log ends.
	End eventstore.Position `json:"end"`
	// Time is when the event at Position happened; null before the first.
	Time    *time.Time   `json:"time"`
	Queue   []queueRow   `json:"queue"`
	Devices []heldDevice `json:"devices"`
	Runs    []runRow     `json:"runs"`
	// Note says that the log has something under way that no process works on.
	Note  string           `json:"note,omitempty"`
	event eventstore.Event // at Position
}

// queueRow is a run that waits.
type queueRow struct {
	RunID training.RunID     `json:"run_id"`
	For   training.SagaState `json:"waits_in"`
	Since time.Time          `json:"since"`
}

// heldDevice is a device as its ledger has it.
type heldDevice struct {
	device.Description
	Leases []device.Lease `json:"leases"`
	ledger device.Ledger
}

func newStateCommand(env *environment) *cobra.Command {
	var format string
	var at pointInTime
	c := &cobra.Command{
		Use:   "state",
		Short: "Show the whole system, now or at any earlier time: queue, devices, runs",
		Long: `State shows which runs wait, who holds which device and the state of every run, at
the end of the event log or, with --at, after any event of it: the one at a position,
or the last one at or before a time. With --at it is computed only from the events up
to that point. Without, a run whose process has died is shown as interrupted, and its
device as not leased, with a note: no event says so until the next command writes.`,
		Example: `  reprise events tail          # which positions there are
  reprise state --at 57
  reprise state --at 15m       # a quarter of an hour ago
  reprise state --at 2026-11-24T15:04:05Z`,
		Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.showState(c.Context(), at, format)
		},
	}
	addListFormat(c, &format)
	addPointInTime(c, &at)
	return c
}

func (env *environment) showState(ctx context.Context, at pointInTime, format string) error {
	store, err := env.openReader(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }() // it was only read
	position, end, err := at.resolve(ctx, store, env.now())
	if err != nil {
		return err
	}
	listing, err := journal.Listing(ctx, store)
	if err != nil {
		return err
	}
	overview, err := journal.OverviewAt(ctx, listing, position)
	if err != nil {
		return err
	}
	state := systemStateOf(overview, end.Position)
	if !at.given() && !writerAlive(store.workspace) {
		state.withoutProcess(store.workspace)
	}
	return env.listing(format, state, state.write)
}

func systemStateOf(s journal.Overview, end eventstore.Position) systemState {
	out := systemState{Position: s.Position, End: end, event: s.Last, Queue: []queueRow{}, Devices: []heldDevice{}, Runs: []runRow{}}
	if s.Position > 0 {
		out.Time = &s.Time
	}
	for _, r := range s.Queue() {
		out.Queue = append(out.Queue, queueRow{RunID: r.RunID, For: r.Saga.State, Since: r.UpdatedAt})
	}
	for _, d := range s.Devices {
		described := d.Ledger.Device().Description()
		described.Memory = d.Ledger.Device().Memory() // what its leases leave
		out.Devices = append(out.Devices, heldDevice{Description: described, Leases: append([]device.Lease{}, d.Ledger.Leases()...), ledger: d.Ledger})
	}
	for _, r := range s.Runs {
		out.Runs = append(out.Runs, recordedRow(r))
	}
	return out
}

// withoutProcess makes the state at the end of the log what it is when no process
// works on it: what the log has under way was left by a process that died.
func (s *systemState) withoutProcess(w datadir.Workspace) {
	var left []string
	interrupted := 0
	for i := range s.Runs {
		if state := stateOf(s.Runs[i].State, w); state != s.Runs[i].State {
			s.Runs[i].State = state
			interrupted++
		}
	}
	if interrupted > 0 {
		left = append(left, plural(interrupted, "run")+" under way")
	}
	leases := 0
	for i := range s.Devices {
		d := &s.Devices[i]
		leases += len(d.Leases)
		ledger := d.ledger
		for _, e := range ledger.ReleaseAll("") {
			ledger = ledger.Apply(e)
		}
		d.Leases, d.Memory = []device.Lease{}, ledger.Device().Memory()
	}
	if leases > 0 {
		left = append(left, plural(leases, "lease"))
	}
	if len(left) > 0 {
		s.Queue = []queueRow{}
		s.Note = fmt.Sprintf("no process is training: the log has %s, which the next command that trains ends (--at %d shows what it has)",
			strings.Join(left, " and "), s.Position)
	}
}

func (s systemState) write(t *table) error {
	if s.Position == 0 {
		t.line("position 0 of %s: before the first event", thousands(uint64(s.End)))
	} else {
		t.line("position %s of %s, %s, %s: %s",
			thousands(uint64(s.Position)), thousands(uint64(s.End)), localTime(*s.Time), s.event.Aggregate, headline(s.event))
	}
	if s.Note != "" {
		t.line("%s", s.Note)
	}
	t.line("\nqueue")
	if len(s.Queue) == 0 {
		t.line("  no run is waiting")
	}
	for _, q := range s.Queue {
		t.row("  "+string(q.RunID), strings.ReplaceAll(string(q.For), "_", " "), "since "+localTime(q.Since))
	}
	t.line("\ndevices")
	if len(s.Devices) == 0 {
		t.line("  none yet")
	}
	for _, d := range s.Devices {
		held := "not leased"
		if len(d.Leases) > 0 {
			holders := make([]string, len(d.Leases))
			for i, l := range d.Leases {
				holders[i] = fmt.Sprintf("%s (lease epoch %d, %s)", l.Holder, l.Epoch, l.Memory)
			}
			held = "held by " + strings.Join(holders, ", ")
		}
		t.row("  "+string(d.ID), d.Name, string(d.Health), d.Memory.Available.String()+" free", held)
	}
	t.line("\nruns")
	if len(s.Runs) == 0 {
		t.line("  none yet")
		return nil
	}
	t.indent = "  "
	writeRuns(t, s.Runs)
	return nil
}
