package queue

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"reprise/device"
)

// never is later than any time of a snapshot.
const never = time.Duration(1<<62 - 1)

// cluster is what is free while a plan is made.
type cluster struct {
	devices []place
	workers [][]int // devices of each worker, by ID
	needs   map[needKey]*need
	jobs    []Entry
	on      map[int][]int // devices of the running jobs
	shared  bool          // some job takes no slot
}

// place is one device.
type place struct {
	facts  *Device
	slots  int
	memory int64
	jobs   []int // that run here
	left   []int // that have to give way first
	// keptUntil is when a reservation begins: only what ends before may come here;
	// 0 where there is none.
	keptUntil time.Duration
}

// keptForAll is a reservation that nothing may use meanwhile.
const keptForAll = time.Duration(-1)

// need is a Need and the devices that could ever satisfy it.
type need struct {
	*Need
	able  []bool // by device: satisfies it when nothing runs there
	ever  []bool // by device: will not for ever refuse it
	sizes []int  // devices of each worker that ever could, descending
	// refusals are why devices do not satisfy it, by code.
	refusals map[device.ReasonCode]Reason
}

// needKey is a Need as a map's key.
type needKey struct {
	memory                    device.MemoryRequirement
	shared                    bool
	device                    device.ID
	features, exclude, labels string
}

func keyOf(n *Need) needKey {
	return needKey{n.Memory, n.Shared, n.Device, joined(n.Features), joined(n.Exclude), joined(n.Labels)}
}

// slots is how many slots of a device the need takes.
func (n *Need) slots() int {
	if n.Shared {
		return 0
	}
	return 1
}

func joined[S ~string](list []S) string {
	if len(list) == 0 {
		return ""
	}
	var b strings.Builder
	for _, s := range list {
		fmt.Fprintf(&b, "%q", string(s))
	}
	return b.String()
}

func newCluster(s *Snapshot) *cluster {
	c := &cluster{needs: map[needKey]*need{}, jobs: s.Jobs, on: map[int][]int{}}
	index := make(map[device.ID]int, len(s.Devices))
	for i := range s.Devices {
		d := &s.Devices[i]
		c.devices = append(c.devices, place{
			facts: d, slots: max(1, d.Description.Slots) - d.HeldSlots,
			memory: int64(d.Description.Memory.Available) - d.HeldMemory,
		})
	}
	byWorker := func(a, b place) int {
		return cmp.Or(strings.Compare(a.facts.Worker, b.facts.Worker), strings.Compare(string(a.facts.ID), string(b.facts.ID)))
	}
	if !slices.IsSortedFunc(c.devices, byWorker) {
		slices.SortFunc(c.devices, byWorker)
	}
	for i, d := range c.devices {
		index[d.facts.ID] = i
		if i == 0 || d.facts.Worker != c.devices[i-1].facts.Worker {
			c.workers = append(c.workers, nil)
		}
		last := len(c.workers) - 1
		c.workers[last] = append(c.workers[last], i)
	}
	for i := range s.Jobs {
		c.shared = c.shared || s.Jobs[i].Need.Shared
		for _, id := range s.Jobs[i].On {
			if d, ok := index[id]; ok {
				c.take(d, i, &s.Jobs[i].Need)
				c.on[i] = append(c.on[i], d)
			}
		}
	}
	return c
}

func (c *cluster) take(d, job int, n *Need) {
	p := &c.devices[d]
	p.slots -= n.slots()
	p.memory -= int64(n.Memory.Size)
	p.jobs = append(p.jobs, job)
}

// vacate takes a running job off its devices.
func (c *cluster) vacate(job int) {
	for _, d := range c.on[job] {
		p := &c.devices[d]
		p.slots += c.jobs[job].Need.slots()
		p.memory += int64(c.jobs[job].Need.Memory.Size)
		p.jobs = slices.DeleteFunc(p.jobs, func(j int) bool { return j == job })
		p.left = append(p.left, job)
	}
}

// room reports whether the device satisfies the need until end, with the jobs
// gone for which gone is true; nil is none.
func (c *cluster) room(d int, n *need, end time.Duration, gone func(job int) bool) bool {
	p := &c.devices[d]
	if !n.able[d] || p.keptUntil != 0 && end > p.keptUntil {
		return false
	}
	slots, memory := p.slots, p.memory
	if gone != nil {
		for _, j := range p.jobs {
			if gone(j) {
				slots += c.jobs[j].Need.slots()
				memory += int64(c.jobs[j].Need.Memory.Size)
			}
		}
	}
	return (n.Shared || slots > 0) && memory >= int64(n.Memory.Size)
}

// need returns the devices for a need; the same one for the same need.
func (c *cluster) need(n *Need) *need {
	key := keyOf(n)
	if found, ok := c.needs[key]; ok {
		return found
	}
	made := &need{Need: n, able: make([]bool, len(c.devices)), ever: make([]bool, len(c.devices)), refusals: map[device.ReasonCode]Reason{}}
	for i := range c.devices {
		made.able[i], made.ever[i] = true, true
		for _, r := range c.devices[i].facts.refuse(n) {
			made.able[i] = false
			made.ever[i] = made.ever[i] && r.Transient
			all, known := made.refusals[r.Code]
			if !known {
				all = Reason{Code: Code(r.Code), Message: r.Message, Transient: true}
			}
			all.Devices++
			all.Transient = all.Transient && r.Transient
			made.refusals[r.Code] = all
		}
	}
	c.needs[key] = made
	return made
}

// refuse returns why the device does not satisfy the need even if nothing runs
// on it.
func (d *Device) refuse(n *Need) []device.Reason {
	var reasons []device.Reason
	no := func(code device.ReasonCode, format string, args ...any) {
		reasons = append(reasons, device.Reason{Code: code, Message: fmt.Sprintf(format, args...)})
	}
	if n.Device != "" && n.Device != d.ID {
		no(device.ReasonNotRequested, "only %s will do", n.Device)
	}
	if slices.Contains(n.Exclude, d.ID) {
		no(device.ReasonExcluded, "the request excludes it")
	}
	for _, label := range n.Labels {
		if !slices.Contains(d.Labels, label) {
			no(ReasonMissingLabel, "needs the label %s", label)
		}
	}
	made, err := device.New(d.Description)
	if err != nil {
		no(device.ReasonUnknownDevice, "%v", err)
		return reasons
	}
	return append(reasons, made.Refusal(device.Workload{Requirements: n.Features, Memory: n.Memory, Shared: n.Shared})...)
}

// counts are the devices that could take a need.
type counts struct{ ever, able, free, kept int }

// count counts the devices that will not for ever refuse the need, of these those
// that would take it now if nothing ran there, and of these those that are free,
// and those that are but are kept for others.
func (c *cluster) count(n *need) counts {
	var k counts
	for d := range c.devices {
		if n.ever[d] {
			k.ever++
		}
		if !n.able[d] {
			continue
		}
		k.able++
		if c.room(d, n, never, nil) {
			k.free++
		} else if c.devices[d].keptUntil != 0 && c.room(d, n, keptForAll, nil) {
			k.kept++
		}
	}
	return k
}

// fewest returns the least number of workers that have room for a gang, if all of
// their devices that could satisfy the need were free; 0 if all together have not.
func (c *cluster) fewest(n *need, size int) int {
	if n.sizes == nil {
		n.sizes = []int{}
		for _, w := range c.workers {
			able := 0
			for _, d := range w {
				if n.ever[d] {
					able++
				}
			}
			n.sizes = append(n.sizes, able)
		}
		slices.SortFunc(n.sizes, func(a, b int) int { return b - a })
	}
	for i, s := range n.sizes {
		if size -= s; size <= 0 {
			return i + 1
		}
	}
	return 0
}
