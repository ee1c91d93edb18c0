package integration

import (
	"context"
	"errors"
	"testing"
	"time"

	"reprise/device"
	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/journal"
	"reprise/tensor"
	"reprise/training"
)

// Two writers decide on the same record: the second one's decision is refused.
func TestASecondWriterOfARunIsRefused(t *testing.T) {
	ctx := context.Background()
	log := journal.NewRunLog(memory.New(), func() time.Time { return simEpoch })
	started, err := log.Append(ctx, journal.RunRecord{}, newHistory(0, simulatedData(t), false).request(0).events...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(ctx, started, training.TrainingInterrupted{Cause: "the first"}); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(ctx, started, training.TrainingFailed{Reason: "the second"}); !errors.Is(err, eventstore.ErrConcurrencyConflict) {
		t.Errorf("the second writer: %v", err)
	}
}

func TestASecondWriterOfADeviceIsRefused(t *testing.T) {
	ctx := context.Background()
	log := journal.NewDeviceLog(memory.New(), func() time.Time { return simEpoch })
	described := newSimDevice(newHistory(0, nil, false), "sim0", 1, tensor.GiB).Describe()
	registered, err := log.Append(ctx, journal.DeviceRecord{ID: "sim0"}, device.Registered{Device: described.Description()})
	if err != nil {
		t.Fatal(err)
	}
	events, err := registered.Ledger.Acquire("run/first", "lease", device.Workload{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(ctx, registered, events...); err != nil {
		t.Fatal(err)
	}
	second, err := registered.Ledger.SetHealth(device.Degraded, "slow")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(ctx, registered, second...); !errors.Is(err, eventstore.ErrConcurrencyConflict) {
		t.Errorf("the second writer: %v", err)
	}
}
