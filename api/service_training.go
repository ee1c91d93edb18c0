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
	// submits a job for each to the queue, in their order. Only data that have to be
	// fetched are not checked yet: the job waits for them. It gives what became of each
	// request; after one that could not be submitted it submits no more. When ctx ends,
	// the runs that were submitted train on.
	Submit(ctx context.Context, r SubmitRequest) iter.Seq2[Submission, error]
	// Fork starts a run from a checkpoint of another one.
	Fork(ctx context.Context, r ForkRequest) (Forked, error)
	// Resume continues interrupted and paused runs from their last checkpoints, once all
	// that were named can be. It gives what became of each, as Submit does.
	Resume(ctx context.Context, r ResumeRequest) iter.Seq2[Submission, error]
	// Follow gives what happens to runs from their start in this process until all of them
	// are at rest. A run that comes to rest paused while others are under way and is then
	// resumed begins again, and one that is cancelled then has another end. It ends once
	// the data directory was let go, if no other run trains.
	Follow(ctx context.Context, r FollowRequest) iter.Seq2[RunUpdate, error]
	// Interrupt asks runs to write a checkpoint at the current step and to stop. It does
	// not wait for that. A run that is at rest is left alone.
	Interrupt(ctx context.Context, r InterruptRequest) (Interrupted, error)
	// Cancel ends runs for good. One that trains writes a checkpoint first, which Cancel
	// does not wait for.
	Cancel(ctx context.Context, r CancelRequest) (Commanded, error)
	// Pause has runs wait until they are resumed. One that trains writes a checkpoint
	// first, which Pause does not wait for.
	Pause(ctx context.Context, r PauseRequest) (Commanded, error)
	// Prioritize changes the priority of runs that have not ended.
	Prioritize(ctx context.Context, r PriorityRequest) (Commanded, error)
	// Delete removes the files of runs that are not under way, for good; their events stay.
	// Repeating it completes what was cut short.
	Delete(ctx context.Context, r DeleteRequest) (Deleted, error)
	// Retry submits runs that have ended without having completed again, as new runs.
	Retry(ctx context.Context, r RetryRequest) (Commanded, error)
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
