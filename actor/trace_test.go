package actor_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"reprise/actor"
)

// traced is a system whose traces the buffer keeps, on a clock that moves when
// told to.
func traced(t *testing.T, sample int) (*actor.System, *actor.TraceBuffer, *clock) {
	t.Helper()
	now, buffer := &clock{now: epoch}, &actor.TraceBuffer{}
	return newSystem(t, actor.Config{Now: now.Now, Sample: sample, OnEvent: buffer.Observe}), buffer, now
}

func nothing(*actor.Context[do]) error { return nil }

func TestATraceShowsTheWayOfOneRequest(t *testing.T) {
	s, buffer, now := traced(t, 0)
	a := spawn(t, s.Root(), actor.Spec[do]{Name: "a"})
	b := spawn(t, s.Root(), actor.Spec[do]{Name: "b"})
	c := spawn(t, s.Root(), actor.Spec[do]{Name: "c"})
	s.TraceNext("/a", 1)
	held, hold := make(chan struct{}), make(chan struct{})
	tell(t, b, func(*actor.Context[do]) error { close(held); <-hold; return nil })
	wait(t, held, "b")
	done := make(chan struct{}, 3)
	end := func(ctx *actor.Context[do]) error { done <- struct{}{}; return nil }
	tell(t, a, func(ctx *actor.Context[do]) error {
		now.advance(time.Millisecond)
		if err := actor.Send(ctx, b, func(ctx *actor.Context[do]) error {
			now.advance(2 * time.Millisecond)
			return actor.Send(ctx, c, end) // it forwards
		}); err != nil {
			return err
		}
		return actor.Send(ctx, c, end)
	})
	settle(t, a, c)
	now.advance(5 * time.Millisecond)
	close(hold)
	wait(t, done, "c")
	wait(t, done, "c again")
	settle(t, a, b, c)
	if err := shutdown(t, s); err != nil {
		t.Fatal(err)
	}
	trace, ok := buffer.Last("/a")
	if !ok {
		t.Fatal("no trace")
	}
	want := strings.Join([]string{
		"/a  actor_test.do  at 0s, waited 0s, took 1ms",
		"├─ /b  actor_test.do  at 1ms, waited 5ms, took 2ms",
		"│  └─ /c  actor_test.do  at 8ms, waited 0s, took 0s",
		"└─ /c  actor_test.do  at 1ms, waited 0s, took 0s",
		"",
	}, "\n")
	if trace.String() != want {
		t.Errorf("got\n%swant\n%s", trace, want)
	}
	if forwarded := trace.Caused[0].Caused[0]; forwarded.From != "/b" || forwarded.Trace.Correlation != trace.Trace.Message || forwarded.Trace.Causation != trace.Caused[0].Trace.Message {
		t.Errorf("%+v", forwarded)
	}
	if _, ok := buffer.Last("/b"); ok {
		t.Error("what b was told by nobody was traced")
	}
}

func TestOneMessageInSoManyBeginsATrace(t *testing.T) {
	var sent []uint64
	s := newSystem(t, actor.Config{Workers: 1, Sample: 3, OnEvent: func(e actor.Event) {
		if e, ok := e.(actor.MessageSent); ok {
			sent = append(sent, e.Trace.Correlation)
		}
	}})
	ref := spawn(t, s.Root(), actor.Spec[do]{})
	for range 8 {
		tell(t, ref, nothing)
	}
	if err := shutdown(t, s); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(sent, []uint64{1, 2, 3}) {
		t.Errorf("of 8 messages, traces %v began; want 3: of the 1st, the 4th and the 7th", sent)
	}
}

func TestATraceEndsAfterSoManyHops(t *testing.T) {
	s, buffer, _ := traced(t, 0)
	ref := spawn(t, s.Root(), actor.Spec[do]{Name: "a"})
	s.TraceNext("/a", 1)
	left, done := 3*actor.MaxTraceHops, make(chan struct{})
	var again do
	again = func(ctx *actor.Context[do]) error {
		if left--; left == 0 {
			close(done)
			return nil
		}
		return actor.Send(ctx, ctx.Self(), again)
	}
	tell(t, ref, again)
	wait(t, done, "the last message")
	if err := shutdown(t, s); err != nil {
		t.Fatal(err)
	}
	trace, _ := buffer.Last("")
	if n := strings.Count(trace.String(), "\n"); n != actor.MaxTraceHops+1 {
		t.Errorf("%d messages are traced, want %d", n, actor.MaxTraceHops+1)
	}
}

// The mark must stay with its message, whatever becomes of those before it.
func TestTheMarkStaysWithItsMessage(t *testing.T) {
	for _, overflow := range []actor.Overflow{actor.Fail, actor.DropOldest} {
		t.Run(overflow.String(), func(t *testing.T) {
			var handled []string
			current := ""
			s := newSystem(t, actor.Config{OnEvent: func(e actor.Event) {
				if _, ok := e.(actor.MessageHandled); ok {
					handled = append(handled, current)
				}
			}})
			ref := spawn(t, s.Root(), actor.Spec[do]{Name: "a", Mailbox: actor.Mailbox{Capacity: 40, Overflow: overflow}})
			held, hold := make(chan struct{}), make(chan struct{})
			tell(t, ref, func(*actor.Context[do]) error { close(held); <-hold; return nil })
			wait(t, held, "a")
			named := func(name string, err error) do {
				return func(*actor.Context[do]) error { current = name; return err }
			}
			for range 5 { // some of them dropped
				tell(t, ref, named("before", nil))
			}
			tell(t, ref, named("fails", errBoom)) // what was taken with it goes back
			for range 20 {
				tell(t, ref, named("before", nil))
			}
			s.TraceNext("/a", 1)
			tell(t, ref, named("marked", nil))
			for range 13 {
				tell(t, ref, named("after", nil))
			}
			if overflow == actor.DropOldest {
				tell(t, ref, named("after", nil)) // the first is dropped
			}
			close(hold)
			if err := ref.TellContext(t.Context(), nothing); err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			if err := ref.TellContext(t.Context(), func(*actor.Context[do]) error { close(done); return nil }); err != nil {
				t.Fatal(err)
			}
			wait(t, done, "the last message")
			if err := shutdown(t, s); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(handled, []string{"marked"}) {
				t.Errorf("traced: %q", handled)
			}
		})
	}
}

func TestATellThatIsNotTracedAllocatesNothing(t *testing.T) {
	s, _, _ := traced(t, 0)
	ref := spawn(t, s.Root(), actor.Spec[do]{Blocking: true, Mailbox: actor.Mailbox{Capacity: 1000}})
	held, hold := make(chan struct{}), make(chan struct{})
	tell(t, ref, func(*actor.Context[do]) error { close(held); <-hold; return nil })
	wait(t, held, "the actor")
	defer close(hold)
	// The mailbox grows now and then; less than once in so many messages.
	if n := testing.AllocsPerRun(500, func() { _ = ref.Tell(nothing) }); n >= 1 {
		t.Errorf("%v allocations for each message", n)
	}
}
