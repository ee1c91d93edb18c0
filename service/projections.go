package service

import (
	"context"
	"errors"
	"slices"

	"reprise/api"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/internal/figures"
	"reprise/journal"
)

// Projections implements api.Service.
func (s *Service) Projections(ctx context.Context, _ api.ProjectionsRequest) (_ api.ProjectionList, err error) {
	defer explain(ctx, &err)
	log, err := s.read(ctx)
	if err != nil {
		return api.ProjectionList{}, err
	}
	defer log.close()
	statuses, err := journal.ProjectionStatuses(ctx, log.Store)
	if err != nil {
		return api.ProjectionList{}, err
	}
	answer := api.ProjectionList{Projections: make([]api.Projection, len(statuses))}
	for i, p := range statuses {
		answer.Projections[i] = api.Projection{Name: p.Name, Position: p.Position, Lag: p.Lag, Schema: p.Schema, Bytes: p.Bytes}
	}
	return answer, nil
}

// RebuildProjections implements api.Service.
func (s *Service) RebuildProjections(ctx context.Context, q api.RebuildRequest) (_ api.RebuildReport, err error) {
	defer explain(ctx, &err)
	chosen, err := chooseProjections(q.Projections)
	if err != nil {
		return api.RebuildReport{}, err
	}
	var answer api.RebuildReport
	err = s.withStore(ctx, func(store eventstore.Store) error {
		answer, err = rebuildProjections(ctx, store, chosen)
		if err == nil && len(q.Projections) == 0 {
			err = journal.RebuildSnapshots(ctx, store)
		}
		return err
	})
	return answer, err
}

// rebuildProjections rebuilds projections in a store.
func rebuildProjections(ctx context.Context, store eventstore.Store, chosen []journal.Projection) (api.RebuildReport, error) {
	answer := api.RebuildReport{Projections: make([]api.RebuiltProjection, len(chosen))}
	for i, p := range chosen {
		rebuilt, err := p.Rebuild(ctx, store)
		if err != nil {
			return api.RebuildReport{}, err
		}
		answer.Projections[i] = api.RebuiltProjection{Name: rebuilt.Name, Events: rebuilt.Events, Same: rebuilt.Same}
	}
	return answer, nil
}

// chooseProjections returns the projections of the names, or all of them for none.
func chooseProjections(names []string) ([]journal.Projection, error) {
	all := journal.Projections()
	if len(names) == 0 {
		return all, nil
	}
	known := make([]string, len(all))
	for i, p := range all {
		known[i] = p.Name
	}
	var chosen []journal.Projection
	var errs []error
	for _, name := range names {
		i := slices.Index(known, name)
		if i < 0 {
			errs = append(errs, &fault.FieldError{Field: "projections", Value: name, Problem: "is not a projection",
				Fix: "use " + figures.Or(known)})
			continue
		}
		chosen = append(chosen, all[i])
	}
	return chosen, errors.Join(errs...)
}
