package journal

import (
	"context"
	"encoding/json"
	"fmt"

	"reprise/eventstore"
	"reprise/training"
)

// runsPerPart is the number of runs that are stored together.
const runsPerPart = 1024

// RunList is the read model of all runs.
type RunList struct {
	// Runs are in the order in which they started. Spans holds the range of each
	// one's events.
	Runs  []RunSummary    `json:"runs"`
	Spans []PositionRange `json:"spans"`

	index map[eventstore.AggregateID]int
}

// Queue returns the runs that are under way but have not begun to train. The first
// come is first served.
func (l *RunList) Queue() []RunSummary { return queueOf(l.Runs) }

func queueOf(runs []RunSummary) []RunSummary {
	var queue []RunSummary
	for _, r := range runs {
		if r.State == training.Initializing {
			queue = append(queue, r)
		}
	}
	return queue
}

// Apply folds the next event of the log. It ignores events of anything but runs.
func (l *RunList) Apply(e eventstore.Event) error {
	if _, ok := RunOf(e.Aggregate); !ok {
		return nil
	}
	if l.index == nil {
		l.index = make(map[eventstore.AggregateID]int, len(l.Runs))
		for i, r := range l.Runs {
			l.index[AggregateOf(r.RunID)] = i
		}
	}
	event, err := runCodec.Decode(e)
	if err != nil {
		return err
	}
	i, known := l.index[e.Aggregate]
	if !known && e.Version != 1 {
		return fmt.Errorf("event %d of %s, whose first event is missing: %w", e.Version, e.Aggregate, training.ErrInvalidTransition)
	}
	var summary RunSummary
	if known {
		summary = l.Runs[i]
	}
	if summary, err = summary.Apply(event, e.Version, e.Time); err != nil {
		return fmt.Errorf("event %d of %s: %w", e.Version, e.Aggregate, err)
	}
	if !known {
		l.index[e.Aggregate] = len(l.Runs)
		l.Runs, l.Spans = append(l.Runs, summary), append(l.Spans, PositionRange{First: e.Position, Last: e.Position})
		return nil
	}
	l.Runs[i], l.Spans[i].Last = summary, e.Position
	return nil
}

// Split implements ReadModel. Runs keep their place in the list, so few parts
// change.
func (l *RunList) Split() []ReadModel {
	var parts []ReadModel
	for from := 0; from < len(l.Runs); from += runsPerPart {
		to := min(from+runsPerPart, len(l.Runs))
		parts = append(parts, &RunList{Runs: l.Runs[from:to], Spans: l.Spans[from:to]})
	}
	return parts
}

// Join implements ReadModel.
func (l *RunList) Join(part []byte) error {
	var more RunList
	if err := json.Unmarshal(part, &more); err != nil {
		return err
	}
	if len(more.Runs) != len(more.Spans) {
		return fmt.Errorf("%d runs at %d places of the log", len(more.Runs), len(more.Spans))
	}
	l.Runs, l.Spans = append(l.Runs, more.Runs...), append(l.Spans, more.Spans...)
	return nil
}

// at returns the runs as they were at a position of the log that the list has
// reached. It reads again only the runs that had started and have later events.
func (l *RunList) at(ctx context.Context, store eventstore.Store, at eventstore.Position) ([]RunSummary, error) {
	return listAt(l.Runs, l.Spans, at, func(r RunSummary) (RunSummary, error) {
		var alone RunList
		if err := walkAggregate(ctx, store, AggregateOf(r.RunID), at, alone.Apply); err != nil {
			return r, err
		}
		return alone.Runs[0], nil
	})
}

// ForkSteps returns the steps of a run at which forks began.
func ForkSteps(ctx context.Context, store eventstore.Store, id training.RunID) ([]uint64, error) {
	list, err := ReadRuns(ctx, store)
	if err != nil {
		return nil, err
	}
	var steps []uint64
	for _, r := range list.Runs {
		if r.Parent == id {
			steps = append(steps, r.ParentStep)
		}
	}
	return steps, nil
}
