package integration

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"reprise/eventstore"
)

// A projection is kept as several consumers of the event store: one has the
// place in the log and a table of contents, each of the others a part of the
// model. A part that changes is written to the one of its two places that the
// table does not name, and the table last: whatever a crash cuts off, the table
// that is kept names the parts that belong to it. Their hashes are in it, so that
// whoever reads while they are replaced notices, and folds the log instead.

// contents is the table of contents, in JSON.
type contents struct {
	// Events identifies the event types that the program could read which kept
	// this. A program that reads others does not trust it: what is unknown to it
	// must not be passed over.
	Events string     `json:"events"`
	Parts  []keptPart `json:"parts"`
}

// keptPart says where a part is, and what.
type keptPart struct {
	Place  int    `json:"place"` // 0 or 1
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// kept is what the store has of a projection.
type kept struct {
	at     eventstore.Position // also where it is not usable
	usable bool
	// damaged says that at is not known.
	damaged bool
	parts   []keptPart // where it is usable
}

// bytes returns the length of all parts.
func (k kept) bytes() int {
	n := 0
	for _, part := range k.parts {
		n += part.Bytes
	}
	return n
}

// consumer is the name that the projection's place in the log is kept under.
func (p Projection) consumer() string { return "projection/" + p.Name }

// partConsumer is the name of one of the two places of a part.
func (p Projection) partConsumer(part, place int) string {
	return fmt.Sprintf("%s/part-%d.%d", p.consumer(), part, place)
}

// readableEvents identifies the event types that this program reads.
func readableEvents() string {
	types := slices.Collect(maps.Keys(trainingDecoders()))
	types = slices.AppendSeq(types, maps.Keys(deviceDecoders()))
	types = slices.AppendSeq(types, maps.Keys(actorDecoders()))
	slices.Sort(types)
	return sumOf([]byte(strings.Join(types, "\n")))
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// find reads the table of contents.
func (p Projection) find(ctx context.Context, store eventstore.Store) (kept, error) {
	c, err := store.Consumer(ctx, p.consumer())
	if errors.Is(err, eventstore.ErrCorrupt) {
		return kept{damaged: true}, nil // a cache that cannot be read is none
	}
	if err != nil {
		return kept{}, err
	}
	k := kept{at: c.Position}
	var table contents
	if c.Schema == p.Schema && json.Unmarshal(c.State, &table) == nil && table.Events == readableEvents() {
		k.usable, k.parts = true, table.Parts
	}
	return k, nil
}

// load returns the model as it is kept, or the one before the first event.
func (p Projection) load(ctx context.Context, store eventstore.Store) (*view, error) {
	k, err := p.find(ctx, store)
	if err != nil {
		return nil, err
	}
	v := &view{Projection: p, model: p.New(), kept: k}
	for i, part := range k.parts {
		whole, err := v.join(ctx, store, i, part)
		if err != nil {
			return nil, err
		}
		if !whole {
			v.model, v.kept.usable, v.kept.parts = p.New(), false, nil
			return v, nil
		}
	}
	if k.usable {
		v.at = k.at
	}
	return v, nil
}

// join adds a kept part to the model. It reports false where the part is not what
// the table says.
func (v *view) join(ctx context.Context, store eventstore.Store, i int, part keptPart) (bool, error) {
	c, err := store.Consumer(ctx, v.partConsumer(i, part.Place))
	if errors.Is(err, eventstore.ErrCorrupt) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return sumOf(c.State) == part.SHA256 && v.model.Join(c.State) == nil, nil
}

// keep stores the model in place of what is kept, as far as it differs. A model
// of which a part is larger than eventstore.MaxSnapshot is not kept: it is folded
// on each reading.
func (v *view) keep(ctx context.Context, store eventstore.Store) error {
	parts := v.model.Split()
	states := make([][]byte, len(parts))
	table := contents{Events: readableEvents(), Parts: make([]keptPart, len(parts))}
	for i, part := range parts {
		state, err := json.Marshal(part)
		if err != nil {
			return err
		}
		if len(state) > eventstore.MaxSnapshot {
			return nil
		}
		states[i], table.Parts[i] = state, keptPart{Bytes: len(state), SHA256: sumOf(state)}
	}
	for i := range table.Parts {
		if i < len(v.kept.parts) {
			before := v.kept.parts[i]
			if table.Parts[i].Place = before.Place; table.Parts[i] == before {
				continue
			}
			table.Parts[i].Place = 1 - before.Place
		}
		if err := save(ctx, store, eventstore.Consumer{
			Name: v.partConsumer(i, table.Parts[i].Place), Position: v.at, Schema: v.Schema, State: states[i],
		}); err != nil {
			return err
		}
	}
	state, err := json.Marshal(table)
	if err != nil {
		return err
	}
	next := eventstore.Consumer{Name: v.consumer(), Position: v.at, Schema: v.Schema, State: state}
	if v.kept.damaged {
		return save(ctx, store, next)
	}
	return store.SaveConsumer(ctx, next, v.kept.at)
}

// save stores the consumer wherever the kept one stands, damaged or not.
func save(ctx context.Context, store eventstore.Store, c eventstore.Consumer) error {
	before, err := store.Consumer(ctx, c.Name)
	if errors.Is(err, eventstore.ErrCorrupt) {
		before, err = eventstore.Consumer{}, store.DeleteConsumer(ctx, c.Name)
	}
	if err != nil {
		return err
	}
	return store.SaveConsumer(ctx, c, before.Position)
}
