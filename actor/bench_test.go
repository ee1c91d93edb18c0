package actor_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"reprise/actor"
)

// sink counts down and signals when it reaches zero.
type sink struct {
	left int
	done chan struct{}
}

func (s *sink) Receive(_ *actor.Context[int], n int) error {
	if s.left -= n; s.left == 0 {
		close(s.done)
	}
	return nil
}

func benchSystem(b *testing.B) *actor.System {
	b.Helper()
	s, err := actor.NewSystem(actor.Config{Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return s
}

func spawnInt(b *testing.B, s *actor.System, a actor.Actor[int]) actor.Ref[int] {
	b.Helper()
	ref, err := actor.Spawn(s.Root(), actor.Spec[int]{
		New: func() actor.Actor[int] { return a }, Mailbox: actor.Mailbox{Capacity: 1 << 16},
	})
	if err != nil {
		b.Fatal(err)
	}
	return ref
}

func BenchmarkTell(b *testing.B) {
	s := benchSystem(b)
	a := &sink{b.N, make(chan struct{})}
	ref := spawnInt(b, s, a)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if ref.Tell(1) != nil {
			_ = ref.TellContext(context.Background(), 1)
		}
	}
	<-a.done
}

// BenchmarkTell1000 has one sender tell a thousand actors in turn.
func BenchmarkTell1000(b *testing.B) {
	s := benchSystem(b)
	var handled atomic.Int64
	var refs [1000]actor.Ref[int]
	for i := range refs {
		refs[i] = spawnInt(b, s, receiver[int](func(*actor.Context[int], int) error { handled.Add(1); return nil }))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if ref := refs[i%len(refs)]; ref.Tell(1) != nil {
			_ = ref.TellContext(context.Background(), 1)
		}
	}
	for handled.Load() < int64(b.N) {
		runtime.Gosched()
	}
}

// BenchmarkTellFrom64 has 64 goroutines tell one actor.
func BenchmarkTellFrom64(b *testing.B) {
	s := benchSystem(b)
	const senders = 64
	each := b.N/senders + 1
	a := &sink{each * senders, make(chan struct{})}
	ref := spawnInt(b, s, a)
	b.ReportAllocs()
	b.ResetTimer()
	var group sync.WaitGroup
	for range senders {
		group.Go(func() {
			for range each {
				_ = ref.TellContext(context.Background(), 1)
			}
		})
	}
	group.Wait()
	<-a.done
}

func BenchmarkPingPong(b *testing.B) {
	s := benchSystem(b)
	done := make(chan struct{})
	n := b.N
	var ping actor.Ref[int]
	pong := spawnInt(b, s, receiver[int](func(_ *actor.Context[int], m int) error { return ping.Tell(m + 1) }))
	ping = spawnInt(b, s, receiver[int](func(_ *actor.Context[int], m int) error {
		if m >= n {
			close(done)
			return nil
		}
		return pong.Tell(m)
	}))
	b.ReportAllocs()
	b.ResetTimer()
	if err := ping.Tell(0); err != nil {
		b.Fatal(err)
	}
	<-done
}

func BenchmarkAsk(b *testing.B) {
	s := benchSystem(b)
	ref, err := actor.Spawn(s.Root(), actor.Spec[actor.Reply[int]]{New: func() actor.Actor[actor.Reply[int]] {
		return receiver[actor.Reply[int]](func(_ *actor.Context[actor.Reply[int]], r actor.Reply[int]) error { r.Send(1); return nil })
	}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := actor.Ask(ctx, ref, func(r actor.Reply[int]) actor.Reply[int] { return r }); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSpawn also reports the memory of an idle actor.
func BenchmarkSpawn(b *testing.B) {
	s := benchSystem(b)
	a := &sink{}
	spec := actor.Spec[int]{New: func() actor.Actor[int] { return a }}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	for range b.N {
		if _, err := actor.Spawn(s.Root(), spec); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric((float64(after.HeapInuse)-float64(before.HeapInuse))/float64(b.N), "B/actor")
}
