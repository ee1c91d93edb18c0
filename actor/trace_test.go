package actor_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reprise/actor"
)

// traced is a system whose traces the buffer keeps, on a clock that moves when
// told to.
func traced(t *testing.T, sample int) (*actor.System, *actor.TraceBuffer, *clock) {
	t.Helper()
	now, buffer := &clock{now: epoch}, &actor.TraceBuffer{}
	return newSystem(t, actor.Config{Now: now.Now, Sample: sample, OnEvent: buffer.Observe}), buffer, now
}

// steppedTraces is the same, run by a driver.
func steppedTraces(t *testing.T) (*actor.System, *actor.TraceBuffer, *stepper) {
	t.Helper()
	d, buffer := newStepper(1), &actor.TraceBuffer{}
	return steppedSystem(t, d, actor.Config{OnEvent: buffer.Observe}), buffer, d
}

// shows compares the newest trace that began with a message to the path.
func shows(t *testing.T, buffer *actor.TraceBuffer, path string, lines ...string) {
	t.Helper()
	trace, ok := buffer.Last(path)
	if want := strings.Join(lines, "\n") + "\n"; !ok || trace.String() != want {
		t.Errorf("%v, got\n%swant\n%s", ok, trace, want)
	}
}

func nothing(*actor.Context[do]) error { return nil }

func TestATraceShowsTheMessagesOfOneRequest(t *testing.T) {
	s, buffer, now := traced(t, 0)
	a := spawn(t, s.Root(), actor.Spec[do]{Name: "a"})
	b := spawn(t, s.Root(), actor.Spec[do]{Name: "b"})
	c := spawn(t, s.Root(), actor.Spec[do]{Name: "c"})
	s.TraceNext("/a", 1)
	held, hold := make(chan struct{}), make(chan struct{})
	tell(t, b, func(*actor.Context[do]) error { close(held); <-hold; return nil })
	wait(t, held, "b")
	done := make(chan struct{}, 3)
	end := func(*actor.Context[do]) error { done <- struct{}{}; return nil }
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

func TestOneMessageInNBeginsATrace(t *testing.T) {
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

func TestATraceEndsAtItsMaximumDepth(t *testing.T) {
	s, buffer, _ := traced(t, 0)
	ref := spawn(t, s.Root(), actor.Spec[do]{Name: "a"})
	s.TraceNext("/a", 1)
	left, done := 3*actor.MaxTraceDepth, make(chan struct{})
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
	if n := strings.Count(trace.String(), "\n"); n != actor.MaxTraceDepth+1 {
		t.Errorf("%d messages are traced, want %d", n, actor.MaxTraceDepth+1)
	}
}

// The mark must stay with its message, whatever happens to those before it.
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

func TestAnUntracedTellAllocatesNothing(t *testing.T) {
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

// waited is a context that signals when something waits for it.
type waited struct {
	context.Context
	by func()
}

func (w waited) Done() <-chan struct{} {
	w.by()
	return w.Context.Done()
}

func TestMessagesToldWithAContextAreTraced(t *testing.T) {
	for _, full := range []bool{false, true} {
		s, buffer, _ := traced(t, 0)
		ref := spawn(t, s.Root(), actor.Spec[do]{Name: "a", Mailbox: actor.Mailbox{Capacity: 1}})
		ctx, waits := t.Context(), false
		if full {
			held, hold := make(chan struct{}), make(chan struct{})
			tell(t, ref, func(*actor.Context[do]) error { close(held); <-hold; return nil })
			wait(t, held, "the actor")
			tell(t, ref, nothing)
			ctx = waited{ctx, sync.OnceFunc(func() { waits = true; close(hold) })}
		}
		s.TraceNext("/a", 1)
		done := make(chan struct{})
		if err := ref.TellContext(ctx, func(*actor.Context[do]) error { close(done); return nil }); err != nil || waits != full {
			t.Fatal(err, waits)
		}
		wait(t, done, "the message")
		if err := shutdown(t, s); err != nil {
			t.Fatal(err)
		}
		shows(t, buffer, "/a", "/a  actor_test.do  at 0s, waited 0s, took 0s")
	}
}

func TestATraceContinuesWithATimersMessage(t *testing.T) {
	s, buffer, d := steppedTraces(t)
	ref := spawn(t, s.Root(), actor.Spec[do]{Name: "a"})
	s.TraceNext("/a", 1)
	tell(t, ref, func(ctx *actor.Context[do]) error {
		ctx.After(time.Minute, func(ctx *actor.Context[do]) error {
			ctx.After(time.Second, nothing)
			return actor.Send(ctx, ref, nothing)
		})
		ctx.After(time.Minute, nothing).Stop()
		return nil
	})
	tell(t, ref, func(ctx *actor.Context[do]) error { ctx.After(time.Minute, nothing); return nil }) // not traced
	d.settle()
	shows(t, buffer, "/a",
		"/a  actor_test.do  at 0s, waited 0s, took 0s",
		"└─ /a  actor_test.do  at 1m0s, waited 0s, took 0s",
		"   ├─ /a  actor_test.do  at 1m0s, waited 0s, took 0s",
		"   └─ /a  actor_test.do  at 1m1s, waited 0s, took 0s")
	trace, _ := buffer.Last("/a")
	if len(trace.Caused) == 0 {
		t.Fatal("nothing was caused")
	}
	if timer := trace.Caused[0]; timer.From != "/a" || timer.Causation != trace.Message {
		t.Errorf("%+v", timer)
	}
}

func TestATimerThatSetsItselfIsTracedToTheMaximumDepth(t *testing.T) {
	s, buffer, d := steppedTraces(t)
	left := 3 * actor.MaxTraceDepth
	var again do
	again = func(ctx *actor.Context[do]) error {
		if left--; left > 0 {
			ctx.After(time.Second, again)
		}
		return nil
	}
	s.TraceNext("/a", 1)
	tell(t, spawn(t, s.Root(), actor.Spec[do]{Name: "a"}), again)
	d.settle()
	trace, _ := buffer.Last("/a")
	if n := strings.Count(trace.String(), "\n"); left != 0 || n != actor.MaxTraceDepth+1 {
		t.Errorf("%d messages are traced, want %d; %d are left", n, actor.MaxTraceDepth+1, left)
	}
}

func TestAStashedMessageKeepsItsTrace(t *testing.T) {
	for name, open := range map[string]do{
		"unstashed":               func(ctx *actor.Context[do]) error { ctx.Unstash(); return nil },
		"unstashed for next time": func(ctx *actor.Context[do]) error { ctx.Unstash(); return errBoom },
		"put back by a restart":   fail,
	} {
		t.Run(name, func(t *testing.T) {
			now, handled := &clock{now: epoch}, 0
			buffer := &actor.TraceBuffer{}
			s := newSystem(t, actor.Config{Workers: 1, Now: now.Now, OnEvent: func(e actor.Event) {
				if _, ok := e.(actor.MessageHandled); ok {
					handled++
				}
				buffer.Observe(e)
			}})
			ref := spawn(t, s.Root(), actor.Spec[do]{Name: "a"})
			other := spawn(t, s.Root(), actor.Spec[do]{Name: "b"})
			opened := false
			var message do
			message = func(ctx *actor.Context[do]) error {
				if opened {
					now.advance(time.Minute)
					return actor.Send(ctx, other, nothing)
				}
				now.advance(time.Second)
				return errors.Join(actor.Send(ctx, other, nothing), ctx.Stash(message), ctx.Stash(nothing))
			}
			s.TraceNext("/a", 1)
			tell(t, ref, message)
			settle(t, ref, other)
			now.advance(time.Hour)
			tell(t, ref, func(ctx *actor.Context[do]) error { opened = true; return open(ctx) })
			settle(t, ref)
			settle(t, ref, other)
			if err := shutdown(t, s); err != nil {
				t.Fatal(err)
			}
			shows(t, buffer, "/a",
				"/a  actor_test.do  at 0s, waited 1h0m1s, took 1m0s",
				"├─ /b  actor_test.do  at 1s, waited 0s, took 0s",
				"└─ /b  actor_test.do  at 1h1m1s, waited 0s, took 0s")
			if handled != 3 {
				t.Errorf("%d messages are said to be handled, want 3", handled)
			}
		})
	}
}

func TestATraceContinuesThroughRouters(t *testing.T) {
	s, buffer, d := steppedTraces(t)
	from := spawn(t, s.Root(), actor.Spec[do]{Name: "from"})
	var keyed actor.Router[string, do]
	for _, key := range []string{"x", "y"} {
		if err := keyed.Add(key, spawn(t, s.Root(), actor.Spec[do]{Name: key})); err != nil {
			t.Fatal(err)
		}
	}
	pool, err := actor.SpawnPool(s.Root(), actor.PoolSpec[do]{
		Supervisor: actor.SupervisorSpec{Name: "pool"}, Size: 2,
		Routee: actor.Spec[do]{New: func() actor.Actor[do] { return &script{} }},
	})
	if err != nil {
		t.Fatal(err)
	}
	deliver := func(result ...actor.Delivery[string]) {
		t.Helper()
		for _, d := range result {
			if d.Err != nil {
				t.Error(d)
			}
		}
	}
	s.TraceNext("/from", 1)
	tell(t, from, func(ctx *actor.Context[do]) error {
		deliver(actor.Delivery[string]{Err: keyed.RouteFrom(ctx, "y", nothing)})
		deliver(keyed.BroadcastFrom(ctx, nothing)...)
		deliver(actor.Delivery[string]{Err: pool.RouteFrom(ctx, nothing)})
		deliver(pool.BroadcastFrom(ctx, nothing)...)
		return nil
	})
	d.settle()
	at := "  actor_test.do  at 0s, waited 0s, took 0s"
	shows(t, buffer, "/from", "/from"+at, "├─ /y"+at, "├─ /x"+at, "├─ /y"+at, "├─ /pool/1"+at, "├─ /pool/1"+at, "└─ /pool/2"+at)
	for path, route := range map[string]func() error{
		"/x":      func() error { return keyed.Route("x", nothing) },
		"/pool/2": func() error { return pool.Route(nothing) }, // its turn
		"/pool/1": func() error { deliver(pool.Broadcast(nothing)...); return nil },
	} {
		s.TraceNext(path, 1)
		if err := route(); err != nil {
			t.Error(err)
		}
		d.settle()
		shows(t, buffer, path, path+at)
	}
}

func TestATraceEndsWithTheAnswer(t *testing.T) {
	at := "  actor_test.do  at 0s, waited 0s, took 0s"
	for name, c := range map[string]struct {
		answer func(ctx *actor.Context[do], r actor.Reply[int]) error
		want   []string
		by     string
	}{
		"a value": {
			func(_ *actor.Context[do], r actor.Reply[int]) error { r.Send(7); r.Send(8); return nil },
			[]string{"/asked" + at, "└─ answer  int  at 0s"}, "/asked",
		},
		"an error": {
			func(_ *actor.Context[do], r actor.Reply[int]) error { r.Fail(errBoom); return nil },
			[]string{"/asked" + at, "└─ answer  *errors.errorString  at 0s: boom"}, "/asked",
		},
		"of another actor": {
			nil, // forwards it
			[]string{"/asked" + at, "└─ /second" + at, "   └─ answer  int  at 0s"}, "/second",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, buffer, _ := traced(t, 0)
			asked := spawn(t, s.Root(), actor.Spec[do]{Name: "asked"})
			second := spawn(t, s.Root(), actor.Spec[do]{Name: "second"})
			gone := spawn(t, s.Root(), actor.Spec[do]{Name: "gone", Restart: actor.Temporary})
			tell(t, gone, leave)
			wait(t, gone.Done(), "the end")
			if c.answer == nil {
				c.answer = func(_ *actor.Context[do], r actor.Reply[int]) error {
					if err := actor.Forward(gone, leave, r); !errors.Is(err, actor.ErrStopped) {
						t.Error(err)
					}
					return actor.Forward(second, func(*actor.Context[do]) error { r.Send(7); return nil }, r)
				}
			}
			s.TraceNext("/asked", 1)
			if got, err := actor.Ask(deadline(t), asked, asking(c.answer)); got != 7 && !errors.Is(err, errBoom) {
				t.Error(got, err)
			}
			settle(t, asked, second)
			if err := shutdown(t, s); err != nil {
				t.Fatal(err)
			}
			shows(t, buffer, "/asked", c.want...)
			last, _ := buffer.Last("/asked")
			for len(last.Caused) > 0 {
				last = last.Caused[0]
			}
			if last.From != c.by || last.To != "" {
				t.Errorf("%+v", last)
			}
		})
	}
}

// An actor that ends its goroutine has still handled the message.
func TestATraceShowsAMessageWhoseHandlingDoesNotReturn(t *testing.T) {
	s, buffer, _ := traced(t, 0)
	ref := spawn(t, s.Root(), actor.Spec[do]{Name: "a", New: func() actor.Actor[do] {
		return &script{stopped: func(ctx *actor.Context[do], _ error) {
			_ = actor.Send(ctx, ctx.Self(), nothing) // is not part of the trace
		}}
	}})
	s.TraceNext("/a", 1)
	tell(t, ref, func(*actor.Context[do]) error { runtime.Goexit(); return nil })
	settle(t, ref)
	if err := shutdown(t, s); err != nil {
		t.Fatal(err)
	}
	shows(t, buffer, "/a", "/a  actor_test.do  at 0s, waited 0s, failed after 0s: "+actor.ErrExited.Error())
}

// label is a message for which the test knows whether it is traced.
type label struct {
	id     int
	traced bool
	what   string
	done   chan struct{}
}

// keeper stashes while it is closed, records the traced messages that it
// handles, and forwards each message.
type keeper struct {
	closed  bool
	handled *[]int
	next    actor.Ref[label]
}

func (k *keeper) Receive(ctx *actor.Context[label], m label) error {
	if k.closed && m.what == "stash" && ctx.Stash(m) == nil {
		return nil
	}
	if m.traced {
		*k.handled = append(*k.handled, m.id)
	}
	if err := actor.Send(ctx, k.next, label{id: m.id}); err != nil {
		return err
	}
	switch m.what {
	case "close":
		k.closed = true
	case "open", "open for a moment": // whose messages are stashed once more
		k.closed = m.what != "open"
		ctx.Unstash()
	case "fail":
		return errBoom
	case "done":
		close(m.done)
	}
	return nil
}

type idle struct{}

func (idle) Receive(*actor.Context[label], label) error { return nil }

// Whatever happens to the messages before it, a mark stays with its message.
func TestEveryTracedMessageIsReportedWhenItIsHandled(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var handled, reported, sent []int
		ids := map[uint64]int{}
		d := newStepper(rapid.Uint64().Draw(rt, "seed"))
		config := actor.Config{Now: d.clock, Workers: 1, OnEvent: func(e actor.Event) {
			switch e := e.(type) {
			case actor.MessageSent:
				id := e.Message.(label).id
				if ids[e.Trace.Message] = id; e.From == "/a" {
					if sent = append(sent, id); ids[e.Trace.Causation] != id {
						t.Errorf("message %d is said to be caused by %d", id, ids[e.Trace.Causation])
					}
				}
			case actor.MessageHandled:
				if e.By == "/a" {
					reported = append(reported, ids[e.Trace.Message])
				}
			}
		}}
		config.Root.Intensity = actor.Intensity{Restarts: actor.MaxRestarts, Period: time.Hour}
		stepped, start := rapid.Bool().Draw(rt, "stepped"), newSystem
		if stepped {
			start = func(t testing.TB, config actor.Config) *actor.System { return steppedSystem(t, d, config) }
		}
		s := start(t, config)
		gate := spawn(t, s.Root(), actor.Spec[do]{})
		next, err := actor.Spawn(s.Root(), actor.Spec[label]{
			Mailbox: actor.Mailbox{Capacity: actor.MaxCapacity},
			New:     func() actor.Actor[label] { return idle{} },
		})
		if err != nil {
			rt.Fatal(err)
		}
		ref, err := actor.Spawn(s.Root(), actor.Spec[label]{
			Name: "a",
			Mailbox: actor.Mailbox{
				Capacity: rapid.SampledFrom([]int{1, 3, 40, 2000}).Draw(rt, "capacity"),
				Overflow: rapid.SampledFrom([]actor.Overflow{actor.Fail, actor.DropOldest, actor.DropNewest}).Draw(rt, "overflow"),
			},
			New: func() actor.Actor[label] { return &keeper{handled: &handled, next: next} },
		})
		if err != nil {
			rt.Fatal(err)
		}
		tellAll := func(messages []label) {
			for _, m := range messages {
				if m.traced {
					s.TraceNext("/a", 1)
				}
				_ = ref.Tell(m) // it may be full
			}
		}
		id := 0
		one := rapid.Custom(func(rt *rapid.T) label {
			id++
			return label{
				id: id, traced: rapid.IntRange(0, 3).Draw(rt, "traced") == 0,
				what: rapid.SampledFrom([]string{"", "", "stash", "stash", "close", "open", "open for a moment", "fail"}).Draw(rt, "what"),
			}
		})
		for range rapid.IntRange(1, 4).Draw(rt, "rounds") {
			messages := rapid.SliceOfN(one, 20, 100).Draw(rt, "messages")
			if stepped {
				tellAll(messages)
				d.settle()
				continue
			}
			hold, done := make(chan struct{}), make(chan struct{})
			tell(t, gate, func(*actor.Context[do]) error { <-hold; return nil }) // has the worker
			tellAll(messages)
			close(hold)
			if err := ref.TellContext(t.Context(), label{what: "done", done: done}); err != nil {
				rt.Fatal(err)
			}
			wait(t, done, "the actor")
		}
		s.Root().End()
		if stepped {
			d.settle()
		}
		if err := shutdown(t, s); err != nil {
			rt.Fatal(err)
		}
		if !slices.Equal(handled, reported) || !slices.Equal(handled, sent) {
			rt.Errorf("handled %v, reported %v, sent on %v", handled, reported, sent)
		}
	})
}
