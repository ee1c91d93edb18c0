package sqlite

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"reprise/eventstore"
	"reprise/eventstore/storetest"
)

func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(writers, " writers"), func(b *testing.B) {
			s, err := Open(filepath.Join(b.TempDir(), "events.db"), Config{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			b.ReportAllocs()
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					a := eventstore.AggregateID(fmt.Sprint("run/", w))
					for i := w; i < b.N; i += writers {
						_, err := s.Append(b.Context(), eventstore.Write{
							Aggregate: a, Expected: eventstore.Exactly(eventstore.Version(i / writers)),
							Events: []eventstore.NewEvent{storetest.Event(fmt.Sprint(i))},
						})
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// filled returns a store with n events of the aggregate "a".
func filled(b *testing.B, n int) *Store {
	s, err := Open(filepath.Join(b.TempDir(), "events.db"), Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	for i := 0; i < n; {
		w := eventstore.Write{Aggregate: "a", Expected: eventstore.AnyVersion()}
		for ; i < n && len(w.Events) < eventstore.MaxBatch; i++ {
			w.Events = append(w.Events, storetest.Event(fmt.Sprint(i)))
		}
		if _, err := s.Append(b.Context(), w); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func BenchmarkReplay(b *testing.B) {
	s := filled(b, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		if r, err := s.Replay(b.Context(), "a", 0); err != nil || len(r.Events) != 10_000 {
			b.Fatal(len(r.Events), err)
		}
	}
}

func BenchmarkReplayFromSnapshot(b *testing.B) {
	s := filled(b, 1000)
	if err := s.SaveSnapshot(b.Context(), eventstore.Snapshot{Aggregate: "a", Version: 900, Payload: []byte("state")}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if r, err := s.Replay(b.Context(), "a", 0); err != nil || r.Snapshot == nil || len(r.Events) != 100 {
			b.Fatal(len(r.Events), err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	s := filled(b, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		if head, err := s.Verify(b.Context()); err != nil || head.Position != 10_000 {
			b.Fatal(head, err)
		}
	}
}
