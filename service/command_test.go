package service

import (
	"testing"

	"reprise/api"
)

// The answer to a command is not followed by what recovery did before it; warnings are.
func TestACommandIsToldOfWarningsOnly(t *testing.T) {
	var told []api.Notice
	ctx := withoutEvents(api.WithNotices(t.Context(), func(n api.Notice) { told = append(told, n) }))
	api.Notify(ctx, api.Notice{Event: "run r can be resumed"})
	api.Notify(ctx, api.Notice{Warning: "the log is older"})
	if len(told) != 1 || told[0].Warning != "the log is older" {
		t.Errorf("%+v", told)
	}
}
