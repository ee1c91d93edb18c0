package journal

import (
	"context"
	"time"

	"reprise/eventstore"
)

// Overview is the system as listings show it: SystemState without anything that
// grows with the length of a run.
type Overview struct {
	// Position is the position of the last event folded in, and Time its time.
	// Both are zero before the first event.
	Position eventstore.Position
	Time     time.Time
	// Last is the event at Position.
	Last eventstore.Event
	// Runs are in the order in which they started, Devices in the order in which
	// they were first seen.
	Runs    []RunSummary
	Devices []DeviceRecord
	// Jobs are in the order in which they were submitted, without their requests.
	Jobs []JobRecord
}

// Queue returns the runs that are under way but have not begun to train: they
// wait for a device, their data or their model. The first come is first served.
func (o Overview) Queue() []RunSummary { return queueOf(o.Runs) }

// OverviewAt returns the overview at a position of the log, or at its end for a
// position beyond it. It starts from the stored projections and reads only
// what they lack: the events after them, and for runs and devices with events
// after the position, their events up to it.
func OverviewAt(ctx context.Context, store eventstore.Store, at eventstore.Position) (Overview, error) {
	head, err := store.Head(ctx)
	if err != nil {
		return Overview{}, err
	}
	o := Overview{Position: min(at, head.Position)}
	if o.Position == 0 {
		return o, nil
	}
	events, err := store.Read(ctx, o.Position-1, 1)
	if err != nil {
		return Overview{}, err
	}
	o.Last, o.Time = events[0], events[0].Time
	var (
		runs    *RunList
		devices *DeviceList
		jobs    *JobList
	)
	if err := Read(ctx, store, Into(&runs), Into(&devices), Into(&jobs)); err != nil {
		return Overview{}, err
	}
	// The log may have grown meanwhile, so even the end of the log is now in the past.
	if o.Runs, err = runs.at(ctx, store, o.Position); err != nil {
		return Overview{}, err
	}
	if o.Devices, err = devices.at(ctx, store, o.Position); err != nil {
		return Overview{}, err
	}
	o.Jobs, err = jobs.at(ctx, store, o.Position)
	return o, err
}

// walkAggregate calls visit for each of an aggregate's events up to a position, in
// order.
func walkAggregate(ctx context.Context, store eventstore.Store, a eventstore.AggregateID, last eventstore.Position, visit func(eventstore.Event) error) error {
	for version := eventstore.Version(0); ; {
		page, err := store.ReadAggregate(ctx, a, version, aggregatePage)
		if err != nil {
			return err
		}
		for _, e := range page {
			if e.Position > last {
				return nil
			}
			if err := visit(e); err != nil {
				return err
			}
			version = e.Version
		}
		if len(page) < aggregatePage {
			return nil
		}
	}
}

// aggregatePage is the number of an aggregate's events to read at a time.
const aggregatePage = 1000
