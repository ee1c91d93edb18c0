package events

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync"
	"time"
)

// Log is an event log that the works run on. Aggregates have a name; the n-th
// event of one, from 1, has the payload Payload(n).
type Log interface {
	// Append appends n events to each of the aggregates, one at a time, each
	// aggregate with its own writer, which expects the current version.
	Append(ctx context.Context, aggregates []string, n int) error
	// Fill appends n events to each of the aggregates as fast as it can, and,
	// if snapshot is not 0, a snapshot of that version.
	Fill(ctx context.Context, aggregates []string, n, snapshot int) error
	// Replay returns the aggregate's state: that of its snapshot, if
	// useSnapshot is set, followed by the events after it.
	Replay(ctx context.Context, aggregate string, useSnapshot bool) (State, error)
	// Reopen closes the log and opens it again.
	Reopen(ctx context.Context) error
	// ReadAll reads every event in order and returns how many there are.
	ReadAll(ctx context.Context) (int, error)
	Close() error
}

// Type is the type of all events.
const Type = "training.epoch_completed.v1"

// Payload returns the JSON of an aggregate's n-th event.
func Payload(n int) []byte {
	return fmt.Appendf(nil, `{"epoch":%d,"step":%d,"train_loss":%g,"val_loss":%g,"val_accuracy":%g}`,
		n, n*469, 1/float64(n+3), 1.1/float64(n+3), 1-0.3/float64(n+3))
}

// State is what the events of an aggregate fold to.
type State struct {
	Version int
	Sum     uint64
}

// Apply adds an event. It is cheap, so that what is measured is the reading.
func (s *State) Apply(version int, payload []byte) error {
	if version != s.Version+1 {
		return fmt.Errorf("version %d follows %d", version, s.Version)
	}
	h := fnv.New64a()
	_, _ = h.Write(payload[:min(len(payload), 16)])
	s.Version, s.Sum = version, s.Sum*31+h.Sum64()+uint64(len(payload))
	return nil
}

// Want returns the state after n events.
func Want(n int) State {
	var s State
	for i := range n {
		_ = s.Apply(i+1, Payload(i+1))
	}
	return s
}

// marshal is a snapshot's payload.
func (s State) marshal() []byte { return fmt.Appendf(nil, `{"version":%d,"sum":%d}`, s.Version, s.Sum) }

func unmarshal(payload []byte) (s State, err error) {
	_, err = fmt.Sscanf(string(payload), `{"version":%d,"sum":%d}`, &s.Version, &s.Sum)
	return s, err
}

// Names returns the names of n aggregates.
func Names(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%d", prefix, i)
	}
	return names
}

// id returns a UUID that no other event has.
func id(aggregate string, n int) [16]byte {
	h := fnv.New128a()
	fmt.Fprintf(h, "%s/%d", aggregate, n)
	return [16]byte(h.Sum(nil))
}

func textID(aggregate string, n int) string {
	u := id(aggregate, n)
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

// Recovery restores the state of every aggregate, with concurrent workers.
func Recovery(ctx context.Context, log Log, aggregates []string, workers int, want State) error {
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(aggregates) && errs[w] == nil; i += workers {
				got, err := log.Replay(ctx, aggregates[i], true)
				if err == nil && got != want {
					err = fmt.Errorf("%s is at %+v, want %+v", aggregates[i], got, want)
				}
				errs[w] = err
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// each calls one for all aggregates concurrently and returns the first error.
func each(aggregates []string, one func(i int, aggregate string) error) error {
	errs := make(chan error, len(aggregates))
	for i, a := range aggregates {
		go func() { errs <- one(i, a) }()
	}
	var first error
	for range aggregates {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// eventTime returns the time of every event.
func eventTime() time.Time { return time.Unix(1_790_000_000, 123_456_000).UTC() }
