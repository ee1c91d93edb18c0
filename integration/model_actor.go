package integration

import (
	"reprise/actor"
	"reprise/fault"
	"reprise/nn"
)

// modelMessage is what the actor of a model understands.
type modelMessage interface{ modelMessage() }

type (
	// trainModel asks for a run of the model.
	trainModel struct {
		Message
		Command StartTraining
		Owner   string // of the job; "" for nobody
		Reply   actor.Reply[Answer]
	}
	// trainingBegun tells the actor that it may begin another training.
	trainingBegun struct{}
)

func (trainModel) modelMessage()    {}
func (trainingBegun) modelMessage() {}

// modelActor hosts a model: it carries out what messages ask of it, one after the
// other.
type modelActor struct {
	// model has its id and its architecture. Its initial weights follow from the seed
	// that it is trained with.
	model nn.ModelSpec
	// train begins to train the model without holding up the actor, and calls done.
	train func(model nn.ModelSpec, command StartTraining, owner string, done func(Answer, error))
	busy  bool
}

// Receive begins one training at a time: opening its data may take long.
func (a *modelActor) Receive(ctx *actor.Context[modelMessage], message modelMessage) error {
	switch m := message.(type) {
	case trainingBegun:
		a.busy = false
	case trainModel:
		if a.busy {
			m.Reply.Fail(fault.New(fault.Conflict, "%s is about to be trained already; try again when that run has started", m.To))
			return nil
		}
		a.busy = true
		self := ctx.Self()
		a.train(a.model, m.Command, m.Owner, func(answer Answer, err error) {
			if err != nil {
				m.Reply.Fail(err)
			} else {
				m.Reply.Send(answer)
			}
			_ = self.Tell(trainingBegun{}) // it fails only where the actor has ended
		})
	}
	return nil
}
