package integration

import (
	"context"

	"reprise/actor"
	"reprise/journal"
	"reprise/training"
)

// removeCheckpoints removes the files of the checkpoints that the run does not keep, once
// that is recorded. What a crash or a failing disk leaves of them is removed later, as
// what createCheckpoint could not mark is marked.
func (a *runActor) removeCheckpoints(ctx *actor.Context[RunMessage]) error {
	if _, some := a.record.Remove(nil); !some {
		return nil
	}
	var removed training.CheckpointsRemoved
	// No fork may begin at one of them between the look for forks and the event.
	err := a.job.whileNoneIsSubmitted(func() error {
		forked, err := journal.ForkSteps(context.WithoutCancel(ctx.Context()), a.log.Store(), a.id)
		if err != nil {
			return &logError{err}
		}
		var some bool
		if removed, some = a.record.Remove(forked); some {
			err = a.appendUntold(ctx, removed)
		}
		return err
	})
	if err != nil || len(removed.Steps) == 0 {
		return err
	}
	a.observer.Recorded(a.id, removed)
	_ = a.workspace.Checkpoints(a.id).Remove(removed.Steps...)
	return nil
}
