package journal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"reprise/eventstore"
)

// A projection is stored as several consumers of the event store: one holds the
// position in the log and a manifest, each of the others a part of the model. A
// part that changes is written to the one of its two slots that the manifest does
// not name, and the manifest is written last: after a crash, the stored manifest
// still names the parts that belong to it. It holds their hashes, so that a reader
// that sees parts being replaced notices, and folds the log instead.

// manifest lists the stored parts, in JSON.
type manifest struct {
	// Events identifies the event types known to the program that stored this. A
	// program that knows others does not trust it: the stored model must not have
	// skipped events that were unknown at the time.
	Events string       `json:"events"`
	Parts  []storedPart `json:"parts"`
}

// storedPart says where a part is stored, and its size and hash.
type storedPart struct {
	Slot   int    `json:"place"` // 0 or 1
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// storedModel is a projection as it is stored.
type storedModel struct {
	at     eventstore.Position // set even if it is not usable
	usable bool
	// damaged reports that at is unknown.
	damaged bool
	parts   []storedPart // if it is usable
}

// bytes returns the total length of the parts.
func (m storedModel) bytes() int {
	n := 0
	for _, part := range m.parts {
		n += part.Bytes
	}
	return n
}

// consumer is the name of the consumer that holds the projection's position and
// manifest.
func (p Projection) consumer() string { return "projection/" + p.Name }

// partConsumer is the name of the consumer that holds one of a part's two slots.
func (p Projection) partConsumer(part, slot int) string {
	return fmt.Sprintf("%s/part-%d.%d", p.consumer(), part, slot)
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// find reads the manifest.
func (p Projection) find(ctx context.Context, store eventstore.Store) (storedModel, error) {
	c, err := store.Consumer(ctx, p.consumer())
	if errors.Is(err, eventstore.ErrCorrupt) {
		return storedModel{damaged: true}, nil // a cache that cannot be read counts as absent
	}
	if err != nil {
		return storedModel{}, err
	}
	k := storedModel{at: c.Position}
	var stored manifest
	if c.Schema == p.Schema && json.Unmarshal(c.State, &stored) == nil && stored.Events == readableEvents() {
		k.usable, k.parts = true, stored.Parts
	}
	return k, nil
}

// load returns the stored model, or an empty one if none is usable.
func (p Projection) load(ctx context.Context, store eventstore.Store) (*view, error) {
	k, err := p.find(ctx, store)
	if err != nil {
		return nil, err
	}
	v := &view{Projection: p, model: p.New(), stored: k}
	for i, part := range k.parts {
		whole, err := v.join(ctx, store, i, part)
		if err != nil {
			return nil, err
		}
		if !whole {
			v.model, v.stored.usable, v.stored.parts = p.New(), false, nil
			return v, nil
		}
	}
	if k.usable {
		v.at = k.at
	}
	return v, nil
}

// join adds a stored part to the model. It reports false if the part is not what
// the manifest says.
func (v *view) join(ctx context.Context, store eventstore.Store, i int, part storedPart) (bool, error) {
	c, err := store.Consumer(ctx, v.partConsumer(i, part.Slot))
	if errors.Is(err, eventstore.ErrCorrupt) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return sumOf(c.State) == part.SHA256 && v.model.Join(c.State) == nil, nil
}

// save stores the parts of the model that differ from the stored ones. A model
// with a part larger than eventstore.MaxSnapshot is not stored: every reader
// folds it.
func (v *view) save(ctx context.Context, store eventstore.Store) error {
	parts := v.model.Split()
	states := make([][]byte, len(parts))
	stored := manifest{Events: readableEvents(), Parts: make([]storedPart, len(parts))}
	for i, part := range parts {
		state, err := json.Marshal(part)
		if err != nil {
			return err
		}
		if len(state) > eventstore.MaxSnapshot {
			return nil
		}
		states[i], stored.Parts[i] = state, storedPart{Bytes: len(state), SHA256: sumOf(state)}
	}
	for i := range stored.Parts {
		if i < len(v.stored.parts) {
			before := v.stored.parts[i]
			if stored.Parts[i].Slot = before.Slot; stored.Parts[i] == before {
				continue
			}
			stored.Parts[i].Slot = 1 - before.Slot
		}
		if err := save(ctx, store, eventstore.Consumer{
			Name: v.partConsumer(i, stored.Parts[i].Slot), Position: v.at, Schema: v.Schema, State: states[i],
		}); err != nil {
			return err
		}
	}
	state, err := json.Marshal(stored)
	if err != nil {
		return err
	}
	next := eventstore.Consumer{Name: v.consumer(), Position: v.at, Schema: v.Schema, State: state}
	if v.stored.damaged {
		return save(ctx, store, next)
	}
	return store.SaveConsumer(ctx, next, v.stored.at)
}

// save stores the consumer whatever the position of the stored one, and even if
// that one is damaged.
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
