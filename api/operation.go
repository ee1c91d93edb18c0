package api

import (
	"context"
	"iter"
	"slices"

	"reprise/fault"
)

// Unary is the name of an operation that takes a request and gives one answer, as it
// is called over a wire.
type Unary[Request, Answer any] string

// Stream is the name of an operation that gives any number of items, one after
// another.
type Stream[Request, Item any] string

// The operations, beside those that lie with their part of Service. Each has one line
// here, and one in its table below.
const (
	ListRuns    Unary[RunsRequest, RunList]         = "runs.list"
	ShowRun     Unary[RunRequest, RunReport]        = "runs.show"
	CompareRuns Unary[CompareRequest, Comparison]   = "runs.compare"
	AnnotateRun Unary[AnnotateRequest, Annotated]   = "runs.annotate"
	ShowQueue   Unary[QueueRequest, QueueReport]    = "queue"
	SetQueue    Unary[SetQueueRequest, QueueReport] = "queue.set"
	ShowState   Unary[StateRequest, StateReport]    = "state"
	ListDevices Unary[DevicesRequest, DeviceList]   = "devices"
	LeaseDevice Stream[LeaseRequest, LeaseUpdate]   = "devices.lease"
)

// Operations is the table of all operations: which method of a service each name
// calls.
func Operations() []Operation {
	return slices.Concat(
		runOperations(),
		trainingOperations(),
		recordOperations(),
		dataOperations(),
		logOperations(),
		machineOperations(),
	)
}

func runOperations() []Operation {
	return []Operation{
		unary(ListRuns, Service.Runs).reading(),
		unary(ShowRun, Service.Run).reading(),
		unary(CompareRuns, Service.Compare).reading(),
		unary(AnnotateRun, Service.Annotate),
	}
}

func machineOperations() []Operation {
	return []Operation{
		unary(ShowState, Service.State).reading(),
		unary(ShowQueue, Service.Queue).reading(),
		unary(SetQueue, Service.SetQueue),
		unary(ListDevices, Service.Devices).reading(),
		stream(LeaseDevice, Service.Lease),
	}
}

// Operation is one row of the table.
type Operation struct {
	// Name is unique, such as "runs.list".
	Name string
	// Streams says that the operation gives items rather than one answer.
	Streams bool
	// MaxRequest bounds the request, in bytes. Client and server refuse a larger one before
	// it is read; a service in the same process needs no such bound.
	MaxRequest int64
	// Reads says that the operation changes nothing and waits for no device, so that a
	// server may bound how many such calls it serves at a time.
	Reads bool
	// Call calls the service with the request that decode stores in its argument, and
	// passes what it gives to send. It returns the first error of the three.
	Call func(ctx context.Context, s Service, decode, send func(any) error) error
}

// CheckSize fails with an error of kind Invalid for a request whose JSON is larger, in
// bytes, than the operation takes.
func (o Operation) CheckSize(size int64) error {
	if size <= o.MaxRequest {
		return nil
	}
	return fault.New(fault.Invalid, "%s: the request is larger than %d bytes; send less at a time", o.Name, o.MaxRequest)
}

// upTo returns the operation with another bound on its request, in bytes.
func (o Operation) upTo(maxRequest int64) Operation {
	o.MaxRequest = maxRequest
	return o
}

// reading returns the operation as one that Reads.
func (o Operation) reading() Operation {
	o.Reads = true
	return o
}

func unary[Request, Answer any](name Unary[Request, Answer], method func(Service, context.Context, Request) (Answer, error)) Operation {
	return Operation{Name: string(name), MaxRequest: MaxRequest, Call: func(ctx context.Context, s Service, decode, send func(any) error) error {
		var request Request
		if err := decode(&request); err != nil {
			return err
		}
		answer, err := method(s, ctx, request)
		if err != nil {
			return err
		}
		return send(answer)
	}}
}

func stream[Request, Item any](name Stream[Request, Item], method func(Service, context.Context, Request) iter.Seq2[Item, error]) Operation {
	return Operation{Name: string(name), Streams: true, MaxRequest: MaxRequest, Call: func(ctx context.Context, s Service, decode, send func(any) error) error {
		var request Request
		if err := decode(&request); err != nil {
			return err
		}
		for item, err := range method(s, ctx, request) {
			if err != nil {
				return err
			}
			if err := send(item); err != nil {
				return err
			}
		}
		return nil
	}}
}
