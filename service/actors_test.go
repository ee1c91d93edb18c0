package service

import (
	"errors"
	"strings"
	"testing"
	"time"

	"reprise/actor"
	"reprise/api"
	"reprise/fault"
	"reprise/training"
)

func TestATraceKeepsWhatWasAnswered(t *testing.T) {
	start := time.Unix(0, 0)
	trace := traceStepOf(actor.Step{
		To: "/asked", Type: "main.question", Sent: start, Handled: true, Waited: time.Millisecond, Took: time.Second,
		Caused: []actor.Step{{From: "/asked", Type: "int", Sent: start.Add(time.Second), Err: errors.New("none left")}},
	}, start)
	answer := trace.Caused[0]
	if *trace.Took != time.Second || *trace.Waited != time.Millisecond || answer.After != time.Second || answer.Took != nil || answer.Error != "none left" {
		t.Errorf("%+v", trace)
	}
}

func TestAnActorIsNamedByTheEndOfItsPath(t *testing.T) {
	rows := []api.Actor{{Path: "/a/run", Kind: "actor"}, {Path: "/b/run", Kind: "actor"}, {Path: "/devices", Kind: "actor"}, {Path: "/a", Kind: "supervisor"}}
	for name, want := range map[string]string{
		"devices": "/devices", "/a/run": "/a/run", "b/run": "/b/run",
		"run": "is ambiguous: it could be /a/run, /b/run", "a": "a is not an actor",
	} {
		path, err := actorPath(rows, name)
		if path != want && (err == nil || !strings.Contains(err.Error(), want) || fault.KindOf(err) != fault.Invalid) {
			t.Errorf("%s: %q, %v; want %q", name, path, err, want)
		}
	}
}

func TestWhatIsToldAnActorIsAnsweredOrRefusedAndShown(t *testing.T) {
	s := newService(t)
	if _, err := s.Tell(t.Context(), api.Message{To: "run/r", Type: "pause"}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("without a host: %v", err)
	}
	h, err := s.hold(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.release(h)
	for _, c := range []struct {
		message api.Message
		kind    fault.Kind
		reason  string
	}{
		{api.Message{To: "run/r", Type: "dance"}, fault.Invalid, `type: "dance" is not understood; use one of pause, resume, train`},
		{api.Message{To: "run/r", Type: "pause"}, fault.NotFound, "no run of the name"},
		{api.Message{To: "run/r", Type: "pause", Payload: []byte(`{"why":"x"}`)}, fault.Invalid, `unknown field "why"`},
		{api.Message{To: "\x1b[2J", Type: "pause"}, fault.Invalid, "does not take messages of type pause"},
	} {
		if _, err := s.Tell(t.Context(), c.message); fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%+v: %v", c.message, err)
		}
	}
	for range 10 {
		_, _ = s.Tell(t.Context(), api.Message{To: "run/r", Type: "dance"}) // refused, as above
	}
	l, err := s.Actors(t.Context(), api.ActorsRequest{})
	if err != nil || l.DeadLetters != 14 || len(l.Letters) != shownLetters {
		t.Errorf("%+v, %v", l, err)
	}
}

// A run that somebody resumes by a message trains on when the call that opened the
// hosting is over.
func TestARunThatWasResumedByAMessageIsCounted(t *testing.T) {
	s := newService(t)
	h, err := s.hold(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	q := api.SubmitRequest{Folder: "/", Files: []api.RequestFile{{Name: "a.yaml", Content: "model_architecture: mlp\ndataset_path: digits\nmodel: {hidden: [4]}\nconfig: {batch_size: 480, learning_rate: 0.01, epochs: 200, checkpoint_interval: 50, seed: 3}\n"}}}
	var id training.RunID
	for submission, err := range s.Submit(t.Context(), q) {
		if err != nil || submission.Error != nil {
			t.Fatalf("%+v, %v", submission, err)
		}
		id = submission.RunID
	}
	if _, err := s.Pause(t.Context(), api.PauseRequest{Target: api.Target{Runs: []string{string(id)}}, Cause: "a test"}); err != nil {
		t.Fatal(err)
	}
	ended := func() (end *api.RunReport) {
		for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: []string{string(id)}}) {
			if err != nil {
				t.Fatal(err)
			}
			if u.End != nil {
				end = u.End
			}
		}
		return end
	}
	if end := ended(); end == nil || end.Details.State != api.Paused {
		t.Fatalf("paused: %+v", end)
	}
	if _, err := s.Tell(t.Context(), api.Message{To: "run/" + string(id), Type: "resume"}); err != nil {
		t.Fatal(err)
	}
	s.release(h)
	if end := ended(); end == nil || end.Details.State != training.Completed {
		t.Errorf("resumed: %+v", end)
	}
}
