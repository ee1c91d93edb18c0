package integration

import (
	"reprise/training"
	"reprise/training/loop"
)

// runNews is what a run tells: its host's jobs first, then everybody else.
type runNews struct {
	hub  *hub
	jobs *jobBook
}

// Stepped implements Observer.
func (n *runNews) Stepped(run training.RunID, step loop.StepResult) { n.hub.Stepped(run, step) }

// Recorded implements Observer.
func (n *runNews) Recorded(run training.RunID, event training.Event) {
	n.jobs.recorded(run, event)
	n.hub.Recorded(run, event)
}
