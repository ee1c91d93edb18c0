package service

import (
	"strings"
	"testing"

	"reprise/api"
	"reprise/fault"
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

func TestACauseIsOneLineAndAFolderAbsolute(t *testing.T) {
	for _, cause := range []string{"", strings.Repeat("x", maxCause+1), "two\nlines", "\x1b[2J", "caf\xe9"} {
		if err := checkCause(cause, "cancelled"); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", cause, err)
		}
	}
	if err := checkCause(strings.Repeat("é", maxCause/2), "cancelled"); err != nil {
		t.Error(err)
	}
	for folder, want := range map[api.Text]bool{api.Text(t.TempDir()): true, "here": false, "": false, "../up": false} {
		if err := checkFolder(folder); (err == nil) != want {
			t.Errorf("%q: %v", folder, err)
		}
	}
}
