package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

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

// Projection is a read model that is stored in the event store, together with the
// position that it has seen the log up to. The stored model is a cache: readers
// fold the events after it, it is ignored if it is damaged or has another
// schema, and deleting it costs only time.
type Projection struct {
	Name string
	// Schema is the version of the model's JSON form and of its meaning; a
	// change of either raises it.
	Schema int
	// Prefix begins the names of the aggregates whose events it folds.
	Prefix string
	// New returns the model before the first event.
	New func() ReadModel
}

// readModels lists every projection.
var readModels = [...]Projection{
	{Name: "runs", Schema: 4, Prefix: RunPrefix, New: func() ReadModel { return &RunList{} }},
	{Name: "devices", Schema: 2, Prefix: DevicePrefix, New: func() ReadModel { return &DeviceList{} }},
	{Name: "jobs", Schema: 2, Prefix: JobPrefix, New: func() ReadModel { return &JobList{} }},
}

// Projections lists every projection.
func Projections() []Projection { return slices.Clone(readModels[:]) }

// Reading is a read model to be read, and where to put it.
type Reading struct {
	of  func(ReadModel) bool
	put func(ReadModel)
}

// Into asks for the read model of the variable's type.
func Into[M ReadModel](variable *M) Reading {
	return Reading{
		of:  func(m ReadModel) bool { _, ok := m.(M); return ok },
		put: func(m ReadModel) { *variable = m.(M) },
	}
}

// Read reads the wanted read models at the end of the log, all as of the same
// position. It writes nothing.
func Read(ctx context.Context, store eventstore.Store, wanted ...Reading) error {
	chosen := make([]Projection, len(wanted))
	for i, w := range wanted {
		at := slices.IndexFunc(readModels[:], func(p Projection) bool { return w.of(p.New()) })
		if at < 0 {
			return errors.New("a read model was asked for that no projection has")
		}
		chosen[i] = readModels[at]
	}
	views, err := loadAll(ctx, store, chosen)
	if err == nil {
		err = foldAll(ctx, store, views, nil)
	}
	if err != nil {
		return err
	}
	for i, w := range wanted {
		w.put(views[i].model)
	}
	return nil
}

// ReadRuns returns the list of all runs at the end of the log. It writes nothing.
func ReadRuns(ctx context.Context, store eventstore.Store) (runs *RunList, err error) {
	err = Read(ctx, store, Into(&runs))
	return runs, err
}

// ReadDevices returns the list of all devices at the end of the log. It writes
// nothing.
func ReadDevices(ctx context.Context, store eventstore.Store) (devices *DeviceList, err error) {
	err = Read(ctx, store, Into(&devices))
	return devices, err
}

// trustedFrom is the length of the log from which listings start from stored
// projections.
const trustedFrom = 2048

// Listing returns the store as a listing reads it. Anyone who can write to the
// store can make a stored read model show anything, without touching an event.
// If the log is short, stored models are not used, since folding the events
// takes no noticeable time. For a longer log, VerifyLog tells whether they are
// true.
func Listing(ctx context.Context, store eventstore.Store) (eventstore.Store, error) {
	head, err := store.Head(ctx)
	if err != nil || head.Position >= trustedFrom {
		return store, err
	}
	return eventsOnly{store}, nil
}

// eventsOnly is a store without stored projections.
type eventsOnly struct{ eventstore.Store }

// Consumer implements eventstore.Store: none was ever saved.
func (eventsOnly) Consumer(_ context.Context, name string) (eventstore.Consumer, error) {
	return eventstore.Consumer{Name: name}, nil
}

// view is a projection's model while it is being folded.
type view struct {
	Projection
	model  ReadModel
	at     eventstore.Position // of the last event folded in
	stored storedModel
}

// loadAll returns the models as they are stored.
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

// readable fails with ErrUnknownEvent for an event that this version cannot read, so
// that no stored model has skipped one. Events that a model folds are left to it.
func readable(e eventstore.Event) error {
	for _, m := range readModels {
		if _, folds := nameOf(e.Aggregate, m.Prefix); folds {
			return nil
		}
	}
	_, err := EventOf(e)
	return err
}

// CatchUpProjections brings every projection to the end of the log and stores
// it. It fails with ErrUnknownEvent if the log has events, after the stored
// ones, that this program cannot read.
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
		// A projection that cannot be stored because of damage counts as not stored.
		if err := v.save(ctx, store); err != nil && !errors.Is(err, eventstore.ErrCorrupt) {
			return fmt.Errorf("projection %s: %w", v.Name, err)
		}
	}
	return nil
}

// ProjectionStatus says up to where a projection is stored.
type ProjectionStatus struct {
	Name     string              `json:"name"`
	Position eventstore.Position `json:"position"`
	// Lag is the number of events after the position, which readers of the
	// projection have to fold.
	Lag    eventstore.Position `json:"lag"`
	Schema int                 `json:"schema"`
	// Bytes is the length of the stored model.
	Bytes int `json:"bytes"`
}

// ProjectionStatuses returns up to where every projection is stored.
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

// Rebuilt is the outcome of rebuilding a projection.
type Rebuilt struct {
	Name   string              `json:"name"`
	Events eventstore.Position `json:"events"`
	// Same says that the model is, byte by byte, what the stored one gives with
	// the events after it.
	Same bool `json:"same"`
}

// Rebuild folds the whole log again and stores the result, whatever was stored.
// It fails with ErrUnknownEvent if the log has events that this program cannot
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
