package journal

import (
	"slices"
	"time"

	"reprise/eventstore"
	"reprise/queue"
)

// QueueAggregate is the aggregate whose events are the decisions about which run
// gets which device.
const QueueAggregate eventstore.AggregateID = "queue"

// QueueEvent is an event of the queue: QueueDecided or QueueDecisionChanged. QueueReplay
// reads both.
type QueueEvent interface {
	Typed
	queueEvent()
}

// QueueDecided records a whole decision, with everything that it depends on: given the
// snapshot, queue.Plan makes the same decision again.
type QueueDecided struct {
	// Rules is the queue.RulesVersion that decided.
	Rules    int              `json:"rules"`
	Snapshot queue.Snapshot   `json:"snapshot"`
	Decision RecordedDecision `json:"decision"`
}

func (QueueDecided) queueEvent() {}

// EventType returns the type of the envelope.
func (QueueDecided) EventType() string { return "queue.decided.v1" }

// RecordedDecision is a queue.Decision in which the reasons that several jobs share
// are written once.
type RecordedDecision struct {
	Placed  []queue.Placement `json:"placed,omitempty"`
	Pending []RecordedPending `json:"pending,omitempty"`
	Reasons [][]queue.Reason  `json:"reasons,omitempty"`
}

// RecordedPending is a job that waits. Why is the index of its reasons.
type RecordedPending struct {
	Job      queue.JobID `json:"job"`
	Position int         `json:"position"`
	Why      int         `json:"why"`
}

// recordedDecision returns the decision as it is recorded.
func recordedDecision(d queue.Decision) RecordedDecision {
	r := RecordedDecision{Placed: d.Placed}
	type list struct { // in memory, where most jobs share theirs
		first *queue.Reason
		n     int
	}
	lists := map[list]int{}
	for _, p := range d.Pending {
		key := list{n: len(p.Reasons)}
		if key.n > 0 {
			key.first = &p.Reasons[0]
		}
		why, known := lists[key]
		if !known {
			why = slices.IndexFunc(r.Reasons, func(known []queue.Reason) bool { return slices.Equal(known, p.Reasons) })
			if why < 0 {
				why = len(r.Reasons)
				r.Reasons = append(r.Reasons, p.Reasons)
			}
			lists[key] = why
		}
		r.Pending = append(r.Pending, RecordedPending{Job: p.Job, Position: p.Position, Why: why})
	}
	return r
}

// Why returns the reasons of a job that waits; none where the record is not whole.
func (d RecordedDecision) Why(p RecordedPending) []queue.Reason {
	if p.Why < 0 || p.Why >= len(d.Reasons) {
		return nil
	}
	return d.Reasons[p.Why]
}

// checkable reports whether this version can make the decision again: it was made by
// the same rules.
func (e QueueDecided) checkable() bool { return e.Rules == queue.RulesVersion }

// Check makes the decision again and says in what the record differs from it; "" if
// it is the same, or was made by other rules. What the reasons say in words is not
// compared.
func (e QueueDecided) Check() string {
	if !e.checkable() {
		return ""
	}
	again := recordedDecision(queue.Plan(&e.Snapshot))
	return Difference(e.Decision.withoutWords(), again.withoutWords(), "its snapshot gives")
}

// withoutWords returns the decision without the messages of its reasons.
func (d RecordedDecision) withoutWords() RecordedDecision {
	reasons := d.Reasons
	d.Reasons = nil
	for _, list := range reasons {
		list = slices.Clone(list)
		for i := range list {
			list[i].Message = ""
		}
		d.Reasons = append(d.Reasons, list)
	}
	return d
}

// queueEvents has one event of each type.
func queueEvents() []QueueEvent { return []QueueEvent{QueueDecided{}, QueueDecisionChanged{}} }

// queueAggregate is the queue. Its decisions leave no state behind.
var queueAggregate = Aggregate[struct{}, QueueEvent]{
	Prefix: string(QueueAggregate), Kind: string(QueueAggregate), Codec: codecOf(queueEvents()...),
	Fold: func(s struct{}, _ QueueEvent, _ eventstore.Version, _ time.Time) (struct{}, error) { return s, nil },
}
