// Package journaltest makes event logs for the tests of the journal and of the packages
// above it. It belongs to no goroutine: its types are used by one at a time.
package journaltest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"reprise/device"
	"reprise/eventstore"
	"reprise/journal"
	"reprise/nn"
	"reprise/tensor"
	"reprise/training"
)

// WriteRuns appends that many runs, each taken from start to end on one device:
// 9 events, and two for every epoch.
func WriteRuns(ctx context.Context, store eventstore.Store, runs, epochs int) error {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { now = now.Add(time.Second); return now }
	w := writer{ctx: ctx, runs: journal.NewRunLog(store, clock), devices: journal.NewDeviceLog(store, clock), device: journal.DeviceRecord{ID: "cpu0"}}
	cpu, err := device.New(device.Description{ID: "cpu0", Name: "a processor", Kind: device.CPU, Slots: 2, Units: 1,
		Health: device.Healthy, Memory: device.MemoryInfo{Total: 1 << 30, Available: 1 << 30}})
	if err != nil {
		return err
	}
	w.record(w.device.Ledger.Register(cpu))
	for i := range runs {
		w.run(training.RunID(fmt.Sprintf("20260101-000000-%06x", i)), device.LeaseID(fmt.Sprint("lease-", i)), epochs)
	}
	return w.err
}

// writer appends until something fails.
type writer struct {
	ctx     context.Context
	runs    *journal.RunLog
	devices *journal.DeviceLog
	device  journal.DeviceRecord
	err     error
}

// record appends what the device's ledger has decided.
func (w *writer) record(events []device.Event, err error) {
	if w.err == nil {
		w.err = err
	}
	if w.err == nil {
		w.device, w.err = w.devices.Append(w.ctx, w.device, events...)
	}
}

// run takes a run from start to end.
func (w *writer) run(id training.RunID, name device.LeaseID, epochs int) {
	var r journal.RunRecord
	add := func(events ...training.Event) {
		for batch := range slices.Chunk(events, eventstore.MaxBatch) {
			if w.err == nil {
				r, w.err = w.runs.Append(w.ctx, r, batch...)
			}
		}
	}
	start, events, end := partsOfARun(id, epochs)
	add(start)
	w.record(w.device.Ledger.Acquire(journal.HolderOf(id), name,
		device.Workload{Name: "train", Memory: device.MemoryRequirement{Size: 1 << 20}}))
	if w.err != nil {
		return
	}
	lease := w.device.Ledger.Leases()[0]
	held := training.Allocation{Device: "cpu0", Lease: lease.ID, Epoch: lease.Epoch}
	add(training.ResourceAllocated{Allocation: held})
	add(events...)
	w.record(w.device.Ledger.Release(lease, "the run has ended"))
	add(training.DeviceReleased{Allocation: held}, end)
}

// WholeRun returns the events of a run that completes.
func WholeRun(id training.RunID, held training.Allocation, epochs int) []training.Event {
	start, events, end := partsOfARun(id, epochs)
	return append(append([]training.Event{start, training.ResourceAllocated{Allocation: held}}, events...),
		training.DeviceReleased{Allocation: held}, end)
}

// partsOfARun returns the same without the events of its lease.
func partsOfARun(id training.RunID, epochs int) (start training.Event, events []training.Event, end training.Event) {
	const perEpoch = 100
	session := training.SessionID("session-" + string(id))
	sum := func(epoch int) string { return fmt.Sprintf("%064x", epoch) }
	start = training.TrainingStarted{
		RunID: id, SessionID: session, ModelID: "mlp", Architecture: nn.MLP(tensor.Shape{64}, []int{128, 64}, "relu", 10),
		Dataset: training.Dataset{ID: "digits", Path: "builtin:digits", Fingerprint: sum(0), Training: 1000, Validation: 200},
		Hyperparameters: training.Hyperparameters{
			BatchSize: 10, Epochs: uint64(epochs), CheckpointInterval: 1, Seed: 1, Optimizer: nn.Optimizer{Name: "adamw"},
			LearningRate: training.LearningRate{Value: 0.001, Schedule: training.Schedule{TotalSteps: uint64(epochs * perEpoch)}},
		},
		Request: []byte(`{"data":{"path":"builtin:digits"},"note":"` + strings.Repeat("a request has some length. ", 20) + `"}`),
	}
	events = []training.Event{
		training.DatasetLoaded{Dataset: "digits", Fingerprint: sum(0)},
		training.ModelInitialized{WeightsSHA256: sum(0)},
	}
	var m training.Metrics
	for e := 1; e <= epochs; e++ {
		step := uint64(e * perEpoch)
		m = training.Metrics{TrainLoss: 2.3 / float64(e), ValLoss: 2.4 / float64(e), ValAccuracy: 1 - 0.9/float64(e)}
		events = append(events,
			training.EpochCompleted{Epoch: uint64(e), Step: step, Metrics: m},
			training.CheckpointCommitted{Checkpoint: training.Checkpoint{
				SessionID: session, Epoch: uint64(e), Step: step, Dir: fmt.Sprintf("step-%08d", step), Loss: m.TrainLoss,
				ManifestSHA256: sum(e), WeightsSHA256: sum(e), SeriesSHA256: sum(e),
			}})
	}
	completed := training.TrainingCompleted{Epoch: uint64(epochs), Step: uint64(epochs * perEpoch), WeightsSHA256: sum(epochs), Metrics: m}
	return start, append(events, completed), training.DatasetUnloaded{Dataset: "digits"}
}
