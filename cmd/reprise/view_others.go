package main

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"reprise/api"
	"reprise/api/describe"
	"reprise/training"
)

// others are the runs that other processes have submitted to this one, which shows them
// below its own: in a row each on a terminal, else in lines that begin with the run's id.
// It is safe for concurrent use.
type others struct {
	now     func() time.Time
	display func(label string) display

	mu    sync.Mutex
	runs  map[training.RunID]*runView
	order []training.RunID
}

func newOthers(now func() time.Time, display func(label string) display) *others {
	return &others{now: now, display: display, runs: map[training.RunID]*runView{}}
}

// view returns the row of a run, which may be a new one.
func (o *others) view(run training.RunID) *runView {
	o.mu.Lock()
	defer o.mu.Unlock()
	v := o.runs[run]
	if v == nil {
		v = &runView{now: o.now, out: o.display(string(run))}
		v.progress.label, v.progress.phase = string(run), phaseUnstarted
		o.runs[run] = v
		o.order = append(o.order, run)
	}
	return v
}

// snapshots returns the progress of the runs, in the order in which they came.
func (o *others) snapshots() []progress {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := make([]progress, len(o.order))
	for i, run := range o.order {
		list[i] = o.runs[run].snapshot()
	}
	return list
}

// underWay returns how many of the runs have not ended.
func (o *others) underWay() int {
	n := 0
	for _, p := range o.snapshots() {
		if p.phase == phaseRunning || p.phase == phaseWaiting || p.phase == phaseUnstarted {
			n++
		}
	}
	return n
}

// holderView shows the runs of this process, its own and those of others.
type holderView struct {
	hostView
	own    map[training.RunID]bool
	resume string // the command that resumes the runs of others

	announce sync.Once
}

// newHolderView returns a view in which all runs but these are of others.
func newHolderView(view hostView, own []training.RunID, resume string) *holderView {
	v := &holderView{hostView: view, own: map[training.RunID]bool{}, resume: resume}
	for _, run := range own {
		v.own[run] = true
	}
	return v
}

// other returns the row of a run of another process; nil for one of this process.
func (v *holderView) other(run training.RunID) *runView {
	if v.own[run] {
		return nil
	}
	if len(v.own) > 0 {
		v.announce.Do(func() {
			v.message("other processes submit runs to this one, which trains them, too; Ctrl-C interrupts all; what it interrupts is resumed with: " + v.resume)
		})
	}
	return v.others().view(run)
}

// begin implements hostView.
func (v *holderView) begin(r api.RunReport) {
	if row := v.other(r.Details.RunID); row != nil {
		row.begin(r)
		return
	}
	v.hostView.begin(r)
}

// stepped implements hostView.
func (v *holderView) stepped(run training.RunID, s api.StepsTaken) {
	if row := v.other(run); row != nil {
		row.stepped(run, s)
		return
	}
	v.hostView.stepped(run, s)
}

// recorded implements hostView.
func (v *holderView) recorded(run training.RunID, event training.Event) {
	if row := v.other(run); row != nil {
		row.recordedAmongOthers(run, event)
		return
	}
	v.hostView.recorded(run, event)
}

// news implements hostView.
func (v *holderView) news(run training.RunID, n describe.JobNews) {
	if row := v.other(run); row != nil {
		row.news(run, n)
		return
	}
	v.hostView.news(run, n)
}

// ended implements hostView.
func (v *holderView) ended(run training.RunID, state training.State) {
	if row := v.other(run); row != nil {
		row.ended(run, state)
		return
	}
	v.hostView.ended(run, state)
}

// tell implements hostView.
func (v *holderView) tell(run training.RunID, text string) {
	if row := v.other(run); row != nil {
		row.message(text)
		return
	}
	v.hostView.tell(run, text)
}

// interrupting returns what to say when this process interrupts its own runs.
func (v *holderView) interrupting(text string) string {
	if n := v.others().underWay(); n > 0 {
		are, them := "are", "them"
		if n == 1 {
			are, them = "is", "it"
		}
		text += fmt.Sprintf("\n%s of other processes %s interrupted, too; resume %s with: %s", plural(n, "run"), are, them, v.resume)
	}
	return text
}

// saidLines are the lines that a display has shown about runs of others. A later display,
// which gets all updates of these runs once more, leaves them out. It is safe for
// concurrent use.
type saidLines struct {
	mu     sync.Mutex
	counts map[string]int
}

// before returns a function that reports whether a line was said until now, once for each
// time that it was, and then notes those that were not.
func (l *saidLines) before() (said func(line string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	earlier := maps.Clone(l.counts)
	return func(line string) bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		if earlier[line] > 0 {
			earlier[line]--
			return true
		}
		if l.counts == nil {
			l.counts = map[string]int{}
		}
		l.counts[line]++
		return false
	}
}

// onceDisplay is a plain display that leaves out what was said before.
type onceDisplay struct {
	*plainDisplay
	said func(line string) bool
}

func (d onceDisplay) begin(p progress) {
	if !d.said(d.prefix + "begins") {
		d.plainDisplay.begin(p)
	}
}

func (d onceDisplay) epoch(p progress, m training.EpochMetrics) {
	if !d.said(fmt.Sprintf("%sepoch %d", d.prefix, m.Epoch)) {
		d.plainDisplay.epoch(p, m)
	}
}

func (d onceDisplay) message(text string) {
	if !d.said(d.prefix + text) {
		d.plainDisplay.message(text)
	}
}

// othersInLines shows the runs of others in plain lines.
func (env *environment) othersInLines(w *lockedWriter) *others {
	said := env.said.before()
	return newOthers(env.now, func(label string) display {
		return onceDisplay{&plainDisplay{w: w, prefix: "[" + visible(label) + "] "}, said}
	})
}

// othersInRows shows the runs of others in rows, and says with message what there is to say.
func (env *environment) othersInRows(message func(string)) *others {
	return newOthers(env.now, func(label string) display { return &rowDisplay{message, label} })
}

// rowsOf returns the lines of runs of others, of which at most room are shown.
func rowsOf(runs []progress, width, room int) []string {
	if len(runs) == 0 {
		return nil
	}
	shown := rowsWithRoom(runs, max(room, 1))
	lines := []string{plural(len(runs), "run") + " of other processes: " + countPhases(runs)}
	lines = append(lines, rowLines(runs, shown, width)...)
	return slices.Clip(lines)
}
