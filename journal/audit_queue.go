package journal

import (
	"fmt"
	"slices"
	"time"

	"reprise/queue"
)

// checkDecision says what is wrong with a decision, given the jobs and the settings of the
// queue that it was made about.
func (a *audit) checkDecision(d *QueueDecided) string {
	if n := d.Snapshot.Policy.Settings; n > uint64(len(a.settings)) {
		return fmt.Sprintf("snapshot.policy.settings: recorded version %d, but the settings of the queue had %d", n, len(a.settings))
	} else if n > 0 {
		if what := a.settings[n-1].Contradiction(&d.Snapshot); what != "" {
			return "snapshot." + what
		}
	}
	for i := range d.Snapshot.Jobs {
		if what := a.checkEntry(&d.Snapshot.Jobs[i]); what != "" {
			return fmt.Sprintf("snapshot.jobs: job %s: %s", d.Snapshot.Jobs[i].ID, what)
		}
	}
	return d.Check()
}

// checkEntry says where a decision takes a job for another one than its events tell of. The
// priority may be an earlier one: it can change while a decision is made.
func (a *audit) checkEntry(e *queue.Entry) string {
	record, ok := a.timeline.jobs.Job(e.ID)
	if !ok { // a verification, or a run of an older log
		return ""
	}
	ended := len(e.On) > 0 || record.Job.State().Ended()
	if ended && e.Owner == "" && e.Priority == 0 && e.Devices == 0 && len(e.Need.Labels) == 0 {
		return "" // its run has yet to give back its device, or to leave the queue
	}
	s := record.Job.Submission()
	switch had := a.priorities[e.ID]; {
	case e.Owner != s.Owner:
		return fmt.Sprintf("owner: recorded %q, but it was submitted for %q", e.Owner, s.Owner)
	case !slices.Contains(had, e.Priority):
		return fmt.Sprintf("priority: recorded %d, but it has had %v", e.Priority, had)
	case e.Devices != s.Devices:
		return fmt.Sprintf("devices: recorded %d, but it was submitted for %d", e.Devices, s.Devices)
	case !slices.Equal(e.Need.Labels, s.Labels):
		return fmt.Sprintf("need.labels: recorded %v, but it was submitted with %v", e.Need.Labels, s.Labels)
	}
	return ""
}

// checkSettings keeps the settings for the decisions that are made with them.
func (a *audit) checkSettings(e SettingsEvent) string {
	var before SettingsRecord
	if n := len(a.settings); n > 0 {
		before.Settings = a.settings[n-1]
	}
	after, err := settingsAggregate.Fold(before, e, 0, time.Time{})
	if err != nil {
		return err.Error()
	}
	a.settings = append(a.settings, after.Settings)
	return ""
}
