package queue

import (
	"cmp"
	"maps"
	"slices"
	"sort"
	"time"
)

// offer is what a worker has for a gang.
type offer struct {
	devices []int // that can be used, those first that are free now
	free    int   // of these, how many are
}

// victimOrder orders running jobs, the one to give way first first.
type victimOrder func(a, b int) int

// place returns devices for a gang, on as few workers as its size allows; nil if
// it does not fit. end is when the gang will have ended. The jobs for which gone
// is true count as gone; where there is a choice, those stay that worst orders
// last.
func (c *cluster) place(n *need, size int, end time.Duration, gone func(job int) bool, worst victimOrder) []int {
	offers := make([]offer, 0, len(c.workers))
	total := 0
	for _, w := range c.workers {
		var o offer
		var vacated []int
		for _, d := range w {
			if c.room(d, n, end, nil) {
				o.devices = append(o.devices, d)
			} else if gone != nil && c.room(d, n, end, gone) {
				vacated = append(vacated, d)
			}
		}
		o.free = len(o.devices)
		if worst != nil {
			slices.SortStableFunc(vacated, func(a, b int) int { return c.compareVacated(a, b, gone, worst) })
		}
		if o.devices = append(o.devices, vacated...); len(o.devices) > 0 {
			offers = append(offers, o)
			total += len(o.devices)
		}
	}
	if total < size {
		return nil
	}
	return gather(size, c.fewest(n, size), offers)
}

// gather takes a gang's devices from at most this many of the offers: from the one
// that fits best, else from the largest until one has room for the rest.
func gather(size, workers int, offers []offer) []int {
	var on []int
	for ; workers > 0 && len(offers) > 0; workers-- {
		want, best := size-len(on), 0
		for i := range offers {
			if offers[i].compare(&offers[best], want) < 0 {
				best = i
			}
		}
		on = append(on, offers[best].devices[:min(want, len(offers[best].devices))]...)
		if len(on) == size {
			return on
		}
		offers = slices.Delete(offers, best, best+1)
	}
	return nil
}

// compare orders offers for a number of devices: those that suffice first, of
// these the one with the fewest devices to vacate and then the smallest; of the
// others the largest.
func (o *offer) compare(p *offer, want int) int {
	enough := len(o.devices) >= want
	if other := len(p.devices) >= want; enough != other {
		if enough {
			return -1
		}
		return 1
	}
	vacate := cmp.Compare(max(0, want-o.free), max(0, want-p.free))
	if enough {
		return cmp.Or(vacate, cmp.Compare(len(o.devices), len(p.devices)))
	}
	return cmp.Or(cmp.Compare(len(p.devices), len(o.devices)), vacate)
}

// compareVacated orders devices by what vacating them costs: jobs on few devices
// first, then the ones that are to give way first.
func (c *cluster) compareVacated(a, b int, gone func(int) bool, worst victimOrder) int {
	first := func(d int) int {
		best := -1
		for _, j := range c.devices[d].jobs {
			if gone(j) && (best < 0 || worst(j, best) < 0) {
				best = j
			}
		}
		return best
	}
	x, y := first(a), first(b)
	return cmp.Or(cmp.Compare(len(c.on[x]), len(c.on[y])), worst(x, y))
}

// victims returns the jobs that have to leave these devices for each to satisfy
// the need, by index.
func (c *cluster) victims(on []int, n *need, gone func(job int) bool, worst victimOrder) []int {
	leaving := map[int]bool{}
	leaves := func(j int) bool { return leaving[j] }
	for _, d := range on {
		candidates := slices.DeleteFunc(slices.Clone(c.devices[d].jobs), func(j int) bool { return !gone(j) || leaving[j] })
		slices.SortFunc(candidates, worst)
		for _, j := range candidates {
			if c.room(d, n, keptForAll, leaves) {
				break
			}
			leaving[j] = true
		}
	}
	return slices.Sorted(maps.Keys(leaving))
}

// ending is when a running job ends, or has to give way.
type ending struct {
	job int
	at  time.Duration // never if that is not known
}

// dividable reports whether a smaller job could take a part of what a gang waits
// for, so that it has to be kept together.
func (c *cluster) dividable(n *need, size int) bool {
	if size > 1 {
		return true
	}
	for d := range c.devices {
		if n.ever[d] && (c.shared || c.devices[d].facts.Description.Slots > 1) {
			return true
		}
	}
	return false
}

// reserve keeps for a gang the devices on which it will fit first, given when the
// running jobs end. Until then they take only what ends before. It reports whether
// the gang fits once all of them have ended.
func (c *cluster) reserve(n *need, size int, order []ending) bool {
	place := make(map[int]int, len(order))
	for i, e := range order {
		place[e.job] = i
	}
	var on []int
	k := sort.Search(len(order)+1, func(k int) bool {
		found := c.place(n, size, never, func(j int) bool { i, ok := place[j]; return ok && i < k }, nil)
		if found != nil {
			on = found
		}
		return found != nil
	})
	if k > len(order) {
		return false
	}
	until := keptForAll
	if k > 0 && order[k-1].at < never {
		until = order[k-1].at
	}
	for _, d := range on {
		c.devices[d].keptUntil = until
	}
	return true
}
