package journal

import "fmt"

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
	return d.Check()
}

// checkSettings keeps the settings for the decisions that are made with them.
func (a *audit) checkSettings(e SettingsEvent) string {
	switch e := e.(type) {
	case SettingsChanged:
		if err := e.Validate(); err != nil {
			return err.Error()
		}
		if n := len(a.settings); n > 0 && a.settings[n-1].Equal(e.Settings) || n == 0 && e.IsZero() {
			return errSameSettings.Error()
		}
		a.settings = append(a.settings, e.Settings)
	}
	return ""
}
