package journal

import (
	"time"

	"reprise/device"
	"reprise/eventstore"
	"reprise/training"
)

// Memory decodes each payload once for all of its logs, for callers that read the same
// events again and again. It never forgets one, and is used by one goroutine at a time.
type Memory struct {
	runs    Codec[training.Event]
	devices Codec[device.Event]
}

// NewMemory returns an empty memory.
func NewMemory() *Memory {
	return &Memory{runs: remembering(runAggregate.Codec), devices: remembering(deviceAggregate.Codec)}
}

// RunLog is NewRunLog.
func (m *Memory) RunLog(store eventstore.Store, now func() time.Time) *RunLog {
	l := NewRunLog(store, now)
	l.log.Codec = m.runs
	return l
}

// DeviceLog is NewDeviceLog.
func (m *Memory) DeviceLog(store eventstore.Store, now func() time.Time) *DeviceLog {
	l := NewDeviceLog(store, now)
	l.log.Codec = m.devices
	return l
}

// remembering returns the codec with decoders that decode a payload once.
func remembering[E Typed](c Codec[E]) Codec[E] {
	decoders := make(map[string]decoder[E], len(c.decoders))
	for kind, decode := range c.decoders {
		known := map[string]E{}
		decoders[kind] = func(payload []byte) (E, error) {
			event, ok := known[string(payload)]
			if ok {
				return event, nil
			}
			event, err := decode(payload)
			if err == nil {
				known[string(payload)] = event
			}
			return event, err
		}
	}
	c.decoders = decoders
	return c
}
