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
func tellWaits(ctx context.Context, s api.Service, view hostView, runs []string) *waits {
	ctx, cancel := context.WithCancel(ctx)
	w := &waits{cancel: cancel, done: make(chan struct{}), waiting: runs}
	go func() {
		defer close(w.done)
		told := map[string]string{}
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
				what, start := waitsFor(x)
				if what != "" && what != told[run] {
					told[run] = what
					view.tell(x.RunID, what+start)
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

// waitsFor says what a run waits for, and when it will probably start; "" for a run that
// does not wait.
func waitsFor(x api.Explanation) (what, start string) {
	if x.Waits() && len(x.Predecessors) > 0 {
		names := make([]string, len(x.Predecessors))
		for i, p := range x.Predecessors {
			names[i] = "run " + string(p.RunID)
		}
		if x.Start != nil {
			start = "; it can start at " + localTime(*x.Start)
		}
		return "waits for " + strings.Join(names, ", and for "), start
	}
	d := x.Decision
	if d == nil || !x.Waits() || d.Outcome != "waiting" {
		return "", ""
	}
	var held []string
	for _, h := range d.Holders {
		held = append(held, fmt.Sprintf("%s, held by run %s", deviceNames(h.On), h.RunID))
	}
	switch {
	case len(held) > 0:
		what = "waits for " + strings.Join(held, ", or for ")
	case len(d.Reasons) > 0:
		what = "waits for a device: " + describe.Reason(d.Reasons[0])
	default:
		what = "waits for a device"
	}
	if d.Start != nil {
		start = "; it probably starts at " + localTime(d.Time.Add(*d.Start))
	}
	return what, start
}
