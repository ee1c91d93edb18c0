package service

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"reprise/api"
	"reprise/datadir"
	"reprise/fault"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// runWith returns a run with checkpoints at the steps.
func runWith(state training.State, steps ...uint64) journal.RunRecord {
	var r journal.RunRecord
	r.ID, r.Session.State, r.Session.Hyperparameters.CheckpointInterval = "run", state, 2
	for _, s := range steps {
		r.Checkpoints = append(r.Checkpoints, training.Checkpoint{Step: s})
	}
	return r
}

func TestARunWithoutCheckpointsSaysWhatHelps(t *testing.T) {
	nobody := datadir.Workspace{Dir: t.TempDir()} // no process trains in it
	failed := runWith(training.Failed)
	failed.Reason = "step 2: the loss is NaN; no checkpoint was written yet"
	for want, r := range map[string]journal.RunRecord{
		"run run failed before its first checkpoint: step 2: the loss is NaN; correct the request and train it again": failed,
		"run run was interrupted before its first checkpoint":                                                         runWith(training.Running),
		"run run has no checkpoint yet; the first one comes after 2 epochs":                                           runWith(training.State("")),
	} {
		_, err := lastCheckpoint(r, nobody)
		_, at := checkpointAt(r, nobody, "step", 3)
		var e *api.Error
		if !errors.As(err, &e) || e.Fault != fault.Conflict || err.Error() != want || at.Error() != want {
			t.Errorf("%v and %v, want %q", err, at, want)
		}
		if resume := strings.Contains(want, "interrupted"); resume != (e.Code == api.InterruptedEarly) || e.Run != "run" {
			t.Errorf("%#v", e)
		}
	}
}

func TestAStepWithoutACheckpointNamesTheNearestOnes(t *testing.T) {
	var many []uint64
	for s := range uint64(20) {
		many = append(many, 10*s+10)
	}
	for _, c := range []struct {
		steps []uint64
		step  uint64
		fix   string
		code  api.Code
	}{
		{many[:1], 7, "use 10", ""},
		{many[:6], 7, "use 10, 20, 30, 40, 50 or 60", ""},
		{many, 7, "use 10, 20, 30, 40, 50 or 60, or one of the other 14", api.StepsOmitted},
		{many, 101, "use 80, 90, 100, 110, 120 or 130, or one of the other 14", api.StepsOmitted},
		{many, 999, "use 150, 160, 170, 180, 190 or 200, or one of the other 14", api.StepsOmitted},
	} {
		_, err := checkpointAt(runWith(training.Completed, c.steps...), datadir.Workspace{}, "step", c.step)
		var e *api.Error
		if !errors.As(err, &e) || e.Fault != fault.Invalid || e.Code != c.code || len(e.Mistakes) != 1 || e.Mistakes[0].Field != "step" ||
			e.Mistakes[0].Fix != c.fix || e.Message != "step: run run has no checkpoint at step "+strconv.FormatUint(c.step, 10)+"; "+c.fix {
			t.Errorf("step %d: %#v", c.step, e)
		}
	}
	if cp, err := checkpointAt(runWith(training.Completed, many...), datadir.Workspace{}, "step", 30); err != nil || cp.Step != 30 {
		t.Errorf("%+v, %v", cp, err)
	}
}

func TestACancelledRunWithoutCheckpointsIsNotToBeResumed(t *testing.T) {
	job, err := queue.ReplayJob([]queue.JobEvent{
		queue.JobSubmitted{Job: "run", Submission: queue.Submission{Request: []byte(`{}`)}}, queue.JobCancelled{Cause: queue.Cause{Code: queue.CauseUser, Message: "not needed"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	nobody := datadir.Workspace{Dir: t.TempDir()}
	err = unlessStopped(journal.JobRecord{Job: job, Version: 2}, noCheckpoint(runWith(training.Interrupted), nobody))
	var e *api.Error
	if !errors.As(err, &e) || e.Code != api.RunStopped || e.Message != "run run was cancelled before its first checkpoint: not needed" {
		t.Errorf("%v", err)
	}
}
