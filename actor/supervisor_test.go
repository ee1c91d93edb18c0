package actor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"reprise/actor"
)

// faultyActor is an actor each of whose calls can be made to go wrong.
type faultyActor struct {
	log *recorder
	at  map[string]func() // what happens in a call, by name
}

func (l *faultyActor) call(name string) {
	if f := l.at[name]; f != nil {
		f()
	}
}

func (l *faultyActor) Started(*actor.Context[do]) error {
	l.log.log("started")
	l.call("Started")
	return nil
}

func (l *faultyActor) Receive(ctx *actor.Context[do], m do) error {
	l.call("Receive")
	return m(ctx)
}

func (l *faultyActor) Stopped(_ *actor.Context[do], cause error) {
	l.log.log("stopped: %v", cause)
	l.call("Stopped")
}

// Whatever goes wrong in whichever call of the first incarnation: Stopped is
// called once for it if New made it, a second one takes over the mailbox, and
// the worker lives.
func TestAFailureEndsOnlyTheIncarnation(t *testing.T) {
	boom, exit := func() { panic(errBoom) }, runtime.Goexit
	const exited = "actor ended its goroutine (runtime.Goexit)"
	for _, test := range []struct {
		in    string
		what  func()
		first []string // of the first incarnation
		cause string
	}{
		{"New", boom, nil, "panic: boom"},
		{"New", exit, nil, exited},
		{"New gives nil", nil, nil, "New returned nil"},
		{"Started", boom, []string{"started", "stopped: panic: boom"}, "panic: boom"},
		{"Started", exit, []string{"started", "stopped: " + exited}, exited},
		{"Receive", boom, []string{"started", "stopped: panic: boom"}, "panic: boom"},
		{"Receive", exit, []string{"started", "stopped: " + exited}, exited},
		{"Stopped", boom, []string{"started", "stopped: boom"}, "boom\nin Stopped: panic: boom"},
		{"Stopped", exit, []string{"started", "stopped: boom"}, exited},
	} {
		for _, blocking := range []bool{false, true} {
			name := test.in + " panics"
			if test.what != nil && fmt.Sprintf("%p", test.what) == fmt.Sprintf("%p", exit) {
				name = test.in + " exits"
			}
			t.Run(fmt.Sprintf("%s, blocking %v", name, blocking), func(t *testing.T) {
				r, causes := newRecorder(), newRecorder()
				s := newSystem(t, actor.Config{Workers: 1, OnEvent: func(e actor.Event) {
					if e, ok := e.(actor.SupervisionTriggered); ok {
						causes.log("%v", e.Cause)
					}
				}})
				made := 0
				ref := spawn(t, s.Root(), actor.Spec[do]{Blocking: blocking, New: func() actor.Actor[do] {
					l := &faultyActor{log: r}
					if made++; made > 1 {
						return l
					}
					l.at = map[string]func(){test.in: test.what}
					l.call("New")
					if test.in == "New gives nil" {
						return nil
					}
					return l
				}})
				if test.in == "Receive" || test.in == "Stopped" {
					tell(t, ref, fail)
				}
				settle(t, ref)
				equal(t, r.all(), append(test.first, "started"))
				if made != 2 {
					t.Errorf("%d incarnations", made)
				}
				settle(t, spawn(t, s.Root(), actor.Spec[do]{})) // the worker lives
				if err := shutdown(t, s); err != nil {
					t.Error(err)
				}
				equal(t, r.all()[len(test.first)+1:], []string{"stopped: <nil>"})
				equal(t, causes.all(), []string{test.cause})
			})
		}
	}
}

func TestAPanicKeepsItsValueAndStack(t *testing.T) {
	causes := make(chan error, 1)
	s := newSystem(t, actor.Config{OnEvent: func(e actor.Event) {
		if e, ok := e.(actor.SupervisionTriggered); ok {
			causes <- e.Cause
		}
	}})
	tell(t, spawn(t, s.Root(), actor.Spec[do]{}), crash)
	err := wait(t, causes, "the cause")
	var p *actor.PanicError
	if !errors.As(err, &p) || !errors.Is(err, errBoom) || !strings.Contains(string(p.Stack), "crash") {
		t.Errorf("%v\n%s", err, p.Stack)
	}
}

func TestTheMailboxSurvivesARestartButNotTheMessageThatFailed(t *testing.T) {
	letters := newRecorder()
	s := newSystem(t, actor.Config{
		Root: actor.SupervisorSpec{Intensity: actor.Intensity{Restarts: 1000, Period: time.Hour}},
		OnEvent: func(e actor.Event) {
			if e, ok := e.(actor.DeadLetter); ok {
				letters.log("%v: %s", e.Message, e.Reason)
			}
		},
	})
	var handled []int
	block := make(chan struct{})
	ref, err := actor.Spawn(s.Root(), actor.Spec[int]{New: func() actor.Actor[int] {
		return receiver[int](func(_ *actor.Context[int], m int) error {
			<-block
			handled = append(handled, m)
			if m%5 == 0 {
				return errBoom
			}
			return nil
		})
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if err := ref.Tell(i); err != nil {
			t.Fatal(err)
		}
	}
	close(block)
	letters.wait(t, 20)
	for i, line := range letters.all() {
		if want := fmt.Sprintf("%d: %s", 5*i, actor.LetterFailed); line != want {
			t.Errorf("letter %q, want %q", line, want)
		}
	}
	for s.Tree().Children[0].Depth > 0 {
		runtime.Gosched()
	}
	if err := shutdown(t, s); err != nil {
		t.Error(err)
	}
	for i, m := range handled {
		if len(handled) != 100 || m != i {
			t.Fatalf("handled %v", handled)
		}
	}
}

func TestRestartFollowsTheKindOfChild(t *testing.T) {
	for _, test := range []struct {
		restart actor.Restart
		end     do
		again   bool
	}{
		{actor.Permanent, fail, true},
		{actor.Permanent, leave, true},
		{actor.Transient, fail, true},
		{actor.Transient, leave, false},
		{actor.Temporary, fail, false},
		{actor.Temporary, leave, false},
	} {
		r := newRecorder()
		s := newSystem(t, actor.Config{OnEvent: func(e actor.Event) {
			switch e := e.(type) {
			case actor.SupervisionTriggered:
				r.log("%s", e.Decision)
			case actor.ActorTerminated:
				r.log("terminated: %v", e.Cause)
			}
		}})
		tell(t, spawn(t, s.Root(), actor.Spec[do]{Restart: test.restart}), test.end)
		lines := r.wait(t, 1)
		if again := lines[0] == string(actor.DecisionRestart); again != test.again {
			t.Errorf("%v: %q", test.restart, lines)
		}
		if s.Root().Err() != nil {
			t.Errorf("%v: the supervisor gave up", test.restart)
		}
		if err := shutdown(t, s); err != nil {
			t.Error(err)
		}
	}
}

// failTimes makes the actor fail and waits until the supervisor has decided.
func failTimes(t *testing.T, r *recorder, ref actor.Ref[do], n int) {
	t.Helper()
	for range n {
		before := len(r.all())
		tell(t, ref, fail)
		r.wait(t, before+1)
	}
}

func decisions(r *recorder) func(actor.Event) {
	return func(e actor.Event) {
		if e, ok := e.(actor.SupervisionTriggered); ok {
			r.log("%s %s %d", e.Child, e.Decision, e.Restarts)
		}
	}
}

func TestIntensityCountsRestartsWithinThePeriod(t *testing.T) {
	r := newRecorder()
	now := &clock{now: epoch}
	s := newSystem(t, actor.Config{Now: now.Now, OnEvent: decisions(r), Root: actor.SupervisorSpec{
		Intensity: actor.Intensity{Restarts: 2, Period: 10 * time.Second},
	}})
	a, b := spawn(t, s.Root(), actor.Spec[do]{Name: "a"}), spawn(t, s.Root(), actor.Spec[do]{Name: "b"})
	failTimes(t, r, a, 1) // at 0
	now.advance(5 * time.Second)
	failTimes(t, r, b, 1) // at 5: two within the period
	now.advance(5 * time.Second)
	failTimes(t, r, a, 1) // at 10: the first no longer counts
	now.advance(5*time.Second - 1)
	failTimes(t, r, b, 1) // just before 15: the third
	wait(t, s.Root().Done(), "the root's end")
	equal(t, r.wait(t, 4), []string{"/a restart 1", "/b restart 2", "/a restart 2", "/b give up 3"})
	var gaveUp *actor.GaveUpError
	err := s.Root().Err()
	if !errors.As(err, &gaveUp) || gaveUp.Supervisor != "/" || gaveUp.Child != "/b" || gaveUp.Restarts != 2 ||
		gaveUp.Period != 10*time.Second || !errors.Is(err, errBoom) {
		t.Errorf("%v", err)
	}
	if err := a.Tell(leave); !errors.Is(err, actor.ErrStopped) {
		t.Errorf("a after the end: %v", err)
	}
	if _, err := s.Root().Supervise(actor.SupervisorSpec{}); !errors.Is(err, actor.ErrStopped) || !errors.As(err, &gaveUp) {
		t.Errorf("supervise after the end: %v", err)
	}
	if err := shutdown(t, s); err != nil {
		t.Error(err)
	}
}

func TestWithoutRestartsTheFirstFailureEndsTheSupervisor(t *testing.T) {
	s := newSystem(t, actor.Config{})
	below := supervise(t, s.Root(), actor.SupervisorSpec{Intensity: actor.Intensity{Period: time.Hour}, Restart: actor.Temporary})
	tell(t, spawn(t, below, actor.Spec[do]{}), fail)
	wait(t, below.Done(), "the supervisor's end")
	if below.Err() == nil || s.Root().Err() != nil {
		t.Errorf("%v, %v", below.Err(), s.Root().Err())
	}
}

func TestATransientChildThatStopsIsForgotten(t *testing.T) {
	r := newRecorder()
	s := newSystem(t, actor.Config{OnEvent: func(e actor.Event) {
		if e, ok := e.(actor.ActorTerminated); ok {
			r.log("%s", e.Path)
		}
	}})
	below := supervise(t, s.Root(), actor.SupervisorSpec{Name: "below"})
	tell(t, spawn(t, below, actor.Spec[do]{Restart: actor.Transient}), leave)
	r.wait(t, 1)
	settle(t, spawn(t, below, actor.Spec[do]{})) // it is alive and accepts another
	select {
	case <-below.Done():
		t.Error("the supervisor ended with its last child")
	default:
	}
}

func TestStrategiesRestartTheRightChildren(t *testing.T) {
	sibling := "restarted together with another actor: /b: boom"
	for _, test := range []struct {
		strategy actor.Strategy
		want     []string
	}{
		{actor.OneForOne, []string{"/b stopped: boom", "/b started"}},
		{actor.OneForAll, []string{
			"/b stopped: boom", "/d stopped: " + sibling, "/c stopped: " + sibling, "/a stopped: " + sibling,
			"/a started", "/b started", "/c started",
		}},
		{actor.RestForOne, []string{
			"/b stopped: boom", "/d stopped: " + sibling, "/c stopped: " + sibling, "/b started", "/c started",
		}},
	} {
		t.Run(test.strategy.String(), func(t *testing.T) {
			r := newRecorder()
			s := newSystem(t, actor.Config{Workers: 2, Root: actor.SupervisorSpec{Strategy: test.strategy}})
			refs := map[string]actor.Ref[do]{}
			for _, name := range []string{"a", "b", "c"} {
				refs[name] = spawn(t, s.Root(), actor.Spec[do]{Name: name, New: logging(r), Restart: actor.Transient})
				settle(t, refs[name])
			}
			// A temporary sibling is stopped with the others but does not
			// come back.
			refs["d"] = spawn(t, s.Root(), actor.Spec[do]{Name: "d", New: logging(r), Restart: actor.Temporary})
			settle(t, refs["d"])
			tell(t, refs["b"], fail)
			equal(t, r.wait(t, 4+len(test.want))[4:], test.want)
			settle(t, refs["a"], refs["b"], refs["c"])
			if err := refs["d"].Tell(func(*actor.Context[do]) error { return nil }); (err == nil) != (test.strategy == actor.OneForOne) {
				t.Errorf("the temporary child: %v", err)
			}
		})
	}
}

// While a group is being stopped another child fails: the two restarts become
// one.
func TestFailuresDuringAGroupRestartBecomeOneRestart(t *testing.T) {
	r, log := newRecorder(), newRecorder()
	s := newSystem(t, actor.Config{Workers: 4, OnEvent: decisions(r), Root: actor.SupervisorSpec{Strategy: actor.RestForOne}})
	var refs []actor.Ref[do]
	for _, name := range []string{"a", "b", "c", "d"} {
		refs = append(refs, spawn(t, s.Root(), actor.Spec[do]{Name: name, New: logging(log)}))
		settle(t, refs...)
	}
	// d holds up the stop.
	begun, block := make(chan struct{}), make(chan struct{})
	tell(t, refs[3], func(*actor.Context[do]) error { close(begun); <-block; return nil })
	wait(t, begun, "d")
	failTimes(t, r, refs[2], 1) // c: stops d first
	handled := make(chan struct{})
	tell(t, refs[2], func(*actor.Context[do]) error { close(handled); return nil })
	failTimes(t, r, refs[1], 1) // b, which is before c
	close(block)
	settle(t, refs...)
	equal(t, r.all(), []string{"/c restart 1", "/b restart 2"})
	equal(t, log.all()[4:], []string{
		"/c stopped: boom", "/b stopped: boom",
		"/d stopped: restarted together with another actor: /c: boom",
		"/b started", "/c started", "/d started",
	})
	wait(t, handled, "the message that c had in its mailbox")
}

func TestAGroupThatFailsWhileItStartsIsRestartedAgain(t *testing.T) {
	r, log := newRecorder(), newRecorder()
	s := newSystem(t, actor.Config{OnEvent: decisions(r), Root: actor.SupervisorSpec{Strategy: actor.OneForAll}})
	a := spawn(t, s.Root(), actor.Spec[do]{Name: "a", New: logging(log)})
	settle(t, a)
	tries := 0
	b := spawn(t, s.Root(), actor.Spec[do]{Name: "b", New: func() actor.Actor[do] {
		return &script{started: func(*actor.Context[do]) error {
			if tries++; tries == 2 {
				return errBoom
			}
			return nil
		}}
	}})
	settle(t, b)
	tell(t, a, fail)
	r.wait(t, 2)
	settle(t, a, b)
	equal(t, r.all(), []string{"/a restart 1", "/b restart 2"})
	equal(t, log.all(), []string{
		"/a started", "/a stopped: boom", "/a started",
		"/a stopped: restarted together with another actor: /b: boom", "/a started",
	})
	if tries != 3 {
		t.Errorf("b was started %d times", tries)
	}
}

func TestAChildSpawnedDuringAGroupRestartStartsWithTheGroup(t *testing.T) {
	r := newRecorder()
	s := newSystem(t, actor.Config{Workers: 4, OnEvent: decisions(r), Root: actor.SupervisorSpec{Strategy: actor.OneForAll}})
	a, b := spawn(t, s.Root(), actor.Spec[do]{}), spawn(t, s.Root(), actor.Spec[do]{})
	begun, block := make(chan struct{}), make(chan struct{})
	tell(t, b, func(*actor.Context[do]) error { close(begun); <-block; return nil })
	wait(t, begun, "b")
	failTimes(t, r, a, 1)
	late := spawn(t, s.Root(), actor.Spec[do]{})
	if state := s.Tree().Children[2].State; state != actor.StateStarting {
		t.Errorf("the late one is %s", state)
	}
	close(block)
	settle(t, a, b, late)
	if n := s.Tree().Children[2].Restarts; n != 0 {
		t.Errorf("the late one was restarted %d times", n)
	}
}

func TestAPermanentSupervisorThatGivesUpIsRestartedByItsParent(t *testing.T) {
	r, log := newRecorder(), newRecorder()
	s := newSystem(t, actor.Config{OnEvent: decisions(r), Root: actor.SupervisorSpec{
		Intensity: actor.Intensity{Restarts: 1, Period: time.Hour},
	}})
	below := supervise(t, s.Root(), actor.SupervisorSpec{Name: "s", Intensity: actor.Intensity{Restarts: 1, Period: time.Hour}})
	a := spawn(t, below, actor.Spec[do]{Name: "a", New: logging(log)})
	settle(t, a)
	b := spawn(t, below, actor.Spec[do]{Name: "b", New: logging(log)})
	settle(t, b)
	failTimes(t, r, a, 1)
	settle(t, a)
	tell(t, a, fail)
	r.wait(t, 3)
	settle(t, a, b) // the references are still valid
	if below.Err() != nil {
		t.Errorf("it has not ended: %v", below.Err())
	}
	gaveUp := "supervisor /s gave up on /s/a: more than 1 restarts within 1h0m0s; the last failure: boom"
	equal(t, log.all(), []string{
		"/s/a started", "/s/b started", "/s/a stopped: boom", "/s/a started", "/s/a stopped: boom",
		"/s/b stopped: " + gaveUp, "/s/a started", "/s/b started",
	})
	// Its own count starts over; the parent's does not.
	failTimes(t, r, a, 1)
	settle(t, a)
	tell(t, a, fail)
	wait(t, s.Root().Done(), "the root's end")
	equal(t, r.wait(t, 6), []string{
		"/s/a restart 1", "/s/a give up 2", "/s restart 1", "/s/a restart 1", "/s/a give up 2", "/s give up 2",
	})
	var e *actor.GaveUpError
	if !errors.As(s.Root().Err(), &e) || e.Supervisor != "/" || e.Child != "/s" || !errors.Is(e, errBoom) {
		t.Errorf("root: %v", s.Root().Err())
	}
	if !errors.As(below.Err(), &e) || e.Supervisor != "/s" {
		t.Errorf("below: %v", below.Err())
	}
}

func TestASupervisorEndedByTheOneAboveReportsWhy(t *testing.T) {
	s := newSystem(t, actor.Config{Root: actor.SupervisorSpec{Intensity: actor.Intensity{Period: time.Hour}}})
	below := supervise(t, s.Root(), actor.SupervisorSpec{})
	tell(t, spawn(t, s.Root(), actor.Spec[do]{Name: "a"}), fail)
	wait(t, below.Done(), "its end")
	var e *actor.GaveUpError
	if !errors.As(below.Err(), &e) || e.Supervisor != "/" || e.Child != "/a" {
		t.Error(below.Err())
	}
}

func TestATemporarySupervisorThatGivesUpIsForgotten(t *testing.T) {
	s := newSystem(t, actor.Config{Root: actor.SupervisorSpec{Intensity: actor.Intensity{Period: time.Hour}}})
	below := supervise(t, s.Root(), actor.SupervisorSpec{Name: "s", Restart: actor.Temporary, Intensity: actor.Intensity{Period: time.Hour}})
	stopped := make(chan error, 1)
	ref := spawn(t, below, actor.Spec[do]{New: func() actor.Actor[do] {
		return &script{stopped: func(_ *actor.Context[do], cause error) { stopped <- cause }}
	}})
	tell(t, ref, crash)
	wait(t, below.Done(), "its end")
	select {
	case cause := <-stopped: // before Done
		if !errors.Is(cause, errBoom) {
			t.Error(cause)
		}
	default:
		t.Error("done before Stopped")
	}
	var e *actor.GaveUpError
	if !errors.As(below.Err(), &e) {
		t.Error(below.Err())
	}
	again := supervise(t, s.Root(), actor.SupervisorSpec{Name: "s"}) // the name is free
	settle(t, spawn(t, again, actor.Spec[do]{}))
	if s.Root().Err() != nil {
		t.Error(s.Root().Err())
	}
}

func TestBackoffGrowsToItsLimitAndStartsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var starts []time.Duration
		s := newSystem(t, actor.Config{Root: actor.SupervisorSpec{
			Intensity: actor.Intensity{Restarts: 100, Period: time.Hour},
			Backoff:   actor.Backoff{Initial: time.Second, Max: 5 * time.Second, Factor: 3},
		}})
		var dying atomic.Bool
		dying.Store(true)
		ref := spawn(t, s.Root(), actor.Spec[do]{New: func() actor.Actor[do] {
			return &script{started: func(*actor.Context[do]) error {
				starts = append(starts, time.Since(start))
				if dying.Load() {
					return errBoom
				}
				return nil
			}}
		}})
		time.Sleep(10 * time.Second) // 0, 1, 4, 9
		synctest.Wait()
		if state := s.Tree().Children[0].State; state != actor.StateWaiting {
			t.Errorf("state %s", state)
		}
		dying.Store(false)
		time.Sleep(10 * time.Second) // 14, and lives
		tell(t, ref, fail)           // at 20
		settle(t, ref)               // waits for the restart
		want := []int{0, 1, 4, 9, 14, 21}
		for i := range want {
			if len(starts) != len(want) || starts[i] != time.Duration(want[i])*time.Second {
				t.Fatalf("starts at %v", starts)
			}
		}
		if err := shutdown(t, s); err != nil {
			t.Error(err)
		}
	})
}

func TestAStopEndsABackoff(t *testing.T) {
	for _, strategy := range []actor.Strategy{actor.OneForOne, actor.OneForAll, actor.RestForOne} {
		synctest.Test(t, func(t *testing.T) {
			s := newSystem(t, actor.Config{Root: actor.SupervisorSpec{
				Strategy: strategy, Backoff: actor.Backoff{Initial: time.Hour, Max: time.Hour},
			}})
			made := 0
			ref := spawn(t, s.Root(), actor.Spec[do]{New: func() actor.Actor[do] { made++; return &script{} }})
			tell(t, ref, fail)
			synctest.Wait()
			start := time.Now()
			if err := shutdown(t, s); err != nil {
				t.Error(err)
			}
			if d := time.Since(start); d != 0 || made != 1 {
				t.Errorf("%v: %v, %d incarnations", strategy, d, made)
			}
			time.Sleep(2 * time.Hour) // the alarm is off
			if made != 1 {
				t.Errorf("%v: %d incarnations", strategy, made)
			}
		})
	}
}

func TestAStopIsInReverseOrderAndPrecedesMessages(t *testing.T) {
	r := newRecorder()
	s := newSystem(t, actor.Config{Workers: 4})
	a := spawn(t, s.Root(), actor.Spec[do]{Name: "a", New: logging(r)})
	below := supervise(t, s.Root(), actor.SupervisorSpec{Name: "s"})
	b := spawn(t, below, actor.Spec[do]{Name: "b", New: logging(r)})
	c := spawn(t, below, actor.Spec[do]{Name: "c", New: logging(r), Blocking: true})
	d := spawn(t, s.Root(), actor.Spec[do]{Name: "d", New: logging(r)})
	for _, ref := range []actor.Ref[do]{a, b, c, d} {
		settle(t, ref)
	}
	begun, block := make(chan struct{}), make(chan struct{})
	tell(t, d, func(*actor.Context[do]) error { close(begun); <-block; return nil })
	wait(t, begun, "d")
	for range 100 {
		tell(t, d, func(*actor.Context[do]) error { r.log("d handled a message"); return nil })
	}
	done := make(chan error, 1)
	go func() { done <- shutdown(t, s) }()
	for s.Tree().State != actor.StateStopping {
		runtime.Gosched()
	}
	if _, err := actor.Spawn(s.Root(), actor.Spec[do]{New: logging(r)}); !errors.Is(err, actor.ErrStopped) {
		t.Errorf("spawn during the stop: %v", err)
	}
	close(block)
	if err := wait(t, done, "the shutdown"); err != nil {
		t.Error(err)
	}
	equal(t, r.all()[4:], []string{"/d stopped: <nil>", "/s/c stopped: <nil>", "/s/b stopped: <nil>", "/a stopped: <nil>"})
	for _, sup := range []*actor.Supervisor{below, s.Root()} {
		wait(t, sup.Done(), "done")
		if sup.Err() != nil {
			t.Error(sup.Err())
		}
	}
	if err := shutdown(t, s); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

func TestStoppingASupervisorStopsNothingElse(t *testing.T) {
	r := newRecorder()
	s := newSystem(t, actor.Config{})
	other := spawn(t, s.Root(), actor.Spec[do]{})
	below := supervise(t, s.Root(), actor.SupervisorSpec{Name: "s"}) // Permanent, even so
	ref := spawn(t, below, actor.Spec[do]{New: logging(r)})
	settle(t, ref)
	for range 2 {
		if err := below.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
	equal(t, r.all(), []string{"/s/#1 started", "/s/#1 stopped: <nil>"})
	settle(t, other)
	if n := len(s.Tree().Children); n != 1 {
		t.Errorf("%d children", n)
	}
}

func TestAStopOfASupervisorThatWaitsForItsRestartEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, actor.Config{Root: actor.SupervisorSpec{Backoff: actor.Backoff{Initial: time.Hour, Max: time.Hour}}})
		below := supervise(t, s.Root(), actor.SupervisorSpec{Intensity: actor.Intensity{Period: time.Hour}})
		ref := spawn(t, below, actor.Spec[do]{})
		tell(t, ref, fail)
		synctest.Wait()
		if below.Err() != nil || s.Tree().Children[0].State != actor.StateWaiting {
			t.Errorf("%v, %+v", below.Err(), s.Tree())
		}
		late := spawn(t, below, actor.Spec[do]{}) // waits with it
		if err := below.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		for _, r := range []actor.Ref[do]{ref, late} {
			if err := r.Tell(fail); !errors.Is(err, actor.ErrStopped) {
				t.Error(err)
			}
		}
		if err := shutdown(t, s); err != nil {
			t.Error(err)
		}
	})
}

// stuck spawns an actor that hangs in a message until it is released.
func stuck(t *testing.T, parent *actor.Supervisor, r *recorder, spec actor.Spec[do]) (actor.Ref[do], chan struct{}) {
	t.Helper()
	spec.New = logging(r)
	ref := spawn(t, parent, spec)
	begun, release := make(chan struct{}), make(chan struct{})
	tell(t, ref, func(*actor.Context[do]) error { close(begun); <-release; r.log("%s returned", ref.Path()); return nil })
	<-begun
	return ref, release
}

func TestAnActorThatDoesNotStopIsAbandonedAndReported(t *testing.T) {
	for _, blocking := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r, events := newRecorder(), newRecorder()
			start := time.Now()
			s := newSystem(t, actor.Config{Workers: 1, OnEvent: func(e actor.Event) {
				switch e := e.(type) {
				case actor.ActorAbandoned:
					events.log("%s abandoned at %v", e.Path, e.At.Sub(start))
				case actor.ActorTerminated:
					events.log("%s terminated: %v", e.Path, e.Cause)
				}
			}})
			first := spawn(t, s.Root(), actor.Spec[do]{Name: "first", New: logging(r)})
			settle(t, first)
			below := supervise(t, s.Root(), actor.SupervisorSpec{Name: "s"})
			_, release := stuck(t, below, r, actor.Spec[do]{Name: "stuck", Blocking: blocking, StopTimeout: 2 * time.Second})
			err := shutdown(t, s)
			var e *actor.AbandonedError
			if !errors.As(err, &e) || len(e.Paths) != 1 || e.Paths[0] != "/s/stuck" {
				t.Errorf("%v", err)
			}
			if d := time.Since(start); d != 2250*time.Millisecond {
				t.Errorf("it took %v", d)
			}
			equal(t, events.all(), []string{
				"/s/stuck abandoned at 2.25s",
				"/s/stuck terminated: did not stop in time and was abandoned: /s/stuck",
				"/first terminated: <nil>",
			})
			// It is still stopped once, when it returns.
			close(release)
			synctest.Wait()
			equal(t, r.all()[2:], []string{"/first stopped: <nil>", "/s/stuck returned", "/s/stuck stopped: <nil>"})
		})
	}
}

func TestAnActorThatHeedsItsContextIsNotAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, actor.Config{Workers: 1})
		ref := spawn(t, s.Root(), actor.Spec[do]{StopTimeout: time.Second})
		tell(t, ref, func(ctx *actor.Context[do]) error { <-ctx.Context().Done(); return ctx.Context().Err() })
		synctest.Wait()
		start := time.Now()
		if err := shutdown(t, s); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

// The pool continues although its only worker is stuck in an abandoned actor.
func TestAnAbandonedActorsWorkerIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		s := newSystem(t, actor.Config{Workers: 1})
		other := spawn(t, s.Root(), actor.Spec[do]{})
		below := supervise(t, s.Root(), actor.SupervisorSpec{})
		_, release := stuck(t, below, r, actor.Spec[do]{StopTimeout: time.Second})
		var e *actor.AbandonedError
		if err := below.Stop(t.Context()); !errors.As(err, &e) {
			t.Error(err)
		}
		settle(t, other)
		close(release)
		settle(t, other)
		if err := shutdown(t, s); err != nil {
			t.Errorf("its supervisor has reported it: %v", err)
		}
	})
}

func TestAnAbandonedActorIsRestartedOnlyAfterItReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		s := newSystem(t, actor.Config{Workers: 2, Root: actor.SupervisorSpec{Strategy: actor.OneForAll}})
		a := spawn(t, s.Root(), actor.Spec[do]{Name: "a", New: logging(r)})
		settle(t, a)
		b, release := stuck(t, s.Root(), r, actor.Spec[do]{Name: "b", StopTimeout: time.Second})
		c := spawn(t, s.Root(), actor.Spec[do]{Name: "c", New: logging(r)})
		settle(t, c)
		tell(t, a, fail)
		time.Sleep(time.Minute)
		settle(t, a, c) // they do not wait for b
		if state := s.Tree().Children[1].State; state != actor.StateAbandoned {
			t.Errorf("b is %s", state)
		}
		close(release)
		settle(t, b)
		together := "restarted together with another actor: /a: boom"
		equal(t, r.all()[3:], []string{
			"/a stopped: boom", "/c stopped: " + together, "/a started", "/c started",
			"/b returned", "/b stopped: " + together, "/b started",
		})
		if err := shutdown(t, s); err != nil {
			t.Error(err)
		}
	})
}

func TestShutdownPastItsDeadlineStopsAllAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		s := newSystem(t, actor.Config{Workers: 2})
		below := supervise(t, s.Root(), actor.SupervisorSpec{Name: "s"})
		polite := spawn(t, below, actor.Spec[do]{Name: "polite", New: logging(r), StopTimeout: time.Hour, Blocking: true})
		tell(t, polite, func(ctx *actor.Context[do]) error { <-ctx.Context().Done(); return nil })
		calm := spawn(t, below, actor.Spec[do]{Name: "calm", New: logging(r)})
		settle(t, calm)
		_, release := stuck(t, s.Root(), r, actor.Spec[do]{Name: "stuck", StopTimeout: time.Hour, Blocking: true})
		_, release2 := stuck(t, s.Root(), r, actor.Spec[do]{Name: "stuck2", StopTimeout: time.Hour})
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		err := s.Shutdown(ctx)
		var e *actor.AbandonedError
		if !errors.As(err, &e) || len(e.Paths) != 2 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if d := time.Since(start); d != 3250*time.Millisecond {
			t.Errorf("it took %v", d)
		}
		wait(t, below.Done(), "done")
		close(release)
		close(release2)
		synctest.Wait()
		stops := 0
		for _, line := range r.all() {
			if strings.HasSuffix(line, "stopped: <nil>") {
				stops++
			}
		}
		if stops != 4 {
			t.Errorf("%d stops in %q", stops, r.all())
		}
	})
}

// Every incarnation that New made is stopped once, whatever happens to it,
// and nothing keeps the system from shutting down.
func TestEveryIncarnationIsStoppedExactlyOnce(t *testing.T) {
	for _, strategy := range []actor.Strategy{actor.OneForOne, actor.OneForAll, actor.RestForOne} {
		t.Run(strategy.String(), func(t *testing.T) {
			var made, stopped, twice atomic.Int64
			s := newSystem(t, actor.Config{Workers: 3})
			newActor := func() actor.Actor[do] {
				once := new(atomic.Bool)
				n := made.Add(1)
				return &script{
					started: func(*actor.Context[do]) error {
						if n%7 == 0 {
							panic("Started")
						}
						return nil
					},
					stopped: func(*actor.Context[do], error) {
						stopped.Add(1)
						if once.Swap(true) {
							twice.Add(1)
						}
						if n%5 == 0 {
							panic("Stopped")
						}
					},
				}
			}
			intensity := actor.Intensity{Restarts: 20, Period: time.Hour}
			for i := range 30 {
				below := supervise(t, s.Root(), actor.SupervisorSpec{
					Strategy: strategy, Intensity: intensity, Restart: actor.Temporary,
					Backoff: actor.Backoff{Initial: time.Duration(i%2) * time.Microsecond},
				})
				for j := range 4 {
					ref, err := actor.Spawn(below, actor.Spec[do]{New: newActor, Blocking: j == 0, Restart: actor.Restart(j % 3)})
					if err != nil {
						continue // it has given up already
					}
					go func() {
						for k := range 50 {
							_ = ref.Tell([]do{fail, crash, leave, func(*actor.Context[do]) error { return nil }}[k%4])
						}
					}()
				}
				if i%3 == 0 {
					go func() { _ = below.Stop(context.Background()) }()
				}
			}
			if err := shutdown(t, s); err != nil {
				t.Error(err)
			}
			if made.Load() != stopped.Load() || twice.Load() != 0 || made.Load() == 0 {
				t.Errorf("%d made, %d stopped, %d twice", made.Load(), stopped.Load(), twice.Load())
			}
		})
	}
}

// An abandoned actor returns after the shutdown and ends its goroutine: even
// then its incarnation is stopped, once.
func TestAnAbandonedActorThatExitsAfterTheShutdownIsStopped(t *testing.T) {
	for _, blocking := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRecorder()
			s := newSystem(t, actor.Config{Workers: 1})
			ref := spawn(t, s.Root(), actor.Spec[do]{Blocking: blocking, New: logging(r), StopTimeout: time.Second})
			release := make(chan struct{})
			tell(t, ref, func(*actor.Context[do]) error { <-release; runtime.Goexit(); return nil })
			synctest.Wait()
			var e *actor.AbandonedError
			if err := shutdown(t, s); !errors.As(err, &e) {
				t.Error(err)
			}
			close(release)
			synctest.Wait()
			equal(t, r.all(), []string{"/#1 started", "/#1 stopped: " + actor.ErrExited.Error()})
		})
	}
}

// Whichever call hangs, a stop continues without it.
func TestAnyCallThatHangsIsAbandoned(t *testing.T) {
	for _, in := range []string{"New", "Started", "Stopped"} {
		for _, blocking := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				r := newRecorder()
				release := make(chan struct{})
				s := newSystem(t, actor.Config{Workers: 1})
				spawn(t, s.Root(), actor.Spec[do]{Blocking: blocking, New: func() actor.Actor[do] {
					l := &faultyActor{log: r, at: map[string]func(){in: func() { <-release }}}
					l.call("New")
					return l
				}})
				synctest.Wait()
				start := time.Now()
				var e *actor.AbandonedError
				if err := shutdown(t, s); !errors.As(err, &e) {
					t.Errorf("%s: %v", in, err)
				}
				if d := time.Since(start); d != actor.DefaultStopTimeout+250*time.Millisecond {
					t.Errorf("%s: it took %v", in, d)
				}
				close(release)
				synctest.Wait()
				equal(t, r.all(), []string{"started", "stopped: <nil>"})
			})
		}
	}
}

func TestStopReturnsWithItsContextAndContinues(t *testing.T) {
	r := newRecorder()
	s := newSystem(t, actor.Config{Workers: 2})
	below := supervise(t, s.Root(), actor.SupervisorSpec{})
	_, release := stuck(t, below, r, actor.Spec[do]{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := below.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(release)
	wait(t, below.Done(), "its end")
}

func TestShutdownDoesNotWaitForAnOnEventThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		s := newSystem(t, actor.Config{Workers: 1, OnEvent: func(actor.Event) { <-block }})
		go func() { _, _ = actor.Spawn(s.Root(), actor.Spec[do]{New: func() actor.Actor[do] { return &script{} }}) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "OnEvent") {
			t.Error(err)
		}
		close(block)
	})
}

func TestSystemsThatEndLeaveNothingBehind(t *testing.T) {
	const lifetimes = 100_000
	s := newSystem(t, actor.Config{Workers: 2})
	goroutines := runtime.NumGoroutine()
	memory := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	round := func(n int) {
		var ended atomic.Int64
		for i := range n {
			ref := spawn(t, s.Root(), actor.Spec[do]{Restart: actor.Temporary, Blocking: i%2 == 0, New: func() actor.Actor[do] {
				return &script{stopped: func(*actor.Context[do], error) { ended.Add(1) }}
			}})
			tell(t, ref, leave)
		}
		for ended.Load() < int64(n) {
			runtime.Gosched()
		}
		for len(s.Tree().Children) > 0 {
			runtime.Gosched()
		}
	}
	round(lifetimes / 10)
	before := memory()
	round(lifetimes)
	// The runtime keeps what its goroutines needed at the peak; an actor left
	// behind would take some 400 bytes.
	if after := memory(); after > before+lifetimes*80 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	for limit := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines && time.Now().Before(limit); {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines, before %d", n, goroutines)
	}
}
