package main

import (
	"fmt"
	"strings"

	"reprise/device"
	"reprise/eventstore"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// headline returns a line for people that says what happened: the event's name
// without context and version, and its figures.
func headline(e eventstore.Event) string {
	name := shortType(e.Type)
	if what := describeEvent(e); what != "" {
		return name + ": " + what
	}
	return name
}

// shortType returns "epoch completed" for "training.epoch_completed.v1".
func shortType(eventType string) string {
	parts := strings.Split(eventType, ".")
	if len(parts) != 3 {
		return eventType
	}
	if parts[2] != "v1" {
		parts[1] += " (" + parts[2] + ")"
	}
	return strings.ReplaceAll(parts[1], "_", " ")
}

// describeEvent returns the figures of an event for people.
func describeEvent(raw eventstore.Event) string {
	event, err := journal.EventOf(raw)
	if err != nil {
		return excerpt(string(raw.Payload)) // of a kind that this version does not know
	}
	switch e := event.(type) {
	case training.Event:
		return describeRunEvent(e)
	case device.Event:
		return describeDeviceEvent(e)
	case journal.ActorEvent:
		return describeActorEvent(e)
	case journal.QueueDecided:
		return describeDecision(e.Decision)
	case queue.JobEvent:
		return excerpt(string(raw.Payload))
	}
	return ""
}

func describeRunEvent(event training.Event) string {
	switch e := event.(type) {
	case training.TrainingStarted:
		h := e.Hyperparameters
		if p := e.Parent; p != nil {
			return fmt.Sprintf("as a fork of %s at step %s, %s, batch %d, learning rate %v",
				p.RunID, thousands(p.Step()), plural(h.Epochs, "epoch"), h.BatchSize, h.LearningRate.Value)
		}
		return fmt.Sprintf("on %s, %s, batch %d, learning rate %v",
			e.Dataset.Path, plural(h.Epochs, "epoch"), h.BatchSize, h.LearningRate.Value)
	case training.ResourceAllocated:
		return fmt.Sprintf("%s, lease epoch %d", e.Device, e.Allocation.Epoch)
	case training.DeviceReleased:
		return fmt.Sprintf("%s, lease epoch %d", e.Device, e.Allocation.Epoch)
	case training.DatasetLoaded:
		return "fingerprint " + shortHash(e.Fingerprint)
	case training.DatasetUnloaded:
		return ""
	case training.ModelInitialized:
		return fmt.Sprintf("step %s, weights %s", thousands(e.Step), shortHash(e.WeightsSHA256))
	case training.EpochCompleted:
		return fmt.Sprintf("%d, val loss %s, train loss %s, step %s",
			e.Epoch, formatMetric(e.ValLoss), formatMetric(e.TrainLoss), thousands(e.Step))
	case training.EpochReproduced:
		return fmt.Sprintf("%d, the same figures again, step %s", e.Epoch, thousands(e.Step))
	case training.EvaluationCompleted:
		return fmt.Sprintf("step %s, val loss %s", thousands(e.Step), formatMetric(e.ValLoss))
	case training.EarlyStopped:
		return fmt.Sprintf("with epoch %d; the best val loss, %s, was at step %s", e.Epoch, formatMetric(e.Best), thousands(e.BestStep))
	case training.CheckpointCommitted:
		return fmt.Sprintf("step %s, epoch %d, weights %s", thousands(e.Step), e.Checkpoint.Epoch, shortHash(e.WeightsSHA256))
	case training.TrainingResumed:
		return "from step " + thousands(e.FromStep)
	case training.TrainingCompleted:
		return fmt.Sprintf("epoch %d, step %s, weights %s", e.Epoch, thousands(e.Step), shortHash(e.WeightsSHA256))
	case training.TrainingInterrupted:
		return e.Cause
	case training.CheckpointFailed:
		return e.Reason
	case training.TrainingFailed:
		return e.Reason
	case training.ResourceAllocationFailed:
		return e.Reason
	case training.DatasetLoadFailed:
		return e.Reason
	case training.ModelInitializationFailed:
		return e.Reason
	case training.RunFailed:
		return e.Reason
	case training.Remark:
		return e.Remark()
	}
	return ""
}

func describeDeviceEvent(event device.Event) string {
	switch e := event.(type) {
	case device.Registered:
		return fmt.Sprintf("%s, %s, %s", e.Device.Name, e.Device.Memory.Total, plural(e.Device.Slots, "slot"))
	case device.Leased:
		return fmt.Sprintf("to %s, lease epoch %d, %s", e.Lease.Holder, e.Lease.Epoch, e.Lease.Memory)
	case device.Released:
		return fmt.Sprintf("by %s, lease epoch %d: %s", e.Lease.Holder, e.Lease.Epoch, e.Reason)
	case device.HealthChanged:
		if e.Note != "" {
			return fmt.Sprintf("%s: %s", e.Health, e.Note)
		}
		return string(e.Health)
	}
	return ""
}

// describeDecision names what is placed, and counts who waits.
func describeDecision(d journal.RecordedDecision) string {
	const most = 3
	var parts []string
	for i, p := range d.Placed {
		if i == most {
			parts = append(parts, fmt.Sprintf("%d more", len(d.Placed)-most))
			break
		}
		parts = append(parts, fmt.Sprintf("%s on %s", p.Job, p.On[0]))
	}
	if n := len(d.Pending); n == 1 {
		parts = append(parts, "1 run waits")
	} else if n > 1 {
		parts = append(parts, thousands(n)+" runs wait")
	}
	return strings.Join(parts, ", ")
}

func describeActorEvent(event journal.ActorEvent) string {
	switch e := event.(type) {
	case journal.ActorSpawned:
		return e.Path
	case journal.ActorTerminated:
		if e.Cause != "" {
			return e.Path + ": " + excerpt(e.Cause)
		}
		return e.Path
	case journal.ActorAbandoned:
		return e.Path
	case journal.SupervisionTriggered:
		what := fmt.Sprintf("%s of %s by %s", e.Decision, e.Child, e.Supervisor)
		if e.Delay > 0 {
			what += " after " + shortDuration(e.Delay)
		}
		return what + ": " + excerpt(e.Cause)
	case journal.ActorEventsLost:
		return plural(e.Count, "event")
	}
	return ""
}

// shortHash returns the beginning of a hash, enough to compare by eye.
func shortHash(hash string) string {
	const digits = 12
	if len(hash) > digits {
		return hash[:digits]
	}
	return hash
}
