package queue_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reprise/queue"
)

// within reports whether two durations differ by a millisecond at most.
func within(a, b time.Duration) bool { return max(a-b, b-a) <= time.Millisecond }

func TestDeviceTimeCountsHalfAfterAHalfLife(t *testing.T) {
	const day = 24 * time.Hour
	u := queue.NewUsage(day)
	u.Add("ada", 2, 0, time.Minute)
	u.Add("bob", 1, -day, -day+time.Minute)
	u.Add("eve", 1, time.Hour, time.Hour) // no time at all
	u.Add("eve", 1, time.Hour, time.Minute)
	got := u.At(time.Minute)
	if len(got) != 2 || !within(got["ada"], 2*time.Minute-29*time.Millisecond) || !within(got["bob"], got["ada"]/4) {
		t.Errorf("%v", got)
	}
	later := u.At(3*day + time.Minute)
	if !within(later["ada"], got["ada"]/8) || !within(later["bob"], got["bob"]/8) {
		t.Errorf("three half-lives later: %v, before %v", later, got)
	}
	if left := u.At(time.Minute + u.Horizon() + 10*day); left != nil {
		t.Errorf("beyond the horizon: %v", left)
	}
	if got := queue.NewUsage(0).Horizon(); got != 20*queue.DefaultHalfLife {
		t.Errorf("the default horizon is %v", got)
	}
}

// Whoever has a device all the time approaches the half-life divided by ln 2.
func TestConstantUseIsBounded(t *testing.T) {
	u := queue.NewUsage(time.Hour)
	u.Add("ada", 1, 0, 1000*time.Hour)
	if got, want := u.At(1000 * time.Hour)["ada"], time.Duration(time.Hour.Seconds()/math.Ln2*1e9); !within(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A Usage agrees with the sum over small steps, in whichever order and however divided
// the periods are added.
func TestUsageIsTheIntegralOfItsPeriods(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const halfLife, step = time.Hour, time.Minute
		type period struct {
			devices, from, to int
		}
		periods := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) period {
			from := rapid.IntRange(-300, 300).Draw(t, "from")
			return period{rapid.IntRange(1, 8).Draw(t, "devices"), from, from + rapid.IntRange(0, 200).Draw(t, "minutes")}
		}), 1, 8).Draw(t, "periods")
		now := 500
		whole, divided := queue.NewUsage(halfLife), queue.NewUsage(halfLife)
		sum := 0.0
		for i, p := range periods {
			whole.Add("ada", p.devices, time.Duration(p.from)*step, time.Duration(p.to)*step)
			q := periods[len(periods)-1-i]
			for m := q.to; m > q.from; m-- {
				divided.Add("ada", q.devices, time.Duration(m-1)*step, time.Duration(m)*step)
			}
			for m := p.from; m < p.to; m++ { // the middle of each minute
				age := float64(now-m)*float64(step) - float64(step)/2
				sum += float64(p.devices) * float64(step) * math.Exp2(-age/float64(halfLife))
			}
		}
		at := time.Duration(now) * step
		a, b := whole.At(at)["ada"], divided.At(at)["ada"]
		if !within(a, b) {
			t.Fatalf("%v, and %v in pieces", a, b)
		}
		if math.Abs(float64(a)-sum) > 1e-4*sum+2e6 {
			t.Fatalf("%v, want %v", a, time.Duration(sum))
		}
		copied := whole.Clone()
		copied.Add("ada", 1, at, at+time.Hour)
		copied.Add("bob", 1, at, at+time.Hour)
		if again := whole.At(at); again["ada"] != a || again["bob"] != 0 {
			t.Fatal("a copy shares what it counts")
		}
	})
}

func TestAPolicyNamesEverythingThatMakesNoSense(t *testing.T) {
	for _, good := range []queue.Policy{{}, queue.DefaultPolicy(), {Order: queue.OrderShare, Backfill: queue.BackfillEasy, HalfLife: time.Hour, Quotas: map[string]int{"ada": 0}}} {
		if err := good.Validate(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	bad := queue.Policy{
		Order: "fair", Backfill: "all", Quantum: -1, Spare: -2, Patience: -3, Ageing: -4, HalfLife: -time.Hour,
		Levels: []time.Duration{time.Hour, time.Hour}, Quotas: map[string]int{"ada": -1},
	}
	want := `order: "fair" is unknown; use attained, submission, share or remaining
backfill: "all" is unknown; use any, easy or none
quantum: -1ns must not be negative; use a duration such as 30m, or leave it out
spare: -2ns must not be negative; use a duration such as 30m, or leave it out
patience: -3ns must not be negative; use a duration such as 30m, or leave it out
ageing: -4ns must not be negative; use a duration such as 30m, or leave it out
half_life: -1h0m0s must not be negative; use a duration such as 30m, or leave it out
levels[1]: 1h0m0s must be above 1h0m0s; list the bounds in ascending order
quotas.ada: -1 must not be negative; use the number of devices that the owner may hold, or leave it out for no bound`
	if err := bad.Validate(); err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
	limits := queue.Limits{Waiting: -1, WaitingPerOwner: -2, Owners: map[string]int{"ada": -3, "bob": 0}}
	want = `waiting: -1 must not be negative; use the number of jobs that may wait
waiting_per_owner: -2 must not be negative; use the number of jobs that may wait
owners.ada: -3 must not be negative; use the number of jobs that may wait`
	if err := limits.Validate(); err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
	if err := queue.DefaultLimits().Validate(); err != nil {
		t.Error(err)
	}
}
