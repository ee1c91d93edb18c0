package actor_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"reprise/actor"
)

// stepper is a driver that runs one step after another, chosen by a seed.
type stepper struct {
	random *rand.Rand
	now    time.Time
	steps  []func()
	timers []*stepTimer
}

func newStepper(seed uint64) *stepper {
	return &stepper{random: rand.New(rand.NewPCG(seed, 0)), now: epoch}
}

func (d *stepper) clock() time.Time { return d.now }

// steppedSystem is a system run by the driver, and shut down when the test
// ends.
func steppedSystem(t testing.TB, d *stepper, config actor.Config) *actor.System {
	t.Helper()
	config.Now, config.Driver = d.clock, d
	s := newSystem(t, config)
	t.Cleanup(func() { s.Root().End(); d.settle() }) // before that of newSystem
	return s
}

type stepTimer struct {
	at     time.Time
	action func()
}

func (d *stepper) Run(step func()) { d.steps = append(d.steps, step) }

func (d *stepper) AfterFunc(after time.Duration, action func()) func() bool {
	t := &stepTimer{d.now.Add(after), action}
	d.timers = append(d.timers, t)
	return func() bool {
		before := len(d.timers)
		d.timers = slices.DeleteFunc(d.timers, func(o *stepTimer) bool { return o == t })
		return len(d.timers) < before
	}
}

// step runs a step and reports whether there was one.
func (d *stepper) step() bool {
	if len(d.steps) == 0 {
		return false
	}
	i := d.random.IntN(len(d.steps))
	step := d.steps[i]
	d.steps = slices.Delete(d.steps, i, i+1)
	step()
	return true
}

// settle runs steps until there are none, moving the clock from timer to timer.
func (d *stepper) settle() {
	for {
		for d.step() {
		}
		if !d.next(nil) {
			return
		}
	}
}

// next moves the clock to the next timer, not past the end unless that is nil,
// and runs its action. It returns false if there is none.
func (d *stepper) next(end *time.Time) bool {
	if len(d.timers) == 0 {
		return false
	}
	first := slices.MinFunc(d.timers, func(a, b *stepTimer) int { return a.at.Compare(b.at) })
	if end != nil && first.at.After(*end) {
		return false
	}
	d.timers = slices.DeleteFunc(d.timers, func(o *stepTimer) bool { return o == first })
	d.now = first.at
	first.action()
	return true
}

// pass lets time pass in the middle of a step; otherwise a step takes no time.
func (d *stepper) pass(time time.Duration) {
	end := d.now.Add(time)
	for d.next(&end) {
	}
	d.now = end
}

// A driven system has only the driver's goroutine and clock: restarts,
// backoffs, timers and a supervisor that gives up come in the order that the
// driver chooses, which is the same for the same seed.
func TestADrivenSystemIsDeterministic(t *testing.T) {
	history := func(seed uint64) []string {
		d := newStepper(seed)
		s := steppedSystem(t, d, actor.Config{})
		var lines []string
		log := func(format string, args ...any) {
			lines = append(lines, d.now.Sub(epoch).String()+" "+fmt.Sprintf(format, args...))
		}
		above := supervise(t, s.Root(), actor.SupervisorSpec{
			Name: "above", Intensity: actor.Intensity{Restarts: 2, Period: time.Hour},
			Backoff: actor.Backoff{Initial: time.Minute, Max: time.Minute}, Restart: actor.Temporary,
		})
		for _, name := range []string{"a", "b"} {
			ref := spawn(t, above, actor.Spec[do]{Name: name, Blocking: true, New: func() actor.Actor[do] {
				return &script{
					started: func(ctx *actor.Context[do]) error {
						log("%s started", ctx.Name())
						ctx.After(10*time.Minute, fail)
						return nil
					},
					stopped: func(ctx *actor.Context[do], cause error) { log("%s stopped: %v", ctx.Name(), cause != nil) },
				}
			}})
			for i := range 3 {
				tell(t, ref, func(ctx *actor.Context[do]) error { log("%s hears %d", ctx.Name(), i); return nil })
			}
		}
		d.settle()
		select {
		case <-above.Done():
		default:
			t.Error("the supervisor has not given up")
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = above.Stop(ctx) // it has ended
		return lines
	}
	first := history(1)
	if len(first) < 14 {
		t.Errorf("a short history: %q", first)
	}
	equal(t, history(1), first)
	different := false
	for seed := range uint64(8) {
		different = different || !slices.Equal(history(seed), first)
	}
	if !different {
		t.Error("every seed gives the same order")
	}
}
