package integration

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"reprise/kernel"
	"reprise/training"
	"reprise/training/loop"
)

// outcome is the result of training.
type outcome struct {
	weights string
	metrics training.MetricsHistory
}

// outcomes are the outcomes computed so far, by what determines them.
var outcomes sync.Map

// course is what determines the outcome of a session: its hyperparameters and,
// for a fork, the course of its parent and the step at which they part.
func (h *history) course(session training.TrainingSession) string {
	own := session.Hyperparameters
	own.ClipNorm, own.CheckpointInterval = 0, 0
	if p := session.Parent; p != nil {
		return fmt.Sprintf("%s, from step %d %+v", h.course(h.run(p.RunID).record.Session), p.Step(), own)
	}
	return fmt.Sprintf("%+v", own)
}

// undisturbed trains a session on its own, on a device that nobody takes away.
func (h *history) undisturbed(session training.TrainingSession) (outcome, error) {
	key := h.course(session)
	if known, ok := outcomes.Load(key); ok {
		return known.(outcome), nil
	}
	x, metrics, err := h.alone(session, math.MaxUint64)
	if err != nil {
		return outcome{}, err
	}
	o := outcome{metrics: metrics}
	if o.weights, err = x.WeightsSHA256(); err == nil {
		outcomes.Store(key, o)
	}
	return o, err
}

// alone trains a session to a step, or to its end, and a fork's parent before
// it: no checkpoint is read. The figures are those of the session's own epochs.
func (h *history) alone(session training.TrainingSession, to uint64) (*loop.Execution, training.MetricsHistory, error) {
	plan, err := loop.PlanOf(session)
	if err != nil {
		return nil, nil, err
	}
	x, err := loop.NewExecutionWith(session, plan, h.data, plainBackend{}, newSimTrainer)
	if err != nil {
		return nil, nil, err
	}
	if p := session.Parent; p == nil {
		err = x.Reset()
	} else {
		err = h.part(x, p)
	}
	if err != nil {
		return nil, nil, err
	}
	var metrics training.MetricsHistory
	for x.Steps() < min(to, x.TotalSteps()) {
		step, err := x.Train()
		if err != nil {
			return nil, nil, err
		}
		if x.EvaluationDue() {
			if _, err := x.Evaluate(); err != nil {
				return nil, nil, err
			}
		}
		if !step.EpochDone {
			continue
		}
		m, err := x.FinishEpoch()
		if err != nil {
			return nil, nil, err
		}
		metrics = append(metrics, m)
		if _, stop := x.Stopped(); stop {
			break
		}
	}
	return x, metrics, nil
}

// part brings a fork's execution to where it parts from its parent.
func (h *history) part(x *loop.Execution, p *training.Parent) error {
	parent, _, err := h.alone(h.run(p.RunID).record.Session, p.Step())
	if err != nil {
		return err
	}
	content, err := parent.Content(p.RunID)
	if err != nil {
		return err
	}
	return x.Load(content)
}

// plainBackend is a device that never fails.
type plainBackend struct{}

func (plainBackend) Allocate(n int) (kernel.Memory, error) {
	return plainMemory(make([]float32, n)), nil
}
func (plainBackend) Prepare(*kernel.Program, kernel.Memory) (kernel.Executable, error) {
	return nil, errors.New("not used")
}

type plainMemory []float32

func (m plainMemory) Write(dst kernel.Span, src []float32) error {
	copy(m[dst.Offset:], src)
	return nil
}
func (m plainMemory) WriteInts(kernel.Span, []int32) error { return nil }
func (m plainMemory) Read(dst []float32, src kernel.Span) error {
	copy(dst, m[src.Offset:])
	return nil
}
func (m plainMemory) Free() {}
