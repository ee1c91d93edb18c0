package integration

import (
	"cmp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"reprise/device"
	"reprise/eventstore"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// runQueue knows the runs of a host that wait for a device or have one. The
// incarnations of the device pool share it, one after the other, so that a pool
// that fails loses no run that waits. It takes no decision: queue.Plan does.
type runQueue struct {
	policy queue.Policy
	log    journal.QueueLog
	now    func() time.Time
	origin time.Time
	last   time.Duration // since origin, when the clock was last read
	runs   map[training.RunID]*queuedRun
}

// queuedRun is a run that has asked for a device and is not at rest yet.
type queuedRun struct {
	asked     acquireDevice // the last request
	submitted time.Duration
	phase     queuePhase
	since     time.Duration // the beginning of the phase
	served    time.Duration // in earlier phases
	waited    time.Duration // likewise
	told      bool          // that it has to wait
	from      uint64        // the step at which it was granted its device
	lease     device.LeaseID
	yielding  bool // it was asked to give way
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

type queuePhase int

const (
	idle    queuePhase = iota // between two requests: it gave back its device, or lost it
	waiting                   // for a device
	running                   // it was granted one
)

func newRunQueue(policy queue.Policy, store eventstore.Store, now func() time.Time) *runQueue {
	return &runQueue{policy: policy, log: journal.QueueLog{Store: store, Now: now}, now: now, origin: now(), runs: map[training.RunID]*queuedRun{}}
}

// clock returns the time since the host started. It never runs backwards.
func (q *runQueue) clock() time.Duration {
	q.last = max(q.last, q.now().Sub(q.origin))
	return q.last
}

// enter makes the run wait for what it asks for.
func (q *runQueue) enter(m acquireDevice) {
	r := q.runs[m.Run]
	if r == nil {
		r = &queuedRun{submitted: max(0, m.Submitted.Sub(q.origin))}
		q.runs[m.Run] = r
	}
	r.asked, r.told = m, false
	r.turn(waiting, q.clock())
}

// turn ends the run's phase and begins another.
func (r *queuedRun) turn(to queuePhase, at time.Duration) {
	r.served, r.waited = r.times(at)
	r.phase, r.since = to, at
	if to == running && r.asked.Progress != nil {
		r.from = r.asked.Progress.step.Load() // what it says until the run has prepared is old
	}
}

// times returns how long the run has had a device, and has waited for one.
func (r *queuedRun) times(at time.Duration) (served, waited time.Duration) {
	served, waited = r.served, r.waited
	switch r.phase {
	case running:
		served += at - r.since
	case waiting:
		waited += at - r.since
	case idle:
	}
	return served, waited
}

// waits reports whether any run waits.
func (q *runQueue) waits() bool {
	for _, r := range q.runs {
		if r.phase == waiting {
			return true
		}
	}
	return false
}

// snapshot returns everything that the next decision depends on. What the ledgers
// say about who holds a device is what counts.
func (q *runQueue) snapshot(ledgers []device.Ledger) queue.Snapshot {
	s := queue.Snapshot{Now: q.clock(), Policy: q.policy}
	on := map[training.RunID][]device.ID{}
	for _, l := range ledgers {
		d := queue.Device{ID: l.Device().ID(), Description: l.Device().Description()}
		for _, lease := range l.Leases() {
			id := training.RunID(strings.TrimPrefix(lease.Holder, journal.RunPrefix))
			if r := q.runs[id]; r != nil && r.phase == running {
				on[id] = append(on[id], d.ID)
				continue
			}
			d.HeldSlots++
			d.HeldMemory += int64(lease.Memory)
		}
		s.Devices = append(s.Devices, d)
	}
	for id, r := range q.runs {
		if r.phase == running && on[id] == nil {
			r.turn(idle, s.Now) // its device was taken from it
		}
		if r.phase == idle {
			continue
		}
		j := queue.Entry{
			ID: queue.JobID(id), Submitted: r.submitted,
			Need: queue.Need{Features: r.asked.Workload.Requirements, Memory: r.asked.Workload.Memory},
			On:   on[id],
		}
		j.Served, j.Waited = r.times(s.Now)
		if r.phase == running {
			j.Since = r.since
			j.Remaining = r.asked.Progress.remaining(s.Now-r.since, r.from)
		}
		s.Jobs = append(s.Jobs, j)
	}
	slices.SortFunc(s.Jobs, func(a, b queue.Entry) int {
		return cmp.Or(cmp.Compare(a.Submitted, b.Submitted), strings.Compare(string(a.ID), string(b.ID)))
	})
	return s
}
