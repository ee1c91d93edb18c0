package api

import (
	"context"
	"iter"
)

// Service is everything that Reprise does for whoever asks, by subject. One that works
// on a data directory in this process is service.Service; client.Client reaches one in
// another process. servicetest is the contract of both.
//
// A request is checked before anything else happens. Every error is an *[Error]: its
// kind says what the caller can do, and its mistakes name the fields of the request.
// The end of ctx ends a call. What a service has to say beside an answer, such as a
// warning, goes to the function of [WithNotices]. Methods may be called concurrently.
type Service interface {
	RunService
	TrainingService
	ActorService
	RecordService
	DataService
	LogService
	MachineService
}

// RunService is about training runs. Where a request names a run, it is by the run's
// id, the beginning of one, or "latest".
type RunService interface {
	// Runs lists all runs, oldest first.
	Runs(ctx context.Context, r RunsRequest) (RunList, error)
	// Run describes one run, now or in the past.
	Run(ctx context.Context, r RunRequest) (RunReport, error)
	// Compare says how runs differ, and gives their figures side by side.
	Compare(ctx context.Context, r CompareRequest) (Comparison, error)
	// Annotate changes what is noted about a run: its name, its tags and a note.
	Annotate(ctx context.Context, r AnnotateRequest) (Annotated, error)
}

// MachineService is about the system as a whole, and what it computes with.
type MachineService interface {
	// State describes queue, devices and runs, now or in the past.
	State(ctx context.Context, r StateRequest) (StateReport, error)
	// Queue says how the queue is shared between owners, and how full it is.
	Queue(ctx context.Context, r QueueRequest) (QueueReport, error)
	// SetQueue changes how the queue is shared, from the next decision on, and which labels
	// devices have. A run that has a device keeps it.
	SetQueue(ctx context.Context, r SetQueueRequest) (QueueReport, error)
	// Devices lists the devices of the machine that the service runs on.
	Devices(ctx context.Context, r DevicesRequest) (DeviceList, error)
	// Lease leases a device, in the process of the service, for work that another caller
	// does: it counts like a run that trains there. While the caller has to wait, it is
	// told why, again every [LeaseInterval]; then it is told that the lease was granted.
	// The lease lasts until ctx ends or the stream is broken off, as when the caller's
	// process dies. If the service lets go of the data directory before, the stream ends
	// with an error of kind Unavailable. It fails with the code NoDevice for what no device
	// could ever take, and NoActors where nothing trains.
	Lease(ctx context.Context, r LeaseRequest) iter.Seq2[LeaseUpdate, error]
}
