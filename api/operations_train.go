package api

// The operations of TrainingService and ActorService.
const (
	ValidateRun    Unary[ValidateRequest, Validation]   = "runs.validate"
	SubmitRuns     Stream[SubmitRequest, Submission]    = "runs.submit"
	ForkRun        Unary[ForkRequest, Forked]           = "runs.fork"
	ResumeRuns     Stream[ResumeRequest, Submission]    = "runs.resume"
	FollowRuns     Stream[FollowRequest, RunUpdate]     = "runs.follow"
	InterruptRuns  Unary[InterruptRequest, Interrupted] = "runs.interrupt"
	CancelRuns     Unary[CancelRequest, Commanded]      = "runs.cancel"
	PauseRuns      Unary[PauseRequest, Commanded]       = "runs.pause"
	PrioritizeRuns Unary[PriorityRequest, Commanded]    = "runs.priority"
	DeleteRuns     Unary[DeleteRequest, Deleted]        = "runs.delete"
	RetryRuns      Unary[RetryRequest, Commanded]       = "runs.retry"
	ListActors     Unary[ActorsRequest, ActorSnapshot]  = "actors.list"
	TraceActor     Unary[TraceRequest, TraceStep]       = "actors.trace"
	TellActor      Unary[Message, MessageAnswer]        = "tell"
)

func trainingOperations() []Operation {
	return []Operation{
		unary(ValidateRun, Service.Validate).upTo(maxFilesRequest).reading(),
		stream(SubmitRuns, Service.Submit).upTo(maxSubmitRequest),
		unary(ForkRun, Service.Fork),
		stream(ResumeRuns, Service.Resume),
		stream(FollowRuns, Service.Follow),
		unary(InterruptRuns, Service.Interrupt),
		unary(CancelRuns, Service.Cancel),
		unary(PauseRuns, Service.Pause),
		unary(PrioritizeRuns, Service.Prioritize),
		unary(DeleteRuns, Service.Delete),
		unary(RetryRuns, Service.Retry),
		unary(ListActors, Service.Actors).reading(),
		unary(TraceActor, Service.Trace).reading(),
		unary(TellActor, Service.Tell).upTo(maxFilesRequest),
	}
}
