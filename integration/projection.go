package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"reprise/eventstore"
)

// ReadModel is what a projection shows: a fold of the log, one event after the
// other. It has a JSON form that gives the same model back.
type ReadModel interface {
	Apply(e eventstore.Event) error
	// Split returns the model in parts, of which an event changes few.
	Split() []ReadModel
	// Join adds a part in its JSON form. All parts, joined in their order to a
	// model before the first event, give the model.
	Join(part []byte) error
}

// Projection is a read model that is kept in the event store, together with the
// position that it has seen the log up to. What is kept is a cache: reading it
// continues where it stands, it is ignored where it is damaged or of another
// schema, and deleting it changes nothing but time.
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
func Projections() []Projection {
	return []Projection{
		{Name: RunsProjection, Schema: 3, New: func() ReadModel { return &RunList{} }},
		{Name: DevicesProjection, Schema: 2, New: func() ReadModel { return &DeviceList{} }},
	}
}

// ReadRuns returns the list of all runs at the end of the log. It writes nothing.
func ReadRuns(ctx context.Context, store eventstore.Store) (*RunList, error) {
	runs, _, err := readLists(ctx, store, RunsProjection)
	return runs, err
}

// ReadDevices returns the list of all devices at the end of the log. It writes
// nothing.
func ReadDevices(ctx context.Context, store eventstore.Store) (*DeviceList, error) {
	_, devices, err := readLists(ctx, store, DevicesProjection)
	return devices, err
}

// readLists returns the named lists at the end of the log, as of the same
// position.
func readLists(ctx context.Context, store eventstore.Store, names ...string) (runs *RunList, devices *DeviceList, err error) {
	var chosen []Projection
	for _, p := range Projections() {
		for _, name := range names {
			if p.Name == name {
				chosen = append(chosen, p)
			}
		}
	}
	views, err := loadAll(ctx, store, chosen)
	if err == nil {
		err = foldAll(ctx, store, views, nil)
	}
	if err != nil {
		return nil, nil, err
	}
	for _, v := range views {
		switch model := v.model.(type) {
		case *RunList:
			runs = model
		case *DeviceList:
			devices = model
		}
	}
	return runs, devices, nil
}

// trustedFrom is the length of the log from which on listings begin with what is
// kept of projections.
const trustedFrom = 2048

// Listing returns the store as a listing reads it. Whoever can write to the store
// can make a kept read model show anything, without touching an event. Where the
// log is short, what is kept is left aside, since folding the events takes no
// time that anybody notices. Of a longer log VerifyLog tells whether it is true.
func Listing(ctx context.Context, store eventstore.Store) (eventstore.Store, error) {
	head, err := store.Head(ctx)
	if err != nil || head.Position >= trustedFrom {
		return store, err
	}
	return eventsOnly{store}, nil
}

// eventsOnly is a store of which nobody has kept anything.
type eventsOnly struct{ eventstore.Store }

// Consumer implements eventstore.Store: none was ever saved.
func (eventsOnly) Consumer(_ context.Context, name string) (eventstore.Consumer, error) {
	return eventstore.Consumer{Name: name}, nil
}

// view is the model of a projection on its way through the log.
type view struct {
	Projection
	model  ReadModel
	at     eventstore.Position // of the last event folded in
	stored storedModel
}

// loadAll returns the models as they are kept.
func loadAll(ctx context.Context, store eventstore.Store, projections []Projection) ([]*view, error) {
	views := make([]*view, len(projections))
	for i, p := range projections {
		var err error
		if views[i], err = p.load(ctx, store); err != nil {
			return nil, fmt.Errorf("projection %s: %w", p.Name, err)
		}
	}
	return views, nil
}

// foldAll brings the models to the end of the log, as it is when the fold gets
// there, reading every event once. check, if not nil, sees each event first.
func foldAll(ctx context.Context, store eventstore.Store, views []*view, check func(eventstore.Event) error) error {
	after := eventstore.End
	for _, v := range views {
		after = min(after, v.at)
	}
	_, err := eventstore.Walk(ctx, store, after, eventstore.End, func(e eventstore.Event) error {
		if check != nil {
			if err := check(e); err != nil {
				return err
			}
		}
		for _, v := range views {
			if e.Position <= v.at {
				continue
			}
			if err := v.model.Apply(e); err != nil {
				return fmt.Errorf("projection %s: %w", v.Name, err)
			}
			v.at = e.Position
		}
		return nil
	})
	return err
}

// readable checks what models pass over: it fails with ErrUnknownEvent for an event
// that this program cannot read, so that what it keeps has seen none.
func readable(e eventstore.Event) error {
	if strings.HasPrefix(string(e.Aggregate), actorsPrefix) {
		_, err := actorCodec.decode(e)
		return err
	}
	_, isRun := runOf(e.Aggregate)
	_, isDevice := deviceOf(e.Aggregate)
	if !isRun && !isDevice {
		return fmt.Errorf("event at position %d, of %s: %w", e.Position, e.Aggregate, ErrUnknownEvent)
	}
	return nil
}

// CatchUpProjections brings every projection to the end of the log and keeps it.
// It fails with ErrUnknownEvent where the log has events, behind what is kept,
// that this program cannot read.
func CatchUpProjections(ctx context.Context, store eventstore.Store) error {
	head, err := store.Head(ctx)
	if err != nil {
		return err
	}
	var behind []Projection
	for _, p := range Projections() {
		k, err := p.find(ctx, store)
		if err != nil {
			return fmt.Errorf("projection %s: %w", p.Name, err)
		}
		if !k.usable || k.at != head.Position {
			behind = append(behind, p)
		}
	}
	views, err := loadAll(ctx, store, behind)
	if err != nil {
		return err
	}
	if err := foldAll(ctx, store, views, readable); err != nil {
		return err
	}
	for _, v := range views {
		// What is damaged where it would be kept is as good as nothing kept.
		if err := v.save(ctx, store); err != nil && !errors.Is(err, eventstore.ErrCorrupt) {
			return fmt.Errorf("projection %s: %w", v.Name, err)
		}
	}
	return nil
}

// ProjectionStatus says how far a projection is kept.
type ProjectionStatus struct {
	Name     string              `json:"name"`
	Position eventstore.Position `json:"position"`
	// Lag is the number of events after the position: whoever reads the
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
		k, err := p.find(ctx, store)
		if err != nil {
			return nil, err
		}
		if !k.usable {
			k = storedModel{} // it will not be used
		}
		list = append(list, ProjectionStatus{
			Name: p.Name, Position: k.at, Lag: head.Position - min(k.at, head.Position), Schema: p.Schema, Bytes: k.bytes(),
		})
	}
	return list, nil
}

// Rebuilt is what came of rebuilding a projection.
type Rebuilt struct {
	Name   string              `json:"name"`
	Events eventstore.Position `json:"events"`
	// Same says that the model is, byte by byte, what the kept one gives with the
	// events after it.
	Same bool `json:"same"`
}

// Rebuild folds the whole log again and keeps the result, whatever was kept. It
// fails with ErrUnknownEvent where the log has events that this program cannot
// read.
func (p Projection) Rebuild(ctx context.Context, store eventstore.Store) (Rebuilt, error) {
	v, err := p.load(ctx, store)
	if err != nil {
		return Rebuilt{}, fmt.Errorf("projection %s: %w", p.Name, err)
	}
	fresh := &view{Projection: p, model: p.New(), stored: v.stored}
	if err := foldAll(ctx, store, []*view{v, fresh}, readable); err != nil {
		return Rebuilt{}, err
	}
	was, err := json.Marshal(v.model)
	if err != nil {
		return Rebuilt{}, err
	}
	is, err := json.Marshal(fresh.model)
	if err != nil {
		return Rebuilt{}, err
	}
	if err := fresh.save(ctx, store); err != nil {
		return Rebuilt{}, fmt.Errorf("projection %s: %w", p.Name, err)
	}
	return Rebuilt{Name: p.Name, Events: fresh.at, Same: bytes.Equal(was, is)}, nil
}
