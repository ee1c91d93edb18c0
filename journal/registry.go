package journal

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"reprise/eventstore"
)

// registered is an Aggregate, whatever its state and events are.
type registered interface {
	prefix() string
	eventTypes() []string
	decode(eventstore.Event) (Typed, error)
	hasSnapshots() bool
	rebuildSnapshot(ctx context.Context, store eventstore.Store, name string) error
	auditSnapshot(ctx context.Context, store eventstore.Store, name string) error
}

// registry lists every kind of aggregate that a log can hold.
var registry = [...]registered{runAggregate, deviceAggregate, actorAggregate, queueAggregate, jobAggregate, settingsAggregate}

func (a Aggregate[S, E]) prefix() string { return a.Prefix }

func (a Aggregate[S, E]) eventTypes() []string { return slices.Collect(maps.Keys(a.Codec.decoders)) }

func (a Aggregate[S, E]) hasSnapshots() bool { return a.SnapshotSchema > 0 }

func (a Aggregate[S, E]) decode(e eventstore.Event) (Typed, error) {
	event, err := a.Codec.Decode(e)
	if err != nil {
		return nil, err // without a typed nil
	}
	return event, nil
}

// registeredFor returns the kind of an aggregate, and its name without the prefix; nil
// where no kind has such names.
func registeredFor(id eventstore.AggregateID) (registered, string) {
	for _, r := range registry {
		if name, ok := nameOf(id, r.prefix()); ok {
			return r, name
		}
	}
	return nil, ""
}

// EventOf returns the domain's event of an envelope, such as a training.Event. It
// fails with ErrUnknownEvent for an event, or an aggregate, that this version does not
// know.
func EventOf(e eventstore.Event) (Typed, error) {
	r, _ := registeredFor(e.Aggregate)
	if r == nil {
		return nil, fmt.Errorf("event at position %d, of %s: %w", e.Position, e.Aggregate, ErrUnknownEvent)
	}
	return r.decode(e)
}

// EventTypes lists the type of every event that this version reads, sorted.
func EventTypes() []string {
	var types []string
	for _, r := range registry {
		types = append(types, r.eventTypes()...)
	}
	slices.Sort(types)
	return types
}

// AggregatePrefixes lists what the ids of aggregates begin with, one for each kind that this
// version reads, sorted.
func AggregatePrefixes() []string {
	var list []string
	for _, r := range registry {
		list = append(list, r.prefix())
	}
	slices.Sort(list)
	return list
}

// readableEvents identifies the event types that this version reads.
func readableEvents() string { return sumOf([]byte(strings.Join(EventTypes(), "\n"))) }
