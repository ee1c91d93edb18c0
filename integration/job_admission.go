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
	return admit(b.h.config, s, estimate)
}

// Admit fails, like Host.Submit, for a job that a host of these devices with this policy
// will never take, with all that would have to change. The estimate is nil for a job that
// has none yet.
func Admit(devices []device.Driver, policy queue.Policy, s queue.Submission, estimate *queue.Estimate) error {
	return admit(HostConfig{Devices: devices, Queue: &policy}, s, estimate)
}

func admit(config HostConfig, s queue.Submission, estimate *queue.Estimate) error {
	snapshot := queue.Snapshot{Policy: *config.Queue}
	for _, d := range config.Devices {
		about := d.Describe()
		snapshot.Devices = append(snapshot.Devices, queue.Device{
			ID: about.ID(), Worker: about.ID().Worker(), Description: about.Description(), Labels: config.Labels[about.ID()],
		})
	}
	entry := queue.Entry{Owner: s.Owner, Priority: s.Priority, Devices: s.Devices, Need: queue.Need{Labels: s.Labels}}
	if estimate != nil {
		entry.Need.Features, entry.Need.Memory = estimate.Features, estimate.Memory
	}
	err := queue.Admit(&snapshot, entry)
	if err == nil && s.Devices > 1 {
		err = &fault.FieldError{Field: "config.devices", Value: fmt.Sprint(s.Devices), Problem: "is more than the one device on which this version trains a run", Fix: "use 1, or leave it out"}
	}
	return err
}
