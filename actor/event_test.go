package actor_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"reprise/actor"
)

func TestEventsOfAnActorComeInOrder(t *testing.T) {
	for _, sample := range []int{0, 1} {
		var got []string
		now := &clock{now: epoch}
		s := newSystem(t, actor.Config{Now: now.Now, Sample: sample, Workers: 1, OnEvent: func(e actor.Event) {
			got = append(got, fmt.Sprintf("%T", e))
			switch e := e.(type) {
			case actor.SupervisionTriggered:
				if e.Supervisor != "/" || e.Child != "/a" || e.Decision != actor.DecisionRestart || e.Restarts != 1 ||
					!errors.Is(e.Cause, errBoom) || !e.At.Equal(epoch) {
					t.Errorf("%+v", e)
				}
			case actor.DeadLetter:
				if e.To != "/a" || e.Reason != actor.LetterFailed || e.Message == nil || !e.At.Equal(epoch) {
					t.Errorf("%+v", e)
				}
			}
		}})
		ref := spawn(t, s.Root(), actor.Spec[do]{Name: "a"})
		tell(t, ref, fail)
		settle(t, ref)
		if err := shutdown(t, s); err != nil {
			t.Error(err)
		}
		sent := 0
		got = slices.DeleteFunc(got, func(line string) bool {
			if line == "actor.MessageSent" {
				sent++
			}
			return strings.HasPrefix(line, "actor.Message")
		})
		equal(t, got, []string{"actor.ActorSpawned", "actor.DeadLetter", "actor.SupervisionTriggered", "actor.ActorTerminated"})
		if want := 2 * sample; sent != want {
			t.Errorf("sample %d: %d messages sent, want %d", sample, sent, want)
		}
	}
}

func TestOnEventMayUseTheSystemAndPanic(t *testing.T) {
	ended := newRecorder()
	var s *actor.System
	var ref actor.Ref[do]
	s = newSystem(t, actor.Config{OnEvent: func(e actor.Event) {
		if _, ok := e.(actor.ActorTerminated); ok {
			ended.log("%d children, tell: %v", len(s.Tree().Children), errors.Is(ref.Tell(leave), actor.ErrStopped))
		}
		panic(e)
	}})
	ref = spawn(t, s.Root(), actor.Spec[do]{Restart: actor.Temporary})
	tell(t, ref, leave)
	equal(t, ended.wait(t, 1), []string{"0 children, tell: true"})
}

func TestOnEventMayEndTheDeliveringGoroutine(t *testing.T) {
	log := newRecorder()
	first := true
	s := newSystem(t, actor.Config{OnEvent: func(e actor.Event) {
		if first {
			first = false
			runtime.Goexit()
		}
		if e, ok := e.(actor.ActorSpawned); ok {
			log.log("%s", e.Path)
		}
	}})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		spawn(t, s.Root(), actor.Spec[do]{Name: "a"})
	}()
	<-ended
	spawn(t, s.Root(), actor.Spec[do]{Name: "b"})
	equal(t, log.wait(t, 1), []string{"/b"})
}

func TestAMessageInWhichTheGoroutineEndsIsADeadLetter(t *testing.T) {
	log := newRecorder()
	s := newSystem(t, actor.Config{OnEvent: func(e actor.Event) {
		if e, ok := e.(actor.DeadLetter); ok {
			log.log("%d: %s", e.Message, e.Reason)
		}
	}})
	held, hold := make(chan struct{}), make(chan struct{})
	ref := spawnNumber(t, s, actor.Mailbox{}, newRecorder(), func(_ *actor.Context[int], n int) error {
		switch n {
		case 0:
			close(held)
			<-hold
			runtime.Goexit() // taken alone
		case 2:
			runtime.Goexit() // one of several
		}
		return nil
	})
	tellAll(t, ref, 0)
	wait(t, held, "the actor")
	tellAll(t, ref, 1, 1, 2, 1)
	close(hold)
	equal(t, log.wait(t, 2), []string{"0: " + string(actor.LetterFailed), "2: " + string(actor.LetterFailed)})
}

func TestEventsBeyondTheLimitAreCounted(t *testing.T) {
	begun, block := make(chan struct{}), make(chan struct{})
	first, told, lost := true, 0, 0
	s := newSystem(t, actor.Config{OnEvent: func(e actor.Event) {
		if first {
			first = false
			close(begun)
			<-block
		}
		if e, ok := e.(actor.EventsLost); ok {
			lost += e.Count
			return
		}
		told++
	}})
	spawned := make(chan actor.Ref[do], 1)
	go func() { spawned <- spawn(t, s.Root(), actor.Spec[do]{}) }() // delivers, and hangs in OnEvent
	wait(t, begun, "the first event")
	r := receiver[int](func(ctx *actor.Context[int], _ int) error { ctx.Stop(); return nil })
	const more = 100
	stopped, err := actor.Spawn(s.Root(), actor.Spec[int]{Restart: actor.Temporary, New: func() actor.Actor[int] { return r }})
	if err != nil {
		t.Fatal(err)
	}
	letters := 0
	for letters < actor.MaxPendingEvents+more {
		if errors.Is(stopped.Tell(0), actor.ErrStopped) {
			letters++
		}
	}
	close(block)
	wait(t, spawned, "the spawn")
	if err := shutdown(t, s); err != nil {
		t.Error(err)
	}
	if lost < more || told < actor.MaxPendingEvents || lost > more+2000 {
		t.Errorf("%d told, %d lost", told, lost)
	}
}

func TestTreeShowsTheWholeSystem(t *testing.T) {
	now := &clock{now: epoch}
	s := newSystem(t, actor.Config{Now: now.Now})
	below := supervise(t, s.Root(), actor.SupervisorSpec{Name: "s"})
	now.advance(time.Minute)
	ref := spawn(t, below, actor.Spec[do]{Name: "a", Blocking: true})
	tell(t, ref, fail)
	begun, block := make(chan struct{}), make(chan struct{})
	tell(t, ref, func(*actor.Context[do]) error { close(begun); <-block; return nil })
	wait(t, begun, "the message")
	for range 3 {
		tell(t, ref, func(*actor.Context[do]) error { return nil })
	}
	now.advance(time.Second)
	root := s.Tree()
	close(block)
	if root.Path != "/" || !root.Supervisor || root.State != actor.StateRunning || len(root.Children) != 1 {
		t.Fatalf("root: %+v", root)
	}
	sup := root.Children[0]
	if sup.Path != "/s" || !sup.Supervisor || sup.State != actor.StateRunning || sup.Age != time.Minute+time.Second || len(sup.Children) != 1 {
		t.Fatalf("supervisor: %+v", sup)
	}
	a := sup.Children[0]
	if a.Path != "/s/a" || a.Supervisor || a.State != actor.StateRunning || a.Depth != 3 || a.Handled != 2 || a.Restarts != 1 || a.Age != time.Second {
		t.Errorf("actor: %+v", a)
	}
}

func TestTreeCountsHandledMessages(t *testing.T) {
	s := newSystem(t, actor.Config{})
	ref := spawn(t, s.Root(), actor.Spec[do]{Name: "a"})
	const messages = 1000
	for range messages {
		tell(t, ref, func(*actor.Context[do]) error { return nil })
	}
	settle(t, ref)
	// The messages of the last turn are counted when it ends.
	last, deadline := uint64(0), time.Now().Add(10*time.Second)
	for ; last < messages; last = s.Tree().Children[0].Handled {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d messages are counted", last, messages)
		}
		runtime.Gosched()
	}
}
