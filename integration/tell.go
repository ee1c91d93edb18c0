package integration

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"reprise/actor"
	"reprise/dataset"
	"reprise/fault"
	"reprise/nn"
	"reprise/queue"
	"reprise/training"
)

const (
	// MaxTells bounds the messages from outside that wait for their answers. One beyond
	// it is refused, so that a flood does not fill the mailboxes of the runs.
	MaxTells = 64
	// MaxModels bounds the models that a host keeps actors for.
	MaxModels = 1000
)

// Answer is what an actor answers to a Message.
type Answer struct {
	// Run is the run that was started, paused or resumed.
	Run training.RunID `json:"run"`
}

// Tell says something to an actor of this host and returns its answer. A message that
// is refused, because of its type, its payload, its receiver or a flood, becomes a dead
// letter with the reason that the error gives. A run that a message begins is a job of the
// owner, who may be nobody (""). The error has a fault.Kind: Invalid,
// NotFound, Conflict (the receiver cannot do that now), Exhausted (more than MaxTells), or
// Unavailable (ctx is done before the receiver has answered; it may still do what it was
// asked to do).
func (h *Host) Tell(ctx context.Context, m Message, owner string) (Answer, error) {
	if h.tells.Add(1) > MaxTells {
		h.tells.Add(-1)
		return Answer{}, h.refuse(m, fault.New(fault.Exhausted, "%d messages wait for an answer already, which is the most that may; try again later", MaxTells))
	}
	defer h.tells.Add(-1)
	command, err := AdaptMessageToMLCommand(m)
	if err != nil {
		return Answer{}, h.refuse(m, err)
	}
	ctx, cancel := context.WithTimeout(ctx, answerDeadline)
	defer cancel()
	answer, err := h.carryOut(ctx, m, command, owner)
	switch {
	case err == nil:
		return answer, nil
	case errors.Is(err, actor.ErrStopped) || ctx.Err() != nil: // the system has it as a dead letter, or it is still in a mailbox
		return Answer{}, notAnswered(m, err)
	}
	return Answer{}, h.refuse(m, err)
}

func (h *Host) carryOut(ctx context.Context, m Message, command MLCommand, owner string) (answer Answer, err error) {
	switch c := command.(type) {
	case StartTraining:
		var model actor.Ref[modelMessage]
		if model, err = h.modelActor(m.To); err == nil {
			answer, err = actor.Ask(ctx, model, func(reply actor.Reply[Answer]) modelMessage {
				return trainModel{Message: m, Command: c, Owner: owner, Reply: reply}
			})
		}
	case PauseTraining:
		id := queue.JobID(strings.TrimPrefix(m.To, runName))
		known, err := h.jobs.find(context.WithoutCancel(ctx), id) // a message is not taken back
		if err != nil {
			return answer, err
		}
		if !known {
			return h.pause(ctx, m, c)
		}
		answer.Run = training.RunID(id)
		return answer, h.Pause(ctx, Target{Job: id}, c.Cause)
	case ResumeTraining: // it has no actor yet
		answer.Run = training.RunID(strings.TrimPrefix(m.To, runName))
		if err = answer.Run.Validate(); err == nil {
			err = h.Resume(ctx, answer.Run)
		}
	}
	return answer, err
}

// pause asks the actor of a run to pause. It is asked once: while a step takes long,
// further messages would only fill its mailbox.
func (h *Host) pause(ctx context.Context, m Message, c PauseTraining) (Answer, error) {
	run := h.run(training.RunID(strings.TrimPrefix(m.To, runName)))
	ref, err := actor.Lookup[RunMessage](h.system.Registry(), m.To)
	switch {
	case run == nil:
		return Answer{}, fault.New(fault.NotFound, "no run of the name %s is hosted here", quoted(m.To))
	case err != nil:
		return Answer{}, fault.As(fault.Conflict, fmt.Errorf("%s is at rest, so its actor has stopped: %w", m.To, err))
	case run.pausing.Swap(true):
		return Answer{}, fault.New(fault.Conflict, "%s has been told to pause already", m.To)
	}
	answer, err := actor.Ask(ctx, ref, func(reply actor.Reply[Answer]) RunMessage {
		return pauseRun{Message: m, Cause: c.Cause, Reply: reply}
	})
	if errors.Is(err, actor.ErrMailboxFull) {
		run.pausing.Store(false)
	}
	return answer, err
}

// notAnswered says that a message was delivered, but not answered.
func notAnswered(m Message, err error) error {
	if errors.Is(err, actor.ErrStopped) {
		return fault.As(fault.Conflict, fmt.Errorf("%s came to its end before it answered %s: %w", m.To, m.Type, err))
	}
	return fault.As(fault.Unavailable, fmt.Errorf("%s has not answered %s yet: %w", m.To, m.Type, err))
}

// refuse makes the message a dead letter, and returns why.
func (h *Host) refuse(m Message, err error) error {
	m.Payload = nil // it may be large
	h.system.Refuse(m.To, m, actor.LetterReason(err.Error()))
	return err
}

// modelActor returns the actor of the model of a run that is hosted.
func (h *Host) modelActor(name string) (actor.Ref[modelMessage], error) {
	ref, err := actor.Lookup[modelMessage](h.system.Registry(), name)
	if err == nil {
		return ref, nil
	}
	h.mu.Lock()
	var model nn.ModelSpec
	for _, run := range h.runs {
		if ModelName(run.model.ID) == name {
			model = run.model
		}
	}
	h.mu.Unlock()
	if model.ID == "" {
		return ref, fault.As(fault.NotFound, fmt.Errorf("no model of that name is hosted here: %w", err))
	}
	if ref, err = h.hostModel(model); fault.KindOf(err) == fault.Conflict {
		return actor.Lookup[modelMessage](h.system.Registry(), name) // somebody else was quicker
	}
	return ref, err
}

// hostModel gives a model an actor, which takes messages under the ModelName of its id until
// the host is closed. It fails with the kind Conflict for a model that has one, and with
// Exhausted beyond MaxModels.
func (h *Host) hostModel(model nn.ModelSpec) (actor.Ref[modelMessage], error) {
	name := ModelName(model.ID)
	h.modelsMu.Lock()
	defer h.modelsMu.Unlock()
	if _, err := actor.Lookup[modelMessage](h.system.Registry(), name); err == nil {
		return actor.Ref[modelMessage]{}, fault.New(fault.Conflict, "%s has an actor already", name)
	}
	if h.models >= MaxModels {
		return actor.Ref[modelMessage]{}, fault.New(fault.Exhausted, "%d models have actors already, which is the most that a host keeps; submit a training request instead", MaxModels)
	}
	ref, err := actor.Spawn(h.system.Root(), actor.Spec[modelMessage]{
		Name: fmt.Sprintf("model-%d", h.models+1), Restart: actor.Transient,
		New: func() actor.Actor[modelMessage] { return &modelActor{model: model, train: h.train} },
	})
	if err != nil {
		return ref, err
	}
	h.models++
	return ref, actor.Register(h.system.Registry(), name, ref)
}

// train submits a run of the model in the background, once its data are open.
func (h *Host) train(model nn.ModelSpec, c StartTraining, owner string, done func(Answer, error)) {
	h.openings.run(func() {
		var id training.RunID
		err := errors.New("the training ended its goroutine before it had begun")
		defer func() {
			if v := recover(); v != nil { // it must not end the runs of the process
				err = &actor.PanicError{Value: v, Stack: debug.Stack()}
			}
			done(Answer{Run: id}, err)
		}()
		id, err = h.startTraining(h.closing, model, c, owner)
	})
}

// startTraining submits a run of the model, as the owner's.
func (h *Host) startTraining(ctx context.Context, model nn.ModelSpec, c StartTraining, owner string) (training.RunID, error) {
	data, err := openSafely(ctx, h.config.OpenDataset, c.Dataset)
	if err != nil {
		return "", err
	}
	if err := CheckFingerprint(data, c.Dataset); err != nil {
		return "", fault.As(fault.Conflict, err)
	}
	valid, err := c.Hyperparameters.Validate()
	if err != nil {
		return "", err
	}
	described, err := describe(c.Dataset, data)
	if err != nil {
		return "", err
	}
	_, events, err := training.TrainingService{}.StartTraining(nn.NewModelSpec(model.ID, model.Architecture), data, training.Config{
		RunID: training.RunID(h.config.newJobID()), SessionID: training.SessionID(h.config.NewID()), Dataset: described, Hyperparameters: valid,
	})
	if err != nil {
		return "", fault.As(fault.Invalid, err)
	}
	id, err := h.SubmitPrepared(ctx, queue.Submit{Submission: queue.Submission{Request: queue.NoRequest(), Owner: owner}}, events)
	return training.RunID(id), err
}

// describe returns what is recorded of the data: how it was opened, and what it is.
func describe(d training.Dataset, data *dataset.Dataset) (training.Dataset, error) {
	d.ID = training.DatasetID(data.Name() + "@" + d.Fingerprint)
	d.Training, d.Validation = data.Len(dataset.Train), data.Len(dataset.Validation)
	d.Preprocessing = data.PreprocessingHash()
	d.SampleShape, d.Classes, d.Targets = data.SampleShape(), data.Classes(), data.Targets()
	if data.Task() == dataset.Classification {
		d.Task, d.TokenizerModel = "", ""
		return d, nil
	}
	d.Task = data.Task()
	var err error
	d.TokenizerModel, err = data.TokenizerModel()
	return d, err
}

// Letters returns how many messages became dead letters since the host started, and the
// newest of them, oldest first.
func (h *Host) Letters() (uint64, []actor.Letter) { return h.letters.Count(), h.letters.Letters() }
