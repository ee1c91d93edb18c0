package journal

import (
	"context"
	"encoding/json"

	"reprise/device"
	"reprise/eventstore"
)

// A device has two events for every run that it ever trained, but a ledger that
// stays small, which is what snapshots are for. A run has no snapshots: its
// record grows with its events, so a snapshot would not be shorter.

const (
	// deviceSnapshotSchema is the version of deviceSnapshot and of its meaning;
	// a change of either raises it.
	deviceSnapshotSchema = 1
	// EventsPerSnapshot is the number of events that makes a snapshot worth its
	// space.
	EventsPerSnapshot = 256
)

// deviceSnapshot is the payload of a device's snapshot, in JSON.
type deviceSnapshot struct {
	// Events is as in manifest.
	Events string       `json:"events"`
	Device DeviceRecord `json:"device"`
}

// SnapshotOf returns the snapshot of a device that equals the record.
func SnapshotOf(r DeviceRecord) (eventstore.Snapshot, error) {
	payload, err := json.Marshal(deviceSnapshot{Events: ReadableEvents(), Device: r})
	return eventstore.Snapshot{
		Aggregate: eventstore.AggregateID(DevicePrefix + string(r.ID)), Version: r.Version, Schema: deviceSnapshotSchema, Payload: payload,
	}, err
}

// RebuildSnapshots folds every device that has a snapshot from its first event
// and replaces the snapshot, whatever it was.
func RebuildSnapshots(ctx context.Context, store eventstore.Store) error {
	devices, err := ReadDevices(ctx, eventsOnly{store})
	if err != nil {
		return err
	}
	for _, d := range devices.Devices {
		replay, err := store.Replay(ctx, eventstore.AggregateID(DevicePrefix+string(d.ID)), 0)
		if err != nil {
			return err
		}
		if replay.Snapshot == nil {
			continue
		}
		snapshot, err := SnapshotOf(d)
		if err != nil {
			return err
		}
		if err := store.SaveSnapshot(ctx, snapshot); err != nil {
			return err
		}
	}
	return nil
}

// recordOf returns the record to continue folding from: that of the snapshot,
// or an empty one if there is none. It reports false, with an empty record, for
// a snapshot that is not to be used.
func recordOf(s *eventstore.Snapshot, id device.ID) (DeviceRecord, bool) {
	empty := DeviceRecord{ID: id}
	if s == nil {
		return empty, true
	}
	var stored deviceSnapshot
	if err := json.Unmarshal(s.Payload, &stored); err != nil || stored.Events != ReadableEvents() ||
		stored.Device.ID != id || stored.Device.Version != s.Version {
		return empty, false
	}
	return stored.Device, true
}
