package service

import (
	"context"
	"errors"

	"reprise/api"
	"reprise/eventstore"
	"reprise/fault"
)

// Head implements api.Service.
func (s *Service) Head(ctx context.Context, q api.HeadRequest) (_ api.LogHead, err error) {
	defer explain(ctx, &err)
	open := s.read
	if q.Current {
		open = s.readCurrent
	}
	log, err := open(ctx)
	if err != nil {
		return api.LogHead{}, err
	}
	defer log.close()
	a, err := eventstore.Attest(ctx, log.Store, s.config.Now())
	if errors.Is(err, eventstore.ErrNotContained) {
		return api.LogHead{}, &api.Error{Fault: fault.Invalid, Code: api.NoEvents, Path: log.Workspace.Dir,
			Message: "there are no events in " + log.Workspace.Dir + ", and so no head"}
	}
	return api.LogHead{Attestation: a}, err
}
