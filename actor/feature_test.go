package actor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reprise/actor"
)

// deadline returns a context for Ask that ends only if a test hangs.
func deadline(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// asking is a question to a script: what it does, and where the answer goes.
func asking(f func(ctx *actor.Context[do], r actor.Reply[int]) error) func(actor.Reply[int]) do {
	return func(r actor.Reply[int]) do { return func(ctx *actor.Context[do]) error { return f(ctx, r) } }
}

func TestTheReceiverOfAForwardedQuestionAnswersIt(t *testing.T) {
	s := newSystem(t, actor.Config{})
	first, second := spawn(t, s.Root(), actor.Spec[do]{}), spawn(t, s.Root(), actor.Spec[do]{})
	got, err := actor.Ask(deadline(t), first, asking(func(ctx *actor.Context[do], r actor.Reply[int]) error {
		ctx.Stop() // its end no longer concerns the asker
		return actor.Forward(second, func(*actor.Context[do]) error { r.Send(7); return nil }, r)
	}))
	if got != 7 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
}

func TestAForwardedQuestionEndsWithItsReceiver(t *testing.T) {
	s := newSystem(t, actor.Config{})
	spec := actor.Spec[do]{Restart: actor.Temporary}
	first, second, third := spawn(t, s.Root(), spec), spawn(t, s.Root(), spec), spawn(t, s.Root(), spec)
	_, err := actor.Ask(deadline(t), first, asking(func(_ *actor.Context[do], r actor.Reply[int]) error {
		return actor.Forward(second, func(*actor.Context[do]) error { return actor.Forward(third, fail, r) }, r)
	}))
	if !errors.Is(err, actor.ErrStopped) {
		t.Errorf("got %v", err)
	}
	settle(t, first, second) // both are alive
}

func TestAQuestionThatCannotBeForwardedStaysWithTheForwarder(t *testing.T) {
	s := newSystem(t, actor.Config{})
	first, gone := spawn(t, s.Root(), actor.Spec[do]{}), spawn(t, s.Root(), actor.Spec[do]{Restart: actor.Temporary})
	tell(t, gone, leave)
	wait(t, gone.Done(), "the end")
	got, err := actor.Ask(deadline(t), first, asking(func(_ *actor.Context[do], r actor.Reply[int]) error {
		if err := actor.Forward(gone, leave, r); !errors.Is(err, actor.ErrStopped) {
			return fmt.Errorf("forwarded to the dead: %w", err)
		}
		r.Send(3)
		return nil
	}))
	if got != 3 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
}

// number is an actor of ints that logs what it handles, and in which mood.
type number struct {
	log func(format string, args ...any)
	on  func(ctx *actor.Context[int], n int) error
}

func (a *number) Receive(ctx *actor.Context[int], n int) error {
	a.log("%d", n)
	return a.on(ctx, n)
}

func (a *number) Stopped(*actor.Context[int], error) { a.log("stopped") }

func spawnNumber(t testing.TB, s *actor.System, mailbox actor.Mailbox, log *recorder, on func(*actor.Context[int], int) error) actor.Ref[int] {
	t.Helper()
	ref, err := actor.Spawn(s.Root(), actor.Spec[int]{
		New: func() actor.Actor[int] { return &number{log.log, on} }, Mailbox: mailbox,
	})
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func tellAll(t testing.TB, ref actor.Ref[int], numbers ...int) {
	t.Helper()
	for _, n := range numbers {
		if err := ref.Tell(n); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBecomeChangesWhoReceivesUntilTheRestart(t *testing.T) {
	s, log := newSystem(t, actor.Config{}), newRecorder()
	var asleep actor.Behaviour[int] = func(ctx *actor.Context[int], n int) error {
		log.log("asleep %d", n)
		switch n {
		case 2:
			ctx.Become(nil)
		case 5:
			return errBoom
		}
		return nil
	}
	ref := spawnNumber(t, s, actor.Mailbox{}, log, func(ctx *actor.Context[int], n int) error {
		if n == 0 || n == 4 {
			ctx.Become(asleep)
		}
		return nil
	})
	tellAll(t, ref, 0, 1, 2, 3, 4, 5, 6)
	equal(t, log.wait(t, 8), []string{"0", "asleep 1", "asleep 2", "3", "4", "asleep 5", "stopped", "6"})
}

// stashUntilZero stashes everything before a 0, which unstashes it; then is the
// behaviour from there on.
func stashUntilZero(then func(*actor.Context[int], int) error) func(*actor.Context[int], int) error {
	open := false
	return func(ctx *actor.Context[int], n int) error {
		switch {
		case n == 0:
			open = true
			ctx.Unstash()
			return nil
		case !open:
			return ctx.Stash(n)
		}
		return then(ctx, n)
	}
}

func TestStashedMessagesAreHandledFirstAndInOrder(t *testing.T) {
	s, log := newSystem(t, actor.Config{}), newRecorder()
	ref := spawnNumber(t, s, actor.Mailbox{}, log, stashUntilZero(func(*actor.Context[int], int) error { return nil }))
	tellAll(t, ref, 1, 2, 3)
	log.wait(t, 3)
	tellAll(t, ref, 0, 4)
	equal(t, log.wait(t, 8), []string{"1", "2", "3", "0", "1", "2", "3", "4"})
}

// A turn ends in the middle of the unstashed messages.
func TestUnstashedMessagesKeepTheirOrderAcrossTurns(t *testing.T) {
	const many = 300
	for _, at := range []int{10, 150} {
		s, log := newSystem(t, actor.Config{}), newRecorder()
		ref := spawnNumber(t, s, actor.Mailbox{}, log, stashUntilZero(func(ctx *actor.Context[int], n int) error {
			if n != at {
				return nil
			}
			defer ctx.Unstash()
			return ctx.Stash(many + 1)
		}))
		want := []string{}
		for n := range many {
			tellAll(t, ref, n+1)
			want = append(want, strconv.Itoa(n+1))
		}
		log.wait(t, many)
		tellAll(t, ref, 0)
		got := log.wait(t, 2*many+2)[many:]
		equal(t, got, append(append([]string{"0"}, want...), strconv.Itoa(many+1)))
	}
}

func TestTheStashIsBounded(t *testing.T) {
	s, log := newSystem(t, actor.Config{}), newRecorder()
	results := make(chan error, 3)
	ref := spawnNumber(t, s, actor.Mailbox{Capacity: 2}, log, func(ctx *actor.Context[int], n int) error {
		results <- ctx.Stash(n)
		return nil
	})
	for n := range 3 {
		tellAll(t, ref, n)
		if err := wait(t, results, "the stash"); n < 2 && err != nil || n == 2 && !errors.Is(err, actor.ErrStashFull) {
			t.Errorf("message %d: %v", n, err)
		}
	}
}

func TestTheStashGoesBackToTheMailboxIfTheActorFails(t *testing.T) {
	s, log := newSystem(t, actor.Config{}), newRecorder()
	failed := false
	ref := spawnNumber(t, s, actor.Mailbox{}, log, func(ctx *actor.Context[int], n int) error {
		switch {
		case failed:
		case n == 9:
			failed = true
			return errBoom
		default:
			return ctx.Stash(n)
		}
		return nil
	})
	tellAll(t, ref, 1, 2, 9, 3)
	equal(t, log.wait(t, 7), []string{"1", "2", "9", "stopped", "1", "2", "3"})
}

func TestTheStashOfAnActorThatEndsBecomesDeadLetters(t *testing.T) {
	letters := newRecorder()
	s := newSystem(t, actor.Config{OnEvent: func(e actor.Event) {
		if l, ok := e.(actor.DeadLetter); ok {
			letters.log("%v: %v", l.Message, l.Reason)
		}
	}})
	ref, err := actor.Spawn(s.Root(), actor.Spec[int]{Restart: actor.Temporary, New: func() actor.Actor[int] {
		return receiver[int](func(ctx *actor.Context[int], n int) error {
			if n == 9 {
				ctx.Stop()
				return nil
			}
			return ctx.Stash(n)
		})
	}})
	if err != nil {
		t.Fatal(err)
	}
	tellAll(t, ref, 1, 2, 9)
	equal(t, letters.wait(t, 2), []string{"1: the actor has stopped", "2: the actor has stopped"})
}

// TestTheStashEqualsItsPlainTwin compares an actor that stashes, unstashes and fails
// as drawn with a list of what should be handled.
func TestTheStashEqualsItsPlainTwin(t *testing.T) {
	const stash, unstash, failing, plain = 0, 1, 2, 3
	rapid.Check(t, func(rt *rapid.T) {
		acts := rapid.SliceOfN(rapid.IntRange(stash, plain), 1, 60).Draw(rt, "acts")
		capacity := rapid.SampledFrom([]int{100, 1000}).Draw(rt, "capacity")
		// Each message is acted upon the first time and only recorded after
		// that.
		var want []int
		seen, waiting, aside := map[int]bool{}, []int{}, []int{}
		for i := range acts {
			waiting = append(waiting, i)
		}
		for len(waiting) > 0 {
			n := waiting[0]
			waiting = waiting[1:]
			want = append(want, n)
			if seen[n] {
				continue
			}
			seen[n] = true
			switch acts[n] {
			case stash:
				aside = append(aside, n)
			case unstash, failing:
				waiting, aside = append(slices.Clone(aside), waiting...), nil
			}
		}
		s, err := actor.NewSystem(actor.Config{Now: time.Now, Workers: 1, Root: actor.SupervisorSpec{
			Intensity: actor.Intensity{Restarts: 100, Period: time.Hour},
		}})
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = shutdown(t, s) }()
		done, gate, got, known := make(chan struct{}), make(chan struct{}), []int{}, map[int]bool{}
		ref, err := actor.Spawn(s.Root(), actor.Spec[int]{Mailbox: actor.Mailbox{Capacity: capacity}, New: func() actor.Actor[int] {
			return receiver[int](func(ctx *actor.Context[int], n int) error {
				if n < 0 {
					<-gate
					return nil
				}
				if got = append(got, n); len(got) == len(want) {
					close(done)
				}
				if known[n] {
					return nil
				}
				known[n] = true
				switch acts[n] {
				case stash:
					return ctx.Stash(n)
				case unstash:
					ctx.Unstash()
				case failing:
					return errBoom
				}
				return nil
			})
		}})
		if err != nil {
			rt.Fatal(err)
		}
		tellAll(t, ref, -1)
		for i := range acts {
			tellAll(t, ref, i)
		}
		close(gate)
		wait(t, done, "the messages")
		if !slices.Equal(got, want) {
			rt.Fatalf("handled %v, want %v", got, want)
		}
	})
}

func TestAWatcherIsToldOfTheEndAndItsCause(t *testing.T) {
	s, log := newSystem(t, actor.Config{}), newRecorder()
	watcher := spawn(t, s.Root(), actor.Spec[do]{})
	ended := func(name string) func(error) do {
		return func(cause error) do {
			return func(*actor.Context[do]) error { log.log("%s: %v", name, cause); return nil }
		}
	}
	for i, last := range []do{leave, fail} {
		target := spawn(t, s.Root(), actor.Spec[do]{Restart: actor.Temporary})
		if _, err := actor.Watch(watcher, target, ended("alive")); err != nil {
			t.Fatal(err)
		}
		tell(t, target, last)
		log.wait(t, 2*i+1)
		if _, err := actor.Watch(watcher, target, ended("late")); err != nil {
			t.Fatal(err)
		}
		log.wait(t, 2*i+2)
	}
	settle(t, watcher)
	equal(t, log.all(), []string{"alive: <nil>", "late: <nil>", "alive: boom", "late: boom"})
}

func TestARestartDoesNotEndAWatch(t *testing.T) {
	s, log := newSystem(t, actor.Config{}), newRecorder()
	watcher, target := spawn(t, s.Root(), actor.Spec[do]{}), spawn(t, s.Root(), actor.Spec[do]{Restart: actor.Transient})
	if _, err := actor.Watch(watcher, target, func(error) do {
		return func(*actor.Context[do]) error { log.log("ended"); return nil }
	}); err != nil {
		t.Fatal(err)
	}
	tell(t, target, fail)
	settle(t, target)
	tell(t, watcher, fail) // nor does its own restart
	settle(t, watcher)
	if lines := log.all(); len(lines) != 0 {
		t.Fatalf("told of %q", lines)
	}
	tell(t, target, leave)
	log.wait(t, 1)
}

func TestAWatchNeedsNoRoomInTheMailbox(t *testing.T) {
	s, log := newSystem(t, actor.Config{Workers: 2}), newRecorder()
	watcher := spawn(t, s.Root(), actor.Spec[do]{Mailbox: actor.Mailbox{Capacity: 1}})
	target := spawn(t, s.Root(), actor.Spec[do]{Restart: actor.Temporary})
	if _, err := actor.Watch(watcher, target, func(error) do {
		return func(*actor.Context[do]) error { log.log("news"); return nil }
	}); err != nil {
		t.Fatal(err)
	}
	begun, release := make(chan struct{}), make(chan struct{})
	tell(t, watcher, func(*actor.Context[do]) error { close(begun); <-release; return nil })
	wait(t, begun, "the watcher")
	tell(t, watcher, func(*actor.Context[do]) error { log.log("waited"); return nil })
	tell(t, target, leave)
	wait(t, target.Done(), "the target's end")
	close(release)
	equal(t, log.wait(t, 2), []string{"news", "waited"})
}

func TestAStoppedWatchIsSilent(t *testing.T) {
	s, log := newSystem(t, actor.Config{}), newRecorder()
	watcher, target := spawn(t, s.Root(), actor.Spec[do]{}), spawn(t, s.Root(), actor.Spec[do]{Restart: actor.Temporary})
	w, err := actor.Watch(watcher, target, func(error) do {
		return func(*actor.Context[do]) error { log.log("told"); return nil }
	})
	if err != nil {
		t.Fatal(err)
	}
	if !w.Stop() || w.Stop() {
		t.Error("a watch was stopped twice")
	}
	tell(t, target, leave)
	wait(t, target.Done(), "the target's end")
	settle(t, watcher)
	if lines := log.all(); len(lines) != 0 {
		t.Errorf("told %q", lines)
	}
}

func TestAWatchWithAZeroRefIsRefused(t *testing.T) {
	s := newSystem(t, actor.Config{})
	alive, gone := spawn(t, s.Root(), actor.Spec[do]{}), spawn(t, s.Root(), actor.Spec[do]{Restart: actor.Temporary})
	tell(t, gone, leave)
	wait(t, gone.Done(), "the end")
	ended := func(error) do { return leave }
	if _, err := actor.Watch(actor.Ref[do]{}, alive, ended); !errors.Is(err, actor.ErrZeroRef) {
		t.Errorf("for nobody: %v", err)
	}
	if _, err := actor.Watch(alive, actor.Ref[do]{}, ended); !errors.Is(err, actor.ErrZeroRef) {
		t.Errorf("of nobody: %v", err)
	}
	if _, err := actor.Watch(gone, alive, ended); !errors.Is(err, actor.ErrStopped) {
		t.Errorf("for one that has ended: %v", err)
	}
}

// TestAWatcherIsToldExactlyOnce has targets end while they are being watched.
func TestAWatcherIsToldExactlyOnce(t *testing.T) {
	s := newSystem(t, actor.Config{Workers: 4})
	watcher := spawn(t, s.Root(), actor.Spec[do]{})
	const targets = 500
	var told [targets]atomic.Int32
	var left atomic.Int32
	left.Store(targets)
	all := make(chan struct{})
	for i := range targets {
		target := spawn(t, s.Root(), actor.Spec[do]{Restart: actor.Temporary})
		tell(t, target, leave)
		if _, err := actor.Watch(watcher, target, func(error) do {
			return func(*actor.Context[do]) error {
				told[i].Add(1)
				if left.Add(-1) == 0 {
					close(all)
				}
				return nil
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, all, "the news")
	settle(t, watcher)
	for i := range told {
		if n := told[i].Load(); n != 1 {
			t.Errorf("told of target %d %d times", i, n)
		}
	}
}

// TestActorsThatEndLeaveNothingBehind starts and stops 100,000 actors, with
// watches in both directions, and compares what the process holds after a tenth
// of them with what it holds at the end.
func TestActorsThatEndLeaveNothingBehind(t *testing.T) {
	s := newSystem(t, actor.Config{})
	eternal := spawn(t, s.Root(), actor.Spec[do]{})
	live := func(n int) {
		for range n / 100 {
			var last [100]actor.Ref[do]
			for i := range last {
				ref := spawn(t, s.Root(), actor.Spec[do]{Name: fmt.Sprint("actor", i), Restart: actor.Temporary})
				last[i] = ref
				for _, pair := range [][2]actor.Ref[do]{{eternal, ref}, {ref, eternal}} {
					if _, err := actor.Watch(pair[0], pair[1], func(error) do {
						return func(*actor.Context[do]) error { return nil }
					}); err != nil {
						t.Fatal(err)
					}
				}
				tell(t, ref, func(ctx *actor.Context[do]) error {
					ctx.After(time.Hour, leave)
					_ = ctx.Context()
					return ctx.Stash(leave)
				})
				tell(t, ref, leave)
			}
			for _, ref := range last {
				wait(t, ref.Done(), "the end of "+ref.Path())
			}
		}
		settle(t, eternal)
	}
	live(10_000)
	goroutines, files, heap := held(t)
	live(90_000)
	goroutinesAfter, filesAfter, heapAfter := held(t)
	if goroutinesAfter > goroutines || filesAfter > files {
		t.Errorf("goroutines %d, then %d; descriptors %d, then %d", goroutines, goroutinesAfter, files, filesAfter)
	}
	// Whatever is kept of an actor is at least a pointer: 8 bytes.
	if grown := heapAfter - heap; grown > 90_000*4 {
		t.Errorf("the heap grew by %d bytes, from %d", grown, heap)
	}
}

// held returns goroutines, descriptors and bytes of heap in use.
func held(t testing.TB) (goroutines, files int, heap int64) {
	t.Helper()
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), descriptors(t), int64(m.HeapAlloc)
}
