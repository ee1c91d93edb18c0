package journaltest

import (
	"context"
	"fmt"
	"time"

	"reprise/device"
	"reprise/eventstore"
	"reprise/journal"
	"reprise/nn"
	"reprise/tensor"
	"reprise/training"
)

// Lottery draws a log that could have happened: runs and their forks, taken
// through their sagas with any outcome of any command, and a device whose
// ledger evolves independently.
type Lottery struct {
	Store   eventstore.Store
	Runs    *journal.RunLog
	Devices *journal.DeviceLog
	Records []journal.RunRecord
	Device  journal.DeviceRecord

	source Source
	now    time.Time
}

// Source is where a Lottery draws from; *rapid.T with an int generator is one.
type Source interface {
	// Draw returns a number from 0 to n-1.
	Draw(n int, what string) int
	// Fatal ends the test.
	Fatal(...any)
}

// NewLottery returns a Lottery before its first event.
func NewLottery(source Source, store eventstore.Store) *Lottery {
	l := &Lottery{source: source, Store: store, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	clock := func() time.Time { l.now = l.now.Add(1234567 * time.Microsecond); return l.now }
	l.Runs, l.Devices = journal.NewRunLog(l.Store, clock), journal.NewDeviceLog(l.Store, clock)
	l.Device.ID = "cpu0"
	return l
}

// Now returns the time of the newest event.
func (l *Lottery) Now() time.Time { return l.now }

// Step appends what happens next.
func (l *Lottery) Step() {
	if len(l.Records) == 0 || l.source.Draw(8, "start") == 0 && len(l.Records) < 5 {
		l.start()
		return
	}
	if l.source.Draw(6, "device") == 0 {
		l.stepDevice()
		return
	}
	i := l.source.Draw(len(l.Records), "run")
	if event := l.next(l.Records[i]); event != nil {
		next, err := l.Runs.Append(context.Background(), l.Records[i], event)
		if err != nil {
			l.source.Fatal(err)
		}
		l.Records[i] = next
	}
}

func (l *Lottery) start() {
	id := training.RunID(fmt.Sprintf("r%d", len(l.Records)))
	started := training.TrainingStarted{
		RunID: id, SessionID: training.SessionID("s-" + id), Architecture: nn.MLP(tensor.Shape{4}, []int{3}, "", 2),
		Dataset: training.Dataset{ID: "d", Path: "digits", Training: 100},
		Hyperparameters: training.Hyperparameters{
			BatchSize: 10, Epochs: uint64(2 + l.source.Draw(4, "epochs")), CheckpointInterval: uint64(1 + l.source.Draw(3, "interval")),
		},
		Request: []byte(`{}`),
	}
	if len(l.Records) > 0 && l.source.Draw(2, "fork") == 0 {
		parent := l.Records[l.source.Draw(len(l.Records), "parent")]
		if cp, ok := parent.LastCheckpoint(); ok && cp.Step < started.Hyperparameters.TotalSteps(100) {
			started.Parent = &training.Parent{RunID: parent.ID, Checkpoint: cp}
		}
	}
	record, err := l.Runs.Append(context.Background(), journal.RunRecord{}, started)
	if err != nil {
		l.source.Fatal(err)
	}
	l.Records = append(l.Records, record)
}

// next draws an event that may follow.
func (l *Lottery) next(r journal.RunRecord) training.Event {
	c := r.Saga.Context
	held := training.Allocation{Device: "cpu0", Lease: "l", Epoch: 1}
	commands := r.Saga.Commands()
	if len(commands) == 0 {
		if r.Session.CanResume() {
			event, err := r.Resume()
			if err != nil {
				l.source.Fatal(err)
			}
			return event
		}
		return nil
	}
	fails := l.source.Draw(12, "fails") == 0
	if r.Saga.UnderWay() && l.source.Draw(10, "interrupted") == 0 {
		return training.TrainingInterrupted{Cause: "drawn"}
	}
	if r.Saga.UnderWay() && fails && l.source.Draw(3, "hard") == 0 {
		return training.TrainingFailed{Reason: "drawn"}
	}
	pick := func(good, bad training.Event) training.Event {
		if fails {
			return bad
		}
		return good
	}
	const perEpoch = 10
	switch command := commands[0].(type) {
	case training.AllocateDevice:
		return pick(training.ResourceAllocated{Allocation: held}, training.ResourceAllocationFailed{Reason: "none"})
	case training.LoadDataset:
		return pick(training.DatasetLoaded{Dataset: command.Dataset}, training.DatasetLoadFailed{Reason: "gone"})
	case training.InitializeModel:
		return pick(training.ModelInitialized{Step: c.CheckpointStep}, training.ModelInitializationFailed{Reason: "no memory"})
	case training.TrainEpoch:
		return l.trained(r, command.Epoch, perEpoch)
	case training.CreateCheckpoint:
		cp := training.Checkpoint{SessionID: r.Session.ID, Epoch: c.Epoch, Step: c.Epoch * perEpoch,
			Dir: fmt.Sprintf("step-%08d", c.Epoch*perEpoch), WeightsSHA256: fmt.Sprint("w", c.Epoch)}
		return pick(training.CheckpointCommitted{Checkpoint: cp}, training.CheckpointFailed{Step: cp.Step, Reason: "full"})
	case training.CompleteRun:
		return training.TrainingCompleted{Epoch: c.Epoch, Step: c.CheckpointStep}
	case training.ReleaseDevice:
		return training.DeviceReleased{Allocation: command.Allocation}
	case training.UnloadDataset:
		return training.DatasetUnloaded{Dataset: command.Dataset}
	case training.FailRun:
		return training.RunFailed{Reason: command.Reason}
	}
	l.source.Fatal(fmt.Sprintf("%T", commands[0]))
	return nil
}

// trained draws what happens within an epoch, or its end.
func (l *Lottery) trained(r journal.RunRecord, epoch, perEpoch uint64) training.Event {
	within := (epoch-1)*perEpoch + 5
	if resume, _ := r.ResumePoint(); l.source.Draw(8, "within") == 0 && within > resume {
		return training.CheckpointCommitted{Checkpoint: training.Checkpoint{
			SessionID: r.Session.ID, Epoch: epoch - 1, Step: within, Dir: fmt.Sprintf("step-%08d", within), WeightsSHA256: fmt.Sprint("w-within-", epoch),
		}}
	}
	m := training.Metrics{TrainLoss: 1 / float64(epoch), ValLoss: 2 / float64(epoch), ValAccuracy: 0.1 * float64(epoch)}
	event, err := r.RecordEpoch(training.EpochMetrics{Epoch: epoch, Step: epoch * perEpoch, Metrics: m})
	if err != nil {
		l.source.Fatal(err)
	}
	return event
}

func (l *Lottery) stepDevice() {
	ledger := l.Device.Ledger
	var events []device.Event
	var err error
	switch leases := ledger.Leases(); {
	case ledger.Device().ID() == "":
		d, newErr := device.New(device.Description{ID: "cpu0", Name: "x", Kind: device.CPU, Slots: 2, Units: 1,
			Health: device.Healthy, Memory: device.MemoryInfo{Total: 1 << 20, Available: 1 << 20}})
		if newErr != nil {
			l.source.Fatal(newErr)
		}
		events, err = ledger.Register(d)
	case len(leases) > 0 && l.source.Draw(2, "release") == 0:
		events, err = ledger.Release(leases[0], "given back")
	case l.source.Draw(4, "health") == 0:
		status := []device.HealthStatus{device.Healthy, device.Degraded, device.Unhealthy}[l.source.Draw(3, "status")]
		events, err = ledger.SetHealth(status, "drawn")
	default:
		events, err = ledger.Acquire("run/r0", device.LeaseID(fmt.Sprint("l", ledger.Epoch()+1)), device.Workload{Name: "m", Memory: device.MemoryRequirement{Size: 100}})
		if err != nil {
			return // no room: nothing happens
		}
	}
	if err != nil {
		l.source.Fatal(err)
	}
	if l.Device, err = l.Devices.Append(context.Background(), l.Device, events...); err != nil {
		l.source.Fatal(err)
	}
}
