package queue

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"
)

// rank is where a job stands. Lower ranks come first.
type rank struct {
	priority int // with ageing
	promoted bool
	level    int
	weight   time.Duration // within a level
	since    time.Duration // of submission
	id       JobID
}

func (p Policy) rank(j *Entry, usage map[string]time.Duration) rank {
	r := rank{priority: p.aged(j), since: j.Submitted, id: j.ID}
	if p.Patience > 0 && j.Waited >= p.Patience {
		r.promoted, r.weight = true, -j.Waited // whoever was promoted first is first
		return r
	}
	switch p.Order {
	case OrderSubmission:
	case OrderShare:
		r.weight = p.weighed(j.Owner, usage)
	case OrderRemaining:
		r.weight = j.Remaining * time.Duration(j.size())
		if j.Remaining == 0 {
			r.weight = 1<<63 - 1
		}
	default:
		r.level = p.level(j.attained())
	}
	return r
}

// weighed is what an owner has used, given the owner's share.
func (p Policy) weighed(owner string, usage map[string]time.Duration) time.Duration {
	used := usage[owner]
	share, named := p.Shares[owner]
	if !named || badShare(share) != "" { // a record can have any
		return used
	}
	return time.Duration(min(float64(used)/share, math.MaxInt64/2))
}

// Share returns the share of an owner.
func (p Policy) Share(owner string) float64 {
	if share, named := p.Shares[owner]; named {
		return share
	}
	return 1
}

// aged is the priority of a job, raised by how long it has waited.
func (p Policy) aged(j *Entry) int {
	if p.Ageing > 0 {
		return j.Priority + int(j.Waited/p.Ageing)
	}
	return j.Priority
}

// level is the number of bounds that are reached.
func (p Policy) level(attained time.Duration) int {
	i, found := slices.BinarySearch(p.Levels, attained)
	if found {
		i++
	}
	return i
}

// compare orders ranks, first first.
func (r rank) compare(o rank) int {
	if c := cmp.Compare(o.priority, r.priority); c != 0 {
		return c
	}
	if r.promoted != o.promoted {
		if r.promoted {
			return -1
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(r.level, o.level),
		cmp.Compare(r.weight, o.weight),
		cmp.Compare(r.since, o.since),
		strings.Compare(string(r.id), string(o.id)),
	)
}

// mayPreempt reports whether a job of this rank may take the devices of a running
// one: only across priorities, promotion and levels, never within one, so that two
// jobs cannot take turns.
func (r rank) mayPreempt(running rank) bool {
	if r.priority != running.priority {
		return r.priority > running.priority
	}
	if running.promoted {
		return false
	}
	return r.promoted || r.level < running.level
}

// class is what of a rank decides whom it may preempt.
type class struct {
	priority int
	promoted bool
	level    int
}

func (r rank) class() class { return class{r.priority, r.promoted, r.level} }

// Ranked returns the jobs of a snapshot in the order in which Plan considers them, with
// those that run where they would be if they waited. The snapshot needs no devices.
func Ranked(s *Snapshot) []JobID {
	ranks := make([]rank, len(s.Jobs))
	for i := range s.Jobs {
		ranks[i] = s.Policy.rank(&s.Jobs[i], s.Usage)
	}
	slices.SortFunc(ranks, rank.compare)
	ids := make([]JobID, len(ranks))
	for i, r := range ranks {
		ids[i] = r.id
	}
	return ids
}
