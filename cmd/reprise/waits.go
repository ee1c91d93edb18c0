package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"reprise/api"
	"reprise/api/describe"
	"reprise/training"
)

const (
	// waitTick is the time between two looks at what runs wait for.
	waitTick = time.Second
	// waitsTold bounds the runs that are looked at each time.
	waitsTold = 8
)

// waits tells what runs wait for that another process is to train.
type waits struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	waiting []string // runs of which no step was seen
}

// tellWaits shows what runs wait for, whenever that changes. stop must follow.
func tellWaits(ctx context.Context, s api.Service, view hostView, now func() time.Time, runs []string) *waits {
	ctx, cancel := context.WithCancel(ctx)
	w := &waits{cancel: cancel, done: make(chan struct{}), waiting: runs}
	go func() {
		defer close(w.done)
		told := map[string]*toldWait{}
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(waitTick):
			}
			for _, run := range w.first() {
				x, err := s.Explain(ctx, api.ExplainRequest{Run: run})
				if err != nil { // the end of the command says what is wrong
					continue
				}
				if told[run] == nil {
					told[run] = &toldWait{}
				}
				if text := told[run].news(now(), waitsFor(x)); text != "" {
					view.tell(x.RunID, text)
				}
			}
		}
	}()
	return w
}

func (w *waits) stop() {
	w.cancel()
	<-w.done
}

// first returns the runs to look at.
func (w *waits) first() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.waiting[:min(len(w.waiting), waitsTold)]...)
}

// began says that a run waits no longer.
func (w *waits) began(run training.RunID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var left []string
	for _, r := range w.waiting {
		if r != string(run) {
			left = append(left, r)
		}
	}
	w.waiting = left
}

// view returns a view that also says which runs have begun.
func (w *waits) view(shown hostView) hostView { return waitingView{shown, w} }

type waitingView struct {
	hostView
	waits *waits
}

// stepped implements hostView.
func (v waitingView) stepped(run training.RunID, s api.StepsTaken) {
	v.waits.began(run)
	v.hostView.stepped(run, s)
}

// awaited is what a run waits for, and when it can start, or probably does; the time is zero
// where that is not known.
type awaited struct {
	what, verb string
	start      time.Time
}

// toldWait is what was told last of a run that waits. Its zero value has told nothing.
type toldWait struct {
	awaited
	late bool // it was told that the start is overdue
}

// news returns what to tell of how a run waits now: another reason, another forecast, or that
// the forecast has passed; "" for nothing new.
func (t *toldWait) news(now time.Time, w awaited) string {
	ahead := w.start.After(now)
	switch {
	case w.what == "":
		return ""
	case w.what != t.what:
		if *t = (toldWait{awaited: w}); !ahead {
			t.start = time.Time{}
			return w.what
		}
		return w.what + "; it " + w.verb + " at " + localTime(w.start)
	case ahead && otherForecast(now, t.start, w.start):
		t.start, t.late = w.start, false
		return w.what + "; it now " + w.verb + " at " + localTime(w.start)
	case !ahead && !t.late && !t.start.IsZero() && !t.start.After(now):
		t.late = true
		return w.what + "; it has not started at " + localTime(t.start) + ", as was expected, and it is not known when it will"
	}
	return ""
}

// otherForecast reports whether a forecast differs from the one before by enough to say so:
// by more than half a minute, and a fifth of the time that is left.
func otherForecast(now, before, after time.Time) bool {
	differs := after.Sub(before).Abs()
	return before.IsZero() || differs > max(30*time.Second, after.Sub(now)/5)
}

// waitsFor says what a run waits for, and when it will probably start; nothing for a run that
// does not wait.
func waitsFor(x api.Explanation) awaited {
	if x.Waits() && len(x.Predecessors) > 0 {
		names := make([]string, len(x.Predecessors))
		for i, p := range x.Predecessors {
			names[i] = "run " + string(p.RunID)
		}
		w := awaited{what: "waits for " + strings.Join(names, ", and for "), verb: "can start"}
		if x.Start != nil {
			w.start = *x.Start
		}
		return w
	}
	d := x.Decision
	if d == nil || !x.Waits() || d.Outcome != "waiting" {
		return awaited{}
	}
	var held []string
	for _, h := range d.Holders {
		held = append(held, fmt.Sprintf("%s, held by run %s", deviceNames(h.On), h.RunID))
	}
	w := awaited{what: "waits for a device", verb: "probably starts"}
	switch {
	case len(held) > 0:
		w.what = "waits for " + strings.Join(held, ", or for ")
	case len(d.Reasons) > 0:
		w.what += ": " + describe.Reason(d.Reasons[0])
	}
	if d.Start != nil {
		w.start = d.Time.Add(*d.Start)
	}
	return w
}
