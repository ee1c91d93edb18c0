// Package describe says in a line for people what an event of the log is about, so
// that commands, pages and logs say the same. [Headline] is what most callers want.
// Its functions are pure; an event of a kind that this version does not know is
// described by its payload.
package describe

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"reprise/device"
	"reprise/eventstore"
	"reprise/internal/figures"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// Headline returns a line for people that says what happened: the event's name
// without context and version, and its figures.
func Headline(e eventstore.Event) string {
	name := Type(e.Type)
	if what := Figures(e); what != "" {
		return name + ": " + what
	}
	return name
}

// Type returns "epoch completed" for "training.epoch_completed.v1".
func Type(eventType string) string {
	parts := strings.Split(eventType, ".")
	if len(parts) != 3 {
		return eventType
	}
	if parts[2] != "v1" {
		parts[1] += " (" + parts[2] + ")"
	}
	return strings.ReplaceAll(parts[1], "_", " ")
}

// Figures returns the figures of an event for people.
func Figures(raw eventstore.Event) string {
	event, err := journal.EventOf(raw)
	if err != nil {
		return figures.Excerpt(string(raw.Payload)) // of a kind that this version does not know
	}
	switch e := event.(type) {
	case training.Event:
		return runFigures(e)
	case device.Event:
		return deviceFigures(e)
	case journal.ActorEvent:
		return actorFigures(e)
	case journal.QueueDecided:
		return decisionFigures(e.Decision.Placed, len(e.Decision.Pending))
	case journal.QueueDecisionChanged:
		return decisionFigures(e.Decision.Placed, e.Decision.Waiting)
	case journal.SettingsEvent:
		return settingsFigures(e)
	case queue.JobEvent:
		return jobFigures(e)
	}
	return ""
}

// settingsFigures says all that is set about the queue.
func settingsFigures(event journal.SettingsEvent) string {
	switch e := event.(type) { //nolint:gocritic // the next kind of event has its place here
	case journal.SettingsChanged:
		var parts []string
		for _, owner := range slices.Sorted(maps.Keys(e.Shares)) {
			parts = append(parts, fmt.Sprintf("share of %s %v", owner, e.Shares[owner]))
		}
		for _, owner := range slices.Sorted(maps.Keys(e.Quotas)) {
			parts = append(parts, fmt.Sprintf("quota of %s %s", owner, figures.Plural(e.Quotas[owner], "device")))
		}
		for _, id := range slices.Sorted(maps.Keys(e.Labels)) {
			parts = append(parts, fmt.Sprintf("%s with %s", id, figures.And(e.Labels[id])))
		}
		if len(parts) > 0 {
			return strings.Join(parts, ", ")
		}
	}
	return "nothing is set"
}

// jobFigures says of a job what a user asked for, or why something happened to it.
func jobFigures(event queue.JobEvent) string {
	switch e := event.(type) {
	case queue.JobSubmitted:
		return submissionFigures(e.Submission)
	case queue.JobPrepared:
		return fmt.Sprintf("%s steps, data %s", figures.Thousands(e.Estimate.Steps), figures.Hash(e.Estimate.Fingerprint))
	case queue.JobPredecessorCompleted:
		return string(e.Job)
	case queue.JobPlaced:
		names := make([]string, len(e.Devices))
		for i, id := range e.Devices {
			names[i] = string(id)
		}
		return "on " + figures.And(names)
	case queue.JobDeferred:
		if e.RetryAfter > 0 {
			return fmt.Sprintf("%s; the next attempt is in %s", e.Message, figures.Duration(e.RetryAfter))
		}
		return e.Message
	case queue.JobStopRequested:
		return fmt.Sprintf("it will be %s: %s", e.To, e.Message)
	case queue.JobPriorityChanged:
		return fmt.Sprint(e.Priority)
	case queue.JobAnnotated:
		return annotationFigures(e.Annotation)
	case queue.JobCancelled:
		return e.Message
	case queue.JobFailed:
		return e.Message
	case queue.JobRejected:
		return e.Message
	case queue.JobPreparing, queue.JobStarted, queue.JobPaused, queue.JobResumed, queue.JobCompleted, queue.JobDeleted: // their names say it all
	}
	return ""
}

// submissionFigures names the request, and what is not as by default.
func submissionFigures(s queue.Submission) string {
	var parts []string
	add := func(what, value string) {
		if value != "" {
			parts = append(parts, strings.TrimSpace(what+" "+value))
		}
	}
	add("", s.Name)
	add("by", s.Owner)
	add("in group", s.Group)
	if s.Priority != 0 {
		add("priority", fmt.Sprint(s.Priority))
	}
	if s.Devices > 1 {
		add("on", figures.Plural(s.Devices, "device"))
	}
	after := make([]string, len(s.After))
	for i, id := range s.After {
		after[i] = string(id)
	}
	add("after", figures.And(after))
	if s.MaxDuration > 0 {
		add("for at most", figures.Duration(s.MaxDuration))
	}
	add("with labels", figures.And(s.Labels))
	add("as a retry of", string(s.RetryOf))
	if !s.Annotation.IsZero() {
		add("", annotationFigures(s.Annotation))
	}
	return strings.Join(parts, ", ")
}

// annotationFigures says what is noted about a run.
func annotationFigures(a queue.Annotation) string {
	var parts []string
	if a.Name != "" {
		parts = append(parts, "name "+a.Name)
	}
	if len(a.Tags) > 0 {
		parts = append(parts, "tags "+figures.And(a.Tags))
	}
	if a.Note != "" {
		parts = append(parts, "note: "+a.Note)
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

func runFigures(event training.Event) string {
	switch e := event.(type) {
	case training.TrainingStarted:
		h := e.Hyperparameters
		if p := e.Parent; p != nil {
			return fmt.Sprintf("as a fork of %s at step %s, %s, batch %d, learning rate %v",
				p.RunID, figures.Thousands(p.Step()), figures.Plural(h.Epochs, "epoch"), h.BatchSize, h.LearningRate.Value)
		}
		from := ""
		if e.Init != nil {
			from = ", weights of " + e.Init.Origin()
		}
		return fmt.Sprintf("on %s, %s, batch %d, learning rate %v%s",
			e.Dataset.Path, figures.Plural(h.Epochs, "epoch"), h.BatchSize, h.LearningRate.Value, from)
	case training.ResourceAllocated:
		return fmt.Sprintf("%s, lease epoch %d", e.Device, e.Allocation.Epoch)
	case training.DeviceReleased:
		return fmt.Sprintf("%s, lease epoch %d", e.Device, e.Allocation.Epoch)
	case training.DatasetLoaded:
		return "fingerprint " + figures.Hash(e.Fingerprint)
	case training.DatasetUnloaded:
		return ""
	case training.ModelInitialized:
		return fmt.Sprintf("step %s, weights %s", figures.Thousands(e.Step), figures.Hash(e.WeightsSHA256))
	case training.EpochCompleted:
		return fmt.Sprintf("%d, val loss %s, train loss %s, step %s",
			e.Epoch, figures.Metric(e.ValLoss), figures.Metric(e.TrainLoss), figures.Thousands(e.Step))
	case training.EpochReproduced:
		return fmt.Sprintf("%d, the same figures again, step %s", e.Epoch, figures.Thousands(e.Step))
	case training.EvaluationCompleted:
		return fmt.Sprintf("step %s, val loss %s", figures.Thousands(e.Step), figures.Metric(e.ValLoss))
	case training.EarlyStopped:
		if e.Monitor != "" {
			return fmt.Sprintf("with epoch %d: %s", e.Epoch, e.Reason())
		}
		return fmt.Sprintf("with epoch %d; the best val loss, %s, was at step %s", e.Epoch, figures.Metric(e.Best), figures.Thousands(e.BestStep))
	case training.CheckpointCommitted:
		return fmt.Sprintf("step %s, epoch %d, weights %s", figures.Thousands(e.Step), e.Checkpoint.Epoch, figures.Hash(e.WeightsSHA256))
	case training.TrainingResumed:
		return "from step " + figures.Thousands(e.FromStep)
	case training.TrainingCompleted:
		return fmt.Sprintf("epoch %d, step %s, weights %s", e.Epoch, figures.Thousands(e.Step), figures.Hash(e.WeightsSHA256))
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

func deviceFigures(event device.Event) string {
	switch e := event.(type) {
	case device.Registered:
		return fmt.Sprintf("%s, %s, %s", e.Device.Name, e.Device.Memory.Total, figures.Plural(e.Device.Slots, "slot"))
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

// decisionFigures names what is placed, and counts who waits.
func decisionFigures(placed []queue.Placement, waiting int) string {
	const most = 3
	var parts []string
	for i, p := range placed {
		if i == most {
			parts = append(parts, fmt.Sprintf("%d more", len(placed)-most))
			break
		}
		parts = append(parts, fmt.Sprintf("%s on %s", p.Job, p.On[0]))
	}
	if waiting == 1 {
		parts = append(parts, "1 run waits")
	} else if waiting > 1 {
		parts = append(parts, figures.Thousands(waiting)+" runs wait")
	}
	return strings.Join(parts, ", ")
}

func actorFigures(event journal.ActorEvent) string {
	switch e := event.(type) {
	case journal.ActorSpawned:
		return e.Path
	case journal.ActorTerminated:
		if e.Cause != "" {
			return e.Path + ": " + figures.Excerpt(e.Cause)
		}
		return e.Path
	case journal.ActorAbandoned:
		return e.Path
	case journal.SupervisionTriggered:
		what := fmt.Sprintf("%s of %s by %s", e.Decision, e.Child, e.Supervisor)
		if e.Delay > 0 {
			what += " after " + figures.Duration(e.Delay)
		}
		return what + ": " + figures.Excerpt(e.Cause)
	case journal.ActorEventsLost:
		return figures.Plural(e.Count, "event")
	}
	return ""
}
