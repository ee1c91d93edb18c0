package journal

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"reprise/device"
	"reprise/queue"
)

// QueueDecisionChanged records a decision by what differs from the decision recorded
// before it. Applied to that one it gives a QueueDecided, which SHA256 proves.
type QueueDecisionChanged struct {
	Rules    int            `json:"rules"`
	Snapshot SnapshotChange `json:"snapshot"`
	Decision DecisionChange `json:"decision"`
	// SHA256 is of the hash of the decision before, in hexadecimal, and the payload that
	// this one has when it is recorded whole; of the payload alone for one that is.
	SHA256 string `json:"sha256"`
}

func (QueueDecisionChanged) queueEvent() {}

// EventType returns the type of the envelope.
func (QueueDecisionChanged) EventType() string { return "queue.decision_changed.v1" }

// SnapshotChange is what differs between a snapshot and the one before it, other than
// what follows from the time: see passed.
type SnapshotChange struct {
	Now time.Duration `json:"now"`
	// Devices are those that are new or have changed, and Gone those that are no
	// longer there.
	Devices []queue.Device `json:"devices,omitempty"`
	Gone    []device.ID    `json:"gone,omitempty"`
	// Jobs are those that are new or have changed, and Left those that are no longer
	// there.
	Jobs []queue.Entry `json:"jobs,omitempty"`
	Left []queue.JobID `json:"left,omitempty"`
	// Remaining are the estimates of all jobs that run, in the order of the snapshot,
	// if any of them has changed.
	Remaining []time.Duration `json:"remaining,omitempty"`
	// Usage and Policy are set if they have changed.
	Usage  *map[string]time.Duration `json:"usage,omitempty"`
	Policy *queue.Policy             `json:"policy,omitempty"`
}

// DecisionChange is a decision without those pending jobs whose reasons and order are
// as before.
type DecisionChange struct {
	Placed []queue.Placement `json:"placed,omitempty"`
	// Positions are those of the placed jobs, if they are not 1, 2, 3 and so on.
	Positions []int `json:"positions,omitempty"`
	// Waiting is how many jobs are pending.
	Waiting int             `json:"waiting,omitempty"`
	Pending []PendingChange `json:"pending,omitempty"`
	Reasons []ReasonsChange `json:"reasons,omitempty"`
}

// PendingChange is a pending job whose reasons have changed or, if it has a position,
// that is new or has overtaken others.
type PendingChange struct {
	Job      queue.JobID `json:"job"`
	Position int         `json:"position,omitempty"`
	// Why is an index into the reasons of the decision before, as Reasons changes them.
	Why int `json:"why"`
}

// ReasonsChange replaces the reasons with an index, for all jobs that have them, or
// adds reasons.
type ReasonsChange struct {
	Why     int            `json:"why"`
	Reasons []queue.Reason `json:"reasons"`
}

// sum returns the hash of a decision: given the hash of the one before, "" for one that
// is recorded whole, and the payload that it has when it is recorded whole.
func sum(before string, payload []byte) string {
	h := sha256.New()
	h.Write([]byte(before))
	h.Write(payload)
	return hex.EncodeToString(h.Sum(nil))
}

// ordered returns the snapshot with its devices and jobs in the order in which they are
// recorded. The decision does not depend on it.
func ordered(s queue.Snapshot) queue.Snapshot {
	if !slices.IsSortedFunc(s.Jobs, compareJobs) {
		s.Jobs = slices.SortedFunc(slices.Values(s.Jobs), compareJobs)
	}
	if !slices.IsSortedFunc(s.Devices, compareDevices) {
		s.Devices = slices.SortedFunc(slices.Values(s.Devices), compareDevices)
	}
	return s
}

func compareJobs(a, b queue.Entry) int {
	return cmp.Or(cmp.Compare(a.Submitted, b.Submitted), strings.Compare(string(a.ID), string(b.ID)))
}

func compareDevices(a, b queue.Device) int { return strings.Compare(string(a.ID), string(b.ID)) }

// passed returns the job as it is after a time in which nothing happens to it: if it
// has devices it is served; if it has none, it waits, unless it is paused, has to come
// after others or was deferred until later. Recorded changes rely on this rule: it never
// changes.
func passed(j queue.Entry, from, to time.Duration) queue.Entry {
	switch {
	case len(j.On) > 0:
		j.Served += to - from
	case !j.Paused && len(j.After) == 0:
		j.Waited += max(0, to-max(from, j.NotBefore))
	}
	return j
}

// changeOf returns what differs between two decisions. Their snapshots are ordered.
func changeOf(before, now *QueueDecided) QueueDecisionChanged {
	return QueueDecisionChanged{
		Rules:    now.Rules,
		Snapshot: snapshotChange(&before.Snapshot, &now.Snapshot),
		Decision: decisionChange(&before.Decision, &now.Decision),
	}
}

func snapshotChange(before, now *queue.Snapshot) SnapshotChange {
	c := SnapshotChange{Now: now.Now}
	if !maps.Equal(before.Usage, now.Usage) {
		usage := map[string]time.Duration{} // null would be no change
		maps.Copy(usage, now.Usage)
		c.Usage = &usage
	}
	if !reflect.DeepEqual(before.Policy, now.Policy) {
		c.Policy = &now.Policy
	}
	devices := make(map[device.ID]*queue.Device, len(before.Devices))
	for i := range before.Devices {
		devices[before.Devices[i].ID] = &before.Devices[i]
	}
	for _, d := range now.Devices {
		if was := devices[d.ID]; was == nil || !reflect.DeepEqual(*was, d) {
			c.Devices = append(c.Devices, d)
		}
		delete(devices, d.ID)
	}
	for _, d := range before.Devices {
		if devices[d.ID] != nil {
			c.Gone = append(c.Gone, d.ID)
		}
	}
	jobs := make(map[queue.JobID]*queue.Entry, len(before.Jobs))
	for i := range before.Jobs {
		jobs[before.Jobs[i].ID] = &before.Jobs[i]
	}
	estimates, differ := []time.Duration{}, false
	for _, j := range now.Jobs {
		was := jobs[j.ID]
		delete(jobs, j.ID)
		if len(j.On) > 0 {
			estimates = append(estimates, j.Remaining)
		}
		if was != nil {
			as := passed(*was, before.Now, now.Now)
			if len(j.On) > 0 {
				as.Remaining = j.Remaining
			}
			if reflect.DeepEqual(as, j) {
				differ = differ || was.Remaining != j.Remaining
				continue
			}
		}
		c.Jobs = append(c.Jobs, j)
	}
	for _, j := range before.Jobs {
		if jobs[j.ID] != nil {
			c.Left = append(c.Left, j.ID)
		}
	}
	if differ {
		c.Remaining = estimates
	}
	return c
}

// apply returns the snapshot after the change. It shares memory with the one before.
func (c SnapshotChange) apply(before *queue.Snapshot) (queue.Snapshot, error) {
	s := queue.Snapshot{Now: c.Now, Usage: before.Usage, Policy: before.Policy}
	if c.Usage != nil {
		s.Usage = *c.Usage
	}
	if c.Policy != nil {
		s.Policy = *c.Policy
	}
	s.Devices = before.Devices
	if len(c.Devices)+len(c.Gone) > 0 {
		out := make(map[device.ID]bool, len(c.Devices)+len(c.Gone))
		for _, id := range c.Gone {
			out[id] = true
		}
		for _, d := range c.Devices {
			out[d.ID] = true
		}
		if id, ok := missing(c.Gone, before.Devices, func(d queue.Device) device.ID { return d.ID }); ok {
			return s, fmt.Errorf("snapshot.gone: recorded device %q, which was not there", id)
		}
		s.Devices = slices.DeleteFunc(slices.Clone(before.Devices), func(d queue.Device) bool { return out[d.ID] })
		s.Devices = append(s.Devices, c.Devices...)
		slices.SortFunc(s.Devices, compareDevices)
	}
	if id, ok := missing(c.Left, before.Jobs, func(j queue.Entry) queue.JobID { return j.ID }); ok {
		return s, fmt.Errorf("snapshot.left: recorded job %q, which was not there", id)
	}
	out := make(map[queue.JobID]bool, len(c.Jobs)+len(c.Left))
	for _, id := range c.Left {
		out[id] = true
	}
	for i := range c.Jobs {
		out[c.Jobs[i].ID] = true
	}
	s.Jobs = make([]queue.Entry, 0, len(before.Jobs)+len(c.Jobs))
	for _, j := range before.Jobs {
		if !out[j.ID] {
			s.Jobs = append(s.Jobs, passed(j, before.Now, c.Now))
		}
	}
	s.Jobs = append(s.Jobs, c.Jobs...)
	if !slices.IsSortedFunc(s.Jobs, compareJobs) {
		slices.SortFunc(s.Jobs, compareJobs)
	}
	if c.Remaining == nil {
		return s, nil
	}
	n := 0
	for i := range s.Jobs {
		if len(s.Jobs[i].On) == 0 {
			continue
		}
		if n < len(c.Remaining) {
			s.Jobs[i].Remaining = c.Remaining[n]
		}
		n++
	}
	if n != len(c.Remaining) {
		return s, fmt.Errorf("snapshot.remaining: recorded %d estimates, but %d jobs run", len(c.Remaining), n)
	}
	return s, nil
}

// missing returns an id that nothing in a list has.
func missing[ID comparable, T any](ids []ID, list []T, id func(T) ID) (ID, bool) {
	var none ID
	if len(ids) == 0 {
		return none, false
	}
	out := make(map[ID]bool, len(ids))
	for _, x := range ids {
		out[x] = true
	}
	for _, x := range list {
		delete(out, id(x))
	}
	i := slices.IndexFunc(ids, func(id ID) bool { return out[id] })
	if i < 0 {
		return none, false
	}
	return ids[i], true
}

func decisionChange(before, now *RecordedDecision) DecisionChange {
	c := DecisionChange{Placed: now.Placed, Waiting: len(now.Pending), Positions: positionsOf(now)}
	was := make(map[queue.JobID]int, len(before.Pending))
	for i, p := range before.Pending {
		was[p.Job] = i
	}
	why := c.setReasons(before, now, was)
	var order []int // of the jobs that were pending before: where they were
	for _, p := range now.Pending {
		if i, ok := was[p.Job]; ok {
			order = append(order, i)
		}
	}
	stays := longestIncreasing(order)
	for _, p := range now.Pending {
		i, ok := was[p.Job]
		switch {
		case !ok || !stays[i]:
			c.Pending = append(c.Pending, PendingChange{Job: p.Job, Position: p.Position, Why: why[p.Why]})
		case before.Pending[i].Why != why[p.Why]:
			c.Pending = append(c.Pending, PendingChange{Job: p.Job, Why: why[p.Why]})
		}
	}
	return c
}

// positionsOf returns the positions that no pending job has; nil if they are the first.
func positionsOf(d *RecordedDecision) []int {
	var free []int
	next := 0
	for position := 1; position <= len(d.Placed)+len(d.Pending); position++ {
		if next < len(d.Pending) && d.Pending[next].Position == position {
			next++
		} else {
			free = append(free, position)
		}
	}
	if len(free) == 0 || free[len(free)-1] == len(free) {
		return nil
	}
	return free
}

// setReasons gives each of the decision's reasons an index among those of the decision
// before, and notes what is not there already. Reasons that differ from before keep the
// index that the first of their jobs had, so that the others need not be named.
func (c *DecisionChange) setReasons(before, now *RecordedDecision, was map[queue.JobID]int) []int {
	why, taken := make([]int, len(now.Reasons)), make([]bool, len(before.Reasons))
	for i, reasons := range now.Reasons {
		why[i] = slices.IndexFunc(before.Reasons, func(known []queue.Reason) bool { return slices.Equal(known, reasons) })
		if why[i] >= 0 {
			taken[why[i]] = true
		}
	}
	had := make([]int, len(now.Reasons))
	for i := range had {
		had[i] = -1
	}
	for _, p := range now.Pending {
		if i, ok := was[p.Job]; ok && had[p.Why] < 0 {
			had[p.Why] = before.Pending[i].Why
		}
	}
	next := len(before.Reasons)
	for i, reasons := range now.Reasons {
		if why[i] >= 0 {
			continue
		}
		if h := had[i]; h >= 0 && !taken[h] {
			why[i], taken[h] = h, true
		} else {
			why[i] = next
			next++
		}
		c.Reasons = append(c.Reasons, ReasonsChange{Why: why[i], Reasons: reasons})
	}
	return why
}

// longestIncreasing returns the members of a longest increasing subsequence of distinct
// numbers.
func longestIncreasing(list []int) map[int]bool {
	var ends []int // indices: the least last member of a subsequence of each length
	previous := make([]int, len(list))
	for i, x := range list {
		n, _ := slices.BinarySearchFunc(ends, x, func(e, x int) int { return cmp.Compare(list[e], x) })
		if previous[i] = -1; n > 0 {
			previous[i] = ends[n-1]
		}
		ends = append(ends[:n], append([]int{i}, ends[min(n+1, len(ends)):]...)...)
	}
	members := make(map[int]bool, len(ends))
	if len(ends) > 0 {
		for i := ends[len(ends)-1]; i >= 0; i = previous[i] {
			members[list[i]] = true
		}
	}
	return members
}

// apply returns the decision after the change, given the snapshot that it is about. It
// fails for anything in the change that has no effect.
func (c DecisionChange) apply(before *RecordedDecision, s *queue.Snapshot) (RecordedDecision, error) {
	var none RecordedDecision
	reasons, err := c.reasons(before.Reasons)
	if err != nil {
		return none, err
	}
	if c.Waiting < 0 || c.Waiting > len(s.Jobs) || len(c.Placed) > len(s.Jobs) {
		return none, fmt.Errorf("decision.waiting: recorded %d, and %d jobs placed, but the snapshot has %d jobs", c.Waiting, len(c.Placed), len(s.Jobs))
	}
	// Of the places in the queue, some belong to jobs that are placed, others to jobs
	// that are new there; the rest is for the others, in the order that they had.
	places := make(places, len(c.Placed)+c.Waiting)
	positions, err := c.positions()
	if err != nil {
		return none, err
	}
	waits := make(map[queue.JobID]bool, len(s.Jobs))
	for i := range s.Jobs {
		waits[s.Jobs[i].ID] = len(s.Jobs[i].On) == 0
	}
	for i, p := range c.Placed {
		if err := places.take(positions[i], RecordedPending{Why: placed}); err != nil {
			return none, err
		}
		waits[p.Job] = false
	}
	changed := make(map[queue.JobID]int, len(c.Pending))
	for _, p := range c.Pending {
		if p.Why < 0 || p.Why >= len(reasons) {
			return none, fmt.Errorf("decision.pending: job %q waits for the reasons %d, of %d", p.Job, p.Why, len(reasons))
		}
		if p.Position == 0 {
			changed[p.Job] = p.Why
			continue
		}
		if err := places.take(p.Position, RecordedPending{Job: p.Job, Why: p.Why}); err != nil {
			return none, err
		}
		waits[p.Job] = false
	}
	next := 1
	for _, p := range before.Pending {
		if !waits[p.Job] {
			continue
		}
		for next <= len(places) && places[next-1].Position != 0 {
			next++
		}
		if why, ok := changed[p.Job]; ok {
			p.Why = why
			delete(changed, p.Job)
		}
		if err := places.take(next, p); err != nil {
			return none, err
		}
	}
	for id := range changed {
		return none, fmt.Errorf("decision.pending: job %q has no position, and was not pending before", id)
	}
	return c.decision(places, reasons)
}

// decision returns the decision that the places in the queue give.
func (c DecisionChange) decision(places places, reasons [][]queue.Reason) (RecordedDecision, error) {
	d := queue.Decision{Placed: c.Placed}
	used := make([]bool, len(reasons))
	for _, p := range places {
		if p.Position == 0 {
			return RecordedDecision{}, fmt.Errorf("decision.waiting: recorded %d, but fewer jobs are pending", c.Waiting)
		}
		if p.Why != placed {
			d.Pending = append(d.Pending, queue.Pending{Job: p.Job, Position: p.Position, Reasons: reasons[p.Why]})
			used[p.Why] = true
		}
	}
	for _, r := range c.Reasons {
		if !used[r.Why] {
			return RecordedDecision{}, fmt.Errorf("decision.reasons: no job waits for the reasons %d", r.Why)
		}
	}
	return recordedDecision(d), nil
}

// reasons returns those of the decision before, after the change.
func (c DecisionChange) reasons(before [][]queue.Reason) ([][]queue.Reason, error) {
	reasons := slices.Clone(before)
	for _, r := range c.Reasons {
		switch {
		case r.Why >= 0 && r.Why < len(reasons):
			reasons[r.Why] = r.Reasons
		case r.Why == len(reasons):
			reasons = append(reasons, r.Reasons)
		default:
			return nil, fmt.Errorf("decision.reasons: recorded the index %d, after %d reasons", r.Why, len(reasons))
		}
	}
	return reasons, nil
}

// positions returns the places in the queue of the jobs that are placed.
func (c DecisionChange) positions() ([]int, error) {
	first := make([]int, len(c.Placed))
	for i := range first {
		first[i] = i + 1
	}
	switch {
	case len(c.Positions) == 0:
		return first, nil
	case len(c.Positions) != len(c.Placed) || slices.Equal(c.Positions, first):
		return nil, fmt.Errorf("decision.positions: recorded %v for %d placed jobs", c.Positions, len(c.Placed))
	}
	return c.Positions, nil
}

// places are the places in the queue; those without a position are free.
type places []RecordedPending

// placed stands in a place for the reasons of a job that does not wait.
const placed = -1

func (s places) take(position int, p RecordedPending) error {
	if position < 1 || position > len(s) || s[position-1].Position != 0 {
		return fmt.Errorf("decision: position %d is taken, or is not one of the %d in the queue", position, len(s))
	}
	p.Position = position
	s[position-1] = p
	return nil
}

// apply returns the decision after the change. Its hash proves it and, as it includes the
// hash of the decision before, that none is missing since one was recorded whole.
func (e QueueDecisionChanged) apply(before *QueueDecided, hash string) (QueueDecided, error) {
	now := QueueDecided{Rules: e.Rules}
	var err error
	if now.Snapshot, err = e.Snapshot.apply(&before.Snapshot); err != nil {
		return now, err
	}
	if now.Decision, err = e.Decision.apply(&before.Decision, &now.Snapshot); err != nil {
		return now, err
	}
	_, payload, err := Encode(now)
	if err != nil {
		return now, err
	}
	if got := sum(hash, payload); got != e.SHA256 {
		return now, fmt.Errorf("sha256: recorded %s, but the decision before and the changes give %s", e.SHA256, got)
	}
	return now, nil
}
