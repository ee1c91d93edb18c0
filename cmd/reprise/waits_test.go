package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"reprise/api"
	"reprise/device"
	"reprise/fault"
	"reprise/queue"
	"reprise/training"
)

// explainer is a service that explains what runs wait for.
type explainer struct {
	api.Service
	mu    sync.Mutex
	says  map[string]api.Explanation // an error for those it does not have
	asked []string
}

func (s *explainer) Explain(_ context.Context, q api.ExplainRequest) (api.Explanation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, q.Run)
	x, ok := s.says[q.Run]
	if !ok {
		return x, &api.Error{Fault: fault.Unavailable, Message: "it cannot be asked"}
	}
	return x, nil
}

// set changes what a run waits for; "" for nothing.
func (s *explainer) set(run, message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.says[run] = waiting(run, queue.Reason{Message: message})
}

// takeAsked returns the runs that were asked about since the last call.
func (s *explainer) takeAsked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

// waiting explains a run that waits for a device.
func waiting(run string, reasons ...queue.Reason) api.Explanation {
	d := &api.RunDecision{Time: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC), Reasons: reasons}
	d.Outcome = "waiting"
	return api.Explanation{RunID: training.RunID(run), State: api.Queued, Decision: d}
}

// toldView notes the lines about runs.
type toldView struct {
	hostView
	mu      sync.Mutex
	lines   []string
	stepsOf []training.RunID
}

func (v *toldView) tell(run training.RunID, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.lines = append(v.lines, string(run)+" "+text)
}

func (v *toldView) stepped(run training.RunID, _ api.StepsTaken) { v.stepsOf = append(v.stepsOf, run) }

// take returns the lines since the last call.
func (v *toldView) take() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	lines := v.lines
	v.lines = nil
	return lines
}

// look lets one look at the runs happen.
func look() {
	time.Sleep(waitTick)
	synctest.Wait()
}

// What a run waits for is told when it is found out, and again only when it changes.
func TestWhatARunWaitsForIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, v := &explainer{says: map[string]api.Explanation{}}, &toldView{}
		s.set("a", "its memory is in use")
		w := tellWaits(t.Context(), s, v, time.Now, []string{"a", "unknown"})
		synctest.Wait()
		if lines := v.take(); lines != nil {
			t.Errorf("at once: %q", lines)
		}
		for _, c := range []struct {
			message string
			want    []string
		}{
			{"its memory is in use", []string{"a waits for a device: its memory is in use"}},
			{"its memory is in use", nil},
			{"it is not healthy", []string{"a waits for a device: it is not healthy"}},
			{"its memory is in use", []string{"a waits for a device: its memory is in use"}},
		} {
			s.set("a", c.message)
			look()
			if lines := v.take(); !slices.Equal(lines, c.want) {
				t.Errorf("%s: told %q, want %q", c.message, lines, c.want)
			}
		}
		w.stop()
		s.takeAsked()
		s.set("a", "something else")
		look()
		if asked, lines := s.takeAsked(), v.take(); asked != nil || lines != nil {
			t.Errorf("after its end it asked about %v and told %q", asked, lines)
		}
	})
}

// A run that trains is not asked about any more, and of many runs the first ones are.
func TestRunsThatHaveBegunAreNotAskedAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, v := &explainer{says: map[string]api.Explanation{}}, &toldView{}
		var runs []string
		for i := range waitsTold + 2 {
			runs = append(runs, fmt.Sprintf("run-%02d", i))
		}
		w := tellWaits(t.Context(), s, v, time.Now, runs)
		defer w.stop()
		look()
		if asked := s.takeAsked(); !slices.Equal(asked, runs[:waitsTold]) {
			t.Errorf("asked about %v", asked)
		}
		w.view(v).stepped("run-01", api.StepsTaken{Step: 1})
		w.view(v).stepped("another", api.StepsTaken{Step: 1})
		look()
		want := append([]string{runs[0]}, runs[2:waitsTold+1]...)
		if asked := s.takeAsked(); !slices.Equal(asked, want) {
			t.Errorf("asked about %v, want %v", asked, want)
		}
		if !slices.Equal(v.stepsOf, []training.RunID{"run-01", "another"}) {
			t.Errorf("the view was told of steps of %v", v.stepsOf)
		}
		for _, run := range runs {
			w.began(training.RunID(run))
		}
		look()
		if asked := s.takeAsked(); asked != nil {
			t.Errorf("asked about %v, all of which train", asked)
		}
	})
}

func TestTheEndOfTheCommandEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		w := tellWaits(ctx, &explainer{says: map[string]api.Explanation{}}, &toldView{}, time.Now, []string{"a"})
		cancel(errors.New("Ctrl-C"))
		<-w.done
		w.stop() // it has ended
	})
}

func TestWhatARunWaitsForInWords(t *testing.T) {
	change := func(do func(*api.Explanation)) api.Explanation {
		x := waiting("a", queue.Reason{Code: "unhealthy", Message: "a device is not healthy"})
		do(&x)
		return x
	}
	start := 90 * time.Minute
	for name, c := range map[string]struct {
		x           api.Explanation
		what, start string
	}{
		"no decision": {change(func(x *api.Explanation) { x.Decision = nil }), "", ""},
		"placed":      {change(func(x *api.Explanation) { x.Decision.Outcome = "placed" }), "", ""},
		"running":     {change(func(x *api.Explanation) { x.State = training.Running }), "", ""},
		"other runs": {change(func(x *api.Explanation) {
			x.Decision, x.Predecessors = nil, []api.Predecessor{{RunID: "b"}, {RunID: "c"}}
		}), "waits for run b, and for run c", ""},
		"another run": {change(func(x *api.Explanation) {
			at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
			x.Predecessors, x.Start = []api.Predecessor{{RunID: "b"}}, &at
		}), "waits for run b", "; it can start at " + localTime(time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC))},
		"a reason":     {change(func(*api.Explanation) {}), "waits for a device: a device is not healthy", ""},
		"no reason":    {change(func(x *api.Explanation) { x.Decision.Reasons = nil }), "waits for a device", ""},
		"initializing": {change(func(x *api.Explanation) { x.State = training.Initializing }), "waits for a device: a device is not healthy", ""},
		"busy": {
			change(func(x *api.Explanation) { x.Decision.Reasons = []queue.Reason{{Code: queue.CodeBusy, Devices: 2}} }),
			"waits for a device: 2 devices that could take it are in use, and the runs on them keep them for now", "",
		},
		"held": {
			change(func(x *api.Explanation) {
				x.Decision.Holders = []api.DeviceHolder{{RunID: "b", On: []device.ID{"cpu0"}}, {RunID: "c", On: []device.ID{"gpu0", "gpu1"}}}
				x.Decision.Start = &start
			}),
			"waits for cpu0, held by run b, or for gpu0, gpu1, held by run c",
			"; it probably starts at " + localTime(time.Date(2026, 11, 30, 13, 30, 0, 0, time.UTC)),
		},
	} {
		w, start := waitsFor(c.x), ""
		if !w.start.IsZero() {
			start = "; it " + w.verb + " at " + localTime(w.start)
		}
		if w.what != c.what || start != c.start {
			t.Errorf("%s: %q, %q; want %q, %q", name, w.what, start, c.what, c.start)
		}
	}
}

// A forecast is corrected once it has passed, or another one is made.
func TestForecastsAreCorrected(t *testing.T) {
	noon := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	after := func(minutes float64) time.Time { return noon.Add(time.Duration(minutes * float64(time.Minute))) }
	at := func(minutes float64) string { return localTime(after(minutes)) }
	var told toldWait
	for _, c := range []struct {
		now   float64
		what  string
		start time.Time
		want  string
	}{
		{0, "", time.Time{}, ""},
		{0, "waits", time.Time{}, "waits"},
		{1, "waits", after(10), "waits; it now probably starts at " + at(10)},
		{2, "waits", after(10.4), ""}, // which says the same
		{3, "waits", after(20), "waits; it now probably starts at " + at(20)},
		{4, "waits", time.Time{}, ""},
		{5, "waits", after(8), "waits; it now probably starts at " + at(8)},
		{7, "waits", after(8), ""},
		{8, "waits", after(8), "waits; it has not started at " + at(8) + ", as was expected, and it is not known when it will"},
		{9, "waits", after(8), ""},
		{10, "waits", after(15), "waits; it now probably starts at " + at(15)},
		{11, "waits for another", after(15), "waits for another; it probably starts at " + at(15)},
		{12, "waits for a third", after(11), "waits for a third"}, // the forecast had passed before
		{13, "waits for a third", after(11), ""},
		{14, "", time.Time{}, ""},
	} {
		if got := told.news(after(c.now), awaited{c.what, "probably starts", c.start}); got != c.want {
			t.Errorf("after %v minutes: %q, want %q", c.now, got, c.want)
		}
	}
}
