package device_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"reprise/device"
	"reprise/device/devicetest"
	"reprise/tensor"
)

// ledgerMachine drives a ledger at random alongside a twin that consists of sets:
// what was granted to whom, and what has ended.
type ledgerMachine struct {
	ledger device.Ledger
	log    []device.Event

	slots   int
	memory  tensor.Bytes
	health  device.HealthStatus
	granted []device.Lease // every lease ever
	held    map[string]device.Lease
	ids     int
}

func (m *ledgerMachine) apply(events []device.Event) {
	for _, e := range events {
		m.ledger = m.ledger.Apply(e)
	}
	m.log = append(m.log, events...)
}

// reserved returns what is held without one holder: bytes, and slots.
func (m *ledgerMachine) reserved(except string) (sum tensor.Bytes, slots int) {
	for holder, l := range m.held {
		if holder == except {
			continue
		}
		if sum += l.Memory; !l.Shared {
			slots++
		}
	}
	return sum, slots
}

func (m *ledgerMachine) acquire(t *rapid.T) {
	holder := rapid.SampledFrom([]string{"run/1", "run/2", "run/3", "run/4"}).Draw(t, "holder")
	size := tensor.Bytes(rapid.IntRange(0, 60).Draw(t, "size"))
	m.ids++
	id := device.LeaseID(fmt.Sprintf("lease-%d", m.ids))
	if old, ok := m.held[holder]; ok && rapid.Bool().Draw(t, "same id") {
		id = old.ID
	}
	reserved, slots := m.reserved(holder)
	w := need(size)
	w.Shared = rapid.IntRange(0, 3).Draw(t, "shared") == 0
	fits := (w.Shared || slots < m.slots) && reserved+size <= m.memory && m.health != device.Unhealthy
	events, err := m.ledger.Acquire(holder, id, w)
	if fits != (err == nil) || err != nil && !errors.Is(err, device.ErrNoSuitableDevice) {
		t.Fatalf("%s asks for %d: fits %v, error %v", holder, size, fits, err)
	}
	if err != nil {
		return
	}
	lease := events[len(events)-1].(device.Leased).Lease
	if want := device.Epoch(len(m.granted) + 1); lease.Epoch != want {
		t.Fatalf("epoch %d, want %d", lease.Epoch, want)
	}
	m.apply(events)
	m.granted = append(m.granted, lease)
	m.held[holder] = lease
}

// release presents any lease ever granted, so mostly ended ones.
func (m *ledgerMachine) release(t *rapid.T) {
	if len(m.granted) == 0 {
		return
	}
	lease := rapid.SampledFrom(m.granted).Draw(t, "lease")
	events, err := m.ledger.Release(lease, "test")
	inForce, reused := m.held[lease.Holder] == lease, false
	for _, held := range m.held {
		reused = reused || held.ID == lease.ID && held != lease
	}
	switch {
	case reused:
		if !errors.Is(err, device.ErrStaleLease) || events != nil {
			t.Fatalf("%v, whose id lives on: %v, %v", lease, events, err)
		}
	case inForce:
		if err != nil || len(events) != 1 {
			t.Fatalf("%v in force: %v, %v", lease, events, err)
		}
		delete(m.held, lease.Holder)
	case err != nil || events != nil:
		t.Fatalf("%v released again: %v, %v", lease, events, err)
	}
	m.apply(events)
}

func (m *ledgerMachine) forge(t *rapid.T) {
	lease := device.Lease{
		ID: "forged", Device: "cpu0", Holder: "nobody",
		Epoch: m.ledger.Epoch() + device.Epoch(rapid.IntRange(1, 3).Draw(t, "ahead")),
	}
	if _, err := m.ledger.Release(lease, "mischief"); !errors.Is(err, device.ErrStaleLease) {
		t.Fatalf("released a forged lease: %v", err)
	}
	if err := m.ledger.Check(lease); !errors.Is(err, device.ErrStaleLease) {
		t.Fatalf("accepted a forged lease: %v", err)
	}
}

func (m *ledgerMachine) recover(t *rapid.T) {
	m.apply(m.ledger.ReleaseAll("recovery"))
	clear(m.held)
	if left := m.ledger.Leases(); len(left) != 0 {
		t.Fatalf("recovery left %v", left)
	}
}

func (m *ledgerMachine) restart(t *rapid.T) {
	m.recover(t)
	m.memory = tensor.Bytes(rapid.IntRange(0, 120).Draw(t, "memory"))
	m.register(t)
}

func (m *ledgerMachine) register(t *rapid.T) {
	d, err := device.New(device.Description{
		ID: "cpu0", Kind: device.CPU, Slots: m.slots, Health: device.Healthy,
		Memory: device.MemoryInfo{Total: m.memory, Available: m.memory},
	})
	if err != nil {
		t.Fatal(err)
	}
	events, err := m.ledger.Register(d)
	if err != nil {
		t.Fatal(err)
	}
	m.apply(events)
	m.health = device.Healthy
}

func (m *ledgerMachine) setHealth(t *rapid.T) {
	m.health = rapid.SampledFrom([]device.HealthStatus{device.Healthy, device.Degraded, device.Unhealthy}).Draw(t, "health")
	events, err := m.ledger.SetHealth(m.health, "")
	if err != nil {
		t.Fatal(err)
	}
	m.apply(events)
	if m.health == device.Unhealthy {
		clear(m.held)
	}
}

// check compares the ledger with the twin after every step.
func (m *ledgerMachine) check(t *rapid.T) {
	leases := m.ledger.Leases()
	reserved, slots := m.reserved("")
	if len(leases) != len(m.held) || slots > m.slots || reserved > m.memory {
		t.Fatalf("%d leases in force over %d bytes, want %d; %d of %d slots, %d bytes", len(leases), reserved, len(m.held), slots, m.slots, m.memory)
	}
	for i, l := range leases {
		if m.held[l.Holder] != l || i > 0 && leases[i-1].Epoch >= l.Epoch {
			t.Fatalf("leases %v, want %v", leases, m.held)
		}
	}
	for _, l := range m.granted {
		err := m.ledger.Check(l)
		if (m.held[l.Holder] == l) != (err == nil) || err != nil && !errors.Is(err, device.ErrStaleLease) {
			t.Fatalf("%v: check %v, held %v", l, err, m.held[l.Holder])
		}
	}
	if free := m.ledger.Device().Memory().Available; free != m.memory-reserved {
		t.Fatalf("%d bytes free, want %d", free, m.memory-reserved)
	}
	replayed, err := device.Replay(m.log)
	if err != nil || !reflect.DeepEqual(replayed.Leases(), leases) || replayed.Epoch() != m.ledger.Epoch() ||
		!reflect.DeepEqual(replayed.Device(), m.ledger.Device()) {
		t.Fatalf("replay gives %+v, %v\nlive is %+v", replayed, err, m.ledger)
	}
}

func TestLedgerIsAStateMachine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &ledgerMachine{
			slots:  rapid.IntRange(1, 3).Draw(t, "slots"),
			memory: 100, health: device.Healthy, held: map[string]device.Lease{},
		}
		m.register(t)
		t.Repeat(map[string]func(*rapid.T){
			"acquire": m.acquire, "acquire again": m.acquire, "release": m.release, "forge": m.forge,
			"recover": m.recover, "restart": m.restart, "set health": m.setHealth, "": m.check,
		})
	})
}

// Whatever events a log holds, reading it gives a ledger that keeps the
// invariants or an error, never a panic.
func TestReplayOfAnyEventsKeepsTheInvariants(t *testing.T) {
	registered := device.Registered{Device: devicetest.Device(t, "cpu0", 10, func(d *device.Description) { d.Slots = 2 }).Description()}
	lease := rapid.Custom(func(t *rapid.T) device.Lease {
		return device.Lease{
			ID:     rapid.SampledFrom([]device.LeaseID{"", "a", "b", "c"}).Draw(t, "id"),
			Device: rapid.SampledFrom([]device.ID{"cpu0", "cpu0", "cpu0", "cpu1"}).Draw(t, "device"),
			Holder: rapid.SampledFrom([]string{"", "x", "y", "z"}).Draw(t, "holder"),
			Epoch:  device.Epoch(rapid.IntRange(0, 4).Draw(t, "epoch")),
			Memory: tensor.Bytes(rapid.IntRange(-1, 8).Draw(t, "memory")),
			Shared: rapid.Bool().Draw(t, "shared"),
		}
	})
	event := rapid.Custom(func(t *rapid.T) device.Event {
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			return registered
		case 1:
			return device.HealthChanged{Device: "cpu0", Health: rapid.SampledFrom([]device.HealthStatus{device.Healthy, device.Unhealthy, "x"}).Draw(t, "health")}
		case 2:
			return device.Released{Lease: lease.Draw(t, "lease")}
		default:
			return device.Leased{Lease: lease.Draw(t, "lease")}
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		log := []device.Event{registered}
		for _, e := range rapid.SliceOfN(event, 0, 30).Draw(t, "events") {
			ledger, err := device.Replay(append(log, e))
			if err != nil {
				continue
			}
			log = append(log, e)
			holders, slots, reserved := map[string]bool{}, 0, tensor.Bytes(0)
			for _, l := range ledger.Leases() {
				holders[l.Holder], reserved = true, reserved+l.Memory
				if !l.Shared {
					slots++
				}
			}
			status, _ := ledger.Device().Health()
			if len(holders) != len(ledger.Leases()) || slots > 2 || reserved > 10 ||
				status == device.Unhealthy && len(holders) > 0 {
				t.Fatalf("after %+v: %v, %s", e, ledger.Leases(), status)
			}
		}
	})
}
