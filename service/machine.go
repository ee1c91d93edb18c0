package service

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"reprise/api"
	"reprise/api/describe"
	"reprise/device"
	"reprise/eventstore"
	"reprise/internal/figures"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// Devices implements api.Service.
func (s *Service) Devices(ctx context.Context, _ api.DevicesRequest) (_ api.DeviceList, err error) {
	defer explain(ctx, &err)
	drivers, undevices, err := s.devices()
	if err != nil {
		return api.DeviceList{}, err
	}
	defer undevices()
	log, err := s.read(ctx)
	if err != nil {
		return api.DeviceList{}, err
	}
	defer log.close()
	listing, err := log.listing()
	if err != nil {
		return api.DeviceList{}, err
	}
	recorded, err := journal.ReadDevices(ctx, listing)
	if err != nil {
		return api.DeviceList{}, err
	}
	alive := WriterAlive(log.Workspace)
	set, err := journal.ReadSettings(ctx, log.Store)
	if err != nil {
		return api.DeviceList{}, err
	}
	answer := api.DeviceList{Devices: make([]api.Device, len(drivers))}
	for i, d := range drivers {
		out := api.Device{Description: d.Describe().Description(), Leases: []device.Lease{}}
		out.Labels = set.LabelsOf(out.ID, nil)
		for _, record := range recorded.Devices {
			if alive && record.ID == out.ID { // otherwise their holders are dead, and the next run ends them
				out.Leases = append(out.Leases, record.Ledger.Leases()...)
			}
		}
		answer.Devices[i] = out
	}
	return answer, nil
}

// State implements api.Service.
func (s *Service) State(ctx context.Context, q api.StateRequest) (_ api.StateReport, err error) {
	defer explain(ctx, &err)
	log, err := s.read(ctx)
	if err != nil {
		return api.StateReport{}, err
	}
	defer log.close()
	position, end, err := resolve(ctx, log, q.At, s.config.Now())
	if err != nil {
		return api.StateReport{}, err
	}
	listing, err := log.listing()
	if err != nil {
		return api.StateReport{}, err
	}
	overview, err := journal.OverviewAt(ctx, listing, position)
	if err != nil {
		return api.StateReport{}, err
	}
	report := api.StateReport{State: systemOf(overview, end.Position)}
	if err := sinceFirstAttempt(ctx, listing, position, overview, report.State.Queue); err != nil {
		return api.StateReport{}, err
	}
	if overview.Position > 0 {
		report.Aggregate, report.Headline = overview.Last.Aggregate, describe.Headline(overview.Last)
	}
	if q.At.IsZero() && !WriterAlive(log.Workspace) {
		withoutProcess(&report.State, overview)
	}
	return report, nil
}

// systemOf describes the system as it was recorded.
func systemOf(o journal.Overview, end eventstore.Position) api.SystemState {
	out := api.SystemState{Position: o.Position, End: end, Queue: []api.QueuedRun{}, Devices: []api.Device{}, Runs: []api.Run{}}
	if o.Position > 0 {
		out.Time = &o.Time
	}
	for _, d := range o.Devices {
		out.Devices = append(out.Devices, deviceOf(d.Ledger))
	}
	out.Runs = runsOf(o.Runs, o.Jobs, true)
	out.Queue = append(out.Queue, waitingOf(o, out.Runs)...)
	return out
}

// waitingOf returns which of the runs wait, by the states of their jobs. That of a run
// without a job, as in older logs, is what its saga waits for.
func waitingOf(o journal.Overview, runs []api.Run) []api.QueuedRun {
	sagas := map[training.RunID]training.SagaState{}
	for _, r := range o.Queue() {
		sagas[r.RunID] = r.Saga.State
	}
	since := map[training.RunID]time.Time{}
	for _, r := range o.Jobs {
		since[training.RunID(r.Job.ID())] = r.UpdatedAt
	}
	var waiting []api.QueuedRun
	for _, r := range runs {
		q := api.QueuedRun{RunID: r.RunID, For: string(r.State), Since: since[r.RunID]}
		switch saga, initializing := sagas[r.RunID]; {
		case r.Job != nil && (r.Job.State.Waits() && queue.State(r.State).Waits() || r.State == api.Placed):
		case r.Job == nil && initializing:
			q.For, q.Since = string(saga), r.UpdatedAt
		default:
			continue
		}
		waiting = append(waiting, q)
	}
	return waiting
}

// sinceFirstAttempt corrects since when runs wait that are tried again and again: each
// attempt is an event of the same wait.
func sinceFirstAttempt(ctx context.Context, store eventstore.Store, at eventstore.Position, o journal.Overview, queued []api.QueuedRun) error {
	deferred := map[training.RunID]bool{}
	for _, r := range o.Jobs {
		deferred[training.RunID(r.Job.ID())] = r.Job.Deferrals() > 0
	}
	for i, q := range queued {
		if !deferred[q.RunID] {
			continue
		}
		events, err := jobEvents(ctx, store, queue.JobID(q.RunID))
		if err != nil {
			return err
		}
		events = slices.DeleteFunc(events, func(e eventstore.Event) bool { return e.Position > at })
		wait, err := waitOf(events)
		if err != nil {
			return err
		}
		queued[i].Since = wait.since
	}
	return nil
}

// deviceOf describes a device by its ledger, with the memory that its leases leave.
func deviceOf(l device.Ledger) api.Device {
	out := api.Device{Description: l.Device().Description(), Leases: append([]device.Lease{}, l.Leases()...)}
	out.Memory = l.Device().Memory()
	return out
}

// withoutProcess makes the state at the end of the log what it is when no process
// works on it: what the log has under way was left by a process that died.
func withoutProcess(s *api.SystemState, o journal.Overview) {
	var left []string
	interrupted := 0
	for i, r := range runsOf(o.Runs, o.Jobs, false) {
		if r.State != s.Runs[i].State {
			s.Runs[i] = r
			interrupted++
		}
	}
	if interrupted > 0 {
		left = append(left, figures.Plural(interrupted, "run")+" under way")
	}
	leases := 0
	for i := range s.Devices {
		leases += len(s.Devices[i].Leases)
		ledger := o.Devices[i].Ledger
		for _, e := range ledger.ReleaseAll("") {
			ledger = ledger.Apply(e)
		}
		s.Devices[i] = deviceOf(ledger)
	}
	if leases > 0 {
		left = append(left, figures.Plural(leases, "lease"))
	}
	if len(left) > 0 {
		s.Queue = []api.QueuedRun{}
		s.Note = fmt.Sprintf("no process is training: the log has %s, which the next command that trains ends", strings.Join(left, " and "))
	}
}
