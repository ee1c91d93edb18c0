package integration

import (
	"reprise/queue"
	"reprise/training"
	"reprise/training/loop"
)

// Observer is told of the progress of runs. Its methods are called on the goroutine that
// trains the run, which waits for them, and for the first events of a run on that of the
// caller of Host.Start; so those of several runs are called at the same time. They must
// be safe for concurrent use, and must not block or call the host.
type Observer interface {
	// Stepped is called after every optimiser step.
	Stepped(run training.RunID, step loop.StepResult)
	// Recorded is called after an event is durable.
	Recorded(run training.RunID, event training.Event)
}

// JobObserver is what an Observer also is that wants to know about the jobs of the runs.
type JobObserver interface {
	// JobRecorded is called after an event of the run's job is durable. It must neither
	// wait nor call the host.
	JobRecorded(run training.RunID, event queue.JobEvent)
}

// noObserver is the observer of a host that has none.
type noObserver struct{}

func (noObserver) Stepped(training.RunID, loop.StepResult) {}
func (noObserver) Recorded(training.RunID, training.Event) {}

// observed tells a host's jobs what a run does, and then its observer.
type observed struct {
	Observer
	jobs *jobBook
}

// Recorded implements Observer.
func (o *observed) Recorded(run training.RunID, event training.Event) {
	o.jobs.recorded(run, event)
	o.Observer.Recorded(run, event)
}

// jobRecorded tells the observer an event of a run's job, if it wants to know.
func (h *Host) jobRecorded(run training.RunID, event queue.JobEvent) {
	if o, ok := h.config.Observer.(JobObserver); ok {
		o.JobRecorded(run, event)
	}
}
