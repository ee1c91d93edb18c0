package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/api/describe"
	"reprise/eventstore"
	"reprise/journal"
	"reprise/training"
)

// replayRow is an event of a run and the state that it leads to.
type replayRow struct {
	Event api.Event   `json:"event"`
	State replayState `json:"state"`
}

// replayState is the state of a run after an event.
type replayState struct {
	State training.State        `json:"state"`
	Saga  training.TrainingSaga `json:"saga"`
	// Waits are the commands that the saga has now.
	Waits       []string `json:"waits_for"`
	Epochs      int      `json:"epochs_recorded"`
	Checkpoints int      `json:"checkpoints"`
	Reason      string   `json:"reason,omitempty"`
}

func newEventsReplayCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "replay RUN",
		Short: "Replay a run: each event and the state that it leads to",
		Long: `Replay folds a run's events one by one, using the same rules that trained it, and
prints after each one the state of the run and what it did next. RUN is a run's id,
the beginning of one, or "latest".`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.readRun(c.Context(), args[0], func(r runReader) error { return env.replay(c.Context(), r, format) })
		},
	}
	addListFormat(c, &format)
	return c
}

func (env *environment) replay(ctx context.Context, r runReader, format string) error {
	var rows []replayRow
	var events []eventstore.Event
	err := r.log.Replay(ctx, r.run.ID, func(e eventstore.Event, after journal.RunRecord) error {
		events = append(events, e)
		rows = append(rows, replayRow{Event: api.EventOf(e), State: replayStateOf(after)})
		return nil
	})
	if err != nil {
		return err
	}
	return env.listing(format, rows, func(t *table) error {
		t.columns(column{title: "POSITION", right: true}, column{title: "TIME", short: timeOfDay, drop: 7},
			column{title: "WHAT HAPPENED", cut: 32},
			column{title: "RUN"}, column{title: "SAGA", drop: 9}, column{title: "CHECKPOINT", drop: 8}, column{title: "DOES NEXT"})
		for i, row := range rows {
			s := row.State
			next := "-"
			if len(s.Waits) > 0 {
				next = s.Waits[0]
			}
			t.row(thousands(row.Event.Position), localTime(row.Event.Time), truncate(describe.Headline(events[i]), 72), string(s.State),
				strings.ReplaceAll(string(s.Saga.State), "_", " "), "step "+thousands(s.Saga.Context.CheckpointStep), next)
		}
		return nil
	})
}

func replayStateOf(r journal.RunRecord) replayState {
	s := replayState{
		State: r.Session.State, Saga: r.Saga, Waits: []string{},
		Epochs: len(r.Metrics), Checkpoints: len(r.Checkpoints), Reason: r.Reason,
	}
	for _, c := range r.Saga.Commands() {
		s.Waits = append(s.Waits, describeCommand(c))
	}
	return s
}

// describeCommand names what a saga does next.
func describeCommand(c training.Command) string {
	switch c := c.(type) {
	case training.AllocateDevice:
		return "allocate a device"
	case training.LoadDataset:
		return "load the data"
	case training.InitializeModel:
		return "initialize the model"
	case training.TrainEpoch:
		return fmt.Sprintf("train epoch %d", c.Epoch)
	case training.CreateCheckpoint:
		return "write a checkpoint"
	case training.CompleteRun:
		return "complete the run"
	case training.ReleaseDevice:
		return "release " + string(c.Allocation.Device)
	case training.UnloadDataset:
		return "unload the data"
	case training.FailRun:
		return "record the failure"
	}
	return fmt.Sprintf("%T", c)
}
