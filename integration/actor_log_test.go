package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"reprise/actor"
	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/journal"
	"reprise/training"
)

// actorEvents returns the types, without context and version, and the paths of
// the actors' events in the store.
func actorEvents(t *testing.T, store eventstore.Store) (lines []string, hosts map[eventstore.AggregateID]bool) {
	t.Helper()
	hosts = map[eventstore.AggregateID]bool{}
	all, err := store.Read(context.Background(), 0, eventstore.MaxReadPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if !strings.HasPrefix(string(e.Aggregate), journal.ActorsPrefix) {
			continue
		}
		hosts[e.Aggregate] = true
		event, err := journal.EventOf(e)
		if err != nil {
			t.Fatal(err)
		}
		switch event := event.(type) {
		case journal.ActorSpawned:
			lines = append(lines, "spawned "+event.Path)
		case journal.ActorTerminated:
			lines = append(lines, "terminated "+event.Path+" "+event.Cause)
		case journal.SupervisionTriggered:
			lines = append(lines, fmt.Sprintf("%s %s %s", event.Decision, event.Child, event.Cause))
		case journal.ActorEventsLost:
			lines = append(lines, fmt.Sprintf("lost %d", event.Count))
		default:
			t.Errorf("unexpected %T", event)
		}
	}
	return lines, hosts
}

func TestTheLogRecordsWhatHappensToActors(t *testing.T) {
	w := newWorld(t)
	events := w.request(nil)
	failed := false
	record, _ := w.train(events, func(c *HostConfig) {
		c.LogActors = true
		c.Fault = func(_ training.RunID, step uint64) {
			if step == 5 && !failed {
				failed = true
				panic("a bit flipped")
			}
		}
	})
	if record.Session.State != training.Completed {
		t.Fatalf("the run is %s", record.Session.State)
	}
	lines, hosts := actorEvents(t, w.store)
	run := "/run-" + string(record.ID) + "/run"
	slices.Sort(lines)
	want := []string{
		"restart " + run + " panic: a bit flipped",
		"spawned " + run, "spawned /datasets", "spawned /devices", "spawned /jobs",
		"terminated " + run + " ", "terminated /datasets ", "terminated /devices ", "terminated /jobs ",
	}
	slices.Sort(want)
	if !slices.Equal(lines, want) {
		t.Errorf("the log has %q, want %q", lines, want)
	}
	if len(hosts) != 1 {
		t.Errorf("%d hosts, want 1", len(hosts))
	}
	// They do not change anything that is derived from the log.
	if state, err := journal.StateAt(context.Background(), w.store, 1<<62); err != nil || len(state.Runs) != 1 {
		t.Errorf("%d runs, %v", len(state.Runs), err)
	}
	// Another process has actors of its own.
	h, _, _ := w.host(func(c *HostConfig) { c.LogActors = true })
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if _, hosts := actorEvents(t, w.store); len(hosts) != 2 {
		t.Errorf("%d hosts, want 2", len(hosts))
	}
}

// stuck is a store whose appends wait until they are released, or fail.
type stuck struct {
	eventstore.Store
	begun, letGo chan struct{}
	err          error
}

func (s *stuck) Append(ctx context.Context, writes ...eventstore.Write) ([]eventstore.Event, error) {
	s.begun <- struct{}{}
	<-s.letGo
	if s.err != nil {
		return nil, s.err
	}
	return s.Store.Append(ctx, writes...)
}

func TestEventsBeyondTheLimitAreLostAndCountedInTheLog(t *testing.T) {
	store := &stuck{Store: memory.New(), begun: make(chan struct{}, 100), letGo: make(chan struct{})}
	l := startActorLog(store, time.Now, "host")
	l.observe(actor.ActorSpawned{Path: "/first", At: time.Now()})
	<-store.begun
	const more = 7
	for i := range MaxPendingActorEvents + more { // it does not wait for the store
		l.observe(actor.ActorSpawned{Path: fmt.Sprint("/", i), At: time.Now()})
	}
	l.observe(actor.EventsLost{Count: 3})
	l.observe(actor.DeadLetter{To: "/0", At: time.Now()}) // is not for the log
	close(store.letGo)
	if err := l.close(context.Background()); err != nil {
		t.Fatal(err)
	}
	lines, _ := actorEvents(t, store.Store)
	if n := len(lines); n != MaxPendingActorEvents+2 || lines[n-1] != fmt.Sprintf("lost %d", more+3) {
		t.Errorf("%d events, the last of them %q", n, lines[n-1])
	}
	if lines[0] != "spawned /first" || lines[1] != "spawned /0" || lines[2] != "spawned /1" {
		t.Errorf("out of order: %q", lines[:3])
	}
}

func TestAFailingStoreDoesNotHoldUpActors(t *testing.T) {
	broken := errors.New("the disk is full")
	store := &stuck{Store: memory.New(), begun: make(chan struct{}, 1), letGo: make(chan struct{}), err: broken}
	close(store.letGo)
	l := startActorLog(store, time.Now, "host")
	for range 2 * MaxPendingActorEvents {
		l.observe(actor.ActorSpawned{Path: "/a", At: time.Now()})
	}
	if err := l.close(context.Background()); !errors.Is(err, broken) {
		t.Errorf("close: %v", err)
	}
}
