package journal

import (
	"context"
	"time"

	"reprise/device"
	"reprise/eventstore"
)

// DevicePrefix is the prefix of every device's aggregate ID.
const DevicePrefix = "device/"

// deviceAggregate is a device. It has two events for every run that it ever trained,
// but a ledger that stays small, which is what snapshots are for.
var deviceAggregate = Aggregate[device.Ledger, device.Event]{
	Prefix: DevicePrefix, Kind: "device", Codec: codecOf(device.Events()...),
	Fold: func(l device.Ledger, e device.Event, _ eventstore.Version, _ time.Time) (device.Ledger, error) {
		return l.ApplyRecorded(e)
	},
	SnapshotSchema: 2,
}

// deviceOf returns the device whose aggregate a is, if it is a device's.
func deviceOf(a eventstore.AggregateID) (device.ID, bool) {
	name, ok := nameOf(a, DevicePrefix)
	return device.ID(name), ok
}

// DeviceRecord is a device's ledger, folded from its events.
type DeviceRecord struct {
	ID     device.ID     `json:"id"`
	Ledger device.Ledger `json:"ledger"`
	// Version is the version of the last event folded in.
	Version eventstore.Version `json:"version"`
}

func (r DeviceRecord) entity() Entity[device.Ledger] {
	return Entity[device.Ledger]{Name: string(r.ID), State: r.Ledger, Version: r.Version}
}

func deviceRecord(x Entity[device.Ledger]) DeviceRecord {
	return DeviceRecord{ID: device.ID(x.Name), Ledger: x.State, Version: x.Version}
}

// DeviceLog reads and appends the events of devices. It is safe for concurrent
// use.
type DeviceLog struct {
	log Log[device.Ledger, device.Event]
}

// NewDeviceLog returns a log over the store. now stamps the events.
func NewDeviceLog(store eventstore.Store, now func() time.Time) *DeviceLog {
	return &DeviceLog{log: Log[device.Ledger, device.Event]{Aggregate: deviceAggregate, Store: store, Now: now}}
}

// Append records the events after the record's version and returns the new
// record. If it fails, nothing is recorded.
func (l *DeviceLog) Append(ctx context.Context, r DeviceRecord, events ...device.Event) (DeviceRecord, error) {
	x, err := l.log.Append(ctx, r.entity(), events...)
	return deviceRecord(x), err
}

// Load folds the device's events into a record, starting from its snapshot if
// there is one. A device without events has an empty record.
func (l *DeviceLog) Load(ctx context.Context, id device.ID) (DeviceRecord, error) {
	x, err := l.log.Load(ctx, string(id))
	return deviceRecord(x), err
}

// Open is Load for callers that append. If it had to fold many events, it saves
// a snapshot, so that the next call need not.
func (l *DeviceLog) Open(ctx context.Context, id device.ID) (DeviceRecord, error) {
	x, err := l.log.Open(ctx, string(id))
	return deviceRecord(x), err
}

// Decode returns the event of a device's envelope, or ErrUnknownEvent.
func (l *DeviceLog) Decode(e eventstore.Event) (device.Event, error) { return l.log.Codec.Decode(e) }

// fold applies an envelope to the record.
func (l *DeviceLog) fold(r DeviceRecord, e eventstore.Event) (DeviceRecord, error) {
	x, err := l.log.extend(r.entity(), e)
	return deviceRecord(x), err
}
