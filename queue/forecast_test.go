package queue_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reprise/device"
	"reprise/queue"
)

// host is one worker with one-slot devices.
func host(devices int) []queue.Device {
	var all []queue.Device
	for i := range devices {
		id := device.ID(fmt.Sprint("cpu", i))
		all = append(all, queue.Device{ID: id, Worker: "host", Description: device.Description{ID: id, Kind: device.CPU, Health: device.Healthy}})
	}
	return all
}

func TestForecastSaysWhenEachStarts(t *testing.T) {
	s := &queue.Snapshot{Now: time.Hour, Devices: host(1), Jobs: []queue.Entry{
		{ID: "a", On: []device.ID{"cpu0"}, Remaining: 10 * time.Minute},
		{ID: "b", Submitted: 1, Remaining: 5 * time.Minute},
		{ID: "c", Submitted: 2, Remaining: 5 * time.Minute, Priority: 1},
		{ID: "d", Submitted: 3}, // runs for ever, as far as is known
		{ID: "e", Submitted: 4, Remaining: time.Minute, Priority: 1, After: []queue.JobID{"b"}},
		{ID: "f", Submitted: 5, Remaining: time.Minute},
	}}
	want := map[queue.JobID]time.Duration{
		"c": 70 * time.Minute, "b": 75 * time.Minute, "e": 80 * time.Minute, "d": 81 * time.Minute,
	}
	if got := queue.Forecast(s); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if !slices.Equal(s.Jobs[0].On, []device.ID{"cpu0"}) || s.Jobs[1].Remaining != 5*time.Minute || len(s.Jobs[4].After) != 1 {
		t.Errorf("the snapshot was changed: %+v", s.Jobs)
	}
}

// The bound that docs/scheduling.md states. Streams of short jobs never end: each
// job is followed by another. A gang that no free devices suffice for waits while
// they overtake it, until it is promoted; from then on devices are kept for it, and
// what runs there gives way after its quantum at the latest.
func TestWaitingIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		devices := rapid.IntRange(2, 4).Draw(t, "devices")
		s := &queue.Snapshot{Devices: host(devices), Policy: queue.Policy{
			Preempt: true, Quantum: minutes(t, 10, "quantum"), Levels: []time.Duration{20 * time.Minute, time.Hour},
			Patience: time.Minute + minutes(t, 60, "patience"),
		}}
		for stream := range devices {
			for i := range 50 {
				j := queue.Entry{
					ID: queue.JobID(fmt.Sprintf("short%d.%02d", stream, i)), Remaining: time.Minute + minutes(t, 15, "duration"),
				}
				if i > 0 {
					j.After = []queue.JobID{queue.JobID(fmt.Sprintf("short%d.%02d", stream, i-1))}
				}
				s.Jobs = append(s.Jobs, j)
			}
		}
		s.Jobs = append(s.Jobs, queue.Entry{ID: "gang", Submitted: 1, Devices: rapid.IntRange(2, devices).Draw(t, "gang"), Remaining: time.Hour})
		start, ok := queue.Forecast(s)["gang"]
		if bound := s.Policy.Patience + s.Policy.Quantum; !ok || start > bound {
			t.Fatalf("the gang starts at %v (%v), want by %v", start, ok, bound)
		}
	})
}

func TestWithoutPatienceAGangStarves(t *testing.T) {
	s := &queue.Snapshot{Devices: host(2), Jobs: []queue.Entry{{ID: "gang", Submitted: 1, Devices: 2, Remaining: time.Hour}}}
	for i := range 50 {
		even, odd := queue.JobID(fmt.Sprint("even", i)), queue.JobID(fmt.Sprint("odd", i))
		s.Jobs = append(s.Jobs, queue.Entry{ID: even, Remaining: 2 * time.Minute}, queue.Entry{ID: odd, Remaining: 3 * time.Minute})
		if i > 0 {
			s.Jobs[2*i+1].After = []queue.JobID{queue.JobID(fmt.Sprint("even", i-1))}
			s.Jobs[2*i+2].After = []queue.JobID{queue.JobID(fmt.Sprint("odd", i-1))}
		}
	}
	if start := queue.Forecast(s)["gang"]; start != 150*time.Minute {
		t.Errorf("it starts at %v, want after both streams, at 2h30m", start)
	}
}

// Jobs of a high priority that never end do not keep one of a low priority waiting for
// ever: it gains a priority each time that it has waited for the ageing time.
func TestAgeingBoundsWaitingAcrossPriorities(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 3).Draw(t, "devices")
		s := &queue.Snapshot{Devices: host(n), Policy: queue.Policy{
			Preempt: true, Quantum: minutes(t, 10, "quantum"), Patience: time.Minute + minutes(t, 200, "patience"),
			Ageing: time.Minute + minutes(t, 60, "ageing"),
		}}
		above := rapid.IntRange(1, 3).Draw(t, "priority")
		for stream := range n {
			for i := range 50 {
				j := queue.Entry{ID: queue.JobID(fmt.Sprintf("high%d.%02d", stream, i)), Priority: above, Remaining: 10*time.Minute + minutes(t, 15, "duration")}
				if i > 0 {
					j.After = []queue.JobID{queue.JobID(fmt.Sprintf("high%d.%02d", stream, i-1))}
				}
				s.Jobs = append(s.Jobs, j)
			}
		}
		s.Jobs = append(s.Jobs, queue.Entry{ID: "low", Submitted: 1, Devices: rapid.IntRange(1, n).Draw(t, "gang"), Remaining: time.Hour})
		start, ok := queue.Forecast(s)["low"]
		if bound := max(s.Policy.Patience, time.Duration(above+1)*s.Policy.Ageing) + s.Policy.Quantum; !ok || start > bound {
			t.Fatalf("it starts at %v (%v), want by %v", start, ok, bound)
		}
	})
}

// Age alone is no reason to look again once it changes nothing: with one nanosecond of
// ageing, a forecast would use up its decisions within some microseconds.
func TestAForecastDoesNotFollowEveryStepOfAge(t *testing.T) {
	s := &queue.Snapshot{Devices: host(1), Policy: queue.Policy{Ageing: 1}, Jobs: []queue.Entry{
		{ID: "running", On: []device.ID{"cpu0"}, Priority: 5, Remaining: time.Hour}, {ID: "unfit", Devices: 2},
		{ID: "paused", Paused: true}, {ID: "next", Submitted: 1, Remaining: time.Minute},
	}}
	if got, want := queue.Forecast(s), (map[queue.JobID]time.Duration{"next": time.Hour}); !maps.Equal(got, want) {
		t.Errorf("without preemption: %v, want %v", got, want)
	}
	s.Policy.Preempt, s.Policy.Quantum = true, time.Minute
	if got, want := queue.Forecast(s), (map[queue.JobID]time.Duration{"next": time.Minute}); !maps.Equal(got, want) {
		t.Errorf("with preemption: %v, want %v", got, want)
	}
}

func TestADeferredJobWaitsForItsTime(t *testing.T) {
	s := &queue.Snapshot{Now: time.Minute, Devices: host(1), Jobs: []queue.Entry{{ID: "a", NotBefore: 3 * time.Minute}}}
	d := queue.Plan(s)
	if len(d.Pending) != 1 || d.Pending[0].Reasons[0].Code != queue.CodeDeferred || !d.Pending[0].Reasons[0].Transient {
		t.Fatalf("got %+v", d)
	}
	if got := queue.Forecast(s)["a"]; got != 3*time.Minute {
		t.Errorf("it is to start at %v, want 3m", got)
	}
	if s.Now = 3 * time.Minute; len(queue.Plan(s).Placed) != 1 {
		t.Error("it is not placed when its time has come")
	}
}
