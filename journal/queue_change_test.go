package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"reprise/device"
	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/queue"
	"reprise/tensor"
)

// crowd is a cluster whose jobs come, are placed, give way and end.
type crowd struct {
	random *rand.Rand
	queue.Snapshot
	next int
}

func newCrowd(seed uint64, devices int) *crowd {
	c := &crowd{random: rand.New(rand.NewPCG(seed, 0))}
	c.Policy = queue.Policy{Order: queue.OrderAttained, Backfill: queue.BackfillAny, Preempt: true, Quantum: time.Minute,
		Levels: []time.Duration{time.Minute, time.Hour}, Patience: 3 * time.Hour}
	for i := range devices {
		c.Devices = append(c.Devices, clusterDevice(i))
	}
	return c
}

func clusterDevice(i int) queue.Device {
	id := device.ID(fmt.Sprintf("gpu%02d", i))
	return queue.Device{ID: id, Worker: fmt.Sprint("worker", i/2), Description: device.Description{
		ID: id, Kind: device.CUDA, Memory: device.MemoryInfo{Total: 1 << 30, Available: 1 << 30}, Health: device.Healthy, Slots: 1, Units: 1,
	}}
}

// pass lets time pass and something happen.
func (c *crowd) pass() {
	d := time.Duration(c.random.Int64N(int64(2 * time.Minute)))
	c.Now += d
	c.Jobs = slices.Clone(c.Jobs)
	for i := range c.Jobs {
		c.Jobs[i] = passed(c.Jobs[i], c.Now-d, c.Now)
	}
	some := func() int { return c.random.IntN(len(c.Jobs)) }
	for range 1 + c.random.IntN(3) {
		n := c.random.IntN(20)
		if len(c.Jobs) > 40 {
			n = 9
		}
		switch {
		case n < 9 || len(c.Jobs) == 0:
			c.next++
			c.Jobs = append(c.Jobs, queue.Entry{
				ID: queue.JobID(fmt.Sprint("job-", c.next)), Owner: []string{"", "ann", "bob"}[c.random.IntN(3)], Priority: c.random.IntN(2),
				Submitted: c.Now, Devices: c.random.IntN(3),
				Need: queue.Need{Memory: device.MemoryRequirement{Size: tensor.Bytes(1+c.random.IntN(5)) << 28}},
			})
		case n < 13: // ends
			i := some()
			c.Jobs = slices.Delete(c.Jobs, i, i+1)
		case n < 14:
			j := &c.Jobs[some()]
			j.Paused = !j.Paused && len(j.On) == 0
		case n < 15:
			if j := &c.Jobs[some()]; len(j.After) > 0 {
				j.After = nil
			} else if len(j.On) == 0 {
				j.After = []queue.JobID{"another"}
			}
		case n < 16: // what time does not explain
			c.Jobs[some()].Waited += time.Second
			c.Jobs[some()].NotBefore = c.Now + 3*time.Minute
		case n < 17:
			c.Devices = slices.Clone(c.Devices)
			c.Devices[c.random.IntN(len(c.Devices))].HeldSlots = c.random.IntN(2)
		case n < 18:
			c.Devices = slices.Delete(slices.Clone(c.Devices), 0, 1)
			c.Devices = append(c.Devices, clusterDevice(c.random.IntN(100)+100*c.next))
		case n < 19:
			c.Usage = map[string]time.Duration{"ann": time.Duration(c.random.Int64N(1000))}
			if c.random.IntN(3) == 0 {
				c.Usage = nil
			}
		default:
			c.Policy.Quotas = map[string]int{"bob": c.random.IntN(3)}
		}
	}
	for i := range c.Jobs {
		if j := &c.Jobs[i]; len(j.On) > 0 && c.random.IntN(3) == 0 {
			j.Remaining = time.Duration(c.random.Int64N(int64(time.Hour)))
		}
	}
}

// carryOut does what was decided.
func (c *crowd) carryOut(d queue.Decision) {
	c.Jobs = slices.Clone(c.Jobs)
	job := func(id queue.JobID) *queue.Entry {
		return &c.Jobs[slices.IndexFunc(c.Jobs, func(j queue.Entry) bool { return j.ID == id })]
	}
	for _, p := range d.Placed {
		for _, v := range p.Preempt {
			job(v).On, job(v).Since = nil, 0
		}
		if len(p.Preempt) == 0 {
			job(p.Job).On, job(p.Job).Since = p.On, c.Now
		}
	}
}

func record(t *testing.T, log *QueueLog, c *crowd) (whole []byte, recorded bool) {
	t.Helper()
	d := queue.Plan(&c.Snapshot)
	before := log.version
	if err := log.Record(t.Context(), c.Snapshot, d); err != nil {
		t.Fatal(err)
	}
	_, whole, err := Encode(QueueDecided{Rules: queue.RulesVersion, Snapshot: ordered(c.Snapshot), Decision: recordedDecision(d)})
	if err != nil {
		t.Fatal(err)
	}
	c.carryOut(d)
	return whole, log.version > before
}

// queueEvents returns the queue's events.
func recordedEvents(t *testing.T, store eventstore.Store) []eventstore.Event {
	t.Helper()
	var all []eventstore.Event
	if err := walkAggregate(t.Context(), store, QueueAggregate, eventstore.End, func(e eventstore.Event) error {
		all = append(all, e)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// Whatever happens, what is read is what was decided, to the byte: from the first event
// on, and for each event alone.
func TestChangesGiveTheDecisionsThatWereMade(t *testing.T) {
	const steps = 400
	changed, holes, preempted, most := 0, 0, 0, 0
	for seed := range uint64(3) {
		store := memory.New()
		log := &QueueLog{Store: store, Now: time.Now}
		c := newCrowd(seed, 4+int(seed)*4)
		var want [][]byte
		for step := range steps {
			if step == steps/3 { // another process, or one that does not know whether it has appended
				if err := log.Open(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			c.pass()
			if whole, recorded := record(t, log, c); recorded {
				want = append(want, whole)
			}
		}
		var replay QueueReplay
		for i, e := range recordedEvents(t, store) {
			event, err := queueAggregate.Codec.Decode(e)
			if err != nil {
				t.Fatal(err)
			}
			if change, ok := event.(QueueDecisionChanged); ok {
				changed++
				holes += len(change.Decision.Positions)
			}
			d, err := replay.Apply(event)
			if err != nil {
				t.Fatalf("seed %d, event %d: %v", seed, i, err)
			}
			alone := DecisionEvent{Decided: d}
			if i%13 == 0 || i < 3 {
				if alone, err = decisionAt(t.Context(), store, e.Version); err != nil {
					t.Fatal(err)
				}
			}
			for _, d := range []QueueDecided{d, alone.Decided} {
				if _, got, err := Encode(d); err != nil || string(got) != string(want[i]) {
					t.Fatalf("seed %d, event %d: %v, read was\n%s\nrecorded was\n%s", seed, i, err, got, want[i])
				}
				if what := d.Check(); what != "" {
					t.Fatalf("seed %d, event %d: %s", seed, i, what)
				}
			}
			most = max(most, len(d.Decision.Pending))
			for _, p := range d.Decision.Placed {
				preempted += len(p.Preempt)
			}
		}
		if _, err := VerifyLog(t.Context(), store); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
	if changed < 2*steps || holes == 0 || preempted == 0 || most < 20 {
		t.Errorf("%d decisions recorded by their changes, %d with holes, %d gave way, %d waited: the test is too weak", changed, holes, preempted, most)
	}
}

// No decision takes more than a bounded number of events to read.
func TestOfManyDecisionsInARowOneIsRecordedWhole(t *testing.T) {
	store := memory.New()
	log := &QueueLog{Store: store, Now: time.Now}
	c := newCrowd(1, 4)
	for log.version < 3*wholeEvery {
		c.pass()
		record(t, log, c)
	}
	since := 0
	for _, e := range recordedEvents(t, store) {
		if since++; e.Type == (QueueDecided{}).EventType() {
			since = 0
		}
		if since >= wholeEvery {
			t.Fatalf("event %d is the %dth in a row that is not whole", e.Version, since)
		}
	}
}

// The next process knows nothing of what the one before recorded, nor does one whose
// last append may have failed.
func TestTheFirstDecisionOfAProcessIsRecordedWhole(t *testing.T) {
	store := memory.New()
	c := newCrowd(2, 4)
	for range 3 {
		log := &QueueLog{Store: store, Now: time.Now}
		if err := log.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		first := log.version + 1
		for log.version < first+20 {
			c.pass()
			record(t, log, c)
		}
		all := recordedEvents(t, store)
		if got := all[first-1].Type; got != (QueueDecided{}).EventType() {
			t.Errorf("the first event of a process is a %s", got)
		}
	}
}

// torn is a store that appends, and says that it has failed.
type torn struct {
	eventstore.Store
	fails bool
}

var errTorn = errors.New("torn")

func (s *torn) Append(ctx context.Context, writes ...eventstore.Write) ([]eventstore.Event, error) {
	events, err := s.Store.Append(ctx, writes...)
	if s.fails {
		return nil, errTorn
	}
	return events, err
}

func TestAnAppendOfUnknownOutcomeTearsNoSeries(t *testing.T) {
	store := &torn{Store: memory.New()}
	log := &QueueLog{Store: store, Now: time.Now}
	c := newCrowd(3, 4)
	for i := range 200 {
		c.pass()
		d := queue.Plan(&c.Snapshot)
		store.fails = i%7 == 3
		if err := log.Record(t.Context(), c.Snapshot, d); errors.Is(err, errTorn) {
			if err := log.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			continue // as when the pool starts again: nothing was carried out
		} else if err != nil {
			t.Fatal(err)
		}
		c.carryOut(d)
	}
	if _, err := VerifyLog(t.Context(), store); err != nil {
		t.Error(err)
	}
}

// forge returns a log of events of the queue as a forger appends them, who knows every
// rule but makes no decision.
func forge(t *testing.T, events []eventstore.Event) eventstore.Store {
	t.Helper()
	store := memory.New()
	name := string(QueueAggregate)
	for i, e := range events {
		e.ID = eventstore.DerivedEventID(name, fmt.Sprint(i+1), e.Type)
		if _, err := store.Append(t.Context(), eventstore.Write{
			Aggregate: QueueAggregate, Expected: eventstore.AnyVersion(), Events: []eventstore.NewEvent{e.NewEvent},
		}); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

func TestVerifyFindsAForgedOrMissingDecision(t *testing.T) {
	store := memory.New()
	log := &QueueLog{Store: store, Now: time.Now}
	c := newCrowd(4, 4)
	for log.version < 40 {
		c.pass()
		record(t, log, c)
	}
	events := recordedEvents(t, store)
	if _, err := VerifyLog(t.Context(), forge(t, events)); err != nil {
		t.Fatalf("nothing is forged: %v", err)
	}
	find := func(what string, i int, forged []eventstore.Event) {
		t.Helper()
		_, err := VerifyLog(t.Context(), forge(t, forged))
		var found *ContradictionError
		if !errors.As(err, &found) || found.Version != eventstore.Version(i+1) {
			t.Errorf("event %d, %s: found is %v", i+1, what, err)
		}
	}
	var replay QueueReplay
	for i, e := range events {
		if i < len(events)-1 { // the last may be missing
			find("missing", i, slices.Delete(slices.Clone(events), i, i+1))
		}
		event, err := queueAggregate.Codec.Decode(e)
		if err != nil {
			t.Fatal(err)
		}
		before := replay
		if _, err := replay.Apply(event); err != nil {
			t.Fatal(err)
		}
		change, ok := event.(QueueDecisionChanged)
		if !ok {
			continue
		}
		with := func(what string, f func(*QueueDecisionChanged)) {
			t.Helper()
			other := change
			f(&other)
			_, payload, err := Encode(other)
			if err != nil {
				t.Fatal(err)
			}
			forged := slices.Clone(events)
			forged[i].Payload = payload
			find(what, i, forged)
		}
		with("the time", func(c *QueueDecisionChanged) { c.Snapshot.Now++ })
		with("a job that left", func(c *QueueDecisionChanged) { c.Snapshot.Left = append(slices.Clone(c.Snapshot.Left), "nobody") })
		with("an estimate", func(c *QueueDecisionChanged) { c.Snapshot.Remaining = append(slices.Clone(c.Snapshot.Remaining), 1) })
		with("a reason", func(c *QueueDecisionChanged) {
			c.Decision.Reasons = append(slices.Clone(c.Decision.Reasons), ReasonsChange{Why: 0, Reasons: []queue.Reason{{Code: queue.CodePaused}}})
		})
		with("who waits", func(c *QueueDecisionChanged) { c.Decision.Waiting++ })
		with("the hash", func(c *QueueDecisionChanged) { c.SHA256 = strings.Repeat("0", 64) })
		with("the decision and its hash", func(c *QueueDecisionChanged) {
			c.Decision.Placed = append(slices.Clone(c.Decision.Placed), queue.Placement{Job: "nobody", On: []device.ID{"gpu00"}})
			hash, err := before.sum()
			if err != nil {
				t.Fatal(err)
			}
			snapshot, err := c.Snapshot.apply(&before.last.Snapshot)
			if err != nil {
				t.Fatal(err)
			}
			if decision, err := c.Decision.apply(&before.last.Decision, &snapshot); err == nil {
				_, whole, _ := Encode(QueueDecided{c.Rules, snapshot, decision})
				c.SHA256 = sum(hash, whole)
			}
		})
	}
}

// A log may hold anything: a change that fits nothing is an error.
func FuzzQueueDecisionChanged(f *testing.F) {
	c := newCrowd(5, 4)
	store := memory.New()
	log := &QueueLog{Store: store, Now: time.Now}
	var base QueueDecided
	for range 40 {
		if log.replay.last != nil {
			base = *log.replay.last
		}
		c.pass()
		d := queue.Plan(&c.Snapshot)
		if err := log.Record(f.Context(), c.Snapshot, d); err != nil {
			f.Fatal(err)
		}
		c.carryOut(d)
		if base.Rules > 0 {
			change := changeOf(&base, log.replay.last)
			_, before, _ := Encode(base)
			_, whole, _ := Encode(*log.replay.last)
			change.SHA256 = sum(sum("", before), whole)
			_, payload, err := Encode(change)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(payload)
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var e QueueDecisionChanged
		if json.Unmarshal(payload, &e) != nil {
			return
		}
		replay := QueueReplay{last: &base}
		_, before, err := Encode(base)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := replay.Apply(e); err == nil {
			if _, whole, err := Encode(d); err != nil || sum(sum("", before), whole) != e.SHA256 {
				t.Errorf("%v: accepted is %s", err, whole)
			}
		} else if _, err := replay.Apply(e); err == nil {
			t.Error("a change was applied after one that failed")
		}
	})
}

// A new field of a snapshot must not be lost, nor make every decision whole.
func TestAChangeOfAnyFieldOfASnapshotIsRecorded(t *testing.T) {
	now := newCrowd(6, 3)
	for len(now.Jobs) < 5 {
		now.pass()
		now.carryOut(queue.Plan(&now.Snapshot))
	}
	before := QueueDecided{Rules: queue.RulesVersion, Snapshot: ordered(now.Snapshot), Decision: recordedDecision(queue.Plan(&now.Snapshot))}
	try := func(field string, change func(*queue.Snapshot)) {
		s := before.Snapshot
		s.Jobs, s.Devices = slices.Clone(s.Jobs), slices.Clone(s.Devices)
		change(&s)
		s = ordered(s)
		after := QueueDecided{Rules: queue.RulesVersion, Snapshot: s, Decision: recordedDecision(queue.Plan(&s))}
		_, whole, err := Encode(after)
		if err != nil {
			t.Fatal(err)
		}
		e := changeOf(&before, &after)
		e.SHA256 = sum("", whole)
		if _, err := e.apply(&before, ""); err != nil {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, i := range []int{0, len(before.Snapshot.Jobs) - 1} {
		each(reflect.TypeFor[queue.Entry](), func(name string, n int) {
			try(fmt.Sprintf("job %d, %s", i, name), func(s *queue.Snapshot) { alter(reflect.ValueOf(&s.Jobs[i]).Elem().Field(n)) })
		})
	}
	each(reflect.TypeFor[queue.Device](), func(name string, n int) {
		try("device "+name, func(s *queue.Snapshot) { alter(reflect.ValueOf(&s.Devices[0]).Elem().Field(n)) })
	})
	each(reflect.TypeFor[queue.Snapshot](), func(name string, n int) {
		try(name, func(s *queue.Snapshot) { alter(reflect.ValueOf(s).Elem().Field(n)) })
	})
	each(reflect.TypeFor[queue.Policy](), func(name string, n int) {
		try("policy "+name, func(s *queue.Snapshot) { alter(reflect.ValueOf(&s.Policy).Elem().Field(n)) })
	})
}

func each(t reflect.Type, visit func(name string, n int)) {
	for n := range t.NumField() {
		visit(t.Field(n).Name, n)
	}
}

// alter gives a field another value.
func alter(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Slice:
		v.Set(reflect.AppendSlice(reflect.MakeSlice(v.Type(), 1, 1), v))
	case reflect.Map:
		m := reflect.MakeMap(v.Type())
		m.SetMapIndex(reflect.ValueOf("x"), reflect.Zero(v.Type().Elem()))
		v.Set(m)
	case reflect.Struct:
		alter(v.Field(0))
	default:
		panic("cannot alter a " + v.Kind().String())
	}
}

// While runs wait, a decision that says the same is recorded again only for how long
// they have waited.
func TestWaitsAreRecordedEveryTenMinutes(t *testing.T) {
	log := &QueueLog{Store: memory.New(), Now: time.Now}
	c := newCrowd(7, 1)
	c.Jobs = []queue.Entry{
		{ID: "runs", On: []device.ID{"gpu00"}, Served: 10 * time.Hour, Remaining: time.Hour},
		{ID: "waits", Served: 10 * time.Hour},
	}
	for minute := range 35 {
		c.Now = time.Duration(minute) * time.Minute
		c.Jobs = slices.Clone(c.Jobs)
		c.Jobs[1].Waited = c.Now
		record(t, log, c)
	}
	events := recordedEvents(t, log.Store)
	if len(events) != 4 {
		t.Errorf("%d events, want one every ten minutes", len(events))
	}
	for i, e := range events {
		if d, err := decisionAt(t.Context(), log.Store, e.Version); err != nil || d.Decided.Snapshot.Jobs[1].Waited != time.Duration(i)*keepWaits {
			t.Errorf("event %d: %+v, %v", i, d.Decided.Snapshot.Jobs, err)
		}
	}
}

func TestTheLongestIncreasingSubsequence(t *testing.T) {
	for _, test := range []struct{ list, want []int }{
		{nil, nil},
		{[]int{3, 4, 5}, []int{3, 4, 5}},
		{[]int{5, 0, 1, 2}, []int{0, 1, 2}},
		{[]int{1, 2, 0, 3}, []int{1, 2, 3}},
		{[]int{4, 0, 5, 1, 2, 6, 3}, []int{0, 1, 2, 3}},
		{[]int{2, 1, 0}, []int{0}},
	} {
		got := longestIncreasing(test.list)
		for _, x := range test.want {
			if !got[x] || len(got) != len(test.want) {
				t.Errorf("%v: %v, want %v", test.list, got, test.want)
			}
		}
	}
}

// decisionAt returns the decision that the queue's event with a version records.
func decisionAt(ctx context.Context, store eventstore.Store, version eventstore.Version) (DecisionEvent, error) {
	series, err := seriesUntil(ctx, store, version)
	if err != nil {
		return DecisionEvent{}, err
	}
	var at DecisionEvent
	err = series.walk(func(d DecisionEvent) { at = d })
	return at, err
}
