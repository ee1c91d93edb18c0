package journal_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"reprise/device"
	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/journal"
	"reprise/journal/journaltest"
)

// manyLeases returns a store with a device that has trained that many runs.
func manyLeases(t *testing.T, runs int) *spied {
	t.Helper()
	s := &spied{Store: memory.New()}
	if err := journaltest.WriteRuns(t.Context(), s, runs, 1); err != nil {
		t.Fatal(err)
	}
	return s
}

// folded returns the record and how many events were folded into it.
func folded(t *testing.T, s eventstore.Store, id device.ID) (journal.DeviceRecord, int) {
	t.Helper()
	r, n, err := journal.LoadCounted(t.Context(), s, id)
	if err != nil {
		t.Fatal(err)
	}
	return r, n
}

func TestADeviceWithALongHistoryIsOpenedFromItsSnapshot(t *testing.T) {
	s := manyLeases(t, journal.EventsPerSnapshot/2) // two events each, and one to register
	want, n := folded(t, s, "cpu0")
	if n != journal.EventsPerSnapshot+1 {
		t.Fatalf("%d events were folded", n)
	}
	log := journal.NewDeviceLog(s, nil)
	if r, err := log.Open(t.Context(), "cpu0"); err != nil || !sameJSON(t, r, want) {
		t.Fatalf("opened as %+v, %v; its events say %+v", r, err, want)
	}
	if r, n := folded(t, s, "cpu0"); n != 0 || !sameJSON(t, r, want) {
		t.Errorf("%d events were folded, it is %+v; its events say %+v", n, r, want)
	}
	if _, n := folded(t, s, "gpu0"); n != 0 {
		t.Errorf("another device has %d events", n)
	}
	short := manyLeases(t, 3)
	if _, err := journal.NewDeviceLog(short, nil).Open(t.Context(), "cpu0"); err != nil {
		t.Fatal(err)
	}
	if _, n := folded(t, short, "cpu0"); n != 7 {
		t.Errorf("a short history has a snapshot: %d of 7 events were folded", n)
	}
}

// A snapshot that has another schema, or wrong content, counts as absent.
func TestASnapshotOfADeviceIsOnlyACache(t *testing.T) {
	s := manyLeases(t, journal.EventsPerSnapshot)
	want, all := folded(t, s, "cpu0")
	good, err := journal.DeviceSnapshotOf(want)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*eventstore.Snapshot){
		"no JSON": func(s *eventstore.Snapshot) { s.Payload = s.Payload[:len(s.Payload)/2] },
		"other events": func(s *eventstore.Snapshot) {
			s.Payload = bytes.Replace(s.Payload, []byte(journal.ReadableEvents()), []byte("others"), 1)
		},
		"another device": func(s *eventstore.Snapshot) {
			s.Payload = bytes.Replace(s.Payload, []byte(`"name":"cpu0"`), []byte(`"name":"cpu1"`), 1)
		},
		"too old":      func(s *eventstore.Snapshot) { s.Version-- },
		"newer schema": func(s *eventstore.Snapshot) { s.Schema++ },
	} {
		store := manyLeases(t, journal.EventsPerSnapshot)
		changed := good
		change(&changed)
		if changed.Version == good.Version && changed.Schema == good.Schema && bytes.Equal(changed.Payload, good.Payload) {
			t.Fatalf("%s: nothing was changed", name)
		}
		if err := store.SaveSnapshot(t.Context(), changed); err != nil {
			t.Fatal(err)
		}
		if r, n := folded(t, store, "cpu0"); n != all || !sameJSON(t, r, want) {
			t.Errorf("%s: %d of %d events were folded, it is %+v; its events say %+v", name, n, all, r, want)
		}
	}
	if err := s.SaveSnapshot(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	if _, n := folded(t, s, "cpu0"); n != 0 {
		t.Errorf("with a good one, %d events were folded", n)
	}
}

// From a snapshot at any version, a device ends in the state that all its events give.
func TestASnapshotAndTheRestEqualTheWholeReplay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLottery(t)
		for range rapid.IntRange(10, 80).Draw(t, "steps") {
			l.Step()
			if l.Device.Version == 0 || rapid.IntRange(0, 7).Draw(t, "snapshot") > 0 {
				continue
			}
			s, err := journal.DeviceSnapshotOf(l.Device)
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Store.SaveSnapshot(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		got, err := journal.NewDeviceLog(l.Store, nil).Load(t.Context(), "cpu0")
		if err != nil {
			t.Fatal(err)
		}
		state, err := journal.StateAt(t.Context(), l.Store, eventstore.End)
		if err != nil {
			t.Fatal(err)
		}
		if len(state.Devices) > 0 && !bytes.Equal(marshal(t, got), marshal(t, state.Devices[0])) {
			t.Fatalf("from its snapshot the device is\n%s\nby all its events\n%s", marshal(t, got), marshal(t, state.Devices[0]))
		}
	})
}

func sameJSON(t *testing.T, a, b any) bool {
	t.Helper()
	return bytes.Equal(marshal(t, a), marshal(t, b))
}
