package actor_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"reprise/actor"
)

// gate is a point at which a test holds an actor.
type gate struct{ begun, open chan struct{} }

func newGate() gate { return gate{make(chan struct{}), make(chan struct{})} }

func (g gate) pass() { close(g.begun); <-g.open }

// hold makes the actor hang in a message until the gate is opened.
func hold(t *testing.T, ref actor.Ref[do]) gate {
	t.Helper()
	g := newGate()
	tell(t, ref, func(*actor.Context[do]) error { g.pass(); return nil })
	<-g.begun
	return g
}

func spawnAll(t *testing.T, parent *actor.Supervisor, r *recorder, names ...string) map[string]actor.Ref[do] {
	t.Helper()
	refs := map[string]actor.Ref[do]{}
	for _, name := range names {
		refs[name] = spawn(t, parent, actor.Spec[do]{Name: name, New: logging(r), StopTimeout: time.Second})
		settle(t, refs[name])
	}
	return refs
}

func TestAFailureOfAChildThatIsAboutToStopIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, events := newRecorder(), newRecorder()
		s := newSystem(t, actor.Config{Workers: 3, OnEvent: decisions(events), Root: actor.SupervisorSpec{
			Strategy: actor.OneForAll, Intensity: actor.Intensity{Restarts: 1, Period: time.Hour},
		}})
		refs := spawnAll(t, s.Root(), r, "a", "b", "c")
		g := hold(t, refs["c"])
		tell(t, refs["a"], fail)
		synctest.Wait() // c is being stopped, b's turn is next
		tell(t, refs["b"], fail)
		synctest.Wait()
		close(g.open)
		settle(t, refs["a"], refs["b"], refs["c"])
		equal(t, events.all(), []string{"/a restart 1"})
		if err := shutdown(t, s); err != nil {
			t.Error(err)
		}
	})
}

// A second failure extends the restart that is waiting: all are started
// together, after the longer delay.
func TestAFailureDuringTheBackoffOfAGroupExtendsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, actor.Config{Root: actor.SupervisorSpec{
			Strategy: actor.RestForOne, Intensity: actor.Intensity{Restarts: 9, Period: time.Hour},
			Backoff: actor.Backoff{Initial: time.Second, Max: time.Minute},
		}})
		r := newRecorder()
		refs := spawnAll(t, s.Root(), r, "a", "b", "c", "d")
		tell(t, refs["c"], fail)
		time.Sleep(1100 * time.Millisecond)
		tell(t, refs["c"], fail) // its second: 2 s
		time.Sleep(500 * time.Millisecond)
		// b's first failure would delay by only 1 s, and stop a's successors
		// for so long that c's alarm comes during the stop.
		g := hold(t, refs["a"])
		tell(t, refs["b"], fail)
		synctest.Wait()
		before := len(r.all())
		time.Sleep(1900 * time.Millisecond)
		synctest.Wait()
		if now := r.all(); len(now) != before {
			t.Errorf("started too early: %q", now[before:])
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		equal(t, r.all()[before:], []string{"/b started", "/c started", "/d started"})
		close(g.open)
		if err := shutdown(t, s); err != nil {
			t.Error(err)
		}
	})
}

func TestTheAlarmOfASupersededBackoffDoesNotFire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		s := newSystem(t, actor.Config{Workers: 3, Root: actor.SupervisorSpec{
			Strategy: actor.RestForOne, Intensity: actor.Intensity{Restarts: 9, Period: time.Hour},
			Backoff: actor.Backoff{Initial: time.Second, Max: time.Minute},
		}})
		refs := spawnAll(t, s.Root(), r, "a", "b", "c")
		tell(t, refs["c"], fail) // to start at 1 s
		synctest.Wait()
		g := hold(t, refs["b"])
		tell(t, refs["a"], fail) // b is asked to stop, and does so at 1.1 s
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		equal(t, r.all()[3:], []string{"/c stopped: boom", "/a stopped: boom"})
		close(g.open)
		time.Sleep(time.Second)
		synctest.Wait()
		equal(t, r.all()[6:], []string{"/a started", "/b started", "/c started"})
		if err := shutdown(t, s); err != nil {
			t.Error(err)
		}
	})
}

// A supervisor is restarted while a child of it waits for its own restart.
func TestARestartFromAboveEndsTheBackoffOfAChild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		s := newSystem(t, actor.Config{Root: actor.SupervisorSpec{Strategy: actor.OneForAll}})
		other := spawn(t, s.Root(), actor.Spec[do]{Name: "other"})
		below := supervise(t, s.Root(), actor.SupervisorSpec{Name: "s", Backoff: actor.Backoff{Initial: time.Hour, Max: time.Hour}})
		refs := spawnAll(t, below, r, "a", "b")
		tell(t, refs["a"], fail)
		synctest.Wait()
		tell(t, other, fail)
		synctest.Wait()
		equal(t, r.all()[3:], []string{
			"/s/b stopped: restarted together with another actor: /other: boom", "/s/a started", "/s/b started",
		})
		time.Sleep(2 * time.Hour)
		settle(t, refs["a"], refs["b"])
		if n := len(r.all()); n != 6 {
			t.Errorf("more happened: %q", r.all()[6:])
		}
		if err := shutdown(t, s); err != nil {
			t.Error(err)
		}
	})
}

// While a supervisor restarts its children, one fails: the others do not wait
// for its backoff, and it does not start before that is over.
func TestABackoffDoesNotDelayTheStartOfSiblings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		s := newSystem(t, actor.Config{Root: actor.SupervisorSpec{Strategy: actor.OneForAll}})
		other := spawn(t, s.Root(), actor.Spec[do]{})
		below := supervise(t, s.Root(), actor.SupervisorSpec{Name: "s", Backoff: actor.Backoff{Initial: time.Minute, Max: time.Hour}})
		tries := 0
		spawn(t, below, actor.Spec[do]{Name: "a", New: func() actor.Actor[do] {
			return &script{started: func(*actor.Context[do]) error {
				r.log("a started")
				if tries++; tries == 2 {
					return errBoom
				}
				return nil
			}}
		}})
		spawn(t, below, actor.Spec[do]{Name: "b", New: func() actor.Actor[do] {
			return &script{started: func(*actor.Context[do]) error { r.log("b started"); return nil }}
		}})
		synctest.Wait()
		tell(t, other, fail)
		synctest.Wait()
		equal(t, r.all()[2:], []string{"a started", "b started"})
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if n := len(r.all()); n != 4 {
			t.Errorf("its backoff was cut short: %q", r.all())
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		equal(t, r.all()[4:], []string{"a started"})
		if err := shutdown(t, s); err != nil {
			t.Error(err)
		}
	})
}

func TestAChildSpawnedDuringAGroupRestartIsTheLastToStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		s := newSystem(t, actor.Config{Workers: 3, Root: actor.SupervisorSpec{Strategy: actor.OneForAll}})
		refs := spawnAll(t, s.Root(), r, "a", "b")
		g := hold(t, refs["b"])
		tell(t, refs["a"], fail)
		synctest.Wait()
		late := spawn(t, s.Root(), actor.Spec[do]{Name: "late", New: logging(r), Restart: actor.Temporary})
		synctest.Wait()
		if n := len(r.all()); n != 3 {
			t.Errorf("it was started during the stop: %q", r.all())
		}
		close(g.open)
		settle(t, late)
		equal(t, r.all()[3:], []string{
			"/b stopped: restarted together with another actor: /a: boom", "/a started", "/b started", "/late started",
		})
		if err := shutdown(t, s); err != nil {
			t.Error(err)
		}
	})
}

// An abandoned actor returns while its siblings are being stopped or restarted:
// it waits for its turn.
func TestAnAbandonedActorThatReturnsTakesItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		s := newSystem(t, actor.Config{Workers: 4, Root: actor.SupervisorSpec{
			Strategy: actor.OneForAll, Intensity: actor.Intensity{Restarts: 9, Period: time.Hour},
		}})
		starting := make(chan gate, 1)
		a := spawn(t, s.Root(), actor.Spec[do]{Name: "a", New: func() actor.Actor[do] {
			return &script{started: func(*actor.Context[do]) error {
				select {
				case g := <-starting:
					g.pass()
				default:
				}
				r.log("/a started")
				return nil
			}}
		}})
		settle(t, a)
		refs := spawnAll(t, s.Root(), r, "b")
		c := spawn(t, s.Root(), actor.Spec[do]{Name: "c", New: logging(r), StopTimeout: time.Hour})
		settle(t, c)
		since := func(n int) []string { synctest.Wait(); return r.all()[n:] }
		const together = "restarted together with another actor: /a: boom"

		// It returns while c, which is stopped before it, is still stopping.
		b := hold(t, refs["b"])
		tell(t, a, fail)
		time.Sleep(5 * time.Second)
		equal(t, since(3), []string{"/c stopped: " + together, "/a started", "/c started"})
		held := hold(t, c)
		tell(t, a, fail)
		synctest.Wait()
		close(b.open)
		equal(t, since(6), []string{"/b stopped: " + together})
		close(held.open)
		equal(t, since(7), []string{"/c stopped: " + together, "/a started", "/b started", "/c started"})

		// It returns while a, which is started before it, is still starting.
		b = hold(t, refs["b"])
		tell(t, a, fail)
		time.Sleep(5 * time.Second)
		equal(t, since(11), []string{"/c stopped: " + together, "/a started", "/c started"})
		slow := newGate()
		starting <- slow
		tell(t, a, fail)
		<-slow.begun
		close(b.open)
		equal(t, since(14), []string{"/c stopped: " + together, "/b stopped: " + together})
		close(slow.open)
		equal(t, since(16), []string{"/a started", "/b started", "/c started"})
		if err := shutdown(t, s); err != nil {
			t.Error(err)
		}
	})
}

// RestForOne stops the children after an abandoned actor, but the actor need
// not wait for that.
func TestAnAbandonedActorOutsideOfTheGroupIsRestartedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		s := newSystem(t, actor.Config{Workers: 4, Root: actor.SupervisorSpec{Strategy: actor.RestForOne}})
		refs := spawnAll(t, s.Root(), r, "a", "b", "c")
		d := spawn(t, s.Root(), actor.Spec[do]{Name: "d", New: logging(r), StopTimeout: time.Hour})
		settle(t, d)
		b := hold(t, refs["b"])
		tell(t, refs["a"], fail)
		time.Sleep(5 * time.Second) // b is abandoned, the others are up
		held := hold(t, d)
		tell(t, refs["c"], fail)
		synctest.Wait()
		before := len(r.all())
		close(b.open)
		synctest.Wait()
		equal(t, r.all()[before:], []string{"/b stopped: restarted together with another actor: /a: boom", "/b started"})
		close(held.open)
		settle(t, refs["a"], refs["b"], refs["c"], d)
		if err := shutdown(t, s); err != nil {
			t.Error(err)
		}
	})
}

func TestATemporaryActorThatIsAbandonedInARestartIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		s := newSystem(t, actor.Config{Workers: 2, Root: actor.SupervisorSpec{Strategy: actor.OneForAll}})
		refs := spawnAll(t, s.Root(), r, "a")
		ref, release := stuck(t, s.Root(), r, actor.Spec[do]{Name: "b", Restart: actor.Temporary, StopTimeout: time.Second})
		tell(t, refs["a"], fail)
		time.Sleep(5 * time.Second)
		if err := ref.Tell(fail); !errors.Is(err, actor.ErrStopped) || len(s.Tree().Children) != 1 {
			t.Errorf("%v, %+v", err, s.Tree())
		}
		close(release)
		synctest.Wait()
		if err := shutdown(t, s); err != nil {
			t.Errorf("it was dropped in the restart: %v", err)
		}
	})
}

// An actor abandoned in a restart is still hanging when the system shuts down.
func TestShutdownReportsActorsAbandonedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		s := newSystem(t, actor.Config{Workers: 2})
		below := supervise(t, s.Root(), actor.SupervisorSpec{Name: "s", Strategy: actor.OneForAll})
		refs := spawnAll(t, below, r, "a")
		_, release := stuck(t, below, r, actor.Spec[do]{Name: "b", StopTimeout: time.Second})
		tell(t, refs["a"], fail)
		time.Sleep(5 * time.Second)
		start := time.Now()
		err := shutdown(t, s)
		var e *actor.AbandonedError
		if !errors.As(err, &e) || len(e.Paths) != 1 || e.Paths[0] != "/s/b" || time.Since(start) != 0 {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		close(release)
		synctest.Wait()
		if n := len(r.all()); r.all()[n-1] != "/s/b stopped: restarted together with another actor: /s/a: boom" {
			t.Errorf("%q", r.all())
		}
	})
}

func TestShutdownPastItsDeadlineReachesNestedSupervisors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		s := newSystem(t, actor.Config{Workers: 2})
		below := supervise(t, supervise(t, s.Root(), actor.SupervisorSpec{}), actor.SupervisorSpec{})
		// It would stop last, has nothing to do, and must not be abandoned.
		settle(t, spawn(t, below, actor.Spec[do]{}))
		var releases []chan struct{}
		for range 3 {
			_, release := stuck(t, below, r, actor.Spec[do]{StopTimeout: time.Hour, Blocking: true})
			releases = append(releases, release)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		var e *actor.AbandonedError
		if err := s.Shutdown(ctx); !errors.As(err, &e) || len(e.Paths) != 3 || time.Since(start) != 1250*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		for _, release := range releases {
			close(release)
		}
		synctest.Wait()
	})
}

func TestAStopReportsActorsAbandonedWhenTheSupervisorGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		s := newSystem(t, actor.Config{Workers: 2, Root: actor.SupervisorSpec{Backoff: actor.Backoff{Initial: time.Hour, Max: time.Hour}}})
		below := supervise(t, s.Root(), actor.SupervisorSpec{Intensity: actor.Intensity{Period: time.Hour}})
		_, release := stuck(t, below, r, actor.Spec[do]{Name: "a", StopTimeout: time.Second})
		tell(t, spawn(t, below, actor.Spec[do]{}), fail)
		time.Sleep(5 * time.Second) // it has given up and waits for its restart
		var abandoned *actor.AbandonedError
		if err := below.Stop(t.Context()); !errors.As(err, &abandoned) {
			t.Error(err)
		}
		var gaveUp *actor.GaveUpError
		if !errors.As(below.Err(), &gaveUp) {
			t.Error(below.Err())
		}
		close(release)
		synctest.Wait()
		if err := shutdown(t, s); err != nil {
			t.Error(err)
		}
	})
}

func TestAContextRequestedTooLateIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, actor.Config{})
		ref := spawn(t, s.Root(), actor.Spec[do]{StopTimeout: time.Second})
		release, result := make(chan struct{}), make(chan error, 1)
		tell(t, ref, func(ctx *actor.Context[do]) error { <-release; result <- ctx.Context().Err(); return nil })
		synctest.Wait()
		go func() { time.Sleep(1100 * time.Millisecond); close(release) }() // within the grace
		if err := shutdown(t, s); err != nil {
			t.Error(err)
		}
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("its context: %v", err)
		}
	})
}
