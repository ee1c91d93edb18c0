package service

import (
	"context"
	"slices"
	"strings"
	"testing"

	"reprise/api"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// submitOne submits a request with a section job, waits for its end, and returns its run.
func submitOne(ctx context.Context, t *testing.T, s *Service, job string) training.RunID {
	t.Helper()
	r, _ := requests(t, 1, 4)
	r.Files[0].Content += api.Text(job)
	var id training.RunID
	for u, err := range s.Submit(ctx, r) {
		if err != nil || u.Error != nil {
			t.Fatal(err, u.Error)
		}
		id = u.RunID
	}
	if err := s.Finish(t.Context(), func([]training.RunID) {}); err != nil {
		t.Fatal(err)
	}
	return id
}

func ownerIn(t *testing.T, s *Service, id training.RunID) string {
	t.Helper()
	report, err := s.Run(t.Context(), api.RunRequest{Run: string(id)})
	if err != nil || report.Details.Job == nil {
		t.Fatal(err)
	}
	return report.Details.Job.Owner
}

// A job belongs to whom the request names, else to the user of the call, else to that of
// the process.
func TestAJobBelongsToWhoSubmitsIt(t *testing.T) {
	s := newService(t) // of ada
	asBob := AsUser(t.Context(), "bob")
	first := submitOne(t.Context(), t, s, "")
	for id, want := range map[training.RunID]string{
		first: "ada", submitOne(asBob, t, s, ""): "bob", submitOne(asBob, t, s, "job: {owner: eve}\n"): "eve",
	} {
		if got := ownerIn(t, s, id); got != want {
			t.Errorf("the owner is %q, want %q", got, want)
		}
	}
	forked, err := s.Fork(asBob, api.ForkRequest{Run: string(first), Settings: api.Settings{Values: []api.Text{"config.epochs=2"}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := ownerIn(t, s, forked.RunID); got != "bob" {
		t.Errorf("the owner of bob's fork of ada's run is %q", got)
	}
}

// One run is one story: what happened to its job and what it did, as the log has it.
func TestTheEventsOfARunAreThoseOfItsJobToo(t *testing.T) {
	s := newService(t)
	id := submitOne(t.Context(), t, s, "")
	submitOne(t.Context(), t, s, "") // whose events are none of them
	var listed []api.Event
	for e, err := range s.Events(t.Context(), api.EventsRequest{Run: string(id)}) {
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, e)
	}
	var types []string
	for i, e := range listed {
		if i > 0 && listed[i-1].Position >= e.Position {
			t.Errorf("event %d comes after event %d", e.Position, listed[i-1].Position)
		}
		if e.Aggregate != journal.AggregateOf(id) && !strings.HasSuffix(string(e.Aggregate), journal.JobPrefix+string(id)) {
			t.Errorf("an event of %s", e.Aggregate)
		}
		types = append(types, e.Type)
	}
	want := []string{
		queue.JobSubmitted{}.EventType(), queue.JobPrepared{}.EventType(), queue.JobPlaced{}.EventType(), queue.JobStarted{}.EventType(),
		queue.JobCompleted{}.EventType(), training.TrainingStarted{}.EventType(), training.TrainingCompleted{}.EventType(),
	}
	for _, kind := range want {
		if !slices.Contains(types, kind) {
			t.Errorf("%s is missing in %v", kind, types)
		}
	}
	var tailed []api.Event
	for e, err := range s.Tail(t.Context(), api.TailRequest{Run: string(id), Newest: 1000}) {
		if err != nil {
			t.Fatal(err)
		}
		tailed = append(tailed, e)
	}
	same := func(a, b api.Event) bool { return a.Position == b.Position }
	if !slices.EqualFunc(listed, tailed, same) {
		t.Errorf("tail gives %d events, want %d", len(tailed), len(listed))
	}
}
