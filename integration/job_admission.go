package integration

import (
	"fmt"
	"slices"

	"reprise/device"
	"reprise/fault"
	"reprise/queue"
	"reprise/training"
)

// estimate returns the events that start a run of this host, and what they say that it
// needs.
func (h *Host) estimate(id queue.JobID, events []training.Event) ([]training.Event, queue.Estimate, error) {
	var run training.TrainingRun
	events = slices.Clone(events)
	for i, e := range events {
		if started, ok := e.(training.TrainingStarted); ok {
			started.Worker = h.config.Worker
			events[i] = started
		}
		var err error
		if run, err = run.Apply(events[i]); err != nil {
			return nil, queue.Estimate{}, err
		}
	}
	if queue.JobID(run.ID) != id {
		return nil, queue.Estimate{}, fmt.Errorf("the preparation of job %s gave the events of run %q", id, run.ID)
	}
	workload, err := WorkloadOf(run.Session)
	if err != nil {
		return nil, queue.Estimate{}, err
	}
	s := run.Session
	return events, queue.Estimate{
		Features: workload.Requirements, Memory: workload.Memory,
		Steps: s.Hyperparameters.TotalSteps(s.Dataset.Training), Fingerprint: s.Dataset.Fingerprint,
	}, nil
}

// admit fails for a job that the devices of this host will never take.
func (b *jobBook) admit(s queue.Submission, estimate *queue.Estimate) error {
	return admit(b.h.config.Devices, b.h.waiting.rules.Load(), s, estimate)
}

// Admit fails, like Host.Submit, for a job that a host of these devices with this policy
// and these settings will never take, with all that would have to change.
func Admit(devices []device.Driver, policy queue.Policy, set queue.Settings, s queue.Submission) error {
	return admit(devices, &queueRules{policy: set.Policy(policy, 0), settings: set}, s, nil)
}

// admit is Admit for a host. The estimate is nil for a job that has none yet; one that has
// was admitted before, and quotas and labels that were changed since may change again.
func admit(devices []device.Driver, rules *queueRules, s queue.Submission, estimate *queue.Estimate) error {
	snapshot := queue.Snapshot{Policy: rules.policy}
	labelled := 0
	for _, d := range devices {
		about := d.Describe()
		labels := rules.labelsOf(about.ID())
		if !slices.ContainsFunc(s.Labels, func(l string) bool { return !slices.Contains(labels, l) }) {
			labelled++
		}
		snapshot.Devices = append(snapshot.Devices, queue.Device{ID: about.ID(), Worker: about.ID().Worker(), Description: about.Description(), Labels: labels})
	}
	entry := queue.Entry{Owner: s.Owner, Priority: s.Priority, Devices: s.Devices, Need: queue.Need{Labels: s.Labels}}
	if estimate != nil {
		snapshot.Policy.Quotas = nil
		if labelled < max(1, s.Devices) {
			entry.Need.Labels = nil
		}
		entry.Need.Features, entry.Need.Memory = estimate.Features, estimate.Memory
	}
	err := queue.Admit(&snapshot, entry)
	if err == nil && s.Devices > 1 {
		err = &fault.FieldError{Field: "config.devices", Value: fmt.Sprint(s.Devices), Problem: "is more than the one device on which this version trains a run", Fix: "use 1, or leave it out"}
	}
	return err
}
