package journal_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/eventstore/sqlite"
	"reprise/journal"
	"reprise/journal/journaltest"
	"reprise/training"
)

// spied is a store that counts the events read from its log, records the
// consumers saved, and reports those named in damaged as damaged.
type spied struct {
	*memory.Store
	read    int
	saved   []string
	damaged map[string]bool
	fail    string // the consumer that cannot be saved
}

var errNoRoom = errors.New("no room")

func (s *spied) Read(ctx context.Context, after eventstore.Position, limit int) ([]eventstore.Event, error) {
	events, err := s.Store.Read(ctx, after, limit)
	s.read += len(events)
	return events, err
}

func (s *spied) Consumer(ctx context.Context, name string) (eventstore.Consumer, error) {
	if s.damaged[name] {
		return eventstore.Consumer{}, &eventstore.CorruptionError{What: "the consumer is damaged"}
	}
	return s.Store.Consumer(ctx, name)
}

func (s *spied) DeleteConsumer(ctx context.Context, name string) error {
	delete(s.damaged, name)
	return s.Store.DeleteConsumer(ctx, name)
}

func (s *spied) SaveConsumer(ctx context.Context, c eventstore.Consumer, from eventstore.Position) error {
	if c.Name == s.fail {
		return errNoRoom
	}
	s.saved = append(s.saved, c.Name)
	return s.Store.SaveConsumer(ctx, c, from)
}

// catchUp returns how many events were read, and the consumers saved.
func (s *spied) catchUp(t *testing.T) (int, []string) {
	t.Helper()
	s.read, s.saved = 0, nil
	if err := journal.CatchUpProjections(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return s.read, s.saved
}

// manyRuns fills more than two parts.
func manyRuns(t *testing.T) *spied {
	t.Helper()
	s := &spied{Store: memory.New(), damaged: map[string]bool{}}
	if err := journaltest.WriteRuns(t.Context(), s, 2*journal.RunsPerPart+10, 1); err != nil {
		t.Fatal(err)
	}
	return s
}

// appendRun appends an event to a run that can take it.
func (s *spied) interrupt(t *testing.T, id training.RunID) {
	t.Helper()
	log := journal.NewRunLog(s.Store, time.Now)
	events := journaltest.WholeRun(id, training.Allocation{Device: "cpu0", Lease: "l", Epoch: 1}, 1)
	if _, err := log.Append(t.Context(), journal.RunRecord{}, events[0], training.TrainingInterrupted{Cause: "test"}); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyChangedPartsAreStored(t *testing.T) {
	s := manyRuns(t)
	head, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if read, saved := s.catchUp(t); read != int(head.Position) || len(saved) != 7 {
		t.Errorf("at first, of %d events %d were read, and %v saved", head.Position, read, saved)
	}
	if read, saved := s.catchUp(t); read != 0 || len(saved) != 0 {
		t.Errorf("with nothing new, %d events were read, and %v saved", read, saved)
	}
	s.interrupt(t, "another")
	read, saved := s.catchUp(t)
	if want := []string{"projection/runs/part-2.1", "projection/runs", "projection/devices", "projection/jobs"}; read != 2 || !slices.Equal(saved, want) {
		t.Errorf("after two events, %d were read, and %v saved, want %v", read, saved, want)
	}
}

// A crash at any save leaves the projection as it was before, or as it is after.
func TestAHalfStoredProjectionIsThePreviousOne(t *testing.T) {
	for _, fail := range []string{"projection/runs/part-2.1", "projection/runs", "projection/devices"} {
		s := manyRuns(t)
		s.catchUp(t)
		s.interrupt(t, "another")
		s.fail = fail
		if err := journal.CatchUpProjections(t.Context(), s); !errors.Is(err, errNoRoom) {
			t.Fatalf("%s: %v", fail, err)
		}
		s.fail, s.read = "", 0
		list, err := journal.ReadRuns(t.Context(), s)
		if err != nil || len(list.Runs) != 2*journal.RunsPerPart+11 || list.Runs[len(list.Runs)-1].State != training.Interrupted {
			t.Errorf("%s: %d runs, %v", fail, len(list.Runs), err)
		}
		if s.read > 2 {
			t.Errorf("%s: %d events were folded again", fail, s.read)
		}
		sameAsReplay(t, s, eventstore.End)
	}
}

// A damaged projection is folded again, and is whole once it has been stored.
func TestADamagedProjectionIsRepaired(t *testing.T) {
	for i, name := range []string{"projection/runs", "projection/runs/part-0.0", "projection/runs/part-2.0", "projection/devices/part-0.0"} {
		if testing.Short() && i%2 == 1 {
			continue
		}
		s := manyRuns(t)
		s.catchUp(t)
		s.damaged[name] = true
		sameAsReplay(t, s, eventstore.End)
		s.interrupt(t, "another")
		if read, _ := s.catchUp(t); read < 2*journal.RunsPerPart {
			t.Errorf("%s: only %d events were read", name, read)
		}
		if len(s.damaged) > 0 && !strings.Contains(name, "part-") {
			t.Errorf("%s is still damaged", name)
		}
		if read, _ := s.catchUp(t); read != 0 {
			t.Errorf("%s: %d events were read once it was repaired", name, read)
		}
		sameAsReplay(t, s, eventstore.End)
	}
}

// A stored projection does not skip an event that this program cannot read.
func TestALogOfANewerVersionIsRefused(t *testing.T) {
	for _, a := range []eventstore.AggregateID{"run/x", "device/x", "actors/x", "something/x"} {
		store := memory.New()
		if _, err := store.Append(t.Context(), eventstore.Write{Aggregate: a, Events: []eventstore.NewEvent{
			{ID: "1", Type: "something.happened.v9", Payload: []byte(`{}`)},
		}}); err != nil {
			t.Fatal(err)
		}
		if err := journal.CatchUpProjections(t.Context(), store); !errors.Is(err, journal.ErrUnknownEvent) {
			t.Errorf("%s: %v", a, err)
		}
		if c, err := store.Consumers(t.Context()); err != nil || len(c) > 0 {
			t.Errorf("%s: stored %v, %v", a, c, err)
		}
	}
}

// A page under the stored projection is damaged, so that it can be neither read
// nor replaced: the log is folded, and remains usable.
func TestADamagedPageUnderAProjectionDoesNotStopTheLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	s, err := sqlite.Open(path, sqlite.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := journaltest.WriteRuns(t.Context(), s, 60, 1); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(journal.CatchUpProjections(t.Context(), s), s.Close()); err != nil {
		t.Fatal(err)
	}
	db, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(db, []byte(`"updated_at"`))
	if at < 0 {
		t.Fatal("nothing is stored")
	}
	db[at] ^= 1
	if err := os.WriteFile(path, db, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err = sqlite.Open(path, sqlite.Config{}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	log := journal.NewRunLog(s, time.Now)
	for _, id := range []training.RunID{"another", "one-more"} {
		events := journaltest.WholeRun(id, training.Allocation{Device: "cpu0", Lease: "l", Epoch: 1}, 1)
		if _, err := log.Append(t.Context(), journal.RunRecord{}, events[0], training.TrainingInterrupted{Cause: "test"}); err != nil {
			t.Fatal(err)
		}
		if err := journal.CatchUpProjections(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := journal.ReadRuns(t.Context(), s); err != nil || len(list.Runs) != 62 {
		t.Errorf("%d runs, %v", len(list.Runs), err)
	}
}
