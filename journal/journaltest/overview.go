package journaltest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"reprise/eventstore"
	"reprise/journal"
)

// CompareOverview fails unless the overview at a position is what the complete
// records say, folded from the first event on.
func CompareOverview(ctx context.Context, store eventstore.Store, at eventstore.Position) error {
	got, err := journal.OverviewAt(ctx, store, at)
	if err != nil {
		return err
	}
	state, err := journal.StateAt(ctx, store, at)
	if err != nil {
		return err
	}
	want := journal.Overview{Position: state.Position, Time: state.Time, Last: got.Last, Devices: state.Devices, Jobs: state.Jobs}
	for _, r := range state.Runs {
		want.Runs = append(want.Runs, r.Summary())
	}
	gotJSON, err := json.Marshal(got)
	if err != nil {
		return err
	}
	wantJSON, err := json.Marshal(want)
	if err != nil {
		return err
	}
	if !bytes.Equal(gotJSON, wantJSON) || got.Last.Position != got.Position {
		return fmt.Errorf("the overview at %d is\n%s\nthe records say\n%s", at, gotJSON, wantJSON)
	}
	if got, want := len(got.Queue()), len(state.Queue()); got != want {
		return fmt.Errorf("at %d the queue has %d runs, the records say %d", at, got, want)
	}
	return nil
}
