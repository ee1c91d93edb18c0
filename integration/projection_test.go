package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reprise/device"
	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/journal"
	"reprise/nn"
	"reprise/tensor"
	"reprise/training"
)

// lottery draws a log that could have happened: runs and their forks, taken
// through their sagas with any outcome of any command, and a device whose
// ledger evolves independently.
type lottery struct {
	t       *rapid.T
	store   eventstore.Store
	runs    *journal.RunLog
	devices *journal.DeviceLog
	records []journal.RunRecord
	device  journal.DeviceRecord
	now     time.Time
}

func newLottery(t *rapid.T) *lottery {
	l := &lottery{t: t, store: memory.New(), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	clock := func() time.Time { l.now = l.now.Add(1234567 * time.Microsecond); return l.now }
	l.runs, l.devices = journal.NewRunLog(l.store, clock), journal.NewDeviceLog(l.store, clock)
	l.device.ID = "cpu0"
	return l
}

func (l *lottery) draw(n int, what string) int { return rapid.IntRange(0, n-1).Draw(l.t, what) }

// step appends what happens next.
func (l *lottery) step() {
	if len(l.records) == 0 || l.draw(8, "start") == 0 && len(l.records) < 5 {
		l.start()
		return
	}
	if l.draw(6, "device") == 0 {
		l.stepDevice()
		return
	}
	i := l.draw(len(l.records), "run")
	if event := l.next(l.records[i]); event != nil {
		next, err := l.runs.Append(context.Background(), l.records[i], event)
		if err != nil {
			l.t.Fatal(err)
		}
		l.records[i] = next
	}
}

func (l *lottery) start() {
	id := training.RunID(fmt.Sprintf("r%d", len(l.records)))
	started := training.TrainingStarted{
		RunID: id, SessionID: training.SessionID("s-" + id), Architecture: nn.MLP(tensor.Shape{4}, []int{3}, "", 2),
		Dataset: training.Dataset{ID: "d", Path: "digits", Training: 100},
		Hyperparameters: training.Hyperparameters{
			BatchSize: 10, Epochs: uint64(2 + l.draw(4, "epochs")), CheckpointInterval: uint64(1 + l.draw(3, "interval")),
		},
		Request: []byte(`{}`),
	}
	if len(l.records) > 0 && l.draw(2, "fork") == 0 {
		parent := l.records[l.draw(len(l.records), "parent")]
		if cp, ok := parent.LastCheckpoint(); ok && cp.Step < started.Hyperparameters.TotalSteps(100) {
			started.Parent = &training.Parent{RunID: parent.ID, Checkpoint: cp}
		}
	}
	record, err := l.runs.Append(context.Background(), journal.RunRecord{}, started)
	if err != nil {
		l.t.Fatal(err)
	}
	l.records = append(l.records, record)
}

// next draws an event that may follow.
func (l *lottery) next(r journal.RunRecord) training.Event {
	c := r.Saga.Context
	held := training.Allocation{Device: "cpu0", Lease: "l", Epoch: 1}
	commands := r.Saga.Commands()
	if len(commands) == 0 {
		if r.Session.CanResume() {
			event, err := r.Resume()
			if err != nil {
				l.t.Fatal(err)
			}
			return event
		}
		return nil
	}
	fails := l.draw(12, "fails") == 0
	if r.Saga.UnderWay() && l.draw(10, "interrupted") == 0 {
		return training.TrainingInterrupted{Cause: "drawn"}
	}
	if r.Saga.UnderWay() && fails && l.draw(3, "hard") == 0 {
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
	l.t.Fatalf("%T", commands[0])
	return nil
}

// trained draws what happens within an epoch, or its end.
func (l *lottery) trained(r journal.RunRecord, epoch, perEpoch uint64) training.Event {
	within := (epoch-1)*perEpoch + 5
	if resume, _ := r.ResumePoint(); l.draw(8, "within") == 0 && within > resume {
		return training.CheckpointCommitted{Checkpoint: training.Checkpoint{
			SessionID: r.Session.ID, Epoch: epoch - 1, Step: within, Dir: fmt.Sprintf("step-%08d", within), WeightsSHA256: fmt.Sprint("w-within-", epoch),
		}}
	}
	m := training.Metrics{TrainLoss: 1 / float64(epoch), ValLoss: 2 / float64(epoch), ValAccuracy: 0.1 * float64(epoch)}
	event, err := r.RecordEpoch(training.EpochMetrics{Epoch: epoch, Step: epoch * perEpoch, Metrics: m})
	if err != nil {
		l.t.Fatal(err)
	}
	return event
}

func (l *lottery) stepDevice() {
	ledger := l.device.Ledger
	var events []device.Event
	var err error
	switch leases := ledger.Leases(); {
	case ledger.Device().ID() == "":
		d, newErr := device.New(device.Description{ID: "cpu0", Name: "x", Kind: device.CPU, Slots: 2, Units: 1,
			Health: device.Healthy, Memory: device.MemoryInfo{Total: 1 << 20, Available: 1 << 20}})
		if newErr != nil {
			l.t.Fatal(newErr)
		}
		events, err = ledger.Register(d)
	case len(leases) > 0 && l.draw(2, "release") == 0:
		events, err = ledger.Release(leases[0], "given back")
	case l.draw(4, "health") == 0:
		status := []device.HealthStatus{device.Healthy, device.Degraded, device.Unhealthy}[l.draw(3, "status")]
		events, err = ledger.SetHealth(status, "drawn")
	default:
		events, err = ledger.Acquire("run/r0", device.LeaseID(fmt.Sprint("l", ledger.Epoch()+1)), device.Workload{Name: "m", Memory: device.MemoryRequirement{Size: 100}})
		if err != nil {
			return // no room: nothing happens
		}
	}
	if err != nil {
		l.t.Fatal(err)
	}
	if l.device, err = l.devices.Append(context.Background(), l.device, events...); err != nil {
		l.t.Fatal(err)
	}
}

func marshal(t rapid.TB, v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// After every event of any log, a listing says what the complete records say;
// and a projection that was stored and read back at any times is, byte by byte,
// the one that is folded from the beginning.
func TestAProjectionIsAtEveryPositionWhatTheRecordsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLottery(t)
		for range rapid.IntRange(20, 120).Draw(t, "steps") {
			l.step()
		}
		events, err := l.store.Read(context.Background(), 0, eventstore.MaxReadPage)
		if err != nil {
			t.Fatal(err)
		}
		timeline := journal.NewTimeline()
		kept := map[string]journal.ReadModel{}
		for _, p := range journal.Projections() {
			kept[p.Name] = p.New()
		}
		for _, e := range events {
			if err := timeline.Apply(e); err != nil {
				t.Fatal(err)
			}
			readBack := rapid.IntRange(0, 5).Draw(t, "read back") == 0
			for _, p := range journal.Projections() {
				if err := kept[p.Name].Apply(e); err != nil {
					t.Fatal(err)
				}
				if readBack {
					model := p.New()
					for _, part := range kept[p.Name].Split() {
						if err := model.Join(marshal(t, part)); err != nil {
							t.Fatal(err)
						}
					}
					kept[p.Name] = model
				}
			}
			var want []journal.RunSummary
			for _, r := range timeline.State().Runs {
				want = append(want, r.Summary())
			}
			if got := kept[journal.RunsProjection].(*journal.RunList).Runs; !bytes.Equal(marshal(t, got), marshal(t, want)) {
				t.Fatalf("after %s at %d the list is\n%s\nthe records say\n%s", e.Type, e.Position, marshal(t, got), marshal(t, want))
			}
			if got := kept[journal.DevicesProjection].(*journal.DeviceList).Devices; !bytes.Equal(marshal(t, got), marshal(t, timeline.State().Devices)) {
				t.Fatalf("after %s at %d the devices are\n%s\nthe records say\n%s", e.Type, e.Position, marshal(t, got), marshal(t, timeline.State().Devices))
			}
			if got, want := len(kept[journal.RunsProjection].(*journal.RunList).Queue()), len(timeline.State().Queue()); got != want {
				t.Fatalf("after %s at %d the queue has %d runs, the records say %d", e.Type, e.Position, got, want)
			}
		}
		for _, p := range journal.Projections() {
			fresh := p.New()
			for _, e := range events {
				if err := fresh.Apply(e); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := marshal(t, kept[p.Name]), marshal(t, fresh); !bytes.Equal(got, want) {
				t.Fatalf("%s is\n%s\nfolded from the beginning it is\n%s", p.Name, got, want)
			}
		}
	})
}

// A stored projection is a cache: whether it is caught up, rebuilt, deleted,
// damaged or of another schema, what is read is the same.
func TestAStoredProjectionChangesNothingButTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		l := newLottery(t)
		for range rapid.IntRange(2, 8).Draw(t, "rounds") {
			for range rapid.IntRange(0, 15).Draw(t, "steps") {
				l.step()
			}
			switch rapid.SampledFrom([]string{"catch up", "rebuild", "damage", "another schema", "other events", "a damaged part", "an older part", "nothing"}).Draw(t, "then") {
			case "catch up":
				if err := journal.CatchUpProjections(ctx, l.store); err != nil {
					t.Fatal(err)
				}
				l.checkLag(t, 0)
			case "rebuild":
				for _, p := range journal.Projections() {
					r, err := p.Rebuild(ctx, l.store)
					if err != nil || !r.Same {
						t.Fatalf("%+v, %v", r, err)
					}
				}
				l.checkLag(t, 0)
			case "damage":
				l.spoil(t, func(c *eventstore.Consumer) { c.State = []byte(`{"runs":[{"run_id":"x"}],`) })
			case "another schema":
				l.spoil(t, func(c *eventstore.Consumer) { c.Schema++ })
			case "other events":
				l.spoil(t, func(c *eventstore.Consumer) {
					c.State = bytes.Replace(c.State, []byte(journal.ReadableEvents()), []byte("others"), 1)
				})
			case "a damaged part":
				l.spoilParts(t, func([]byte) []byte { return []byte(`{"runs":[{"run_id":"x"}],`) })
			case "an older part": // one that would be valid, but for its hash
				l.spoilParts(t, func([]byte) []byte { return []byte(`{}`) })
			}
			l.checkOverview(t)
			runs, err := journal.ReadRuns(ctx, l.store)
			if err != nil {
				t.Fatal(err)
			}
			devices, err := journal.ReadDevices(ctx, l.store)
			if err != nil {
				t.Fatal(err)
			}
			state, err := journal.StateAt(ctx, l.store, 1<<40)
			if err != nil {
				t.Fatal(err)
			}
			var want []journal.RunSummary
			for _, r := range state.Runs {
				want = append(want, r.Summary())
			}
			if !bytes.Equal(marshal(t, runs.Runs), marshal(t, want)) || !bytes.Equal(marshal(t, devices.Devices), marshal(t, state.Devices)) {
				t.Fatalf("read\n%s\n%s\nthe records say\n%s\n%s", marshal(t, runs.Runs), marshal(t, devices.Devices), marshal(t, want), marshal(t, state.Devices))
			}
		}
	})
}

func (l *lottery) checkLag(t *rapid.T, want eventstore.Position) {
	list, err := journal.ProjectionStatuses(context.Background(), l.store)
	if err != nil || len(list) != len(journal.Projections()) {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, s := range list {
		if s.Lag != want {
			t.Fatalf("%+v, want a lag of %d", s, want)
		}
	}
}

// spoil changes the stored form of every projection.
func (l *lottery) spoil(t *rapid.T, change func(*eventstore.Consumer)) {
	ctx := context.Background()
	for _, p := range journal.Projections() {
		c, err := l.store.Consumer(ctx, p.Consumer())
		if err != nil {
			t.Fatal(err)
		}
		if c.Position == 0 {
			continue
		}
		at := c.Position
		change(&c)
		if err := l.store.SaveConsumer(ctx, c, at); err != nil {
			t.Fatal(err)
		}
	}
}

// spoilParts changes every stored part, in both of its slots.
func (l *lottery) spoilParts(t *rapid.T, change func([]byte) []byte) {
	ctx := context.Background()
	consumers, err := l.store.Consumers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range consumers {
		if strings.Contains(c.Name, "/part-") {
			c.State = change(c.State)
			if err := l.store.SaveConsumer(ctx, c, c.Position); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestProjectionNamesAreUnique(t *testing.T) {
	var names []string
	for _, p := range journal.Projections() {
		if p.Schema < 1 || p.Name == "" || strings.ContainsAny(p.Name, " /") || slices.Contains(names, p.Name) {
			t.Errorf("%+v", p)
		}
		names = append(names, p.Name)
	}
}
