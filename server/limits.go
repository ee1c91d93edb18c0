package server

import (
	"context"
	"time"

	"reprise/api"
	"reprise/fault"
)

// limits bound what calls that only read take from the process that trains. Commands,
// such as one to cancel a run, do not wait for them.
type limits struct {
	// readers and followers have a place for each call that reads, and for each that
	// follows the log.
	readers, followers chan struct{}
	// patience is how long a call waits for the place of a reader.
	patience time.Duration
	// writePatience is how long a client may leave a part of such an answer unread: its
	// call has a place that others wait for.
	writePatience time.Duration
}

const (
	maxReaders    = 16
	maxFollowers  = 32
	readPatience  = 10 * time.Second
	writePatience = 30 * time.Second
)

func newLimits() *limits {
	return &limits{
		readers: make(chan struct{}, maxReaders), followers: make(chan struct{}, maxFollowers),
		patience: readPatience, writePatience: writePatience,
	}
}

// enter takes a place for a call, which leave gives back. It fails with an error of kind
// Exhausted where none gets free in time. Those that follow the log have no end, so that
// it waits for none of them.
func (l *limits) enter(ctx context.Context, o api.Operation, request any) (leave func(), err error) {
	if !o.Reads {
		return func() {}, nil
	}
	if q, ok := request.(*api.TailRequest); ok && q.Follow {
		select {
		case l.followers <- struct{}{}:
			return func() { <-l.followers }, nil
		default:
			return nil, fault.New(fault.Exhausted, "%s: %d other calls follow the log, as many as this process serves; end one of them, or ask now and then for the events after the last one",
				o.Name, cap(l.followers))
		}
	}
	timer := time.NewTimer(l.patience)
	defer timer.Stop()
	select {
	case l.readers <- struct{}{}:
		return func() { <-l.readers }, nil
	default:
	}
	select {
	case l.readers <- struct{}{}:
		return func() { <-l.readers }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		return nil, fault.New(fault.Exhausted, "%s: %d other calls read, as many as this process serves at a time, and none ended within %v; try again",
			o.Name, cap(l.readers), l.patience)
	}
}
