package integration

import (
	"context"
	"fmt"
	"slices"

	"reprise/dataset"
	"reprise/journal"
	"reprise/nn"
	"reprise/queue"
	"reprise/training"
)

// simRun is what the user and the events know about a run.
type simRun struct {
	id      training.RunID
	events  []training.Event // that start it
	started bool
	state   runFacts
	record  journal.RunRecord // what replay gives
	panics  int               // since its user started or resumed it
	job     queue.Job         // in histories in which runs are submitted
}

// over reports whether there is nothing more to do for the run.
func (r *simRun) over() bool {
	if r.job.State() != "" {
		return r.job.State().Ended()
	}
	return r.state.ended()
}

// restless reports whether the run holds something, or is under way on record.
func (r *simRun) restless() bool {
	return r.started && r.state.outcome == "" || !r.state.empty()
}

// queued reports whether the run waits in the queue, and nothing of it is under way.
func (r *simRun) queued() bool {
	return r.job.State() == queue.StateQueued && !r.record.Saga.Begun()
}

// start asks for a run, or again for one whose start failed.
func (h *history) start(p *process) {
	i := slices.IndexFunc(h.runs, func(r *simRun) bool { return !r.started && r.job.State() == "" })
	if i < 0 {
		if h.wanted == 0 {
			return
		}
		h.wanted--
		i = len(h.runs)
		r := h.fork(i)
		if r == nil {
			r = h.request(i)
		}
		h.runs = append(h.runs, r)
	}
	h.log("the user starts %s", h.runs[i].id)
	h.runs[i].panics = 0
	if h.submits {
		h.submit(p, h.runs[i])
		return
	}
	_, err := p.host.Start(context.Background(), h.runs[i].events)
	if err != nil {
		h.log("%v", err)
	}
}

// request makes a run of a few steps.
func (h *history) request(number int) *simRun {
	_, events, err := training.TrainingService{}.StartTraining(h.model(), h.data, h.config(number, []int{2, 3, 6}[h.random.IntN(3)]))
	if err != nil {
		panic(err)
	}
	return newSimRun(number, events)
}

// fork makes a run that continues from a checkpoint of another, half of the
// time and if there is a suitable one.
func (h *history) fork(number int) *simRun {
	var parents []*simRun
	for _, r := range h.runs {
		if len(r.record.Checkpoints) > 0 {
			parents = append(parents, r)
		}
	}
	if len(parents) == 0 || h.random.IntN(2) == 0 {
		return nil
	}
	parent := parents[h.random.IntN(len(parents))].record
	cp := parent.Checkpoints[h.random.IntN(len(parent.Checkpoints))]
	config := h.config(number, parent.Session.Hyperparameters.BatchSize)
	_, events, err := training.TrainingService{}.ForkTraining(parent.TrainingRun, cp, h.model(), h.data, config)
	if err != nil {
		h.log("no fork of %s at step %d: %v", parent.ID, cp.Step, err)
		return nil
	}
	h.count("forks")
	h.log("%s forks from %s at step %d", config.RunID, parent.ID, cp.Step)
	return newSimRun(number, events)
}

func simRunID(number int) training.RunID { return training.RunID(fmt.Sprintf("r%d", number)) }

func newSimRun(number int, events []training.Event) *simRun {
	return &simRun{id: simRunID(number), events: events}
}

func (h *history) model() nn.ModelSpec {
	return nn.NewModelSpec("model", nn.MLP(h.data.SampleShape(), nil, "", h.data.Classes()))
}

// config is that of a run of a few steps.
func (h *history) config(number, batch int) training.Config {
	hyper := training.Hyperparameters{
		BatchSize: batch, Epochs: 1 + uint64(h.random.IntN(4)), Seed: uint64(h.random.IntN(40)), Shards: 1,
		CheckpointInterval: 1 + uint64(h.random.IntN(3)),
		Options: training.Options{
			EvalInterval: uint64(h.random.IntN(3)), EarlyStopping: training.EarlyStopping{Patience: uint64(h.random.IntN(3))},
			Regularization: nn.Regularization{ClipNorm: float32(number)},
		},
		Optimizer:    nn.Optimizer{Name: nn.SGD},
		LearningRate: training.LearningRate{Value: 0.5, Schedule: training.Schedule{Name: training.Linear}},
	}
	if h.random.IntN(2) == 0 {
		hyper.LearningRate.Schedule = training.Schedule{Name: training.ReduceOnPlateau, Gamma: 0.5, Patience: 1, Threshold: 0.1}
	}
	valid, err := hyper.Validate()
	if err != nil {
		panic(err)
	}
	id := simRunID(number)
	return training.Config{
		RunID: id, SessionID: training.SessionID("s-" + id), Hyperparameters: valid,
		Dataset: training.Dataset{
			ID: "data", Path: "data", Fingerprint: h.data.Fingerprint(), Training: h.data.Len(dataset.Train),
			Validation: h.data.Len(dataset.Validation), SampleShape: h.data.SampleShape(), Classes: h.data.Classes(),
		},
	}
}
