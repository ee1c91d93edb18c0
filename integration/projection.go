package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"reprise/eventstore"
)

// ReadModel is what a projection shows: a fold of the log, one event after the
// other. It has a JSON form that gives the same model back.
type ReadModel interface {
	Apply(e eventstore.Event) error
}

// Projection is a read model that is kept in the event store, together with the
// position that it has seen the log up to. What is kept is a cache: it is read
// on from where it stands, ignored where it is damaged or of another schema, and
// deleting it changes nothing but time.
type Projection struct {
	Name string
	// Schema is the version of the model's JSON form and of its meaning: whoever
	// changes either raises it.
	Schema int
	// New returns the model before the first event.
	New func() ReadModel
}

// The names of the projections.
const (
	RunsProjection    = "runs"
	DevicesProjection = "devices"
)

// Projections lists every projection.
func Projections() []Projection { return projectionsOf(NewRunLog(nil, nil), NewDeviceLog(nil, nil)) }

// projectionsOf returns those that decode events as the logs do.
func projectionsOf(runs *RunLog, devices *DeviceLog) []Projection {
	return []Projection{
		{Name: RunsProjection, Schema: 1, New: func() ReadModel { return &RunList{log: runs} }},
		{Name: DevicesProjection, Schema: 1, New: func() ReadModel { return &DeviceList{log: devices} }},
	}
}

// ReadRuns returns the list of all runs at the end of the log. It writes nothing.
func ReadRuns(ctx context.Context, store eventstore.Store) (*RunList, error) {
	model, _, err := projected(RunsProjection).read(ctx, store)
	if err != nil {
		return nil, err
	}
	return model.(*RunList), nil
}

// ReadDevices returns the list of all devices at the end of the log. It writes
// nothing.
func ReadDevices(ctx context.Context, store eventstore.Store) (*DeviceList, error) {
	model, _, err := projected(DevicesProjection).read(ctx, store)
	if err != nil {
		return nil, err
	}
	return model.(*DeviceList), nil
}

func projected(name string) Projection {
	for _, p := range Projections() {
		if p.Name == name {
			return p
		}
	}
	panic("integration: there is no projection " + name)
}

// consumer is the name that the projection's place in the log is kept under.
func (p Projection) consumer() string { return "projection/" + p.Name }

// standing is how far a projection is kept, and how far it was read.
type standing struct {
	kept eventstore.Consumer
	at   eventstore.Position
}

// read returns the model at the end of the log, folded on from where it is kept.
func (p Projection) read(ctx context.Context, store eventstore.Store) (ReadModel, standing, error) {
	fail := func(err error) (ReadModel, standing, error) {
		return nil, standing{}, fmt.Errorf("projection %s: %w", p.Name, err)
	}
	kept, err := store.Consumer(ctx, p.consumer())
	if err != nil {
		return fail(err)
	}
	model, s := p.New(), standing{kept: kept}
	if kept.Schema == p.Schema && kept.Position > 0 {
		if json.Unmarshal(kept.State, model) == nil {
			s.at = kept.Position
		} else {
			model = p.New() // a cache that cannot be read is none
		}
	}
	if s.at, err = fold(ctx, store, model, s.at); err != nil {
		return fail(err)
	}
	return model, s, nil
}

// fold applies every event behind a position to the model and returns the last
// one's position.
func fold(ctx context.Context, store eventstore.Store, model ReadModel, after eventstore.Position) (eventstore.Position, error) {
	return eventstore.Walk(ctx, store, after, eventstore.End, model.Apply)
}

// keep stores the model as of a position in place of what is kept.
func (p Projection) keep(ctx context.Context, store eventstore.Store, model ReadModel, s standing) error {
	state, err := json.Marshal(model)
	if err != nil {
		return fmt.Errorf("projection %s: %w", p.Name, err)
	}
	if len(state) > eventstore.MaxSnapshot {
		return nil // a cache that is too large is folded on each reading
	}
	next := eventstore.Consumer{Name: p.consumer(), Position: s.at, Schema: p.Schema, State: state}
	if err := store.SaveConsumer(ctx, next, s.kept.Position); err != nil {
		return fmt.Errorf("projection %s: %w", p.Name, err)
	}
	return nil
}

// CatchUpProjections brings every projection to the end of the log and keeps it.
func CatchUpProjections(ctx context.Context, store eventstore.Store) error {
	return catchUp(ctx, store, Projections())
}

func catchUp(ctx context.Context, store eventstore.Store, projections []Projection) error {
	for _, p := range projections {
		model, s, err := p.read(ctx, store)
		if err != nil {
			return err
		}
		if s.at == s.kept.Position && s.kept.Schema == p.Schema {
			continue
		}
		if err := p.keep(ctx, store, model, s); err != nil {
			return err
		}
	}
	return nil
}

// ProjectionStatus says how far a projection is kept.
type ProjectionStatus struct {
	Name     string              `json:"name"`
	Position eventstore.Position `json:"position"`
	// Lag is the number of events behind the position: whoever reads the
	// projection folds them on the way.
	Lag    eventstore.Position `json:"lag"`
	Schema int                 `json:"schema"`
	// Bytes is the length of what is kept.
	Bytes int `json:"bytes"`
}

// ProjectionStatuses returns how far every projection is kept.
func ProjectionStatuses(ctx context.Context, store eventstore.Store) ([]ProjectionStatus, error) {
	head, err := store.Head(ctx)
	if err != nil {
		return nil, err
	}
	var list []ProjectionStatus
	for _, p := range Projections() {
		kept, err := store.Consumer(ctx, p.consumer())
		if err != nil {
			return nil, err
		}
		if kept.Schema != p.Schema {
			kept = eventstore.Consumer{} // it will not be used
		}
		list = append(list, ProjectionStatus{
			Name: p.Name, Position: kept.Position, Lag: head.Position - min(kept.Position, head.Position),
			Schema: p.Schema, Bytes: len(kept.State),
		})
	}
	return list, nil
}

// Rebuilt is what came of rebuilding a projection.
type Rebuilt struct {
	Name   string              `json:"name"`
	Events eventstore.Position `json:"events"`
	// Same says that the model is, byte by byte, what folding on from the kept one
	// gives.
	Same bool `json:"same"`
}

// Rebuild folds the whole log anew and keeps the result, whatever was kept.
func (p Projection) Rebuild(ctx context.Context, store eventstore.Store) (Rebuilt, error) {
	incremental, s, err := p.read(ctx, store)
	if err != nil {
		return Rebuilt{}, err
	}
	model := p.New()
	if s.at, err = fold(ctx, store, model, 0); err != nil {
		return Rebuilt{}, fmt.Errorf("projection %s: %w", p.Name, err)
	}
	was, err := json.Marshal(incremental)
	if err != nil {
		return Rebuilt{}, err
	}
	is, err := json.Marshal(model)
	if err != nil {
		return Rebuilt{}, err
	}
	return Rebuilt{Name: p.Name, Events: s.at, Same: bytes.Equal(was, is)}, p.keep(ctx, store, model, s)
}
