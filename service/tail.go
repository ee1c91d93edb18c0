package service

import (
	"context"
	"iter"
	"strings"
	"time"

	"reprise/api"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/internal/disk"
	"reprise/journal"
)

// followInterval is the time between two looks at a log that another process writes.
const followInterval = 200 * time.Millisecond

// Tail implements api.Service.
func (s *Service) Tail(ctx context.Context, q api.TailRequest) iter.Seq2[api.Event, error] {
	return streamOf(ctx, func(ctx context.Context, send func(api.Event) error) error {
		return s.tail(ctx, q, func(e eventstore.Event) error { return send(api.EventOf(e)) })
	})
}

func (s *Service) tail(ctx context.Context, q api.TailRequest, send func(eventstore.Event) error) error {
	if q.After != nil && q.Newest > 0 {
		return &fault.FieldError{Field: "newest", Problem: "cannot be given together with after", Fix: "leave one of them out"}
	}
	if err := s.checkTail(ctx, q); err != nil {
		return err
	}
	if q.Follow {
		waited, err := s.waitForLog(ctx)
		if err != nil {
			return err
		}
		if waited { // all of it is new
			q.After = new(eventstore.Position)
		}
	}
	log, err := s.read(ctx)
	if err != nil {
		return err
	}
	defer log.close()
	wanted, err := filterOf(ctx, log, q)
	if err != nil {
		return err
	}
	// sendAfter sends the events after a position, and returns the position of the last.
	sendAfter := func(after eventstore.Position) (eventstore.Position, error) {
		return eventstore.Walk(ctx, log, after, eventstore.End, func(e eventstore.Event) error {
			if !wanted(e) {
				return nil
			}
			return send(e)
		})
	}
	var after eventstore.Position
	if q.After != nil {
		after, err = sendAfter(*q.After)
	} else {
		after, err = sendNewest(ctx, log, q.Newest, wanted, send)
	}
	for err == nil && q.Follow {
		if err = pause(ctx, followInterval); err == nil {
			after, err = sendAfter(after)
		}
	}
	return err
}

// waitForLog waits for a log that is not there yet, and reports whether it had to.
func (s *Service) waitForLog(ctx context.Context) (waited bool, err error) {
	if err := s.needDir(); err != nil {
		return false, err
	}
	for !disk.Exists(s.workspace.EventsPath()) {
		if err := s.workspace.CheckLogExists(false); err != nil {
			return waited, err
		}
		waited = true
		if err := pause(ctx, followInterval); err != nil {
			return waited, err
		}
	}
	return waited, nil
}

// pause returns after d, or with ctx's error before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// filterOf returns the filter that a request asks for.
func filterOf(ctx context.Context, log *Log, q api.TailRequest) (func(eventstore.Event) bool, error) {
	var run, job eventstore.AggregateID
	if q.Run != "" {
		id, err := log.resolve(ctx, q.Run)
		if err != nil {
			return nil, err
		}
		run, job = journal.AggregateOf(id), eventstore.AggregateID(journal.JobPrefix+string(id))
	}
	return func(e eventstore.Event) bool {
		return strings.HasPrefix(string(e.Aggregate), string(q.Aggregate)) && strings.HasPrefix(e.Type, q.Type) &&
			(run == "" || e.Aggregate == run || e.Aggregate == job)
	}, nil
}

// sendNewest sends the last wanted events, and returns the position of the end of the
// log.
func sendNewest(
	ctx context.Context, log eventstore.Store, n uint, wanted func(eventstore.Event) bool, send func(eventstore.Event) error,
) (eventstore.Position, error) {
	head, err := log.Head(ctx)
	if err != nil {
		return 0, err
	}
	list, err := newest(ctx, log, head.Position, n, wanted)
	for i := 0; err == nil && i < len(list); i++ {
		err = send(list[i])
	}
	return head.Position, err
}

// newest returns the last n wanted events up to the end. It looks back further and
// further, so that a long log is not read for a few of them.
func newest(
	ctx context.Context, log eventstore.Store, end eventstore.Position, n uint, wanted func(eventstore.Event) bool,
) ([]eventstore.Event, error) {
	for back := eventstore.Position(1000); n > 0; back *= 8 {
		var list []eventstore.Event
		from := end - min(back, end)
		_, err := eventstore.Walk(ctx, log, from, end, func(e eventstore.Event) error {
			if wanted(e) {
				list = append(list, e)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if uint(len(list)) >= n || from == 0 {
			return list[len(list)-int(min(n, uint(len(list)))):], nil
		}
	}
	return nil, nil
}
