package service

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"reprise/api"
	"reprise/fault"
	"reprise/integration"
	"reprise/internal/disk"
	"reprise/journal"
	"reprise/queue"
)

// SetQueue implements api.Service.
func (s *Service) SetQueue(ctx context.Context, q api.SetQueueRequest) (_ api.QueueReport, err error) {
	defer explain(ctx, &err)
	if q.IsZero() {
		return api.QueueReport{}, invalid(&fault.FieldError{Field: "shares", Value: "", Problem: "is missing, and so are quotas and labels", Fix: "say what to set"})
	}
	drivers, undevices, err := s.devices()
	if err != nil {
		return api.QueueReport{}, err
	}
	defer undevices()
	if err := integration.CheckSettings(drivers, q.SettingsChange); err != nil {
		return api.QueueReport{}, err
	}
	h, err := s.hold(withoutEvents(ctx))
	if err != nil {
		return api.QueueReport{}, err
	}
	_, err = h.host.SetQueue(ctx, q.SettingsChange)
	s.release(h)
	if err != nil {
		return api.QueueReport{}, err
	}
	return s.Queue(ctx, api.QueueRequest{})
}

// Queue implements api.Service.
func (s *Service) Queue(ctx context.Context, _ api.QueueRequest) (_ api.QueueReport, err error) {
	defer explain(ctx, &err)
	drivers, undevices, err := s.devices()
	if err != nil {
		return api.QueueReport{}, err
	}
	defer undevices()
	log, err := s.read(ctx)
	if err != nil {
		return api.QueueReport{}, err
	}
	defer log.close()
	set, err := journal.ReadSettings(ctx, log.Store)
	if err != nil {
		return api.QueueReport{}, err
	}
	policy := set.Policy(s.config.policy(), uint64(set.Version))
	report := api.QueueReport{MostWaiting: s.config.limits().Waiting, Order: cmp.Or(policy.Order, queue.OrderAttained), Version: uint64(set.Version)}
	if set.Version > 0 {
		report.ChangedAt = &set.ChangedAt
	}
	for _, d := range drivers {
		id := d.Describe().ID()
		report.Devices = append(report.Devices, api.QueueDevice{ID: id, Labels: append([]string{}, set.LabelsOf(id, nil)...)})
	}
	owners, err := s.owners(ctx, log, policy)
	if err != nil {
		return api.QueueReport{}, err
	}
	report.Owners = []api.QueueOwner{}
	for _, name := range slices.Sorted(maps.Keys(owners)) {
		report.Owners = append(report.Owners, *owners[name])
		report.Waiting += owners[name].Waiting
	}
	return report, nil
}

// owners returns what the owners of the log's jobs hold, wait for and have used, and those
// that the policy names.
func (s *Service) owners(ctx context.Context, log *Log, policy queue.Policy) (map[string]*api.QueueOwner, error) {
	owners := map[string]*api.QueueOwner{}
	of := func(name string) *api.QueueOwner {
		if owners[name] == nil {
			owners[name] = &api.QueueOwner{Owner: name, Share: policy.Share(name)}
			if quota, limited := policy.Quotas[name]; limited {
				owners[name].Quota = &quota
			}
		}
		return owners[name]
	}
	for name := range policy.Shares {
		of(name)
	}
	for name := range policy.Quotas {
		of(name)
	}
	jobs, err := log.Jobs(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range jobs.Jobs {
		switch owner, state := r.Job.Submission().Owner, r.Job.State(); {
		case state.Waits():
			of(owner).Waiting++
		case state.HasDevices() && WriterAlive(log.Workspace): // else it was left, and holds nothing
			of(owner).Devices += r.Job.Size()
		}
	}
	listing, err := log.listing()
	if err != nil {
		return nil, err
	}
	now := s.config.Now()
	usage := queue.NewUsage(policy.HalfLife)
	if err := journal.WalkJobPeriods(ctx, listing, "", now.Add(-usage.Horizon()), func(p journal.JobPeriod) {
		usage.Add(p.Owner, p.Devices, p.From.Sub(now), min(0, p.To.Sub(now)))
	}); err != nil {
		return nil, err
	}
	for name, used := range usage.At(0) {
		of(name).UsedSeconds = used.Seconds()
	}
	return owners, nil
}

// queueSettings returns what is set about the queue, for checking requests early; where it
// cannot be read, nothing: whoever records them checks again.
func (s *Service) queueSettings(ctx context.Context) queue.Settings {
	if s.config.Dir == "" || !disk.Exists(s.workspace.EventsPath()) {
		return queue.Settings{}
	}
	store, err := s.config.OpenReadOnly(s.workspace.EventsPath())
	if err != nil {
		return queue.Settings{}
	}
	defer func() { _ = store.Close() }()
	set, err := journal.ReadSettings(ctx, store)
	if err != nil {
		return queue.Settings{}
	}
	return set.Settings
}
