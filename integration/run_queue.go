package integration

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"reprise/actor"
	"reprise/device"
	"reprise/eventstore"
	"reprise/journal"
	"reprise/queue"
)

// runQueue knows who waits for a device of a host, and the runs that have one. The
// incarnations of the device pool share it, one after the other, so that a pool
// that fails loses nobody that waits. It takes no decision: queue.Plan does.
type runQueue struct {
	worker string
	// rules are those in force. Whoever changes them replaces them.
	rules  atomic.Pointer[queueRules]
	log    journal.QueueLog
	now    func() time.Time
	origin time.Time
	last   time.Duration // since origin, when the clock was last read
	claims map[queue.JobID]*claim
	// late are messages to the pool that found its mailbox full.
	late lateMessages[deviceMessage]
	// usage is the device time of owners, without that of the claims that have a device.
	// What they used under earlier processes is part of it once recalled, which the first
	// decision sees to that counts with it.
	usage    *queue.Usage
	recalled bool
	// lately is what the last decision counted with, for those who rank jobs outside the
	// pool. Nobody changes it.
	lately atomic.Pointer[map[string]time.Duration]
	// ending says that nothing more is placed, since the host is about to close.
	ending atomic.Bool
}

// queueRules are how the devices are shared at a time.
type queueRules struct {
	policy queue.Policy
	// labels are those that the devices have of their host, and settings what an operator
	// has set.
	labels   map[device.ID][]string
	settings queue.Settings
}

// labelsOf returns the labels of a device.
func (r *queueRules) labelsOf(id device.ID) []string { return r.settings.LabelsOf(id, r.labels[id]) }

// rulesOf returns those of a host with settings.
func rulesOf(c HostConfig, set journal.SettingsRecord) *queueRules {
	return &queueRules{policy: set.Policy(*c.Queue, uint64(set.Version)), labels: c.Labels, settings: set.Settings}
}

// jobOf names the holder in the queue's decisions: a run by its id alone, as before
// there were other holders.
func jobOf(h device.Holder) queue.JobID {
	if h.Kind == device.HolderRun {
		return queue.JobID(h.Subject)
	}
	return queue.JobID(h.String())
}

// inWords describes a holder in a sentence.
func inWords(h device.Holder) string {
	if h.Kind == device.HolderRun {
		return "run " + h.Subject
	}
	return fmt.Sprintf("a %s of run %s", h.Kind, h.Subject)
}

// claim is that of a holder that waits for a device, or of a run that has asked for one
// and is not at rest yet.
type claim struct {
	asked     acquireDevice // the last request
	submitted time.Duration
	phase     queuePhase
	since     time.Duration // the beginning of the phase
	served    time.Duration // in earlier phases, also under earlier processes
	waited    time.Duration // likewise
	told      bool          // that it has to wait
	from      uint64        // the step at which it was granted its device
	lease     device.LeaseID
	yielding  bool // it was asked to give way
	// owner and devices are what the last snapshot in which it waited said.
	owner   string
	devices int
}

// runProgress is how far a run has come. Its actor writes it, and the device pool reads
// it.
type runProgress struct{ begun, step, total atomic.Uint64 }

func (p *runProgress) set(begun, step, total uint64) {
	p.begun.Store(begun)
	p.step.Store(step)
	p.total.Store(total)
}

// remaining estimates how long the rest of a run takes, given how long it has had its
// device and at which step it got that; 0 if that is not known.
func (p *runProgress) remaining(took time.Duration, from uint64) time.Duration {
	begun, step, total := max(p.begun.Load(), from), p.step.Load(), p.total.Load()
	if step <= begun || total <= step {
		return 0
	}
	const longest = 100 * 365 * 24 * time.Hour // what is longer has no meaning
	return time.Duration(min(float64(longest), float64(took)/float64(step-begun)*float64(total-step)))
}

// queueTimes is how long a run has had a device, and has waited for one.
type queueTimes struct{ served, waited time.Duration }

type queuePhase int

const (
	idle    queuePhase = iota // between two requests: it gave back its device, or lost it
	waiting                   // for a device
	running                   // it was granted one
)

func newRunQueue(worker string, rules *queueRules, store eventstore.Store, now func() time.Time) *runQueue {
	q := &runQueue{
		worker: worker, log: journal.QueueLog{Store: store, Now: now}, now: now, origin: now(), claims: map[queue.JobID]*claim{},
		usage: queue.NewUsage(rules.policy.HalfLife),
	}
	q.rules.Store(rules)
	return q
}

// orderOf is when a job with this number counts as submitted: jobs that an earlier process
// has left keep their order.
func (q *runQueue) orderOf(submitted time.Time, number int) time.Time {
	if submitted.After(q.origin) {
		return submitted
	}
	return q.origin.Add(time.Duration(number))
}

// recall adds what the owners of the worker's jobs have used under earlier processes, if
// the next decision counts with it and it was not added before.
func (q *runQueue) recall(ctx context.Context) error {
	if q.recalled || !q.shares() {
		return nil
	}
	var periods []journal.JobPeriod
	err := journal.WalkJobPeriods(ctx, q.log.Store, q.worker, q.origin.Add(-q.usage.Horizon()), func(p journal.JobPeriod) {
		periods = append(periods, p)
	})
	if err != nil {
		return fmt.Errorf("read what owners have used: %w", err)
	}
	for _, p := range periods {
		q.usage.Add(p.Owner, p.Devices, p.From.Sub(q.origin), min(0, p.To.Sub(q.origin)))
	}
	q.recalled = true
	return nil
}

// shares reports whether decisions count with what owners have used.
func (q *runQueue) shares() bool { return q.rules.Load().policy.Order == queue.OrderShare }

// used is the device time of owners up to now; nil unless the policy asks for it.
func (q *runQueue) used(now time.Duration) map[string]time.Duration {
	if !q.shares() {
		return nil
	}
	usage := q.usage.Clone()
	for _, c := range q.claims {
		c.charge(usage, now)
	}
	return usage.At(now)
}

// charge adds the time for which the claim has had its present device.
func (c *claim) charge(usage *queue.Usage, now time.Duration) {
	if c.phase == running {
		usage.Add(c.owner, c.devices, c.since, now)
	}
}

// leave forgets a claim.
func (q *runQueue) leave(id queue.JobID) {
	if c := q.claims[id]; c != nil {
		c.charge(q.usage, q.clock())
		delete(q.claims, id)
	}
}

// clock returns the time since the host started. It never runs backwards.
func (q *runQueue) clock() time.Duration {
	q.last = max(q.last, q.now().Sub(q.origin))
	return q.last
}

// forget tells the pool that a holder is gone. It fails only where the pool is down, and
// holds nothing.
func (q *runQueue) forget(pool actor.Ref[deviceMessage], holder device.Holder) error {
	return q.late.tell(pool, forgetHolder{Holder: holder}, deliverLate{})
}

// enter makes the holder wait for what it asks for.
func (q *runQueue) enter(m acquireDevice) {
	c := q.claims[jobOf(m.Holder)]
	if c == nil {
		c = &claim{submitted: max(0, m.Submitted.Sub(q.origin)), served: m.Times.served, waited: m.Times.waited}
		q.claims[jobOf(m.Holder)] = c
	}
	c.asked, c.told = m, false
	q.turn(c, waiting, q.clock())
}

// turn ends the claim's phase and begins another.
func (q *runQueue) turn(r *claim, to queuePhase, at time.Duration) {
	r.charge(q.usage, at)
	r.served, r.waited = r.times(at)
	r.phase, r.since = to, at
	if to == running && r.asked.Progress != nil {
		r.from = r.asked.Progress.step.Load() // what it says until the run has prepared is old
	}
}

// times returns how long the holder has had a device, and has waited for one.
func (c *claim) times(at time.Duration) (served, waited time.Duration) {
	served, waited = c.served, c.waited
	switch c.phase {
	case running:
		served += at - c.since
	case waiting:
		waited += at - c.since
	case idle:
	}
	return served, waited
}

// opening returns how long the next decision waits for runs that open their data.
func (q *runQueue) opening() time.Duration {
	for _, c := range q.claims {
		if c.asked.Job == nil {
			continue
		}
		return c.asked.Job.opening(func(id queue.JobID) bool {
			of := q.claims[id]
			return of != nil && of.phase == waiting
		})
	}
	return 0
}

// waits reports whether anybody waits who may still be placed.
func (q *runQueue) waits() bool {
	if q.ending.Load() {
		return false
	}
	for _, c := range q.claims {
		if c.phase == waiting {
			return true
		}
	}
	return false
}

// snapshot returns everything that the next decision depends on. What the ledgers
// say about who holds a device is what counts.
func (q *runQueue) snapshot(ledgers []device.Ledger) queue.Snapshot {
	rules := q.rules.Load()
	s := queue.Snapshot{Now: q.clock(), Policy: rules.policy}
	on := map[queue.JobID][]device.ID{}
	for _, l := range ledgers {
		id := l.Device().ID()
		d := queue.Device{ID: id, Worker: id.Worker(), Description: l.Device().Description(), Labels: rules.labelsOf(id)}
		for _, lease := range l.Leases() {
			holder, _ := device.ParseHolder(lease.Holder)
			if c := q.claims[jobOf(holder)]; c != nil && c.phase == running {
				on[jobOf(holder)] = append(on[jobOf(holder)], d.ID)
				continue
			}
			if !lease.Shared {
				d.HeldSlots++
			}
			d.HeldMemory += int64(lease.Memory)
		}
		s.Devices = append(s.Devices, d)
	}
	for id, r := range q.claims {
		if r.phase == running && on[id] == nil {
			q.turn(r, idle, s.Now) // its device was taken from it
		}
		if r.phase == idle {
			continue
		}
		var j queue.Entry
		if r.asked.Job != nil {
			j, _ = r.asked.Job.entry(id)
			j.After, j.Paused = nil, false // its run would not have asked
		}
		j.ID, j.Submitted, j.On, j.Since = id, r.submitted, on[id], 0
		j.Need.Features, j.Need.Memory, j.Need.Shared = r.asked.Workload.Requirements, r.asked.Workload.Memory, r.asked.Workload.Shared
		j.Served, j.Waited = r.times(s.Now)
		if r.phase == waiting { // one that has a device may outlive its job
			r.owner, r.devices = j.Owner, max(1, j.Devices)
		}
		if r.phase == running {
			j.Since = r.since
			if remaining := r.asked.Progress.remaining(s.Now-r.since, r.from); remaining > 0 {
				j.Remaining = remaining
			}
		}
		s.Jobs = append(s.Jobs, j)
	}
	s.Usage = q.used(s.Now)
	usage := s.Usage
	q.lately.Store(&usage)
	slices.SortFunc(s.Jobs, func(a, b queue.Entry) int {
		return cmp.Or(cmp.Compare(a.Submitted, b.Submitted), strings.Compare(string(a.ID), string(b.ID)))
	})
	return s
}
