package queue_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reprise/device"
	"reprise/kernel"
	"reprise/queue"
	"reprise/tensor"
)

// clusters draws up to four workers of up to four devices, some with two slots,
// some without a feature.
func clusters(t *rapid.T) []queue.Device {
	var all []queue.Device
	for w := range rapid.IntRange(1, 4).Draw(t, "workers") {
		for d := range rapid.IntRange(1, 4).Draw(t, "devices") {
			id := device.ID(fmt.Sprintf("w%d.%d", w, d))
			memory := tensor.Bytes(rapid.IntRange(1, 3).Draw(t, "memory")) << 30
			q := queue.Device{ID: id, Worker: fmt.Sprint("w", w), Description: device.Description{
				ID: id, Kind: device.CPU, Health: rapid.SampledFrom([]device.HealthStatus{device.Healthy, device.Healthy, device.Unhealthy}).Draw(t, "health"),
				Memory: device.MemoryInfo{Total: memory, Available: memory}, Slots: rapid.IntRange(1, 2).Draw(t, "slots"),
			}}
			if rapid.Bool().Draw(t, "fp16") {
				q.Description.Capability.Extensions = device.Features(kernel.FP16)
			}
			if rapid.Bool().Draw(t, "label") {
				q.Labels = []string{"blue"}
			}
			all = append(all, q)
		}
	}
	return all
}

func needs(t *rapid.T) queue.Need {
	n := queue.Need{Memory: device.MemoryRequirement{Size: tensor.Bytes(rapid.IntRange(0, 3).Draw(t, "size")) << 30}}
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		n.Features = []device.Feature{kernel.FP16}
	case 1:
		n.Labels = []string{"blue"}
	case 2:
		n.Device = "w0.0"
	case 3:
		n.Exclude = []device.ID{"w0.0", "w1.0"}
	case 4:
		n.Shared = true
	}
	return n
}

func minutes(t *rapid.T, most int, name string) time.Duration {
	return time.Duration(rapid.IntRange(0, most).Draw(t, name)) * time.Minute
}

// snapshots draws a cluster, a policy and jobs; those that run were placed by a
// plan of their own, so that the snapshot is one that can come about.
func snapshots(t *rapid.T) *queue.Snapshot {
	s := &queue.Snapshot{Now: 600 * time.Minute, Devices: clusters(t), Usage: map[string]time.Duration{"ada": minutes(t, 9, "usage"), "bob": 5 * time.Minute}}
	s.Policy = queue.Policy{
		Order:    rapid.SampledFrom([]queue.Order{"", queue.OrderSubmission, queue.OrderShare, queue.OrderRemaining}).Draw(t, "order"),
		Backfill: rapid.SampledFrom([]queue.Backfill{"", "", queue.BackfillEasy, queue.BackfillNone}).Draw(t, "backfill"),
		Preempt:  rapid.Bool().Draw(t, "preempt"), Quantum: minutes(t, 30, "quantum"),
		Levels: []time.Duration{time.Hour, 3 * time.Hour}, Patience: minutes(t, 300, "patience"), Ageing: minutes(t, 300, "ageing"),
	}
	if rapid.Bool().Draw(t, "limited") {
		s.Policy.Quotas = map[string]int{"ada": rapid.IntRange(0, 6).Draw(t, "quota")}
	}
	if rapid.Bool().Draw(t, "shared") {
		s.Policy.Shares = map[string]float64{"ada": rapid.SampledFrom([]float64{0.001, 0.5, 1, 3, 1000}).Draw(t, "share")}
	}
	jobs := func(n int, name string) []queue.Entry {
		var made []queue.Entry
		for i := range n {
			j := queue.Entry{
				ID: queue.JobID(fmt.Sprintf("%s%02d", name, i)), Owner: rapid.SampledFrom([]string{"ada", "bob"}).Draw(t, "owner"),
				Priority: rapid.IntRange(0, 2).Draw(t, "priority"), Submitted: minutes(t, 600, "submitted"), Need: needs(t),
				Devices: rapid.IntRange(0, 6).Draw(t, "gang"), Served: minutes(t, 300, "served"), Waited: minutes(t, 600, "waited"),
			}
			if rapid.Bool().Draw(t, "estimated") {
				j.Remaining = time.Minute + minutes(t, 100, "remaining")
			}
			made = append(made, j)
		}
		return made
	}
	before := *s
	before.Jobs, before.Policy = jobs(rapid.IntRange(0, 8).Draw(t, "running"), "running"), queue.Policy{}
	for _, p := range queue.Plan(&before).Placed {
		i := slices.IndexFunc(before.Jobs, func(j queue.Entry) bool { return j.ID == p.Job })
		j := before.Jobs[i]
		j.On, j.Since = p.On, minutes(t, 600, "since")
		s.Jobs = append(s.Jobs, j)
	}
	waiting := jobs(rapid.IntRange(0, 10).Draw(t, "waiting"), "waiting")
	for i := range waiting {
		switch rapid.IntRange(0, 9).Draw(t, "held") {
		case 0:
			waiting[i].Paused = true
		case 1:
			waiting[i].After = []queue.JobID{"running00"}
		case 2:
			waiting[i].NotBefore = s.Now + minutes(t, 2, "deferred")
		}
	}
	s.Jobs = append(s.Jobs, waiting...)
	return s
}

// outcome is who is on which device after a decision.
type outcome struct {
	*queue.Snapshot
	jobs map[queue.JobID]*queue.Entry
	on   map[queue.JobID][]device.ID
}

func carryOut(s *queue.Snapshot, d queue.Decision) outcome {
	o := outcome{s, map[queue.JobID]*queue.Entry{}, map[queue.JobID][]device.ID{}}
	for i := range s.Jobs {
		o.jobs[s.Jobs[i].ID] = &s.Jobs[i]
		if len(s.Jobs[i].On) > 0 {
			o.on[s.Jobs[i].ID] = s.Jobs[i].On
		}
	}
	for _, p := range d.Placed {
		for _, v := range p.Preempt {
			delete(o.on, v)
		}
	}
	for _, p := range d.Placed {
		o.on[p.Job] = p.On
	}
	return o
}

// used is what the jobs hold of a device, without some of them.
func (o outcome) used(id device.ID, without map[queue.JobID]bool) (slots int, memory tensor.Bytes) {
	for job, on := range o.on {
		if slices.Contains(on, id) && !without[job] {
			if !o.jobs[job].Need.Shared {
				slots++
			}
			memory += o.jobs[job].Need.Memory.Size
		}
	}
	return slots, memory
}

// fits is a plain statement of whether a gang fits, without some jobs: some choice
// of as few workers as the gang could be on at best has enough devices. There are
// four workers at most, so every choice is tried.
func (o outcome) fits(j *queue.Entry, without map[queue.JobID]bool) bool {
	size := max(1, j.Devices)
	able, free := map[string]int{}, map[string]int{}
	for _, d := range o.Devices {
		never, now := refuses(d, j.Need)
		if never {
			continue
		}
		able[d.Worker]++
		slots, memory := o.used(d.ID, without)
		if !now && (j.Need.Shared || slots < d.Description.Slots) && memory+j.Need.Memory.Size <= d.Description.Memory.Available {
			free[d.Worker]++
		}
	}
	best := func(count map[string]int) int { // the fewest workers with enough
		fewest := 99
		for choice := range 16 {
			n, sum := 0, 0
			for w := range 4 {
				if choice>>w&1 == 1 {
					n++
					sum += count[fmt.Sprint("w", w)]
				}
			}
			if sum >= size {
				fewest = min(fewest, n)
			}
		}
		return fewest
	}
	return best(free) < 99 && best(free) <= best(able)
}

// refuses says whether a device will never satisfy a need, and whether it does not
// now even if nothing runs there.
func refuses(d queue.Device, n queue.Need) (never, now bool) {
	has := func(list []string, all []string) bool {
		return !slices.ContainsFunc(all, func(l string) bool { return !slices.Contains(list, l) })
	}
	never = n.Device != "" && n.Device != d.ID || slices.Contains(n.Exclude, d.ID) || !has(d.Labels, n.Labels) ||
		len(n.Features) > 0 && len(d.Description.Capability.Extensions) == 0 || n.Memory.Size > d.Description.Memory.Total
	return never, never || d.Description.Health == device.Unhealthy
}

func TestPlanKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := snapshots(t)
		d := queue.Plan(s)
		o := carryOut(s, d)

		seen, gone := map[queue.JobID]int{}, map[queue.JobID]bool{}
		for _, p := range d.Placed {
			seen[p.Job]++
			j := o.jobs[p.Job]
			if want := max(1, j.Devices); len(p.On) != want || len(slices.Compact(slices.Sorted(slices.Values(p.On)))) != want {
				t.Fatalf("%s wants %d devices and is on %v", p.Job, want, p.On)
			}
			if j.Paused || len(j.After) > 0 || s.Now < j.NotBefore {
				t.Fatalf("%s is placed, though it is held", p.Job)
			}
			for _, dev := range s.Devices {
				if _, now := refuses(dev, j.Need); now && slices.Contains(p.On, dev.ID) {
					t.Fatalf("%s is on %s, which refuses it", p.Job, dev.ID)
				}
			}
			for _, v := range p.Preempt {
				victim := o.jobs[v]
				if !s.Policy.Preempt || len(victim.On) == 0 || s.Now < victim.Since+s.Policy.Quantum {
					t.Fatalf("%s has to give way to %s, but may not be asked to", v, p.Job)
				}
				if !gone[v] && s.Policy.Ageing == 0 && victim.Priority > j.Priority {
					t.Fatalf("%s of priority %d has to give way to %s of %d", v, victim.Priority, p.Job, j.Priority)
				}
				gone[v] = true // others may use what it leaves beside
			}
		}
		for n, p := range d.Pending {
			seen[p.Job]++
			if len(p.Reasons) == 0 || p.Reasons[0].Message == "" {
				t.Fatalf("%s waits for no reason", p.Job)
			}
			if n > 0 && p.Position <= d.Pending[n-1].Position {
				t.Fatalf("position %d after %d", p.Position, d.Pending[n-1].Position)
			}
		}
		for _, j := range s.Jobs {
			if want := 1 - min(1, len(j.On)); seen[j.ID] != want {
				t.Fatalf("%s is decided about %d times, want %d", j.ID, seen[j.ID], want)
			}
		}
		for _, dev := range s.Devices {
			if slots, memory := o.used(dev.ID, nil); slots > dev.Description.Slots || memory > dev.Description.Memory.Available {
				t.Fatalf("%s has %d of %d slots and %v of %v in use", dev.ID, slots, dev.Description.Slots, memory, dev.Description.Memory.Available)
			}
		}
		held := 0
		for id, on := range o.on {
			if o.jobs[id].Owner == "ada" {
				held += len(on)
			}
		}
		if quota, ok := s.Policy.Quotas["ada"]; ok && slices.ContainsFunc(d.Placed, func(p queue.Placement) bool { return o.jobs[p.Job].Owner == "ada" }) && held > quota {
			t.Fatalf("ada holds %d devices of %d", held, quota)
		}
	})
}

// A job that is placed does not stand where one of a higher priority could have.
func TestNothingIsPlacedWhereAHigherPriorityFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := snapshots(t)
		priority := func(j *queue.Entry) int { // with ageing
			if s.Policy.Ageing == 0 {
				return j.Priority
			}
			return j.Priority + int(j.Waited/s.Policy.Ageing)
		}
		d := queue.Plan(s)
		o := carryOut(s, d)
		for _, w := range d.Pending {
			high := o.jobs[w.Job]
			if high.Paused || len(high.After) > 0 || s.Now < high.NotBefore || w.Reasons[0].Code == queue.CodeQuota || w.Reasons[0].Code == queue.CodeBehind ||
				slices.ContainsFunc(w.Reasons, func(r queue.Reason) bool { return r.Code == queue.CodeReserved }) {
				continue
			}
			lower := map[queue.JobID]bool{}
			for _, p := range d.Placed {
				if priority(o.jobs[p.Job]) < priority(high) {
					lower[p.Job] = true
				}
			}
			if o.fits(high, lower) {
				t.Fatalf("%s of priority %d waits (%v), but would fit without %v", w.Job, priority(high), w.Reasons, lower)
			}
		}
	})
}

func TestPlanDoesNotDependOnOrderAndCanBeMadeAgainFromItsRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := snapshots(t)
		want := queue.Plan(s)
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var again queue.Snapshot
		if err := json.Unmarshal(raw, &again); err != nil {
			t.Fatal(err)
		}
		again.Devices = rapid.Permutation(again.Devices).Draw(t, "devices")
		again.Jobs = rapid.Permutation(again.Jobs).Draw(t, "jobs")
		if got := queue.Plan(&again); !reflect.DeepEqual(got, want) {
			t.Fatalf("in another order:\n%+v\nwant\n%+v", got, want)
		}
	})
}

// Of two owners who want the same, the one who has used less of late comes first.
func TestFairShareFavoursWhoHasUsedLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &queue.Snapshot{Devices: host(1), Policy: queue.Policy{Order: queue.OrderShare}, Usage: map[string]time.Duration{
			"ada": minutes(t, 3, "ada"), "bob": minutes(t, 3, "bob"),
		}}
		s.Jobs = []queue.Entry{{ID: "a", Owner: "ada", Submitted: minutes(t, 2, "a")}, {ID: "b", Owner: "bob", Submitted: minutes(t, 2, "b")}}
		want := queue.JobID("a")
		if used := s.Usage["bob"] - s.Usage["ada"]; used < 0 || used == 0 && s.Jobs[1].Submitted < s.Jobs[0].Submitted {
			want = "b"
		}
		if d := queue.Plan(s); len(d.Placed) != 1 || d.Placed[0].Job != want {
			t.Fatalf("used %v: %+v, want %s", s.Usage, d.Placed, want)
		}
	})
}

// What EASY backfill lets overtake does not delay the first job that waits, if jobs
// take as long as was estimated.
func TestEasyBackfillDoesNotDelayTheFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 4).Draw(t, "devices")
		s := &queue.Snapshot{Devices: host(n), Policy: queue.Policy{Order: queue.OrderSubmission}}
		for i := range rapid.IntRange(1, n).Draw(t, "running") {
			s.Jobs = append(s.Jobs, queue.Entry{ID: queue.JobID(fmt.Sprint("running", i)), On: []device.ID{device.ID(fmt.Sprint("cpu", i))},
				Remaining: time.Minute + minutes(t, 20, "remaining")})
		}
		for i := range rapid.IntRange(1, 6).Draw(t, "waiting") {
			s.Jobs = append(s.Jobs, queue.Entry{ID: queue.JobID(fmt.Sprint("waiting", i)), Submitted: time.Duration(i), Devices: rapid.IntRange(1, n).Draw(t, "gang"),
				Remaining: time.Minute + minutes(t, 20, "duration")})
		}
		starts := map[queue.Backfill]time.Duration{}
		first := queue.JobID("")
		for _, b := range []queue.Backfill{queue.BackfillNone, queue.BackfillEasy} {
			s.Policy.Backfill = b
			if d := queue.Plan(s); first == "" && len(d.Pending) > 0 {
				first = d.Pending[0].Job
			}
			starts[b] = queue.Forecast(s)[first]
		}
		if starts[queue.BackfillEasy] > starts[queue.BackfillNone] {
			t.Fatalf("%s starts at %v, and at %v if nothing overtakes it", first, starts[queue.BackfillEasy], starts[queue.BackfillNone])
		}
	})
}
