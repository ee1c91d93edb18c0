package device

// Event is a fact in the history of a device: one of the structs in this file.
// The set is closed. EventType gives its versioned name in the log; the JSON
// form of the struct is its payload (docs/event-format.md).
type Event interface {
	EventType() string
	deviceEvent()
}

// Events has one event of each type.
func Events() []Event { return []Event{Registered{}, Leased{}, Released{}, HealthChanged{}} }

// The events of a device. Its Ledger is the result of applying them.
type (
	// Registered records a device as its driver describes it. It is repeated if
	// a later start of the system finds that the device has changed.
	Registered struct {
		Device Description `json:"device"`
	}
	// Leased records that a holder may use the device from now on.
	Leased struct {
		Lease Lease `json:"lease"`
	}
	// Released records that a lease has ended, and why.
	Released struct {
		Lease  Lease  `json:"lease"`
		Reason string `json:"reason"`
	}
	// HealthChanged records a new condition of the device.
	HealthChanged struct {
		Device ID           `json:"device"`
		Health HealthStatus `json:"health"`
		Note   string       `json:"note,omitempty"`
	}
)

// EventType returns "device.registered.v1".
func (Registered) EventType() string { return "device.registered.v1" }

// EventType returns "device.leased.v1".
func (Leased) EventType() string { return "device.leased.v1" }

// EventType returns "device.released.v1".
func (Released) EventType() string { return "device.released.v1" }

// EventType returns "device.health_changed.v1".
func (HealthChanged) EventType() string { return "device.health_changed.v1" }

func (Registered) deviceEvent()    {}
func (Leased) deviceEvent()        {}
func (Released) deviceEvent()      {}
func (HealthChanged) deviceEvent() {}
