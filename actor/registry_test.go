package actor_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"reprise/actor"
	"reprise/fault"
)

func TestNamesBelongToOneActorAndEndWithIt(t *testing.T) {
	ended := newRecorder()
	s := newSystem(t, actor.Config{OnEvent: func(e actor.Event) {
		if e, ok := e.(actor.ActorTerminated); ok {
			ended.log("%s", e.Path)
		}
	}})
	r := s.Registry()
	a, b := spawn(t, s.Root(), actor.Spec[do]{Restart: actor.Transient}), spawn(t, s.Root(), actor.Spec[do]{})
	for _, name := range []string{"x", "y"} {
		if err := actor.Register(r, name, a); err != nil {
			t.Fatal(err)
		}
	}
	if err := actor.Register(r, "x", b); !errors.Is(err, actor.ErrNameTaken) {
		t.Errorf("a name in use: %v", err)
	}
	tell(t, a, fail) // a restart changes nothing
	settle(t, a)
	if got, err := actor.Lookup[do](r, "x"); got != a || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := actor.Lookup[int](r, "x"); !errors.Is(err, actor.ErrWrongMessageType) {
		t.Errorf("another message type: %v", err)
	}
	if err := r.Unregister("y"); err != nil {
		t.Error(err)
	}
	if err := r.Unregister("y"); !errors.Is(err, actor.ErrNotFound) {
		t.Errorf("a second time: %v", err)
	}
	if err := actor.Register(r, "b", b); err != nil {
		t.Error(err)
	}
	equal(t, r.Names(), []string{"b", "x"})
	tell(t, a, leave)
	ended.wait(t, 1)
	if _, err := actor.Lookup[do](r, "x"); !errors.Is(err, actor.ErrNotFound) {
		t.Errorf("after its end: %v", err)
	}
	if err := actor.Register(r, "x", a); !errors.Is(err, actor.ErrStopped) {
		t.Errorf("an actor that has ended: %v", err)
	}
	if err := actor.Register(r, "x", b); err != nil {
		t.Errorf("the name is free: %v", err)
	}
	if err := r.Unregister("b"); err != nil { // b keeps its other name
		t.Error(err)
	}
	equal(t, r.Names(), []string{"x"})
	if err := shutdown(t, s); err != nil {
		t.Error(err)
	}
	equal(t, r.Names(), nil)
}

func TestRegisterRefusesInvalidRegistrations(t *testing.T) {
	s, other := newSystem(t, actor.Config{}), newSystem(t, actor.Config{})
	a, stranger := spawn(t, s.Root(), actor.Spec[do]{}), spawn(t, other.Root(), actor.Spec[do]{})
	var e *fault.FieldError
	for _, name := range []string{"", strings.Repeat("x", 256)} {
		if err := actor.Register(s.Registry(), name, a); !errors.As(err, &e) || e.Field != "name" {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := actor.Register(s.Registry(), "x", stranger); !errors.As(err, &e) || e.Field != "ref" {
		t.Errorf("of another system: %v", err)
	}
	if err := actor.Register(s.Registry(), "x", actor.Ref[do]{}); !errors.Is(err, actor.ErrZeroRef) {
		t.Errorf("the zero Ref: %v", err)
	}
}

// An actor ends while it is being registered: the name is either refused or
// removed, and never stays.
func TestRegisteringAnActorThatEndsLeavesNoName(t *testing.T) {
	s := newSystem(t, actor.Config{})
	var group sync.WaitGroup
	for i := range 500 {
		ref := spawn(t, s.Root(), actor.Spec[do]{Restart: actor.Temporary})
		group.Go(func() { _ = ref.Tell(leave) })
		group.Go(func() { _ = actor.Register(s.Registry(), fmt.Sprint(i), ref) })
	}
	group.Wait()
	if err := shutdown(t, s); err != nil {
		t.Error(err)
	}
	equal(t, s.Registry().Names(), nil)
}

func TestARouterSendsByKey(t *testing.T) {
	s := newSystem(t, actor.Config{})
	var got [3]atomic.Int64
	var refs [3]actor.Ref[int]
	for i := range refs {
		var err error
		refs[i], err = actor.Spawn(s.Root(), actor.Spec[int]{Restart: actor.Transient, New: func() actor.Actor[int] {
			return receiver[int](func(ctx *actor.Context[int], m int) error {
				if m < 0 {
					ctx.Stop()
				}
				got[i].Add(int64(m))
				return nil
			})
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	var r actor.Router[string, int]
	for i, key := range []string{"a", "b", "c"} {
		if err := r.Add(key, refs[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Add("a", refs[1]); !errors.Is(err, actor.ErrNameTaken) {
		t.Errorf("a second a: %v", err)
	}
	if err := r.Add("z", actor.Ref[int]{}); !errors.Is(err, actor.ErrZeroRef) {
		t.Errorf("the zero Ref: %v", err)
	}
	if err := r.Route("b", -100); err != nil {
		t.Error(err)
	}
	if err := r.Route("z", 1); !errors.Is(err, actor.ErrNoRoute) {
		t.Errorf("no route: %v", err)
	}
	for refs[1].Tell(0) == nil { // until b has ended
		time.Sleep(time.Microsecond)
	}
	check := func(deliveries []actor.Delivery[string], want string) {
		t.Helper()
		var b strings.Builder
		for _, d := range deliveries {
			fmt.Fprintf(&b, "%s:%v,%v ", d.Key, errors.Is(d.Err, actor.ErrStopped), errors.Is(d.Err, actor.ErrNoRoute))
		}
		if b.String() != want {
			t.Errorf("%q, want %q", b.String(), want)
		}
	}
	check(r.Broadcast(1), "a:false,false b:true,false c:false,false ")
	check(r.Broadcast(10, "c", "z"), "c:false,false z:false,true ")
	if err := r.Remove("a"); err != nil {
		t.Error(err)
	}
	if err := r.Remove("a"); !errors.Is(err, actor.ErrNoRoute) {
		t.Errorf("a second time: %v", err)
	}
	check(r.Broadcast(100), "b:true,false c:false,false ")
	for got[0].Load() != 1 || got[2].Load() != 111 {
		if t.Failed() {
			return
		}
		time.Sleep(time.Microsecond)
	}
}
