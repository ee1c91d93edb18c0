package journal_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"reprise/device"
	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/fault"
	"reprise/journal"
	"reprise/journal/journaltest"
	"reprise/queue"
	"reprise/training"
)

// jobEvents are the life of a job that was prepared, placed, deferred and paused.
func jobEvents(id queue.JobID) []queue.JobEvent {
	cause := queue.Cause{Code: "c", Message: "m"}
	return []queue.JobEvent{
		queue.JobSubmitted{Job: id, Submission: queue.Submission{Request: []byte(`{"a":1}`), Owner: "o", Group: "g", MaxDuration: time.Hour}, Worker: "w"},
		queue.JobPreparing{},
		queue.JobDeferred{Cause: cause, RetryAfter: 5},
		queue.JobPreparing{},
		queue.JobPrepared{Estimate: queue.Estimate{Steps: 3, Fingerprint: "f", Memory: device.MemoryRequirement{Size: 1}}},
		queue.JobPlaced{Devices: []device.ID{"w/cpu0"}, Waited: 7},
		queue.JobStarted{},
		queue.JobStopRequested{To: queue.StatePaused, Cause: cause},
		queue.JobPaused{Ran: 9},
	}
}

// The list of jobs is at every position of the log what the jobs' events add up to, and
// its JSON form gives it back.
func TestTheListOfJobsIsWhatTheirEventsSay(t *testing.T) {
	store := memory.New()
	log := journal.NewJobLog(store, func() time.Time { return time.Unix(1, 0) })
	var record journal.JobRecord
	for _, e := range jobEvents("j1") {
		records, err := log.Append(t.Context(), journal.JobChange{ID: "j1", Before: record, Events: []queue.JobEvent{e}})
		if err != nil {
			t.Fatal(err)
		}
		record = records[0]
		loaded, err := log.Load(t.Context(), "j1")
		if err != nil || !reflect.DeepEqual(loaded, record) {
			t.Errorf("after %T it is recorded as %+v, %v; appended was %+v", e, loaded, err, record)
		}
		list, err := journal.ReadJobs(t.Context(), store)
		if err != nil {
			t.Fatal(err)
		}
		want := record
		want.Job = want.Job.WithoutRequest()
		if len(list.Jobs) != 1 || !reflect.DeepEqual(list.Jobs[0], want) {
			t.Errorf("after %T the list has %+v, want %+v", e, list.Jobs, want)
		}
		form, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		var again journal.JobList
		if err := again.Join(form); err != nil || !reflect.DeepEqual(again.Jobs, list.Jobs) {
			t.Errorf("after %T the list is stored as %s, and read as %+v, %v", e, form, again.Jobs, err)
		}
	}
	// Nothing says that its run held the device.
	if _, err := journal.VerifyLog(t.Context(), store); !errors.Is(err, journal.ErrNotVerified) || !strings.Contains(err.Error(), "which the run does not hold") {
		t.Error(err)
	}
	past, err := journal.OverviewAt(t.Context(), store, 2)
	if err != nil || len(past.Jobs) != 1 || past.Jobs[0].Job.State() != queue.StatePreparing {
		t.Errorf("at position 2 there were %+v, %v", past.Jobs, err)
	}
	state, err := journal.StateAt(t.Context(), store, 3)
	if err != nil || len(state.Jobs) != 1 || state.Jobs[0].Job.State() != queue.StateSubmitted {
		t.Errorf("at position 3 there were %+v, %v", state.Jobs, err)
	}
}

// A job is prepared and its run started at once, or neither.
func TestAJobIsRecordedTogetherWithItsRun(t *testing.T) {
	store := memory.New()
	jobs, runs := journal.NewJobLog(store, time.Now), journal.NewRunLog(store, time.Now)
	events := jobEvents("r1")
	records, err := jobs.Append(t.Context(), journal.JobChange{ID: "r1", Events: events[:2]})
	if err != nil {
		t.Fatal(err)
	}
	started := journaltest.WholeRun("r1", training.Allocation{Device: "cpu0", Lease: "l", Epoch: 1}, 1)[0]
	change := journal.JobChange{ID: "r1", Before: records[0], Events: events[4:5]}
	if _, err := runs.Append(t.Context(), journal.RunRecord{}, started); err != nil {
		t.Fatal(err)
	}
	if _, _, err := jobs.AppendWithRun(t.Context(), change, runs, started); !errors.Is(err, eventstore.ErrConcurrencyConflict) {
		t.Errorf("a run that had started was started again: %v", err)
	}
	if r, err := jobs.Load(t.Context(), "r1"); err != nil || r.Job.State() != queue.StatePreparing {
		t.Errorf("the job is %s although its run could not be started, %v", r.Job.State(), err)
	}

	records, err = jobs.Append(t.Context(), journal.JobChange{ID: "r2", Events: jobEvents("r2")[:2]})
	if err != nil {
		t.Fatal(err)
	}
	started = journaltest.WholeRun("r2", training.Allocation{Device: "cpu0", Lease: "l", Epoch: 1}, 1)[0]
	job, run, err := jobs.AppendWithRun(t.Context(), journal.JobChange{ID: "r2", Before: records[0], Events: events[4:5]}, runs, started)
	if err != nil || job.Job.State() != queue.StateQueued || run.ID != "r2" {
		t.Errorf("%+v, %+v, %v", job, run, err)
	}
	if _, err := jobs.Load(t.Context(), "nobody"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a job that was never submitted: %v", err)
	}
	list, err := journal.ReadJobs(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	all, err := journal.ReadRuns(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]training.RunID{"latest": "r2", "r1": "r1", "r2": "r2"} {
		if id, err := journal.Resolve(all, list, name); err != nil || id != want {
			t.Errorf("%s means %q, %v; want %q", name, id, err, want)
		}
	}
	if _, err := journal.Resolve(all, list, "r"); !errors.Is(err, journal.ErrAmbiguousRun) {
		t.Errorf("r: %v", err)
	}
}
