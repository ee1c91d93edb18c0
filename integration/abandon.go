package integration

import (
	"fmt"
	"time"

	"reprise/actor"
	"reprise/fault"
	"reprise/kernel"
	"reprise/training"
)

// InterruptPatience is how long a run that is interrupted may continue what it is at: a
// step, an evaluation, or preparing its model. It gives back its device once it leaves
// that, before it writes a checkpoint.
const InterruptPatience = 3 * time.Second

// interruption is what a host was asked for before the run's actor has handled it.
type interruption struct {
	cause string
	at    time.Time
}

// abandonedError says that the run left what it was at, since it was interrupted.
type abandonedError struct{ cause string }

func (e *abandonedError) Error() string { return "abandoned: " + e.cause }

func (e *abandonedError) Kind() fault.Kind { return fault.Canceled }

// overdue fails with an *abandonedError once the run was interrupted InterruptPatience
// ago and is still at something else.
func (a *runActor) overdue() error {
	asked := a.asked.Load()
	if asked == nil || a.stopping.Load() != nil || a.now().Sub(asked.at) < InterruptPatience {
		return nil
	}
	return &abandonedError{cause: asked.cause}
}

// abandon interrupts a run that left what it was at: it keeps the last checkpoint.
func (a *runActor) abandon(ctx *actor.Context[RunMessage], e *abandonedError) error {
	cause := fmt.Sprintf("%s; what it was doing took longer than %v and was abandoned", e.cause, InterruptPatience)
	a.request = 0
	a.stopping.Store(&cause)
	if err := a.append(ctx, training.TrainingInterrupted{Cause: cause}); err != nil {
		return err
	}
	return a.drive(ctx)
}

// stoppable is a backend whose programs are left when stop fails, but for those that
// are indivisible.
type stoppable struct {
	kernel.Backend
	stop func() error
}

// Prepare implements kernel.Backend.
func (b *stoppable) Prepare(p *kernel.Program, m kernel.Memory) (kernel.Executable, error) {
	x, err := b.Backend.Prepare(p, m)
	if err != nil || p.Indivisible {
		return x, err
	}
	return &stoppableExecutable{Executable: x, stop: b.stop}, nil
}

type stoppableExecutable struct {
	kernel.Executable
	stop func() error
}

// Run implements kernel.Executable.
func (x *stoppableExecutable) Run(s kernel.Scalars) error {
	return kernel.RunUntil(x.Executable, s, x.stop)
}
