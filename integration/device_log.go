package integration

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"reprise/device"
	"reprise/eventstore"
)

// devicePrefix begins the aggregate id of every device.
const devicePrefix = "device/"

// DeviceRecord is a device's ledger as its events tell it.
type DeviceRecord struct {
	ID      device.ID
	Ledger  device.Ledger
	Version eventstore.Version
}

// DeviceLog reads and appends the events of devices. It is safe for concurrent
// use.
type DeviceLog struct {
	store    eventstore.Store
	now      func() time.Time
	decoders map[string]decoder[device.Event]
}

// NewDeviceLog returns a log over the store. now stamps the events.
func NewDeviceLog(store eventstore.Store, now func() time.Time) *DeviceLog {
	return &DeviceLog{store: store, now: now, decoders: deviceDecoders()}
}

func deviceEvent[T device.Event](decoders map[string]decoder[device.Event]) {
	var event T
	decoders[event.EventType()] = as[T, device.Event]
}

// deviceDecoders lists every event that a device's log may hold.
func deviceDecoders() map[string]decoder[device.Event] {
	d := map[string]decoder[device.Event]{}
	deviceEvent[device.Registered](d)
	deviceEvent[device.Leased](d)
	deviceEvent[device.Released](d)
	deviceEvent[device.HealthChanged](d)
	return d
}

// Append records the events behind the record's version and returns the new
// record, or fails and records nothing.
func (l *DeviceLog) Append(ctx context.Context, r DeviceRecord, events ...device.Event) (DeviceRecord, error) {
	if len(events) == 0 {
		return r, nil
	}
	aggregate := devicePrefix + string(r.ID)
	batch := make([]eventstore.NewEvent, len(events))
	next := r
	for i, e := range events {
		kind, payload, err := encode(e)
		if err != nil {
			return r, err
		}
		next.Version++
		next.Ledger = next.Ledger.Apply(e)
		batch[i] = eventstore.NewEvent{
			ID:   eventstore.DerivedEventID(aggregate, strconv.FormatUint(uint64(next.Version), 10), kind),
			Type: kind, Time: l.now().UTC(), Payload: payload,
			Correlation: eventstore.DerivedEventID(aggregate),
		}
	}
	_, err := l.store.Append(ctx, eventstore.Write{
		Aggregate: eventstore.AggregateID(aggregate), Expected: eventstore.Exactly(r.Version), Events: batch,
	})
	if err != nil {
		return r, fmt.Errorf("record %s of device %s: %w", events[0].EventType(), r.ID, err)
	}
	return next, nil
}

// Load folds a device's events; a device without any gives an empty record.
func (l *DeviceLog) Load(ctx context.Context, id device.ID) (DeviceRecord, error) {
	r := DeviceRecord{ID: id}
	replay, err := l.store.Replay(ctx, eventstore.AggregateID(devicePrefix+string(id)), 0)
	if err != nil {
		return r, fmt.Errorf("read device %s: %w", id, err)
	}
	events := make([]device.Event, len(replay.Events))
	for i, e := range replay.Events {
		if events[i], err = decode(l.decoders, e); err != nil {
			return r, err
		}
		r.Version = e.Version
	}
	if r.Ledger, err = device.Replay(events); err != nil {
		return r, fmt.Errorf("device %s: %w", id, err)
	}
	return r, nil
}

// List folds every device, in the order in which they were first seen.
func (l *DeviceLog) List(ctx context.Context) ([]DeviceRecord, error) {
	var ids []device.ID
	err := readAll(ctx, l.store, func(e eventstore.Event) error {
		if name, ok := strings.CutPrefix(string(e.Aggregate), devicePrefix); ok && e.Version == 1 {
			ids = append(ids, device.ID(name))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	list := make([]DeviceRecord, len(ids))
	for i, id := range ids {
		if list[i], err = l.Load(ctx, id); err != nil {
			return nil, err
		}
	}
	return list, nil
}
