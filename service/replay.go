package service

import (
	"context"
	"iter"

	"reprise/api"
	"reprise/api/describe"
	"reprise/eventstore"
	"reprise/journal"
)

// Replay implements api.Service.
func (s *Service) Replay(ctx context.Context, q api.ReplayRequest) iter.Seq2[api.ReplayStep, error] {
	return streamOf(ctx, func(ctx context.Context, send func(api.ReplayStep) error) error {
		r, err := s.findBegun(ctx, q.Run)
		if err != nil {
			return err
		}
		defer r.close()
		return r.log.Replay(ctx, r.run.ID, func(e eventstore.Event, after journal.RunRecord) error {
			return send(api.ReplayStep{Event: api.EventOf(e), State: replayedStateOf(after)})
		})
	})
}

func replayedStateOf(r journal.RunRecord) api.ReplayedState {
	s := api.ReplayedState{
		State: r.Session.State, Saga: r.Saga, Waits: []string{},
		Epochs: len(r.Metrics), Checkpoints: len(r.Checkpoints), Reason: r.Reason,
	}
	for _, c := range r.Saga.Commands() {
		s.Waits = append(s.Waits, describe.Command(c))
	}
	return s
}
