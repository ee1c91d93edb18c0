package journal

import (
	"context"
	"encoding/json"
	"fmt"

	"reprise/device"
	"reprise/eventstore"
)

// DeviceList is the read model of all devices and their leases.
type DeviceList struct {
	// Devices are in the order in which they were first seen. Spans holds the
	// range of each one's events.
	Devices []DeviceRecord  `json:"devices"`
	Spans   []PositionRange `json:"spans"`

	log   *DeviceLog
	index map[device.ID]int
}

// Apply folds the next event of the log. It ignores events of anything but
// devices.
func (l *DeviceList) Apply(e eventstore.Event) error {
	id, ok := deviceOf(e.Aggregate)
	if !ok {
		return nil
	}
	if l.log == nil {
		l.log = NewDeviceLog(nil, nil)
	}
	if l.index == nil {
		l.index = make(map[device.ID]int, len(l.Devices))
		for i, d := range l.Devices {
			l.index[d.ID] = i
		}
	}
	i, known := l.index[id]
	record := DeviceRecord{ID: id}
	if known {
		record = l.Devices[i]
	}
	record, err := l.log.fold(record, e)
	switch {
	case err != nil:
		return err
	case known:
		l.Devices[i], l.Spans[i].Last = record, e.Position
	default:
		l.index[id] = len(l.Devices)
		l.Devices, l.Spans = append(l.Devices, record), append(l.Spans, PositionRange{First: e.Position, Last: e.Position})
	}
	return nil
}

// Split implements ReadModel. There are few devices, so one part is enough.
func (l *DeviceList) Split() []ReadModel {
	return []ReadModel{&DeviceList{Devices: l.Devices, Spans: l.Spans}}
}

// Join implements ReadModel.
func (l *DeviceList) Join(part []byte) error {
	var more DeviceList
	if err := json.Unmarshal(part, &more); err != nil {
		return err
	}
	if len(more.Devices) != len(more.Spans) {
		return fmt.Errorf("%d devices at %d places of the log", len(more.Devices), len(more.Spans))
	}
	l.Devices, l.Spans = append(l.Devices, more.Devices...), append(l.Spans, more.Spans...)
	return nil
}

// at returns the devices as they were at a position of the log that the list has
// reached. It reads again only the devices that have later events.
func (l *DeviceList) at(ctx context.Context, store eventstore.Store, at eventstore.Position) ([]DeviceRecord, error) {
	return listAt(l.Devices, l.Spans, at, func(d DeviceRecord) (DeviceRecord, error) {
		var alone DeviceList
		if err := walkAggregate(ctx, store, eventstore.AggregateID(DevicePrefix+string(d.ID)), at, alone.Apply); err != nil {
			return d, err
		}
		return alone.Devices[0], nil
	})
}
