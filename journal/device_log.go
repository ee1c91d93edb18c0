package journal

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"reprise/device"
	"reprise/eventstore"
)

// DevicePrefix is the prefix of every device's aggregate ID.
const DevicePrefix = "device/"

// deviceOf returns the device whose aggregate a is, if it is a device's.
func deviceOf(a eventstore.AggregateID) (device.ID, bool) {
	name, ok := strings.CutPrefix(string(a), DevicePrefix)
	return device.ID(name), ok
}

// DeviceRecord is a device's ledger, folded from its events.
type DeviceRecord struct {
	ID     device.ID     `json:"id"`
	Ledger device.Ledger `json:"ledger"`
	// Version is the version of the last event folded in.
	Version eventstore.Version `json:"version"`
}

// DeviceLog reads and appends the events of devices. It is safe for concurrent
// use.
type DeviceLog struct {
	store eventstore.Store
	now   func() time.Time
	Codec Codec[device.Event]
}

// NewDeviceLog returns a log over the store. now stamps the events.
func NewDeviceLog(store eventstore.Store, now func() time.Time) *DeviceLog {
	return &DeviceLog{store: store, now: now, Codec: deviceCodec}
}

func deviceEvent[T device.Event](decoders map[string]Decoder[device.Event]) {
	var event T
	decoders[event.EventType()] = as[T, device.Event]
}

// deviceCodec reads every event that a device's log can hold. There are no
// upcasts yet.
var deviceCodec = Codec[device.Event]{Decoders: DeviceDecoders()}

// DeviceCodec returns the codec of the events of devices.
func DeviceCodec() Codec[device.Event] { return deviceCodec }

// DeviceDecoders has every event of a device, in its newest version.
func DeviceDecoders() map[string]Decoder[device.Event] {
	d := map[string]Decoder[device.Event]{}
	deviceEvent[device.Registered](d)
	deviceEvent[device.Leased](d)
	deviceEvent[device.Released](d)
	deviceEvent[device.HealthChanged](d)
	return d
}

// Append records the events after the record's version and returns the new
// record. If it fails, nothing is recorded.
func (l *DeviceLog) Append(ctx context.Context, r DeviceRecord, events ...device.Event) (DeviceRecord, error) {
	if len(events) == 0 {
		return r, nil
	}
	aggregate := DevicePrefix + string(r.ID)
	batch := make([]eventstore.NewEvent, len(events))
	next, correlation := r, eventstore.DerivedEventID(aggregate)
	for i, e := range events {
		kind, payload, err := Encode(e)
		if err != nil {
			return r, err
		}
		next.Version++
		next.Ledger = next.Ledger.Apply(e)
		batch[i] = eventstore.NewEvent{
			ID:   eventstore.DerivedEventID(aggregate, strconv.FormatUint(uint64(next.Version), 10), kind),
			Type: kind, Time: l.now().UTC(), Payload: payload,
			Correlation: correlation,
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

// Load folds the device's events into a record, starting from its snapshot if
// there is one. A device without events has an empty record.
func (l *DeviceLog) Load(ctx context.Context, id device.ID) (DeviceRecord, error) {
	r, _, err := l.LoadCounted(ctx, id)
	return r, err
}

// Open is Load for callers that append. If it had to fold many events, it saves
// a snapshot, so that the next call need not.
func (l *DeviceLog) Open(ctx context.Context, id device.ID) (DeviceRecord, error) {
	r, folded, err := l.LoadCounted(ctx, id)
	if err != nil || folded < EventsPerSnapshot {
		return r, err
	}
	snapshot, err := SnapshotOf(r)
	if err == nil {
		err = l.store.SaveSnapshot(ctx, snapshot)
	}
	if err != nil {
		return r, fmt.Errorf("snapshot of device %s: %w", id, err)
	}
	return r, nil
}

// LoadCounted is Load and also returns the number of events that it folded.
func (l *DeviceLog) LoadCounted(ctx context.Context, id device.ID) (r DeviceRecord, folded int, err error) {
	aggregate := eventstore.AggregateID(DevicePrefix + string(id))
	replay, err := eventstore.ReplaySchema(ctx, l.store, aggregate, deviceSnapshotSchema)
	if err != nil {
		return r, 0, fmt.Errorf("read device %s: %w", id, err)
	}
	fold := func(e eventstore.Event) error {
		folded++
		r, err = l.fold(r, e)
		return err
	}
	var usable bool
	if r, usable = recordOf(replay.Snapshot, id); !usable {
		err = WalkAggregate(ctx, l.store, aggregate, eventstore.End, fold)
		return r, folded, err
	}
	for _, e := range replay.Events {
		if err := fold(e); err != nil {
			return r, folded, err
		}
	}
	return r, folded, nil
}

// fold applies an envelope to the record.
func (l *DeviceLog) fold(r DeviceRecord, e eventstore.Event) (DeviceRecord, error) {
	event, err := l.Codec.Decode(e)
	if err != nil {
		return r, err
	}
	ledger, err := r.Ledger.ApplyRecorded(event)
	if err != nil {
		return r, fmt.Errorf("event %d of %s: %w", e.Version, e.Aggregate, err)
	}
	r.Ledger, r.Version = ledger, e.Version
	return r, nil
}
