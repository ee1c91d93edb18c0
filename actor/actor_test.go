package actor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"reprise/actor"
	"reprise/fault"
)

func TestMessagesOfASenderArriveInOrder(t *testing.T) {
	s := newSystem(t, actor.Config{})
	for _, blocking := range []bool{false, true} {
		var got []int
		ref := spawn(t, s.Root(), actor.Spec[do]{Blocking: blocking})
		for i := range 1000 {
			tell(t, ref, func(*actor.Context[do]) error { got = append(got, i); return nil })
		}
		settle(t, ref)
		if len(got) != 1000 || !slices.IsSorted(got) {
			t.Errorf("blocking %v: got %d messages: %v", blocking, len(got), got)
		}
	}
}

// counter receives numbers and checks that they come one at a time and in order
// for each sender.
type counter struct {
	last    [64]int
	inside  atomic.Int32
	total   *atomic.Int64
	trouble *atomic.Int64
}

type numbered struct{ sender, number int }

func (c *counter) Receive(_ *actor.Context[numbered], m numbered) error {
	if c.inside.Add(1) != 1 || m.number != c.last[m.sender]+1 {
		c.trouble.Add(1)
	}
	c.last[m.sender] = m.number
	c.total.Add(1)
	c.inside.Add(-1)
	return nil
}

func TestConcurrentTellsAreHandledOnceInOrderOneAtATime(t *testing.T) {
	const senders, each, actors = 64, 500, 8
	for _, workers := range []int{1, 4} {
		for _, blocking := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d workers, blocking %v", workers, blocking), func(t *testing.T) {
				s := newSystem(t, actor.Config{Workers: workers})
				var total, trouble atomic.Int64
				refs := make([]actor.Ref[numbered], actors)
				for i := range refs {
					var err error
					refs[i], err = actor.Spawn(s.Root(), actor.Spec[numbered]{
						Blocking: blocking, Mailbox: actor.Mailbox{Capacity: 100},
						New: func() actor.Actor[numbered] { return &counter{total: &total, trouble: &trouble} },
					})
					if err != nil {
						t.Fatal(err)
					}
				}
				var group sync.WaitGroup
				for sender := range senders {
					group.Go(func() {
						for number := 1; number <= each; number++ {
							for _, ref := range refs {
								if err := ref.TellContext(t.Context(), numbered{sender, number}); err != nil {
									t.Error(err)
									return
								}
							}
						}
					})
				}
				group.Wait()
				// An ordered stop takes precedence over messages, so drain
				// first.
				for total.Load() < senders*each*actors && !t.Failed() {
					runtime.Gosched()
				}
				if err := shutdown(t, s); err != nil {
					t.Error(err)
				}
				if total.Load() != senders*each*actors || trouble.Load() != 0 {
					t.Errorf("%d of %d messages, %d out of order", total.Load(), senders*each*actors, trouble.Load())
				}
			})
		}
	}
}

func TestIdleActorsOwnNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	const workers = 3
	s := newSystem(t, actor.Config{Workers: workers})
	refs := make([]actor.Ref[do], 10_000)
	for i := range refs {
		refs[i] = spawn(t, s.Root(), actor.Spec[do]{Blocking: i%2 == 0})
	}
	settle(t, refs...)
	// A blocking actor's goroutine ends just after its last message.
	for limit := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before+workers && time.Now().Before(limit); {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine() - before; n > workers {
		t.Errorf("%d goroutines for %d idle actors, want the %d workers", n, len(refs), workers)
	}
}

func TestABlockingActorDoesNotKeepTheWorkerFromOthers(t *testing.T) {
	s := newSystem(t, actor.Config{Workers: 1})
	blocking := spawn(t, s.Root(), actor.Spec[do]{Blocking: true})
	other := spawn(t, s.Root(), actor.Spec[do]{})
	block := make(chan struct{})
	tell(t, blocking, func(*actor.Context[do]) error { <-block; return nil })
	settle(t, other)
	close(block)
	settle(t, blocking)
}

func TestABusyActorDoesNotKeepTheWorkerFromOthers(t *testing.T) {
	s := newSystem(t, actor.Config{Workers: 1})
	busy := spawn(t, s.Root(), actor.Spec[do]{})
	var stop atomic.Bool
	var again do
	again = func(ctx *actor.Context[do]) error {
		if stop.Load() {
			return nil
		}
		return ctx.Self().Tell(again)
	}
	tell(t, busy, again)
	settle(t, spawn(t, s.Root(), actor.Spec[do]{}))
	stop.Store(true)
	settle(t, busy)
}

// A stuck worker must not hold up the actors in its run queue.
func TestOtherWorkersRunTheQueueOfAStuckWorker(t *testing.T) {
	s := newSystem(t, actor.Config{Workers: 2})
	refs := make([]actor.Ref[do], 10)
	for i := range refs {
		refs[i] = spawn(t, s.Root(), actor.Spec[do]{})
	}
	settle(t, refs...)
	block := make(chan struct{})
	tell(t, refs[0], func(*actor.Context[do]) error { <-block; return nil })
	settle(t, refs[1:]...)
	close(block)
}

func TestAFullMailboxFollowsItsPolicy(t *testing.T) {
	for _, test := range []struct {
		overflow actor.Overflow
		err      error
		handled  []int
		letters  []string
	}{
		{actor.Fail, actor.ErrMailboxFull, []int{0, 1, 2}, nil},
		{actor.DropOldest, nil, []int{0, 3, 4}, []string{string(actor.LetterDroppedOldest), string(actor.LetterDroppedOldest)}},
		{actor.DropNewest, nil, []int{0, 1, 2}, []string{string(actor.LetterDroppedNewest), string(actor.LetterDroppedNewest)}},
	} {
		t.Run(test.overflow.String(), func(t *testing.T) {
			letters := newRecorder()
			s := newSystem(t, actor.Config{Workers: 2, OnEvent: func(e actor.Event) {
				if e, ok := e.(actor.DeadLetter); ok {
					letters.log("%s", e.Reason)
				}
			}})
			ref := spawn(t, s.Root(), actor.Spec[do]{Mailbox: actor.Mailbox{Capacity: 2, Overflow: test.overflow}})
			begun, block := make(chan struct{}), make(chan struct{})
			var handled []int
			tell(t, ref, func(*actor.Context[do]) error { handled = append(handled, 0); close(begun); <-block; return nil })
			wait(t, begun, "the first message")
			var err error
			for i := 1; i <= 4; i++ {
				err = errors.Join(err, ref.Tell(func(*actor.Context[do]) error { handled = append(handled, i); return nil }))
			}
			if !errors.Is(err, test.err) || test.err == nil && err != nil {
				t.Errorf("error %v, want %v", err, test.err)
			}
			close(block)
			done := make(chan struct{})
			if err := ref.TellContext(t.Context(), func(*actor.Context[do]) error { close(done); return nil }); err != nil {
				t.Fatal(err)
			}
			wait(t, done, "the last message")
			if !slices.Equal(handled, test.handled) {
				t.Errorf("handled %v, want %v", handled, test.handled)
			}
			equal(t, letters.all(), test.letters)
		})
	}
}

func TestTellContextEndsWithItsContext(t *testing.T) {
	s := newSystem(t, actor.Config{})
	ref := spawn(t, s.Root(), actor.Spec[do]{Mailbox: actor.Mailbox{Capacity: 1}})
	begun, block := make(chan struct{}), make(chan struct{})
	tell(t, ref, func(*actor.Context[do]) error { close(begun); <-block; return nil })
	wait(t, begun, "the first message")
	tell(t, ref, func(*actor.Context[do]) error { return nil })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ref.TellContext(ctx, leave); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(block)
}

func TestTheZeroRefRefuses(t *testing.T) {
	var ref actor.Ref[do]
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, ask := actor.Ask(ctx, ref, func(actor.Reply[int]) do { return leave })
	for name, err := range map[string]error{
		"Tell": ref.Tell(leave), "TellContext": ref.TellContext(ctx, leave), "Ask": ask,
	} {
		if !errors.Is(err, actor.ErrZeroRef) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if ref.Path() != "" {
		t.Errorf("path %q", ref.Path())
	}
}

func TestRefsAreComparable(t *testing.T) {
	s := newSystem(t, actor.Config{})
	a, b := spawn(t, s.Root(), actor.Spec[do]{}), spawn(t, s.Root(), actor.Spec[do]{})
	self := make(chan actor.Ref[do], 1)
	tell(t, a, func(ctx *actor.Context[do]) error { self <- ctx.Self(); return nil })
	if got := wait(t, self, "the ref"); got != a || got == b {
		t.Errorf("self is %v, want %v and not %v", got, a, b)
	}
}

func TestSpawnRefusesInvalidSpecs(t *testing.T) {
	s := newSystem(t, actor.Config{})
	fine := func() actor.Actor[do] { return &script{} }
	for field, spec := range map[string]actor.Spec[do]{
		"New":              {},
		"Name":             {New: fine, Name: "a/b"},
		"Name ":            {New: fine, Name: "#1"},
		"Name  ":           {New: fine, Name: "a\nb"},
		"Name   ":          {New: fine, Name: strings.Repeat("x", 256)},
		"Restart":          {New: fine, Restart: 3},
		"StopTimeout":      {New: fine, StopTimeout: -1},
		"Mailbox.Capacity": {New: fine, Mailbox: actor.Mailbox{Capacity: -1}},
		"Mailbox.Overflow": {New: fine, Mailbox: actor.Mailbox{Overflow: 3}},
	} {
		_, err := actor.Spawn(s.Root(), spec)
		var e *fault.FieldError
		if !errors.As(err, &e) || e.Field != strings.TrimSpace(field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	spawn(t, s.Root(), actor.Spec[do]{Name: "a"})
	if _, err := actor.Spawn(s.Root(), actor.Spec[do]{Name: "a", New: fine}); !errors.Is(err, actor.ErrNameTaken) {
		t.Errorf("a second a: %v", err)
	}
	if _, err := s.Root().Supervise(actor.SupervisorSpec{Name: "a"}); !errors.Is(err, actor.ErrNameTaken) {
		t.Errorf("a supervisor a: %v", err)
	}
}

func TestInvalidSettingsAreRefused(t *testing.T) {
	nan := func() float64 { z := 0.0; return z / z }()
	root := func(spec actor.SupervisorSpec) actor.Config { return actor.Config{Now: time.Now, Root: spec} }
	for field, config := range map[string]actor.Config{
		"Now":                {},
		"Workers":            {Now: time.Now, Workers: -1},
		"Workers ":           {Now: time.Now, Workers: actor.MaxWorkers + 1},
		"Root.Name":          root(actor.SupervisorSpec{Name: "x"}),
		"Root.Restart":       root(actor.SupervisorSpec{Restart: actor.Temporary}),
		"Strategy":           root(actor.SupervisorSpec{Strategy: 3}),
		"Intensity.Restarts": root(actor.SupervisorSpec{Intensity: actor.Intensity{Restarts: -1, Period: 1}}),
		"Intensity.Period":   root(actor.SupervisorSpec{Intensity: actor.Intensity{Restarts: 1}}),
		"Backoff.Initial":    root(actor.SupervisorSpec{Backoff: actor.Backoff{Initial: -1}}),
		"Backoff.Max":        root(actor.SupervisorSpec{Backoff: actor.Backoff{Initial: 2, Max: 1}}),
		"Backoff.Factor":     root(actor.SupervisorSpec{Backoff: actor.Backoff{Factor: 0.5}}),
		"Backoff.Factor ":    root(actor.SupervisorSpec{Backoff: actor.Backoff{Factor: nan}}),
		"Backoff.Jitter":     root(actor.SupervisorSpec{Backoff: actor.Backoff{Jitter: nan}}),
	} {
		_, err := actor.NewSystem(config)
		var e *fault.FieldError
		if !errors.As(err, &e) || e.Field != strings.TrimSpace(field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestAnActorKnowsItsNameAndPath(t *testing.T) {
	s := newSystem(t, actor.Config{})
	below := supervise(t, supervise(t, s.Root(), actor.SupervisorSpec{Name: "a"}), actor.SupervisorSpec{Name: "b"})
	for _, test := range []struct{ name, label, path string }{
		{"c", "c", "/a/b/c"}, {"", "#2", "/a/b/#2"},
	} {
		ref := spawn(t, below, actor.Spec[do]{Name: test.name})
		got := make(chan string, 1)
		tell(t, ref, func(ctx *actor.Context[do]) error { got <- ctx.Name() + " " + ctx.Path(); return nil })
		if g, want := wait(t, got, "the path"), test.label+" "+test.path; g != want || ref.Path() != test.path || ref.String() != test.path {
			t.Errorf("%q and %q, want %q", g, ref.Path(), want)
		}
	}
	if s.Root().Path() != "/" || below.Path() != "/a/b" {
		t.Errorf("%s %s", s.Root().Path(), below.Path())
	}
}

func TestStopEndsAnActorAfterTheMessage(t *testing.T) {
	for name, test := range map[string]struct {
		started func(*actor.Context[do]) error
		told    bool
	}{
		"in Receive": {nil, true},
		"in Started": {leave, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecorder()
			s := newSystem(t, actor.Config{OnEvent: func(e actor.Event) {
				switch e := e.(type) {
				case actor.ActorTerminated:
					r.log("%s terminated: %v", e.Path, e.Cause)
				case actor.DeadLetter:
					r.log("%s", e.Reason)
				}
			}})
			ref := spawn(t, s.Root(), actor.Spec[do]{Name: "a", Restart: actor.Transient, New: func() actor.Actor[do] {
				return &script{started: test.started, stopped: func(_ *actor.Context[do], cause error) { r.log("stopped: %v", cause) }}
			}})
			if test.told {
				tell(t, ref, leave)
			}
			equal(t, r.wait(t, 2), []string{"stopped: <nil>", "/a terminated: <nil>"})
			if err := ref.Tell(leave); !errors.Is(err, actor.ErrStopped) {
				t.Errorf("told after its end: %v", err)
			}
			if err := ref.TellContext(t.Context(), leave); !errors.Is(err, actor.ErrStopped) {
				t.Errorf("told after its end: %v", err)
			}
			equal(t, r.all()[2:], []string{string(actor.LetterStopped), string(actor.LetterStopped)})
			spawn(t, s.Root(), actor.Spec[do]{Name: "a"}) // the name is free
		})
	}
}

func TestMessagesLeftWhenAnActorEndsBecomeDeadLetters(t *testing.T) {
	var letters []int
	s := newSystem(t, actor.Config{OnEvent: func(e actor.Event) {
		if e, ok := e.(actor.DeadLetter); ok {
			if e.To != "/a" || e.Reason != actor.LetterStopped {
				t.Errorf("%+v", e)
			}
			letters = append(letters, e.Message.(int))
		}
	}})
	begun, block := make(chan struct{}), make(chan struct{})
	ref, err := actor.Spawn(s.Root(), actor.Spec[int]{Name: "a", Restart: actor.Temporary, New: func() actor.Actor[int] {
		return receiver[int](func(ctx *actor.Context[int], _ int) error { close(begun); <-block; ctx.Stop(); return nil })
	}})
	if err != nil {
		t.Fatal(err)
	}
	const n = 40 // more than a batch, so that some were taken from the mailbox
	for i := range n {
		if err := ref.Tell(i); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, begun, "the first message")
	close(block)
	if err := shutdown(t, s); err != nil {
		t.Error(err)
	}
	slices.Sort(letters)
	for i := range n - 1 {
		if len(letters) != n-1 || letters[i] != i+1 {
			t.Fatalf("%d letters, want 1 to %d: %v", len(letters), n-1, letters)
		}
	}
}

// receiver is an actor made of a Receive function.
type receiver[M any] func(ctx *actor.Context[M], m M) error

func (r receiver[M]) Receive(ctx *actor.Context[M], m M) error { return r(ctx, m) }

func TestTimersDeliverUnlessStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, actor.Config{})
		r := newRecorder()
		start := time.Now()
		note := func(what string) do {
			return func(*actor.Context[do]) error { r.log("%s at %v", what, time.Since(start)); return nil }
		}
		ref := spawn(t, s.Root(), actor.Spec[do]{Mailbox: actor.Mailbox{Capacity: 1}})
		var stopped *actor.Timer[do]
		tell(t, ref, func(ctx *actor.Context[do]) error {
			ctx.After(2*time.Second, note("two"))
			ctx.After(time.Second, note("one"))
			stopped = ctx.After(1500*time.Millisecond, note("never"))
			ctx.After(3*time.Second, func(ctx *actor.Context[do]) error {
				// Due at the same time, but not handled yet: it can still be
				// stopped.
				if timer := ctx.After(0, note("never either")); !timer.Stop() || timer.Stop() {
					t.Error("a timer stops once")
				}
				return note("three")(ctx)
			})
			if !stopped.Stop() || stopped.Stop() {
				t.Error("a timer stops once")
			}
			return nil
		})
		time.Sleep(10 * time.Second)
		equal(t, r.all(), []string{"one at 1s", "two at 2s", "three at 3s"})
		if new(actor.Timer[do]).Stop() {
			t.Error("the zero Timer has nothing to stop")
		}
		if err := shutdown(t, s); err != nil {
			t.Error(err)
		}
	})
}

func TestATimerThatIsDueCanStillBeStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, actor.Config{})
		ref := spawn(t, s.Root(), actor.Spec[do]{})
		handled := false
		tell(t, ref, func(ctx *actor.Context[do]) error {
			timer := ctx.After(time.Second, func(*actor.Context[do]) error { handled = true; return nil })
			time.Sleep(2 * time.Second) // it is due meanwhile
			synctest.Wait()
			if !timer.Stop() {
				t.Error("a timer that was not handled could not be stopped")
			}
			return nil
		})
		time.Sleep(time.Minute)
		if err := shutdown(t, s); err != nil {
			t.Error(err)
		}
		if handled {
			t.Error("a stopped timer was handled")
		}
	})
}

func TestTimersEndWithTheIncarnation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, actor.Config{})
		ref := spawn(t, s.Root(), actor.Spec[do]{})
		var running, due *actor.Timer[do]
		handled := 0
		tell(t, ref, func(ctx *actor.Context[do]) error {
			count := func(*actor.Context[do]) error { handled++; return nil }
			running, due = ctx.After(time.Hour, count), ctx.After(time.Second, count)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			return errBoom
		})
		time.Sleep(24 * time.Hour)
		settle(t, ref)
		if handled != 0 || running.Stop() || due.Stop() {
			t.Errorf("%d messages from timers of the old incarnation", handled)
		}
		if err := shutdown(t, s); err != nil {
			t.Error(err)
		}
	})
}

func TestContextEndsWithTheIncarnation(t *testing.T) {
	s := newSystem(t, actor.Config{})
	contexts := make(chan context.Context, 2)
	ref := spawn(t, s.Root(), actor.Spec[do]{New: func() actor.Actor[do] {
		return &script{started: func(ctx *actor.Context[do]) error { contexts <- ctx.Context(); return nil },
			stopped: func(ctx *actor.Context[do], _ error) {
				if err := ctx.Context().Err(); err != nil {
					t.Errorf("in Stopped: %v", err)
				}
			}}
	}})
	tell(t, ref, fail)
	first, second := wait(t, contexts, "a context"), wait(t, contexts, "a context")
	wait(t, first.Done(), "the end of the first context")
	if second.Err() != nil {
		t.Error("the context of the living incarnation is cancelled")
	}
}

func TestAskGetsTheAnswer(t *testing.T) {
	s := newSystem(t, actor.Config{})
	ref, err := actor.Spawn(s.Root(), actor.Spec[actor.Reply[int]]{Restart: actor.Temporary, New: func() actor.Actor[actor.Reply[int]] {
		asked := 0
		return receiver[actor.Reply[int]](func(ctx *actor.Context[actor.Reply[int]], reply actor.Reply[int]) error {
			switch asked++; asked {
			case 1:
				if !reply.Send(42) || reply.Send(43) || reply.Fail(errBoom) {
					t.Error("a second answer was accepted")
				}
			case 2:
				reply.Fail(errBoom)
			case 3: // silence
			case 4:
				reply.Send(44)
				ctx.Stop()
			}
			return nil
		})
	}})
	if err != nil {
		t.Fatal(err)
	}
	self := func(reply actor.Reply[int]) actor.Reply[int] { return reply }
	ask := func(limit time.Duration) (int, error) {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		return actor.Ask(ctx, ref, self)
	}
	if v, err := ask(time.Minute); v != 42 || err != nil {
		t.Errorf("%d, %v", v, err)
	}
	if _, err := ask(time.Minute); !errors.Is(err, errBoom) {
		t.Errorf("an error for an answer: %v", err)
	}
	if _, err := ask(time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("silence: %v", err)
	}
	if v, err := ask(time.Minute); v != 44 || err != nil {
		t.Errorf("last words: %d, %v", v, err)
	}
	if _, err := ask(time.Minute); !errors.Is(err, actor.ErrStopped) {
		t.Errorf("asked after its end: %v", err)
	}
	if _, err := actor.Ask(context.Background(), ref, self); !errors.Is(err, actor.ErrNoDeadline) {
		t.Errorf("without a deadline: %v", err)
	}
	if (actor.Reply[int]{}).Send(1) {
		t.Error("the zero Reply accepted an answer")
	}
}

func TestAskEndsWithTheActor(t *testing.T) {
	s := newSystem(t, actor.Config{})
	ref := spawn(t, s.Root(), actor.Spec[do]{Restart: actor.Temporary})
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	_, err := actor.Ask(ctx, ref, func(actor.Reply[int]) do { return fail })
	if !errors.Is(err, actor.ErrStopped) {
		t.Error(err)
	}
}
