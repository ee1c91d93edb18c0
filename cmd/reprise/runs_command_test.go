package main

import (
	"testing"

	"reprise/api"
	"reprise/training"
)

// A run that has written its checkpoint waits for none.
func TestACommandSaysHowARunStands(t *testing.T) {
	priority := 5
	for _, c := range []struct {
		run  api.CommandedRun
		want string
	}{
		{api.CommandedRun{State: api.Cancelled}, "cancelled"},
		{api.CommandedRun{State: training.Running, Priority: &priority}, "running, with priority 5"},
		{api.CommandedRun{State: training.Running, Stopping: api.Paused}, "running; it will be paused once it has written a checkpoint"},
		{api.CommandedRun{State: training.Interrupted, Stopping: api.Cancelled}, "about to be cancelled; its checkpoint is written"},
	} {
		if got := commandedState(c.run); got != c.want {
			t.Errorf("%+v is %q, want %q", c.run, got, c.want)
		}
	}
}
