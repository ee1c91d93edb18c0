package queue

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Plan decides for every job that waits. Its result depends on the values in the
// snapshot only, not on the order of devices or jobs.
//
// The jobs are considered by rank. Each is placed on free devices if it fits there;
// else on devices of running jobs that have to give way to it; else it is pending,
// and a promoted one keeps the devices that it will have first from the jobs after
// it.
//
// Its time is about proportional to the number of jobs, and for each distinct need
// to the number of devices.
func Plan(s *Snapshot) Decision {
	p := &planner{snapshot: s, cluster: newCluster(s), held: map[string]int{}, placed: map[int]bool{}, ends: map[class][]ending{}, failed: map[attempt][]Reason{}}
	p.ranks = make([]rank, len(s.Jobs))
	var waiting []int
	for i := range s.Jobs {
		j := &s.Jobs[i]
		p.ranks[i] = s.Policy.rank(j, s.Usage)
		if len(j.On) > 0 {
			p.held[j.Owner] += len(j.On)
			continue
		}
		waiting = append(waiting, i)
	}
	slices.SortFunc(waiting, func(a, b int) int { return p.ranks[a].compare(p.ranks[b]) })
	var d Decision
	for n, i := range waiting {
		if placement, reasons := p.decide(i); reasons != nil {
			d.Pending = append(d.Pending, Pending{s.Jobs[i].ID, n + 1, reasons})
		} else {
			d.Placed = append(d.Placed, placement)
		}
	}
	return d
}

// planner is the state of one Plan.
type planner struct {
	snapshot *Snapshot
	cluster  *cluster
	ranks    []rank
	held     map[string]int // devices by owner
	placed   map[int]bool   // jobs, by this plan, whose ends a reservation counts with
	// failed has what did not fit. The same attempt fails again: devices only become
	// fewer, but for those that a job leaves, and these were looked at as such.
	failed map[attempt][]Reason
	// blocked is the first job that did not fit.
	blocked *Entry
	// ends are the endings of the running jobs, for a class of job that waits for
	// them.
	ends map[class][]ending
	// full says that nothing more can be reserved.
	full bool
	// timed says that devices are reserved, for some of which estimates count.
	timed bool
}

// attempt is all of a job that decides whether it fits.
type attempt struct {
	need *need
	size int
	as   class
}

// decide returns where the job goes, or why it waits.
func (p *planner) decide(i int) (Placement, []Reason) {
	j := &p.snapshot.Jobs[i]
	if reasons := p.hold(j); reasons != nil {
		return Placement{}, reasons
	}
	policy := &p.snapshot.Policy
	if p.blocked != nil && policy.Backfill == BackfillNone {
		return Placement{}, []Reason{{Code: CodeBehind, Transient: true, Job: p.blocked.ID,
			Message: fmt.Sprintf("job %s is ahead and does not fit yet", p.blocked.ID)}}
	}
	try := attempt{p.cluster.need(&j.Need), j.size(), p.ranks[i].class()}
	reasons, failed := p.failed[try]
	end := never
	if j.Remaining > 0 && p.timed {
		end, failed = p.snapshot.Now+j.Remaining, false // it may end before a reservation begins
	}
	if failed {
		if try.as.promoted && reasons[0].Transient {
			p.reserve(i, try)
		}
		return Placement{}, reasons
	}
	if on := p.cluster.place(try.need, try.size, end, nil, nil); on != nil {
		return p.place(i, on, nil), nil
	}
	if policy.Preempt {
		gone, worst := p.preemptible(i), p.worst
		if on := p.cluster.place(try.need, try.size, end, gone, worst); on != nil {
			return p.place(i, on, p.cluster.victims(on, try.need, gone, worst)), nil
		}
	}
	if reasons == nil {
		reasons = p.explain(try)
		p.failed[try] = reasons
	}
	first := p.blocked == nil && reasons[0].Transient
	if first {
		p.blocked = j
	}
	if first && policy.Backfill == BackfillEasy || try.as.promoted && reasons[0].Transient {
		p.reserve(i, try)
	}
	return Placement{}, reasons
}

// hold returns what keeps a job from being considered at all.
func (p *planner) hold(j *Entry) []Reason {
	switch quota, limited := p.snapshot.Policy.Quotas[j.Owner]; {
	case j.Paused:
		return []Reason{{Code: CodePaused, Transient: true, Message: "it is paused; resume it"}}
	case len(j.After) > 0:
		return []Reason{{Code: CodeAfter, Transient: true, Job: j.After[0],
			Message: fmt.Sprintf("job %s must end first", j.After[0])}}
	case p.snapshot.Now < j.NotBefore:
		return []Reason{{Code: CodeDeferred, Transient: true,
			Message: "it was deferred, and is tried again in " + (j.NotBefore - p.snapshot.Now).String()}}
	case limited && j.size() > quota:
		return []Reason{{Code: CodeQuota, Message: fmt.Sprintf(
			"it wants %s, and %s may hold %d at most; ask for fewer, or raise the quota", devices(j.size()), ownerName(j.Owner), quota)}}
	case limited && p.held[j.Owner]+j.size() > quota:
		return []Reason{{Code: CodeQuota, Transient: true, Message: fmt.Sprintf(
			"it wants %s, and %s holds %d of the %d allowed", devices(j.size()), ownerName(j.Owner), p.held[j.Owner], quota)}}
	}
	return nil
}

// place carries the decision out on the planner's own cluster.
func (p *planner) place(i int, on, victims []int) Placement {
	j := &p.snapshot.Jobs[i]
	placement := Placement{Job: j.ID}
	for _, v := range victims {
		p.cluster.vacate(v)
		p.held[p.snapshot.Jobs[v].Owner] -= len(p.snapshot.Jobs[v].On)
	}
	for _, d := range on {
		p.cluster.take(d, i, &j.Need)
		for _, v := range p.cluster.devices[d].left {
			placement.Preempt = append(placement.Preempt, p.snapshot.Jobs[v].ID)
		}
		placement.On = append(placement.On, p.cluster.devices[d].facts.ID)
	}
	slices.Sort(placement.Preempt)
	placement.Preempt = slices.Compact(placement.Preempt)
	p.held[j.Owner] += len(on)
	if p.snapshot.Policy.Backfill == BackfillEasy {
		// Other policies keep devices for promoted jobs only, and for them the next
		// decision, which sees this job run, is early enough.
		p.placed[i] = true
		clear(p.ends)
	}
	return placement
}

// preemptible returns which running jobs may have to give way to job i.
func (p *planner) preemptible(i int) func(running int) bool {
	return func(r int) bool {
		return p.ranks[i].mayPreempt(p.ranks[r]) && p.snapshot.Now >= p.availableFrom(r)
	}
}

// availableFrom is when a running job that has to give way may be asked to. One
// that was placed by this plan stays, and so does one that is about to end.
func (p *planner) availableFrom(r int) time.Duration {
	j := &p.snapshot.Jobs[r]
	if len(j.On) == 0 || j.Remaining > 0 && j.Remaining <= p.snapshot.Policy.Spare {
		return never
	}
	return j.Since + p.snapshot.Policy.Quantum
}

// worst orders running jobs, the one that ranks last first.
func (p *planner) worst(a, b int) int { return p.ranks[b].compare(p.ranks[a]) }

// reserve keeps the devices that job i will have first from the jobs after it,
// except from those that end before.
func (p *planner) reserve(i int, try attempt) {
	if p.full || !p.cluster.dividable(try.need, try.size) {
		return
	}
	order, ok := p.ends[try.as]
	if !ok {
		order = p.order(i)
		p.ends[try.as] = order
	}
	p.full = !p.cluster.reserve(try.need, try.size, order)
	p.timed = true
}

// order returns when the jobs that run, or that EASY backfill has placed by this plan,
// end or have to give way to job i, soonest first.
func (p *planner) order(i int) []ending {
	var order []ending
	for r := range p.snapshot.Jobs {
		j := &p.snapshot.Jobs[r]
		placed := p.placed[r]
		if (len(j.On) == 0 || len(p.cluster.on[r]) == 0) && !placed {
			continue
		}
		e := ending{job: r, at: never}
		if j.Remaining > 0 {
			e.at = p.snapshot.Now + j.Remaining
		}
		if !placed && p.snapshot.Policy.Preempt && p.ranks[i].mayPreempt(p.ranks[r]) {
			e.at = min(e.at, p.availableFrom(r))
		}
		order = append(order, e)
	}
	slices.SortFunc(order, func(a, b ending) int {
		x, y := &p.snapshot.Jobs[a.job], &p.snapshot.Jobs[b.job]
		return cmp.Or(
			cmp.Compare(a.at, b.at),
			cmp.Compare(x.Served, y.Served), // what has run for long is likely to run longest
			strings.Compare(string(x.ID), string(y.ID)),
		)
	})
	return order
}

func devices(n int) string {
	if n == 1 {
		return "1 device"
	}
	return fmt.Sprintf("%d devices", n)
}

// orNone is a number of devices, as the subject of a sentence.
func orNone(n int) string {
	switch n {
	case 0:
		return "no device"
	case 1:
		return "only 1"
	}
	return fmt.Sprintf("only %d", n)
}

func workers(n int) string {
	if n == 1 {
		return "1 worker"
	}
	return fmt.Sprintf("%d workers", n)
}

// ownerName is an owner, as the subject of a sentence.
func ownerName(owner string) string {
	if owner == "" {
		return "its owner"
	}
	return owner
}

// explain returns why an attempt failed; reasons that waiting does not remove come first.
func (p *planner) explain(try attempt) []Reason {
	k := p.cluster.count(try.need)
	var reasons []Reason
	say := func(code Code, n int, transient bool, format string, args ...any) {
		reasons = append(reasons, Reason{Code: code, Devices: n, Transient: transient, Message: fmt.Sprintf(format, args...)})
	}
	wants := wantsDevices(try.size)
	switch fewest := p.cluster.fewest(try.need, try.size); {
	case k.ever < try.size:
		say(CodeTooLarge, k.ever, false, "%s, and %s could ever take it", wants, orNone(k.ever))
	case k.able < try.size:
		say(CodeUnfit, k.able, true, "%s, and %s could take it now, if all were free", wants, orNone(k.able))
	case k.free >= try.size:
		say(CodeScatter, k.free, true, "%s on %s, and the %d that are free are on more", wants, workers(fewest), k.free)
	}
	if busy := k.able - k.free - k.kept; busy > 0 {
		say(CodeBusy, busy, true, "%s that could take it: in use by runs that do not have to give way yet", devices(busy))
	}
	if k.kept > 0 {
		say(CodeReserved, k.kept, true, "%s that could take it: free, but kept for a job that ranks higher", devices(k.kept))
	}
	for _, code := range slices.Sorted(maps.Keys(try.need.refusals)) {
		r := try.need.refusals[code]
		r.Message = fmt.Sprintf("%s: %s", devices(r.Devices), r.Message)
		reasons = append(reasons, r)
	}
	return reasons
}
