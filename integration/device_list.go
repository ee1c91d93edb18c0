package integration

import (
	"reprise/device"
	"reprise/eventstore"
)

// DeviceList is the read model of all devices and their leases.
type DeviceList struct {
	// Devices are in the order in which they were first seen.
	Devices []DeviceRecord `json:"devices"`

	log   *DeviceLog
	index map[device.ID]int
}

// Apply folds the next event of the log; events of others than devices change
// nothing.
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
		l.Devices[i] = record
	default:
		l.index[id] = len(l.Devices)
		l.Devices = append(l.Devices, record)
	}
	return nil
}
