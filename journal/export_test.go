package journal

import (
	"context"

	"reprise/device"
	"reprise/eventstore"
)

// What only the tests need.
const (
	EventsPerSnapshot = eventsPerSnapshot
	RunsPerPart       = runsPerPart
)

// ReadableEvents is readableEvents.
func ReadableEvents() string { return readableEvents() }

// ConsumerOf returns the name of the consumer that holds the projection's manifest.
func ConsumerOf(p Projection) string { return p.consumer() }

// LoadCounted is DeviceLog.Load, and also returns the number of events that it folded.
func LoadCounted(ctx context.Context, store eventstore.Store, id device.ID) (DeviceRecord, int, error) {
	x, folded, err := NewDeviceLog(store, nil).log.load(ctx, string(id))
	return deviceRecord(x), folded, err
}

// DeviceSnapshotOf returns the snapshot that gives the record back.
func DeviceSnapshotOf(r DeviceRecord) (eventstore.Snapshot, error) {
	return deviceAggregate.snapshotOf(r.entity())
}

// LastVersion is lastVersion.
func LastVersion(ctx context.Context, store eventstore.Store, a eventstore.AggregateID, from eventstore.Version) (eventstore.Version, error) {
	return lastVersion(ctx, store, a, from)
}
