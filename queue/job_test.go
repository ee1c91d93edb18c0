package queue_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reprise/device"
	"reprise/fault"
	"reprise/queue"
)

func byUser() queue.Cause { return queue.Cause{Code: queue.CauseUser, Message: "somebody asked"} }

func submission() queue.Submission { return queue.Submission{Request: json.RawMessage(`{"a":1}`)} }

func estimate() queue.Estimate {
	return queue.Estimate{Memory: device.MemoryRequirement{Size: 1 << 20}, Steps: 10, Duration: time.Hour, Fingerprint: "f"}
}

// after returns the job that results from commands, each of which must be possible.
func after(t testing.TB, commands ...queue.Command) queue.Job {
	t.Helper()
	var j queue.Job
	for _, c := range commands {
		events, err := j.Decide(c)
		if err != nil {
			t.Fatalf("%T: %v", c, err)
		}
		for _, e := range events {
			j = j.Apply(e)
		}
	}
	return j
}

// to returns commands that lead to a state.
func to(state queue.State) []queue.Command {
	submitted := []queue.Command{queue.Submit{Job: "r1", Submission: submission()}}
	queued := append(slices.Clip(submitted), queue.Prepare{}, queue.Queue{Estimate: estimate()})
	running := append(slices.Clip(queued), queue.Place{Devices: []device.ID{"cpu0"}}, queue.Start{})
	switch state {
	case queue.StateSubmitted:
		return submitted
	case queue.StatePreparing:
		return queued[:2]
	case queue.StateQueued:
		return queued
	case queue.StatePaused:
		return append(slices.Clip(queued), queue.Pause{Cause: byUser()})
	case queue.StatePlaced:
		return running[:4]
	case queue.StateRunning:
		return running
	case queue.StateCompleted:
		return append(slices.Clip(running), queue.Complete{})
	case queue.StateFailed:
		return append(slices.Clip(running), queue.Fail{Cause: byUser()})
	case queue.StateCancelled:
		return append(slices.Clip(queued), queue.Cancel{Cause: byUser()})
	case queue.StateRejected:
		return append(slices.Clip(queued), queue.Reject{Cause: byUser()})
	}
	return nil
}

// What every command does in every state: the state that it leads to, "same" if there
// is nothing to do, "stop" if the job is asked to stop first, and "" for a conflict.
func TestEachCommandInEachState(t *testing.T) {
	const same, stop = "same", "stop"
	columns := queue.States()
	for _, row := range []struct {
		command queue.Command
		want    []string // in the order of the states
	}{
		{queue.Submit{Job: "r1", Submission: submission()}, []string{"", "", "", "", "", "", "", "", "", ""}},
		{queue.Prepare{}, []string{"preparing", "", "", "", "", "", "", "", "", ""}},
		{queue.Queue{Estimate: estimate()}, []string{"", "queued", "", "", "", "", "", "", "", ""}},
		{queue.Place{Devices: []device.ID{"cpu0"}}, []string{"", "", "placed", "", "", "", "", "", "", ""}},
		{queue.Start{}, []string{"", "", "", "", "running", "", "", "", "", ""}},
		{queue.Complete{}, []string{"", "", "completed", "completed", "completed", "completed", "", "", "", ""}},
		{queue.Fail{Cause: byUser()}, []string{"", "", "failed", "failed", "failed", "failed", "", "", "", ""}},
		{queue.Reject{Cause: byUser()}, []string{"rejected", "rejected", "rejected", "", "", "", "", "", "", ""}},
		{queue.Defer{Cause: byUser()}, []string{"submitted", "submitted", "queued", "", "queued", "queued", "", "", "", ""}},
		{queue.Pause{Cause: byUser()}, []string{"paused", "paused", "paused", same, stop, stop, "", "", "", ""}},
		{queue.Resume{}, []string{"", "", "", "queued", "", "", "", "", "", ""}},
		{queue.Cancel{Cause: byUser()}, []string{"cancelled", "cancelled", "cancelled", "cancelled", stop, stop, "", "", same, ""}},
		{queue.SetPriority{Priority: 3}, []string{"submitted", "preparing", "queued", "paused", "placed", "running", "", "", "", ""}},
		{queue.SetPriority{}, []string{same, same, same, same, same, same, "", "", "", ""}},
		{queue.CheckDuration{Ran: time.Hour}, []string{same, same, same, same, same, same, same, same, same, same}},
		{queue.EndPredecessor{Job: "x", State: queue.StateFailed}, []string{same, same, same, same, same, same, same, same, same, same}},
	} {
		for i, state := range columns {
			j := after(t, to(state)...)
			if j.State() != state {
				t.Fatalf("a job meant to be %s is %s", state, j.State())
			}
			events, err := j.Decide(row.command)
			got := same
			for _, e := range events {
				j = j.Apply(e)
				got = string(j.State())
			}
			if s, ok := j.Stop(); ok {
				got = stop
				if s.Cause != byUser() || len(j.On()) == 0 {
					t.Errorf("%T in %s: %+v on %v", row.command, state, s, j.On())
				}
			}
			if err != nil {
				got = ""
				if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "r1") {
					t.Errorf("%T in %s: %v is %v", row.command, state, err, fault.KindOf(err))
				}
			}
			if got != row.want[i] {
				t.Errorf("%T in %s: %q (%v), want %q", row.command, state, got, err, row.want[i])
			}
		}
	}
	for _, c := range []queue.Command{queue.Prepare{}, queue.Cancel{}, queue.Resume{}, queue.CheckDuration{}} {
		if _, err := (queue.Job{}).Decide(c); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%T of a job that was never submitted: %v", c, err)
		}
	}
}

// stopped is how a host answers once a job has given its devices back.
func stopped(ran time.Duration) queue.Defer {
	return queue.Defer{Cause: queue.Cause{Code: queue.CauseGaveWay, Message: "it gave its device back"}, Ran: ran}
}

func TestAJobThatHasDevicesGivesThemBackFirst(t *testing.T) {
	running := to(queue.StateRunning)
	paused := after(t, append(running, queue.Pause{Cause: byUser()}, stopped(time.Minute))...)
	if paused.State() != queue.StatePaused || paused.On() != nil || paused.Ran() != time.Minute {
		t.Errorf("paused: %+v", paused)
	}
	if again := after(t, append(running, queue.Pause{Cause: byUser()}, stopped(0), queue.Resume{})...); again.State() != queue.StateQueued {
		t.Errorf("resumed, it is %s", again.State())
	}
	// A cancel comes before a pause, in either order.
	if j := after(t, append(running, queue.Pause{Cause: byUser()}, queue.Cancel{Cause: byUser()}, stopped(0))...); j.State() != queue.StateCancelled {
		t.Errorf("cancelled while it was to be paused, it is %s", j.State())
	}
	cancelling := after(t, append(running, queue.Cancel{Cause: byUser()})...)
	for _, c := range []queue.Command{queue.Pause{Cause: byUser()}, queue.Resume{}} {
		if _, err := cancelling.Decide(c); fault.KindOf(err) != fault.Conflict {
			t.Errorf("%T of a job that is to be cancelled: %v", c, err)
		}
	}
	if j := after(t, append(running, queue.Pause{Cause: byUser()}, queue.Resume{}, stopped(0))...); j.State() != queue.StateQueued {
		t.Errorf("a pause was withdrawn, then it gave way: it is %s", j.State())
	}
	if j := after(t, append(running, queue.Cancel{Cause: byUser()}, queue.Complete{Ran: time.Minute})...); j.State() != queue.StateCompleted {
		t.Errorf("completed while it was to be cancelled, it is %s", j.State())
	}
	placed := after(t, append(to(queue.StatePlaced), queue.Cancel{Cause: byUser()})...)
	if _, err := placed.Decide(queue.Start{}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a job that is to be cancelled starts: %v", err)
	}
}

func TestMaxDurationCountsRunningOnly(t *testing.T) {
	s := submission()
	s.MaxDuration = time.Hour
	commands := append([]queue.Command{queue.Submit{Job: "r1", Submission: s}}, to(queue.StateQueued)[1:]...)
	place := queue.Place{Devices: []device.ID{"cpu0"}, Waited: 100 * time.Hour}
	commands = append(commands, place, queue.Start{}, queue.CheckDuration{Ran: 39 * time.Minute}, stopped(40*time.Minute),
		queue.CheckDuration{}, place, queue.Start{}, queue.CheckDuration{Ran: 20*time.Minute - 1})
	j := after(t, commands...)
	if left, ok := j.TimeLeft(); j.State() != queue.StateRunning || !ok || left != 20*time.Minute || j.Waited() != 200*time.Hour {
		t.Fatalf("it is %s with %v left, after it waited %v", j.State(), left, j.Waited())
	}
	j = after(t, append(commands, queue.CheckDuration{Ran: 20 * time.Minute}, stopped(20*time.Minute))...)
	if j.State() != queue.StateCancelled || j.Cause().Code != queue.CauseMaxDuration || !strings.Contains(j.Cause().Message, "1h0m0s") {
		t.Errorf("it is %s: %+v", j.State(), j.Cause())
	}
	j = after(t, append(commands, stopped(time.Hour), queue.CheckDuration{})...)
	if j.State() != queue.StateCancelled {
		t.Errorf("a job that waits and has used its time up is %s", j.State())
	}
}

func TestADeferredJobSaysWhyAndHowOften(t *testing.T) {
	busy := queue.Defer{Cause: queue.Cause{Code: "dataset_unavailable", Message: "the server does not answer"}, RetryAfter: time.Minute}
	commands := append(to(queue.StatePreparing), busy, queue.Prepare{}, busy)
	j := after(t, commands...)
	if j.State() != queue.StateSubmitted || j.Cause() != busy.Cause || j.RetryAfter() != time.Minute || j.Deferrals() != 2 {
		t.Errorf("%s, %+v, %v, %d times", j.State(), j.Cause(), j.RetryAfter(), j.Deferrals())
	}
	if j := after(t, append(commands, queue.Prepare{}, queue.Queue{Estimate: estimate()})...); j.Deferrals() != 0 || j.Cause() != (queue.Cause{}) {
		t.Errorf("prepared: %d times, %+v", j.Deferrals(), j.Cause())
	}
	if j := after(t, append(commands, queue.Pause{Cause: byUser()}, queue.Resume{})...); j.State() != queue.StateSubmitted || j.RetryAfter() != 0 {
		t.Errorf("resumed before it was prepared, it is %s", j.State())
	}
}

// A job that its host has left waits to be resumed, wherever it stood, and only then.
func TestAJobThatWasLeftIsResumed(t *testing.T) {
	for _, code := range []queue.Code{queue.CauseProcessEnded, queue.CauseObstacle} {
		isLeftAndResumed(t, queue.Defer{Cause: queue.Cause{Code: code, Message: "a test"}})
	}
}

func isLeftAndResumed(t *testing.T, left queue.Defer) {
	t.Helper()
	for from, waits := range map[queue.State]queue.State{
		queue.StateSubmitted: queue.StateSubmitted, queue.StatePreparing: queue.StateSubmitted,
		queue.StateQueued: queue.StateQueued, queue.StatePlaced: queue.StateQueued, queue.StateRunning: queue.StateQueued,
	} {
		if j := after(t, to(from)...); j.Left() {
			t.Errorf("%s, it counts as left", from)
		}
		j := after(t, append(slices.Clip(to(from)), left)...)
		if !j.Left() || j.State() != waits {
			t.Errorf("%s and left, it is %s, left: %t", from, j.State(), j.Left())
		}
		events, err := j.Decide(queue.Resume{})
		if err != nil || len(events) != 1 {
			t.Fatalf("%s and left: %v, %v", from, events, err)
		}
		if j = j.Apply(events[0]); j.Left() || j.State() != waits || j.Cause() != (queue.Cause{}) || j.Deferrals() != 0 {
			t.Errorf("%s, left and resumed, it is %s, %+v, left: %t", from, j.State(), j.Cause(), j.Left())
		}
		if _, err := j.Decide(queue.Resume{}); fault.KindOf(err) != fault.Conflict {
			t.Errorf("%s, resumed twice: %v", from, err)
		}
	}
	if j := after(t, append(slices.Clip(to(queue.StateQueued)), left, queue.Pause{Cause: byUser()})...); j.Left() || j.State() != queue.StatePaused {
		t.Errorf("left and paused, it is %s, left: %t", j.State(), j.Left())
	}
}

func TestEntryShowsWhatADecisionNeeds(t *testing.T) {
	s := submission()
	s.Owner, s.Priority, s.Devices, s.Labels, s.After = "ada", 2, 2, []string{"blue"}, []queue.JobID{"r0"}
	queued := []queue.Command{queue.Submit{Job: "r1", Submission: s}, queue.Prepare{}, queue.Queue{Estimate: estimate()}}
	if _, ok := after(t, queued[:2]...).Entry(); ok {
		t.Error("a job whose data are not open yet is in a snapshot")
	}
	e, ok := after(t, queued...).Entry()
	if d := queue.Plan(&queue.Snapshot{Devices: host(2), Jobs: []queue.Entry{e}}); !ok || d.Pending[0].Reasons[0].Code != queue.CodeAfter {
		t.Errorf("%+v: %+v", e, d)
	}
	queued = append(queued, queue.EndPredecessor{Job: "r0", State: queue.StateCompleted}, queue.SetPriority{Priority: 7})
	want := queue.Entry{ID: "r1", Owner: "ada", Priority: 7, Devices: 2, Remaining: time.Hour,
		Need: queue.Need{Memory: estimate().Memory, Labels: []string{"blue"}}}
	if e, _ := after(t, queued...).Entry(); !reflect.DeepEqual(e, want) {
		t.Errorf("got  %+v\nwant %+v", e, want)
	}
	on := []device.ID{"a", "b"}
	running := append(slices.Clip(queued), queue.Place{Devices: on, Waited: time.Minute}, queue.Start{})
	want.On, want.Waited = on, time.Minute
	if e, _ := after(t, running...).Entry(); !reflect.DeepEqual(e, want) {
		t.Errorf("got  %+v\nwant %+v", e, want)
	}
	want.On, want.Served, want.Remaining = nil, 2*time.Hour, 1
	if e, _ := after(t, append(running, stopped(2*time.Hour))...).Entry(); !reflect.DeepEqual(e, want) {
		t.Errorf("longer than estimated:\ngot  %+v\nwant %+v", e, want)
	}
	if _, ok := after(t, append(running, queue.Complete{})...).Entry(); ok {
		t.Error("a job that has ended is in a snapshot")
	}
}

func TestASubmissionIsRefusedWithAllThatIsWrong(t *testing.T) {
	s := queue.Submission{Request: json.RawMessage("{"), Owner: "a\nb", Group: " g", Name: strings.Repeat("n", 129), Priority: -1001, MaxDuration: -1,
		Devices: 5000, After: []queue.JobID{"a", "a", ""}, Labels: make([]string, 33)}
	_, err := queue.Job{}.Decide(queue.Submit{Job: "r1", Submission: s})
	for _, field := range []string{"request: ", "job.owner: ", "job.group: ", "name: ", "job.priority: -1001 ", "job.max_duration: -1ns ", "config.devices: 5000 ",
		`job.after[1]: "a" is there twice`, "job.after[2]: ", "job.labels: has 33 entries"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%q is not in\n%v", field, err)
		}
	}
	if fault.KindOf(err) != fault.Invalid {
		t.Errorf("kind %v", fault.KindOf(err))
	}
	s = submission()
	s.After = []queue.JobID{"r1"}
	for _, c := range []queue.Submit{{Submission: submission()}, {Job: "r1", Submission: s}} {
		if _, err := (queue.Job{}).Decide(c); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// commands draws any command, also ones that make no sense.
func commands(t *rapid.T) queue.Command {
	d := time.Duration(rapid.IntRange(-1, 90).Draw(t, "minutes")) * time.Minute
	cause := rapid.SampledFrom([]queue.Cause{byUser(), byUser(), {}, {Code: "odd", Message: "something else"}}).Draw(t, "cause")
	return rapid.SampledFrom([]queue.Command{
		queue.Submit{Job: "r2", Submission: submission()}, queue.Prepare{}, queue.Prepare{}, queue.Queue{Estimate: estimate()}, queue.Queue{Estimate: estimate()},
		queue.Queue{}, queue.Place{Devices: []device.ID{"a", "b"}, Waited: d}, queue.Place{Devices: []device.ID{"a", "b"}, Waited: d},
		queue.Place{Devices: []device.ID{"a", "a"}}, queue.Place{Devices: []device.ID{"a"}}, queue.Start{}, queue.Start{}, queue.Start{},
		queue.Defer{Cause: cause, Ran: d, RetryAfter: d}, queue.Pause{Cause: cause, Waited: d}, queue.Resume{}, queue.Resume{},
		queue.SetPriority{Priority: rapid.IntRange(-1001, 1001).Draw(t, "priority")}, queue.Cancel{Cause: cause}, queue.CheckDuration{Ran: d},
		queue.Complete{Ran: d}, queue.Fail{Cause: cause, Ran: d}, queue.Reject{Cause: cause},
		queue.EndPredecessor{Job: "p1", State: queue.StateCompleted}, queue.EndPredecessor{Job: "p2", State: queue.StateCompleted},
		queue.EndPredecessor{Job: "p1", State: rapid.SampledFrom(queue.States()).Draw(t, "state")},
	}).Draw(t, "command")
}

// lives draws a job after some commands, with its events.
func lives(t *rapid.T, each func(before queue.Job, c queue.Command, events []queue.JobEvent, err error)) (queue.Job, []queue.JobEvent) {
	s := submission()
	s.Devices, s.MaxDuration, s.After = 2, time.Duration(rapid.IntRange(0, 2).Draw(t, "hours"))*time.Hour, []queue.JobID{"p1", "p2"}[:rapid.IntRange(0, 2).Draw(t, "after")]
	var j queue.Job
	var log []queue.JobEvent
	for i := range rapid.IntRange(0, 30).Draw(t, "commands") {
		c := queue.Command(queue.Submit{Job: "r1", Submission: s})
		if i > 0 {
			c = commands(t)
		}
		events, err := j.Decide(c)
		if each != nil {
			each(j, c, events, err)
		}
		for _, e := range events {
			j = j.Apply(e)
		}
		log = append(log, events...)
	}
	return j, log
}

func TestAnySequenceOfCommandsKeepsTheInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lives(t, func(j queue.Job, c queue.Command, events []queue.JobEvent, err error) {
			if err != nil && (len(events) > 0 || fault.KindOf(err) == fault.Internal) {
				t.Fatalf("%+v: %v and %v, which is %v", c, events, err, fault.KindOf(err))
			}
			next := j
			for _, e := range events {
				next = next.Apply(e)
			}
			_, stops := next.Stop()
			switch {
			case j.State().Ended() && len(events) > 0:
				t.Fatalf("%+v changes a job that is %s: %+v", c, j.State(), events)
			case next.State() != "" && !slices.Contains(queue.States(), next.State()):
				t.Fatalf("state %q", next.State())
			case next.State().HasDevices() != (len(next.On()) > 0) || len(next.On()) > 0 && len(next.On()) != next.Size():
				t.Fatalf("%s on %v", next.State(), next.On())
			case stops && !next.State().HasDevices():
				t.Fatalf("%s, and is to stop", next.State())
			case next.State().HasDevices() && len(next.After()) > 0:
				t.Fatalf("%s, and must come after %v", next.State(), next.After())
			case next.Ran() < j.Ran() || next.Waited() < j.Waited():
				t.Fatalf("%+v takes time back", c)
			case j.State() == queue.StateRunning && next.State() == queue.StateRunning && !slices.Equal(j.On(), next.On()):
				t.Fatalf("%+v moves it from %v to %v", c, j.On(), next.On())
			}
			again, err2 := j.Decide(c)
			if !reflect.DeepEqual(again, events) || fmt.Sprint(err2) != fmt.Sprint(err) {
				t.Fatalf("%+v decides differently the second time", c)
			}
		})
	})
}

func TestCancelEndsAJobInEveryState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j, _ := lives(t, nil)
		if j.State() == "" || j.State().Ended() {
			return
		}
		for range 2 { // a second cancel changes nothing
			events, err := j.Decide(queue.Cancel{Cause: byUser()})
			if err != nil {
				t.Fatalf("in %s: %v", j.State(), err)
			}
			for _, e := range events {
				j = j.Apply(e)
			}
		}
		if j.State().HasDevices() {
			events, err := j.Decide(stopped(time.Minute))
			if err != nil || len(events) != 1 {
				t.Fatalf("%v, %v", events, err)
			}
			j = j.Apply(events[0])
		}
		if j.State() != queue.StateCancelled || len(j.On()) > 0 {
			t.Fatalf("it is %s on %v", j.State(), j.On())
		}
	})
}

// A job that is folded from the JSON of its events is the one that decided on them.
func TestFoldingEqualsDeciding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want, log := lives(t, nil)
		for i, e := range log {
			log[i] = read(t, e.EventType(), written(t, e))
		}
		got, err := queue.ReplayJob(log)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v\ngot  %+v\nwant %+v", err, got, want)
		}
	})
}

// written returns the payload of an event.
func written(t rapid.TB, e queue.JobEvent) []byte {
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// read returns the event that a payload holds, as a strict reader does.
func read(t rapid.TB, kind string, payload []byte) queue.JobEvent {
	for _, e := range queue.JobEvents() {
		if e.EventType() != kind {
			continue
		}
		into := reflect.New(reflect.TypeOf(e))
		d := json.NewDecoder(bytes.NewReader(payload))
		d.DisallowUnknownFields()
		if err := d.Decode(into.Interface()); err != nil {
			t.Fatalf("%s: %v", payload, err)
		}
		return into.Elem().Interface().(queue.JobEvent)
	}
	t.Fatalf("no event %s", kind)
	return nil
}

// The names and JSON forms are for ever.
func TestEventsKeepTheirNamesAndJSONForm(t *testing.T) {
	cause := queue.Cause{Code: "c", Message: "m"}
	full := queue.Submission{Request: json.RawMessage(`{}`), Name: "n", Owner: "o", Priority: 1, Group: "g", After: []queue.JobID{"r0"},
		MaxDuration: 2, Devices: 3, Labels: []string{"l"}, RetryOf: "r9"}
	whole := queue.Estimate{Features: []device.Feature{"fma"}, Memory: device.MemoryRequirement{Size: 4}, Steps: 5, Duration: 6, Fingerprint: "f"}
	for want, e := range map[string]queue.JobEvent{
		`submitted {"job":"r1","request":{},"name":"n","owner":"o","priority":1,"group":"g","after":["r0"],"max_duration_ns":2,"devices":3,"labels":["l"],"retry_of":"r9","worker":"w1"}`: queue.JobSubmitted{Job: "r1", Submission: full, Worker: "w1"},
		`preparing {}`: queue.JobPreparing{},
		`prepared {"features":["fma"],"memory":{"size":4},"steps":5,"duration_ns":6,"dataset_fingerprint":"f"}`: queue.JobPrepared{Estimate: whole},
		`predecessor_completed {"job":"r0"}`:        queue.JobPredecessorCompleted{Job: "r0"},
		`placed {"devices":["cpu0"],"waited_ns":7}`: queue.JobPlaced{Devices: []device.ID{"cpu0"}, Waited: 7},
		`started {}`:             queue.JobStarted{},
		`completed {"ran_ns":8}`: queue.JobCompleted{Ran: 8},
		`deferred {"code":"c","message":"m","ran_ns":8,"retry_after_ns":9}`: queue.JobDeferred{Cause: cause, Ran: 8, RetryAfter: 9},
		`stop_requested {"to":"paused","code":"c","message":"m"}`:           queue.JobStopRequested{To: queue.StatePaused, Cause: cause},
		`paused {"ran_ns":8,"waited_ns":7}`:                                 queue.JobPaused{Ran: 8, Waited: 7},
		`resumed {}`:                                                        queue.JobResumed{},
		`priority_changed {"priority":0}`:                                   queue.JobPriorityChanged{},
		`cancelled {"code":"c","message":"m","ran_ns":8}`:                   queue.JobCancelled{Cause: cause, Ran: 8},
		`failed {"code":"c","message":"m","ran_ns":8}`:                      queue.JobFailed{Cause: cause, Ran: 8},
		`rejected {"code":"c","message":"m"}`:                               queue.JobRejected{Cause: cause},
	} {
		name, form, _ := strings.Cut(want, " ")
		if got := e.EventType(); got != "queue.job_"+name+".v1" {
			t.Errorf("%s is called %s", name, got)
		}
		if got := string(written(t, e)); got != form {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, form)
		}
		if back := read(t, e.EventType(), []byte(form)); !reflect.DeepEqual(back, e) {
			t.Errorf("%s reads as %+v", form, back)
		}
	}
	if n := len(queue.JobEvents()); n != 15 {
		t.Errorf("%d events; the table above has 15", n)
	}
}

// An event that could not have followed is found when the log is read.
func TestAContradictionIsFound(t *testing.T) {
	queued := []queue.JobEvent{queue.JobSubmitted{Job: "r1", Submission: submission()}, queue.JobPreparing{}, queue.JobPrepared{Estimate: estimate()}}
	running := append(slices.Clip(queued), queue.JobPlaced{Devices: []device.ID{"a"}}, queue.JobStarted{})
	cause := byUser()
	for i, events := range [][]queue.JobEvent{
		{queue.JobPreparing{}},
		append(slices.Clip(queued), queue.JobSubmitted{Job: "r1", Submission: submission()}),
		append(slices.Clip(queued), queue.JobPlaced{Devices: []device.ID{"a", "b"}}),
		append(slices.Clip(queued), queue.JobPredecessorCompleted{Job: "x"}),
		append(slices.Clip(running), queue.JobCancelled{Cause: cause}), // it has devices
		append(slices.Clip(running), queue.JobPaused{}),
		append(slices.Clip(running), queue.JobStopRequested{To: queue.StateFailed, Cause: cause}),
		append(slices.Clip(running), queue.JobStopRequested{To: queue.StatePaused, Cause: cause}, queue.JobDeferred{Cause: cause}),
		append(slices.Clip(running), queue.JobCompleted{Ran: -1}),
		append(slices.Clip(running), queue.JobFailed{}),
		append(slices.Clip(running), queue.JobCompleted{}, queue.JobResumed{}),
		append(slices.Clip(running), queue.JobPriorityChanged{Priority: 5000}),
		append(slices.Clip(queued[:2]), queue.JobPrepared{}),
	} {
		_, err := queue.ReplayJob(events)
		if !errors.Is(err, queue.ErrContradiction) || fault.KindOf(err) != fault.Corrupt {
			t.Errorf("case %d: %v", i, err)
		}
	}
}
