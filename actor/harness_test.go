package actor_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"reprise/actor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// do is a message that says what the actor does.
type do func(ctx *actor.Context[do]) error

// script is an actor made of functions; nil ones do nothing.
type script struct {
	started func(ctx *actor.Context[do]) error
	stopped func(ctx *actor.Context[do], cause error)
}

func (s *script) Receive(ctx *actor.Context[do], m do) error { return m(ctx) }

func (s *script) Started(ctx *actor.Context[do]) error {
	if s.started == nil {
		return nil
	}
	return s.started(ctx)
}

func (s *script) Stopped(ctx *actor.Context[do], cause error) {
	if s.stopped != nil {
		s.stopped(ctx, cause)
	}
}

var (
	errBoom = errors.New("boom")
	epoch   = time.Unix(1_000_000_000, 0)
)

func fail(*actor.Context[do]) error  { return errBoom }
func crash(*actor.Context[do]) error { panic(errBoom) }
func leave(ctx *actor.Context[do]) error {
	ctx.Stop()
	return nil
}

// clock is a clock that moves when told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// recorder keeps what is logged and wakes callers that wait for it.
type recorder struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{}
}

func newRecorder() *recorder { return &recorder{more: make(chan struct{})} }

func (r *recorder) log(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
	close(r.more)
	r.more = make(chan struct{})
}

func (r *recorder) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.lines...)
}

// wait returns the first n lines once there are as many.
func (r *recorder) wait(t testing.TB, n int) []string {
	t.Helper()
	limit := time.After(10 * time.Second)
	for {
		r.mu.Lock()
		lines, more := append([]string(nil), r.lines...), r.more
		r.mu.Unlock()
		if len(lines) >= n {
			return lines[:n]
		}
		select {
		case <-more:
		case <-limit:
			t.Fatalf("only %d of %d lines: %q", len(lines), n, lines)
		}
	}
}

func newSystem(t testing.TB, config actor.Config) *actor.System {
	t.Helper()
	if config.Now == nil {
		config.Now = time.Now
	}
	s, err := actor.NewSystem(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = s.Shutdown(ctx) // its error is for the tests of Shutdown
	})
	return s
}

func spawn(t testing.TB, parent *actor.Supervisor, spec actor.Spec[do]) actor.Ref[do] {
	t.Helper()
	if spec.New == nil {
		spec.New = func() actor.Actor[do] { return &script{} }
	}
	ref, err := actor.Spawn(parent, spec)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func supervise(t testing.TB, parent *actor.Supervisor, spec actor.SupervisorSpec) *actor.Supervisor {
	t.Helper()
	s, err := parent.Supervise(spec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tell(t testing.TB, ref actor.Ref[do], m do) {
	t.Helper()
	if err := ref.Tell(m); err != nil {
		t.Fatal(err)
	}
}

// logging returns a constructor of actors that log the start and end of every
// incarnation.
func logging(r *recorder) func() actor.Actor[do] {
	return func() actor.Actor[do] {
		return &script{
			started: func(ctx *actor.Context[do]) error { r.log("%s started", ctx.Path()); return nil },
			stopped: func(ctx *actor.Context[do], cause error) { r.log("%s stopped: %v", ctx.Path(), cause) },
		}
	}
}

// wait waits for a channel, but not for ever.
func wait[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// settle returns once the actor has handled everything it was told before.
func settle(t testing.TB, refs ...actor.Ref[do]) {
	t.Helper()
	for _, ref := range refs {
		done := make(chan struct{})
		tell(t, ref, func(*actor.Context[do]) error { close(done); return nil })
		wait(t, done, "the actor "+ref.Path())
	}
}

func equal(t testing.TB, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d lines %q\nwant %d %q", len(got), got, len(want), want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("line %d: %q, want %q\nall: %q", i, got[i], want[i], got)
		}
	}
}

func shutdown(t testing.TB, s *actor.System) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return s.Shutdown(ctx)
}

// descriptors returns how many files the process has open; 0 where that cannot
// be known.
func descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
