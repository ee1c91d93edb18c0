package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"reprise/device"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/internal/figures"
	"reprise/journal"
	"reprise/queue"
)

// SetQueue changes the settings of the queue, and returns them. Decisions from then on
// are made with them; a run that has a device keeps it. It fails with fault.Invalid, with
// all problems at once, for settings that make no sense here.
func (h *Host) SetQueue(ctx context.Context, c queue.SettingsChange) (journal.SettingsRecord, error) {
	h.setting.Lock()
	defer h.setting.Unlock()
	if err := CheckSettings(h.config.Devices, c); err != nil {
		return journal.SettingsRecord{}, err
	}
	set, err := journal.ChangeSettings(ctx, h.config.Store, h.config.Now, c)
	if errors.Is(err, eventstore.ErrConcurrencyConflict) { // another worker of the store was first
		set, err = journal.ChangeSettings(ctx, h.config.Store, h.config.Now, c)
	}
	if err != nil {
		return set, err
	}
	h.waiting.rules.Store(rulesOf(h.config, set))
	_ = h.devices.Tell(replan{}) // if its mailbox is full, it plans anyway
	return set, nil
}

// CheckSettings fails, like Host.SetQueue, for settings that make no sense where there are
// these devices. What was set about a device that is gone can be removed.
func CheckSettings(drivers []device.Driver, c queue.SettingsChange) error {
	names := make([]string, len(drivers))
	for i, d := range drivers {
		names[i] = string(d.Describe().ID())
	}
	errs := fault.Parts(queue.Settings{}.With(c).Validate())
	for _, id := range slices.Sorted(maps.Keys(c.Labels)) {
		if len(c.Labels[id]) > 0 && !slices.Contains(names, string(id)) {
			errs = append(errs, &fault.FieldError{Field: "labels." + string(id), Value: fmt.Sprintf("%q", id), Problem: "is not a device of this machine", Fix: "use " + figures.Or(names)})
		}
	}
	return fault.As(fault.Invalid, errors.Join(errs...))
}
