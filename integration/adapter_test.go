package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"reprise/actor"
	"reprise/fault"
	"reprise/nn"
	"reprise/queue"
	"reprise/training"
)

const someFingerprint = `"fingerprint":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"`

func TestAMessageBecomesACommand(t *testing.T) {
	for _, c := range []struct {
		message Message
		want    MLCommand
	}{
		{Message{To: "run/r", Type: "pause"}, PauseTraining{}},
		{Message{To: "run/r", Type: "pause", Payload: json.RawMessage(` {"cause":"lunch"} `)}, PauseTraining{Cause: "lunch"}},
		{Message{To: "run/r", Type: "resume", Payload: json.RawMessage(`{}`)}, ResumeTraining{}},
		{
			Message{To: "model/m", Type: "train", Payload: json.RawMessage(`{"hyperparameters":{"batch_size":8,"epochs":2},"dataset":{"path":"digits",` + someFingerprint + `}}`)},
			StartTraining{
				Hyperparameters: training.Hyperparameters{BatchSize: 8, Epochs: 2},
				Dataset:         training.Dataset{Path: "digits", Fingerprint: strings.Repeat("0123456789abcdef", 4)},
			},
		},
	} {
		got, err := AdaptMessageToMLCommand(c.message)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v", c.message.Type, got, err, c.want)
		}
	}
}

func TestAMessageThatIsNotUnderstoodIsRefusedWithEveryMistake(t *testing.T) {
	for _, c := range []struct {
		to, kind, payload string
		fields            []string
	}{
		{"run/r", "dance", "", []string{"type"}},
		{"run/r", "", "", []string{"type"}},
		{"model/m", "infer", "{}", []string{"type"}},
		{"run/r", "Pause", "", []string{"type"}},
		{"model/m", "pause", `{"cuase":""}`, []string{"to", "payload"}},
		{"run/r", "train", `{}`, []string{"to", "payload.dataset.path", "payload.dataset.fingerprint", "payload.hyperparameters.batch_size", "payload.hyperparameters.epochs"}},
		{"run/", "pause", "", []string{"to"}},
		{"devices", "pause", "", []string{"to"}},
		{"", "pause", "", []string{"to"}},
		{"run/r", "pause", `{"cause":1}`, []string{"payload"}},
		{"run/r", "pause", `{"cause":"a"`, []string{"payload"}},
		{"run/r", "pause", `{} {}`, []string{"payload"}},
		{"run/r", "pause", `{} x`, []string{"payload"}},
		{"run/r", "pause", `null`, []string{"payload"}},
		{"run/r", "pause", `["a"]`, []string{"payload"}},
		{"run/r", "resume", `{"step":1}`, []string{"payload"}},
		{"run/r", "pause", `{"cause":"` + strings.Repeat("a", maxCause+1) + `"}`, []string{"payload.cause"}},
		{"run/r", "pause", `{"cause":"` + strings.Repeat("a", MaxPayload) + `"}`, []string{"payload"}},
		{"model/m", "train", `{"hyperparameters":{"epochs":-1}}`, []string{"payload"}},
	} {
		command, err := AdaptMessageToMLCommand(Message{To: c.to, Type: c.kind, Payload: json.RawMessage(c.payload)})
		if command != nil || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s to %s with %.40s became %+v, %v", c.kind, c.to, c.payload, command, err)
			continue
		}
		for _, field := range c.fields {
			if !slices.ContainsFunc(strings.Split(err.Error(), "\n"), func(line string) bool { return strings.HasPrefix(line, field+": ") }) {
				t.Errorf("%s to %s with %.40s: %s is not named by %v", c.kind, c.to, c.payload, field, err)
			}
		}
		if lines := strings.Count(err.Error(), "\n") + 1; lines != len(c.fields) || len(err.Error()) > 2000 {
			t.Errorf("%d mistakes in %d bytes, want %d: %v", lines, len(err.Error()), len(c.fields), err)
		}
	}
}

func FuzzAdaptMessageToMLCommand(f *testing.F) {
	for _, payload := range []string{"", "{}", `{"cause":"x"}`, `{"hyperparameters":{"batch_size":8,"epochs":2,"optimizer":{"name":"adam"}},"dataset":{"path":"digits",` + someFingerprint + `}}`, "[", "\xff"} {
		for _, kind := range MessageTypes() {
			f.Add("run/r", kind, []byte(payload))
			f.Add("model/m", kind, []byte(payload))
		}
	}
	f.Fuzz(func(t *testing.T, to, kind string, payload []byte) {
		m := Message{To: to, Type: kind, Payload: payload}
		command, err := AdaptMessageToMLCommand(m)
		if (command == nil) != (err != nil) {
			t.Fatalf("%+v and %v", command, err)
		}
		if err != nil {
			if fault.KindOf(err) != fault.Invalid || len(err.Error()) > 4000 {
				t.Fatalf("kind %v, %d bytes", fault.KindOf(err), len(err.Error()))
			}
			return
		}
		// What is understood can be said again, and means the same.
		if m.Payload, err = json.Marshal(command); err != nil {
			t.Fatal(err)
		}
		again, err := AdaptMessageToMLCommand(m)
		if err != nil || !reflect.DeepEqual(command, again) {
			t.Fatalf("%+v read again is %+v, %v", command, again, err)
		}
	})
}

// letters returns the dead letters of a host, as "to type: reason".
func letters(h *Host) (list []string) {
	_, kept := h.Letters()
	for _, l := range kept {
		list = append(list, fmt.Sprintf("%s %s: %s", l.To, l.Type, l.Reason))
	}
	return list
}

func TestARunIsPausedAndResumedByMessages(t *testing.T) {
	want := reference(t, nil)
	w := newWorld(t)
	reached := make(chan struct{}, 1)
	h, _, _ := w.host(func(c *HostConfig) {
		c.Fault = func(_ training.RunID, step uint64) {
			if step == 5 {
				reached <- struct{}{}
			}
		}
	})
	defer closeHost(t, h)
	id := w.start(h, w.request(nil))
	next(t, reached)
	answer, err := h.Tell(t.Context(), Message{To: RunName(id), Type: "pause", Payload: json.RawMessage(`{"cause":"lunch"}`)}, "")
	if err != nil || answer.Run != id {
		t.Fatalf("%+v, %v", answer, err)
	}
	if r := rest(t, h, id); r.Session.State != training.Interrupted || r.Reason != "lunch" {
		t.Errorf("state %s: %s", r.Session.State, r.Reason)
	}
	if answer, err = h.Tell(t.Context(), Message{To: RunName(id), Type: "resume"}, ""); err != nil || answer.Run != id {
		t.Fatalf("%+v, %v", answer, err)
	}
	sameOutcome(t, rest(t, h, id), want)
	for _, c := range []struct {
		message Message
		kind    fault.Kind
		reason  string
	}{
		{Message{To: RunName(id), Type: "pause"}, fault.Conflict, "is at rest, so its actor has stopped"},
		{Message{To: "run/none", Type: "pause"}, fault.NotFound, "no run of the name"},
		{Message{To: "model/none", Type: "train", Payload: json.RawMessage(`{"hyperparameters":{"batch_size":8,"epochs":2},"dataset":{"path":"digits",` + someFingerprint + `}}`)},
			fault.NotFound, "no model of that name"},
		{Message{To: RunName(id), Type: "dance"}, fault.Invalid, `type: "dance" is not understood`},
		{Message{To: RunName(id), Type: "pause", Payload: json.RawMessage(`{`)}, fault.Invalid, "payload: "},
	} {
		before, _ := h.Letters()
		_, err := h.Tell(t.Context(), c.message, "")
		if fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s to %s: %v (%v)", c.message.Type, c.message.To, err, fault.KindOf(err))
		}
		after, kept := h.Letters()
		if last := kept[len(kept)-1]; after != before+1 || last.To != c.message.To || last.Type != c.message.Type || string(last.Reason) != err.Error() {
			t.Errorf("the dead letter is %+v, the error %v", last, err)
		}
	}
}

func TestAModelIsTrainedByAMessage(t *testing.T) {
	want := reference(t, nil)
	w := newWorld(t)
	h, _, _ := w.host(nil)
	defer closeHost(t, h)
	started := w.request(nil)[0].(training.TrainingStarted)
	model := nn.NewModelSpec("m", started.Architecture)
	if _, err := h.hostModel(model); err != nil {
		t.Fatal(err)
	}
	if _, err := h.hostModel(model); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a second actor: %v", err)
	}
	payload, err := json.Marshal(StartTraining{Hyperparameters: started.Hyperparameters, Dataset: started.Dataset})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := h.Tell(t.Context(), Message{To: ModelName("m"), Type: "train", Payload: payload}, "")
	if err != nil {
		t.Fatal(err)
	}
	r := rest(t, h, answer.Run)
	sameOutcome(t, r, want)
	if r.Session.ModelID != "m" || r.Session.Dataset.Training != started.Dataset.Training {
		t.Errorf("model %s, data %+v", r.Session.ModelID, r.Session.Dataset)
	}
	// The model of a hosted run takes messages, too.
	first := w.start(h, w.request(nil))
	rest(t, h, first)
	if answer, err = h.Tell(t.Context(), Message{To: ModelName("model-of-" + nn.ModelID(first)), Type: "train", Payload: payload}, ""); err != nil {
		t.Fatal(err)
	}
	sameOutcome(t, rest(t, h, answer.Run), want)
	for name, change := range map[string]func(*StartTraining){
		"other data":                      func(c *StartTraining) { c.Dataset.Fingerprint = strings.Repeat("0", 64) },
		"a batch larger than the data":    func(c *StartTraining) { c.Hyperparameters.BatchSize = 1 << 20 },
		"a learning rate that is invalid": func(c *StartTraining) { c.Hyperparameters.LearningRate.Value = -1 },
	} {
		c := StartTraining{Hyperparameters: started.Hyperparameters, Dataset: started.Dataset}
		change(&c)
		payload, _ := json.Marshal(c)
		if answer, err := h.Tell(t.Context(), Message{To: ModelName("m"), Type: "train", Payload: payload}, ""); err == nil || fault.KindOf(err) == fault.Internal {
			t.Errorf("%s: %+v, %v", name, answer, err)
		}
	}
	if n, _ := h.Letters(); n != 3 {
		t.Errorf("%d dead letters: %q", n, letters(h))
	}
}

// A run that a message begins is a job like any other: it waits for a device, counts as its
// owner's, and is cancelled, but it has no request to try again.
func TestARunThatAMessageBeginsIsAJob(t *testing.T) {
	w := newWorld(t)
	hold, reached, resume := holdRun("first")
	h := w.jobHost(func(c *HostConfig) {
		c.Fault, c.Limits = hold, &queue.Limits{WaitingPerOwner: 1}
	})
	w.submit(h, owned("first", "ada"))
	<-reached
	started := w.request(nil)[0].(training.TrainingStarted)
	payload, err := json.Marshal(StartTraining{Hyperparameters: started.Hyperparameters, Dataset: started.Dataset})
	if err != nil {
		t.Fatal(err)
	}
	train := Message{To: ModelName("model-of-first"), Type: "train", Payload: payload}
	answer, err := h.Tell(t.Context(), train, "bob")
	if err != nil {
		t.Fatal(err)
	}
	id := queue.JobID(answer.Run)
	job, err := h.Job(t.Context(), id)
	if err != nil || job.State() != queue.StateQueued || job.Submission().Owner != "bob" {
		t.Fatalf("its job is %s, of %q: %v", job.State(), job.Submission().Owner, err)
	}
	if _, err := h.Tell(t.Context(), train, "bob"); fault.KindOf(err) != fault.Exhausted {
		t.Errorf("one more than may wait: %v", err)
	}
	if err := errors.Join(h.SetPriority(t.Context(), Target{Job: id}, 7), h.Pause(t.Context(), Target{Job: id}, "a test")); err != nil {
		t.Error(err)
	}
	w.ended(h, id, queue.StatePaused)
	if err := h.Resume(t.Context(), answer.Run); err != nil {
		t.Error(err)
	}
	if err := h.Cancel(t.Context(), Target{Job: id}, "a test"); err != nil {
		t.Error(err)
	}
	w.ended(h, id, queue.StateCancelled)
	if _, err := h.Retry(t.Context(), id, h.config.newJobID, "bob"); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "was begun by a message") {
		t.Errorf("a retry: %v", err)
	}
	close(resume)
	w.ended(h, "first", queue.StateCompleted)
	closeHost(t, h)
	w.nothingLeft()
}

// While a step takes long, a flood of messages neither fills the run's mailbox nor
// memory, and the run's other messages arrive.
func TestAFloodOfMessagesIsRefused(t *testing.T) {
	w := newWorld(t)
	reached, gate := make(chan struct{}), make(chan struct{})
	h, _, _ := w.host(func(c *HostConfig) {
		c.Fault = func(_ training.RunID, step uint64) {
			if step == 3 {
				close(reached)
				<-gate
			}
		}
	})
	defer closeHost(t, h)
	id := w.start(h, w.request(nil))
	next(t, reached)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	const flood = 2000
	var wait sync.WaitGroup
	var mu sync.Mutex
	kinds := map[fault.Kind]int{}
	for range 20 {
		wait.Go(func() {
			for range flood / 20 {
				_, err := h.Tell(gone, Message{To: RunName(id), Type: "pause"}, "")
				mu.Lock()
				kinds[fault.KindOf(err)]++
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	if kinds[fault.Unavailable] < 1 || kinds[fault.Internal] != 0 {
		t.Errorf("%v", kinds)
	}
	for _, child := range h.Actors().Children {
		for _, run := range child.Children {
			if run.Depth > 1 {
				t.Errorf("%d messages wait in %s", run.Depth, run.Path)
			}
		}
	}
	if count, kept := h.Letters(); count < flood-uint64(kinds[fault.Unavailable]) || len(kept) > actor.MaxDeadLetters {
		t.Errorf("%d dead letters, %d kept", count, len(kept))
	}
	close(gate)
	if r := rest(t, h, id); r.Session.State != training.Interrupted || r.Reason != "it was told to pause" {
		t.Errorf("state %s: %s", r.Session.State, r.Reason)
	}
}

func TestMoreMessagesThanMayWaitAreRefused(t *testing.T) {
	w := newWorld(t)
	h, _, _ := w.host(nil)
	defer closeHost(t, h)
	h.tells.Store(MaxTells)
	_, err := h.Tell(t.Context(), Message{To: "run/r", Type: "pause"}, "")
	if fault.KindOf(err) != fault.Exhausted || len(letters(h)) != 1 || h.tells.Load() != MaxTells {
		t.Errorf("%v; %q; %d wait", err, letters(h), h.tells.Load())
	}
	h.tells.Store(0)
}

func TestAMessageToARunThatDiesMeanwhileIsADeadLetter(t *testing.T) {
	w := newWorld(t)
	reached, gate := make(chan struct{}), make(chan struct{})
	h, _, _ := w.host(func(c *HostConfig) {
		c.Restarts = actor.Intensity{Restarts: 0, Period: time.Hour}
		c.Fault = func(_ training.RunID, step uint64) {
			if step == 3 {
				close(reached)
				<-gate
				panic("a defect")
			}
		}
	})
	defer closeHost(t, h)
	id := w.start(h, w.request(nil))
	next(t, reached)
	told := make(chan error)
	go func() {
		_, err := h.Tell(context.Background(), Message{To: RunName(id), Type: "pause"}, "")
		told <- err
	}()
	for waiting := false; !waiting; { // until the message is in the mailbox
		for _, child := range h.Actors().Children {
			for _, run := range child.Children {
				waiting = waiting || run.Depth > 0
			}
		}
	}
	close(gate)
	if err := next(t, told); fault.KindOf(err) != fault.Conflict || !errors.Is(err, actor.ErrStopped) {
		t.Errorf("%v", err)
	}
	if r := rest(t, h, id); r.Session.State != training.Failed {
		t.Errorf("state %s: %s", r.Session.State, r.Reason)
	}
	found := false
	for _, l := range letters(h) {
		found = found || strings.HasSuffix(l, " pause: "+string(actor.LetterStopped))
	}
	if !found {
		t.Errorf("dead letters %q", letters(h))
	}
}

func TestDocumentedMessagesAndLimitsAreTheActualOnes(t *testing.T) {
	raw, err := os.ReadFile("../docs/actors.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range MessageTypes() {
		command, _ := mlCommands()[kind](Message{})
		if row := fmt.Sprintf("| `%s` | `%sID` |", kind, command.takenBy()); !strings.Contains(string(raw), row) {
			t.Errorf("docs/actors.md has no row %s", row)
		}
	}
	for _, row := range []string{
		fmt.Sprintf("| messages from outside that wait for an answer | %d |", MaxTells),
		fmt.Sprintf("| bytes of a payload from outside | %d,%03d,%03d |", MaxPayload/1_000_000, MaxPayload/1000%1000, MaxPayload%1000),
	} {
		if !strings.Contains(string(raw), row) {
			t.Errorf("docs/actors.md has no row %s", row)
		}
	}
}
