package journal

import (
	"context"
	"errors"
	"time"

	"reprise/eventstore"
	"reprise/fault"
	"reprise/queue"
)

// SettingsAggregate is the aggregate whose events are what operators have set about the
// queue.
const SettingsAggregate eventstore.AggregateID = "queue-settings"

// SettingsEvent is an event of the queue's settings.
type SettingsEvent interface {
	Typed
	settingsEvent()
}

// SettingsChanged records the settings of the queue from now on, all of them. Their
// version is that of the event, and a decision says which version it was made with.
type SettingsChanged struct{ queue.Settings }

func (SettingsChanged) settingsEvent() {}

// EventType returns the type of the envelope.
func (SettingsChanged) EventType() string { return "queue.settings_changed.v1" }

// settingsEvents has one event of each type.
func settingsEvents() []SettingsEvent { return []SettingsEvent{SettingsChanged{}} }

// SettingsRecord is the queue's settings as their events tell them.
type SettingsRecord struct {
	queue.Settings
	// Version is that of the last event folded in; 0 if nothing was ever set.
	Version   eventstore.Version
	ChangedAt time.Time
}

// errSameSettings is the error of a change that changes nothing.
var errSameSettings = errors.New("they are the settings that there were before")

var settingsAggregate = Aggregate[SettingsRecord, SettingsEvent]{
	Prefix: string(SettingsAggregate), Kind: "settings of the queue", Codec: codecOf(settingsEvents()...),
	Fold: func(s SettingsRecord, e SettingsEvent, version eventstore.Version, at time.Time) (SettingsRecord, error) {
		switch e := e.(type) {
		case SettingsChanged:
			if err := e.Validate(); err != nil {
				return s, err
			}
			if e.Equal(s.Settings) {
				return s, errSameSettings
			}
			s = SettingsRecord{Settings: e.Settings, Version: version, ChangedAt: at}
		}
		return s, nil
	},
}

// ReadSettings returns the settings of the queue at the end of the log. There are few
// changes, so all of them are read.
func ReadSettings(ctx context.Context, store eventstore.Store) (SettingsRecord, error) {
	log := Log[SettingsRecord, SettingsEvent]{Aggregate: settingsAggregate, Store: store}
	x, err := log.Load(ctx, "")
	return x.State, err
}

// ChangeSettings records the settings after a change, and returns them; nothing is recorded
// of a change that changes nothing. It fails with fault.Invalid for settings that make no
// sense, and with eventstore.ErrConcurrencyConflict if somebody else changed them meanwhile.
func ChangeSettings(ctx context.Context, store eventstore.Store, now func() time.Time, c queue.SettingsChange) (SettingsRecord, error) {
	log := Log[SettingsRecord, SettingsEvent]{Aggregate: settingsAggregate, Store: store, Now: now}
	before, err := log.Load(ctx, "")
	if err != nil {
		return SettingsRecord{}, err
	}
	after := before.State.With(c)
	if err := after.Validate(); err != nil {
		return before.State, fault.As(fault.Invalid, err)
	}
	if after.Equal(before.State.Settings) {
		return before.State, nil
	}
	x, err := log.Append(context.WithoutCancel(ctx), before, SettingsChanged{after})
	return x.State, err
}
