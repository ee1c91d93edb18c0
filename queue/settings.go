package queue

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"reprise/device"
)

// The limits of settings.
const (
	MaxShare    = 1000 // and its inverse is the least
	MaxSettings = 1000 // owners or devices that a setting names
)

// Settings are what an operator has set about the queue: who gets how much, and which
// labels devices have. They change the policy of the host while it runs. The zero value
// sets nothing.
type Settings struct {
	// Shares are the weights of owners: of two that always have jobs waiting, one with
	// twice the share gets twice the device time. An owner who is not named has the share 1.
	// If there are any, the order of jobs is OrderShare.
	Shares map[string]float64 `json:"shares,omitempty"`
	// Quotas bound the devices that an owner's jobs hold together.
	Quotas map[string]int `json:"quotas,omitempty"`
	// Labels are what jobs can ask of devices, besides the labels that their host gives.
	Labels map[device.ID][]string `json:"labels,omitempty"`
}

// SettingsChange is a change of Settings: what it does not name stays as it is. A nil share or
// quota, and an empty list of labels, removes what is set.
type SettingsChange struct {
	Shares map[string]*float64    `json:"shares,omitempty"`
	Quotas map[string]*int        `json:"quotas,omitempty"`
	Labels map[device.ID][]string `json:"labels,omitempty"`
}

// IsZero reports whether the change names nothing.
func (c SettingsChange) IsZero() bool { return len(c.Shares)+len(c.Quotas)+len(c.Labels) == 0 }

// With returns the settings after a change. They share no maps.
func (s Settings) With(c SettingsChange) Settings {
	return Settings{Shares: changed(s.Shares, c.Shares), Quotas: changed(s.Quotas, c.Quotas), Labels: s.labelsWith(c.Labels)}
}

// changed returns a copy of the values after a change; nil if none is left.
func changed[V any](values map[string]V, change map[string]*V) map[string]V {
	after := maps.Clone(values)
	if after == nil {
		after = map[string]V{}
	}
	for name, v := range change {
		if v == nil {
			delete(after, name)
		} else {
			after[name] = *v
		}
	}
	if len(after) == 0 {
		return nil
	}
	return after
}

func (s Settings) labelsWith(change map[device.ID][]string) map[device.ID][]string {
	after := map[device.ID][]string{}
	for _, all := range []map[device.ID][]string{s.Labels, change} {
		for id, labels := range all {
			if len(labels) == 0 {
				delete(after, id)
			} else {
				after[id] = slices.Sorted(slices.Values(labels))
			}
		}
	}
	if len(after) == 0 {
		return nil
	}
	return after
}

// IsZero reports whether nothing is set.
func (s Settings) IsZero() bool { return len(s.Shares)+len(s.Quotas)+len(s.Labels) == 0 }

// Equal reports whether both set the same.
func (s Settings) Equal(o Settings) bool {
	return maps.Equal(s.Shares, o.Shares) && maps.Equal(s.Quotas, o.Quotas) && maps.EqualFunc(s.Labels, o.Labels, slices.Equal)
}

// Policy returns a host's policy with the settings, of the given version, in force.
func (s Settings) Policy(host Policy, version uint64) Policy {
	p := host
	p.Settings = version
	if len(s.Shares) > 0 {
		p.Order, p.Shares = OrderShare, overlaid(host.Shares, s.Shares)
	}
	if len(s.Quotas) > 0 {
		p.Quotas = overlaid(host.Quotas, s.Quotas)
	}
	return p
}

func overlaid[V any](host, set map[string]V) map[string]V {
	all := maps.Clone(set)
	for name, v := range host {
		if _, named := set[name]; !named {
			all[name] = v
		}
	}
	return all
}

// LabelsOf returns the labels of a device to which its host gives some, sorted and each once.
func (s Settings) LabelsOf(id device.ID, host []string) []string {
	if len(s.Labels[id]) == 0 {
		return host
	}
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(host, s.Labels[id]))))
}

// Contradiction says where a decision's snapshot, in which settings with this version were
// in force, does not follow them; "" if it does.
func (s Settings) Contradiction(of *Snapshot) string {
	for _, owner := range slices.Sorted(maps.Keys(s.Quotas)) {
		if used, ok := of.Policy.Quotas[owner]; !ok || used != s.Quotas[owner] {
			return fmt.Sprintf("policy.quotas.%s: recorded %d, but the settings have %d", owner, used, s.Quotas[owner])
		}
	}
	for _, owner := range slices.Sorted(maps.Keys(s.Shares)) {
		if used, ok := of.Policy.Shares[owner]; !ok || used != s.Shares[owner] {
			return fmt.Sprintf("policy.shares.%s: recorded %v, but the settings have %v", owner, used, s.Shares[owner])
		}
	}
	if len(s.Shares) > 0 && of.Policy.Order != OrderShare {
		return fmt.Sprintf("policy.order: recorded %q, but the settings have shares", of.Policy.Order)
	}
	for _, d := range of.Devices {
		for _, label := range s.Labels[d.ID] {
			if !slices.Contains(d.Labels, label) {
				return fmt.Sprintf("devices: %s has the labels %v, but the settings give it %s", d.ID, d.Labels, label)
			}
		}
	}
	return ""
}

// Validate fails with a *fault.FieldError, or several of them joined, for settings that
// make no sense. Fields are named as in the JSON form.
func (s Settings) Validate() error {
	var errs fieldErrors
	addOwners(&errs, "shares", s.Shares)
	for _, owner := range slices.Sorted(maps.Keys(s.Shares)) {
		if problem := badShare(s.Shares[owner]); problem != "" {
			errs.add("shares."+owner, figure(s.Shares[owner]), problem, fmt.Sprintf("use a number from %v to %d; others have the share 1", 1.0/MaxShare, MaxShare))
		}
	}
	addOwners(&errs, "quotas", s.Quotas)
	for _, owner := range slices.Sorted(maps.Keys(s.Quotas)) {
		if quota := s.Quotas[owner]; quota < 0 {
			errs.add("quotas."+owner, strconv.Itoa(quota), "must not be negative", "use the number of devices that the owner may hold, or leave it out for no bound")
		}
	}
	if len(s.Labels) > MaxSettings {
		errs.add("labels", strconv.Itoa(len(s.Labels)), "is the number of devices, and too large", fmt.Sprintf("name at most %d", MaxSettings))
	}
	for _, id := range slices.Sorted(maps.Keys(s.Labels)) {
		addNames(&errs, "labels."+string(id), s.Labels[id], MaxLabels, "a label")
	}
	return errs.join()
}

// addOwners complains about names that no owner of jobs can have, and about too many.
func addOwners[V any](errs *fieldErrors, field string, values map[string]V) {
	if len(values) > MaxSettings {
		errs.add(field, strconv.Itoa(len(values)), "is the number of owners, and too large", fmt.Sprintf("name at most %d", MaxSettings))
	}
	for _, owner := range slices.Sorted(maps.Keys(values)) {
		problem := badName(owner)
		if owner == "" {
			problem = "is empty"
		}
		if problem != "" {
			errs.add(field, shown(owner), problem, "name an owner of jobs")
		}
	}
}

// badShare says what is wrong with a share; "" if nothing is.
func badShare(share float64) string {
	switch {
	case math.IsNaN(share), share < 1.0/MaxShare:
		return "is too small"
	case share > MaxShare:
		return "is too large"
	}
	return ""
}

func figure(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
