package device

import "encoding/json"

// ledgerState is the JSON form of a ledger: its entire state.
type ledgerState struct {
	// Device is null before the device is registered.
	Device *Description `json:"device"`
	Epoch  Epoch        `json:"lease_epoch"`
	Leases []Lease      `json:"leases"`
}

// MarshalJSON encodes the ledger's state.
func (l Ledger) MarshalJSON() ([]byte, error) {
	s := ledgerState{Epoch: l.epoch, Leases: append([]Lease{}, l.leases...)}
	if l.registered() {
		d := l.device.Description()
		s.Device = &d
	}
	return json.Marshal(s)
}

// UnmarshalJSON decodes what MarshalJSON wrote.
func (l *Ledger) UnmarshalJSON(raw []byte) error {
	var s ledgerState
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	next := Ledger{epoch: s.Epoch}
	if len(s.Leases) > 0 {
		next.leases = s.Leases
	}
	if s.Device != nil {
		d, err := New(*s.Device)
		if err != nil {
			return err
		}
		next.device = d
	}
	*l = next
	return nil
}
