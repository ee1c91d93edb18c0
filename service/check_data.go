package service

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"reprise/actor"
	"reprise/api"
	"reprise/integration"
	"reprise/training"
)

// checkPatience is how long a submission waits for data, all of its requests together, to
// check requests against them. What takes longer is left to the preparation of the job.
const checkPatience = 2 * time.Second

// toCheck is a request that is to be checked against its data.
type toCheck struct {
	at      int // among the runs that are submitted together
	file    int // that the request is in
	request api.TrainingRequest
	id      training.RunID
}

// checked is what came of it.
type checked struct {
	job      job // without its data
	notices  []api.Notice
	err      error
	panicked *actor.PanicError
}

// readyAll makes requests ready, several at a time, and calls take with what came of them,
// in order. Those whose data are not open when its patience ends are left out; their data
// go on being opened for the jobs that need them, until the function that it returns is
// called or the service closes.
func (s *Service) readyAll(ctx context.Context, q api.SubmitRequest, list []toCheck, take func(at int, c checked)) (abandon func(), err error) {
	end, err := s.begin()
	if err != nil {
		return func() {}, err
	}
	opening, abandon := context.WithCancel(context.WithoutCancel(ctx))
	detach := context.AfterFunc(s.closing, abandon)
	patience, stop := context.WithTimeout(ctx, s.patience)
	defer stop()
	var all sync.WaitGroup
	turns := make(chan struct{}, integration.DefaultPreparations)
	results := make([]chan checked, len(list))
	for i, c := range list {
		results[i] = make(chan checked, 1)
		all.Go(func() {
			select {
			case turns <- struct{}{}:
				defer func() { <-turns }()
				results[i] <- s.check(opening, q, c)
			case <-patience.Done(): // nobody would wait for it
			}
		})
	}
	go func() {
		all.Wait()
		detach()
		end()
	}()
	for i, result := range results {
		select {
		case r := <-result:
			if r.panicked != nil {
				abandon()
				panic(r.panicked)
			}
			take(list[i].at, r)
		case <-patience.Done():
			select {
			case r := <-result:
				if r.panicked == nil { // its job meets it again
					take(list[i].at, r)
				}
			default:
			}
		}
		if err := ctx.Err(); err != nil {
			abandon()
			return abandon, err
		}
	}
	return abandon, nil
}

// check makes one request ready. What there is to say comes with it.
func (s *Service) check(ctx context.Context, q api.SubmitRequest, c toCheck) (out checked) {
	defer func() {
		if v := recover(); v != nil {
			out.panicked = &actor.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	ctx = api.WithNotices(ctx, func(n api.Notice) { out.notices = append(out.notices, n) })
	out.job, out.err = s.ready(ctx, c.request, c.id, string(q.Folder))
	if out.err == nil {
		noteClasses(ctx, string(q.Files[c.file].Name), len(q.Files) > 1, out.job.data)
		for _, note := range out.job.notes {
			if len(q.Files) > 1 {
				note = string(q.Files[c.file].Name) + ": " + note
			}
			api.Notify(ctx, api.Notice{Note: note})
		}
	}
	out.job.data = nil // that of all of them might not fit into memory
	return out
}

// begin has Close wait until end is called.
func (s *Service) begin() (end func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if isDone(s.closing) {
		return nil, errEnding()
	}
	s.uses.Add(1)
	return s.uses.Done, nil
}
