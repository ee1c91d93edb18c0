package service

import (
	"context"
	"fmt"
	"strings"
	"time"

	"reprise/actor"
	"reprise/api"
	"reprise/fault"
	"reprise/integration"
)

// host returns the host of this process.
func (s *Service) host() (*integration.Host, error) {
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	if s.hosts.current == nil {
		return nil, s.noActors()
	}
	return s.hosts.current.host, nil
}

// use returns the hosting of this process, and opens none. release must follow.
func (s *Service) use() (*hosting, error) {
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	h := s.hosts.current
	if h == nil || h.closing {
		return nil, s.noActors()
	}
	h.users++
	return h, nil
}

func (s *Service) noActors() error {
	return &api.Error{
		Fault: fault.Unavailable, Code: api.NoActors, Path: s.workspace.Dir, Message: "no process is training in " + s.workspace.Dir,
	}
}

// Actors implements api.Service.
func (s *Service) Actors(ctx context.Context, _ api.ActorsRequest) (_ api.ActorSnapshot, err error) {
	defer explain(ctx, &err)
	if err := ctx.Err(); err != nil {
		return api.ActorSnapshot{}, err
	}
	host, err := s.host()
	if err != nil {
		return api.ActorSnapshot{}, err
	}
	snapshot := api.ActorSnapshot{PID: s.config.Process, At: s.config.Now(), Actors: appendActors(nil, host.Actors())}
	count, newest := host.Letters()
	snapshot.DeadLetters = count
	for _, n := range newest[max(0, len(newest)-shownLetters):] {
		snapshot.Letters = append(snapshot.Letters, api.DeadLetter{To: n.To, Type: n.Type, Reason: n.Reason, At: n.At})
	}
	return snapshot, nil
}

// shownLetters bounds the dead letters of a snapshot.
const shownLetters = 5

// tellPatience bounds how long the answer of an actor is waited for.
const tellPatience = 10 * time.Second

// Tell implements api.Service.
func (s *Service) Tell(ctx context.Context, m api.Message) (_ api.MessageAnswer, err error) {
	defer explain(ctx, &err)
	h, err := s.use()
	if err != nil {
		return api.MessageAnswer{}, err
	}
	defer s.release(h)
	ctx, cancel := context.WithTimeout(ctx, tellPatience)
	defer cancel()
	answer, err := h.host.Tell(ctx, integration.Message(m), s.userOf(ctx))
	if err == nil && m.Type != "pause" { // a run may wait for a device before it records anything
		err = h.track(answer.Run, nil, func() error { return nil })
	}
	return api.MessageAnswer{RunID: answer.Run}, err
}

func appendActors(rows []api.Actor, t actor.Tree) []api.Actor {
	kind := "actor"
	if t.Supervisor {
		kind = "supervisor"
	}
	rows = append(rows, api.Actor{
		Path: t.Path, Kind: kind, State: t.State, Depth: t.Depth, Handled: t.Handled, Restarts: t.Restarts, Age: t.Age.Seconds(),
	})
	for _, child := range t.Children {
		rows = appendActors(rows, child)
	}
	return rows
}

// Trace implements api.Service.
func (s *Service) Trace(ctx context.Context, q api.TraceRequest) (_ api.TraceStep, err error) {
	defer explain(ctx, &err)
	host, err := s.host()
	if err != nil {
		return api.TraceStep{}, err
	}
	path, err := actorPath(appendActors(nil, host.Actors()), q.Actor)
	if err != nil {
		return api.TraceStep{}, err
	}
	host.TraceNext(path)
	timer := time.NewTimer(api.TracePeriod)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return api.TraceStep{}, ctx.Err()
	}
	trace, ok := host.Trace(path)
	if !ok {
		return api.TraceStep{}, fault.As(fault.Unavailable, &fault.FieldError{
			Field: fieldActor, Value: path, Problem: fmt.Sprintf("was sent no message within %v", api.TracePeriod),
			Fix: "try again, or trace an actor that is busy",
		})
	}
	return traceStepOf(trace, trace.Sent), nil
}

// fieldActor is the field of TraceRequest that names the actor.
const fieldActor = "actor"

// actorPath returns the path of the only actor that the name means: a path, or the
// end of one.
func actorPath(rows []api.Actor, name string) (string, error) {
	var matches []string
	for _, r := range rows {
		switch {
		case r.Kind != "actor":
		case r.Path == name:
			return name, nil
		case strings.HasSuffix(r.Path, "/"+name):
			matches = append(matches, r.Path)
		}
	}
	switch len(matches) {
	case 1:
		return matches[0], nil
	case 0:
		return "", &fault.FieldError{Field: fieldActor, Value: name, Problem: "is not an actor of the process", Fix: "list the actors, and name one by its path"}
	}
	return "", &fault.FieldError{Field: fieldActor, Value: name, Problem: "is ambiguous: it could be " + strings.Join(matches, ", "), Fix: "give more of the path"}
}

func traceStepOf(s actor.Step, start time.Time) api.TraceStep {
	h := api.TraceStep{
		Correlation: s.Correlation, Message: s.Message, Causation: s.Causation,
		From: s.From, To: s.To, Type: s.Type, Sent: s.Sent, After: s.Sent.Sub(start), Caused: []api.TraceStep{},
	}
	if s.Handled {
		h.Waited, h.Took = &s.Waited, &s.Took
	}
	if s.Err != nil {
		h.Error = s.Err.Error()
	}
	for _, next := range s.Caused {
		h.Caused = append(h.Caused, traceStepOf(next, start))
	}
	return h
}
