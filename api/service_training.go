package api

import (
	"context"
	"iter"
)

// TrainingService is about runs while they train. They train in the process of the
// service, which holds the data directory from the first that is started until the
// last is at rest, and do not depend on the calls that started or follow them. Closing
// the service interrupts them.
type TrainingService interface {
	// Validate checks one training request, data included, and says what it would train.
	Validate(ctx context.Context, r ValidateRequest) (Validation, error)
	// Submit checks training requests, all of them before anything is recorded, and
	// starts a run for each, in their order. It gives what became of each; after one
	// that could not be started it starts no more. When ctx ends, the runs that were
	// started train on.
	Submit(ctx context.Context, r SubmitRequest) iter.Seq2[Submission, error]
	// Fork starts a run from a checkpoint of another one.
	Fork(ctx context.Context, r ForkRequest) (Forked, error)
	// Resume continues interrupted runs from their last checkpoints, once all that were
	// named can be. It gives what became of each, as Submit does.
	Resume(ctx context.Context, r ResumeRequest) iter.Seq2[Submission, error]
	// Follow gives what happens to runs from their start in this process until they are
	// at rest. It ends once the data directory was let go, if no other run trains.
	Follow(ctx context.Context, r FollowRequest) iter.Seq2[RunUpdate, error]
	// Interrupt asks runs to write a checkpoint at the current step and to stop. It does
	// not wait for that. A run that is at rest is left alone.
	Interrupt(ctx context.Context, r InterruptRequest) (Interrupted, error)
}

// ActorService looks into the process that holds the data directory.
type ActorService interface {
	// Actors gives the supervision tree of the process.
	Actors(ctx context.Context, r ActorsRequest) (ActorSnapshot, error)
	// Trace traces the next message to an actor, and all that it leads to within
	// [TracePeriod].
	Trace(ctx context.Context, r TraceRequest) (TraceStep, error)
	// Tell says something to an actor and gives its answer. A message that is refused
	// becomes a dead letter.
	Tell(ctx context.Context, m Message) (MessageAnswer, error)
}
