package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/term"

	"reprise/api"
	"reprise/api/describe"
	"reprise/training"
)

// runView shows a run on standard error while it trains: live on a terminal,
// else in plain lines. It is a hostView, and safe for concurrent use.
type runView struct {
	now    func() time.Time
	out    display
	guests *others // nil for a row among several

	mu       sync.Mutex
	progress progress
	closed   bool
}

// display shows people a run's progress. Its methods are called with the view's lock
// held.
type display interface {
	// begin is called once, when the run is known.
	begin(progress)
	// update is called after every step and must be quick.
	update(progress)
	// epoch is called when an epoch's figures are in.
	epoch(progress, training.EpochMetrics)
	// message shows a line that stays.
	message(string)
	// close ends the display; what it showed stays readable.
	close(progress)
}

func newRunView(env *environment) *runView {
	v := &runView{now: env.now}
	if width, ok := env.liveWidth(); ok {
		v.guests = env.othersInRows(v.message)
		v.out = newLiveDisplay(env, liveModel{snapshot: v.snapshot, others: v.guests.snapshots, width: width})
	} else {
		lines := &lockedWriter{w: env.stderr}
		v.guests, v.out = env.othersInLines(lines), &plainDisplay{w: lines}
	}
	return v
}

// others implements hostView.
func (v *runView) others() *others { return v.guests }

// liveWidth returns the width of the terminal that progress is drawn on, if it is one
// that lines can be drawn on again.
func (env *environment) liveWidth() (int, bool) {
	width, ok := terminalWidth(env.stderr)
	return width, ok && env.getenv("TERM") != "dumb" && env.getenv("CI") == ""
}

// terminalWidth returns the width of the terminal that w is, if it is one.
func terminalWidth(w io.Writer) (int, bool) {
	width, _, ok := terminalSize(w)
	return width, ok
}

// terminalSize returns the columns and rows of the terminal that w is, if it is one.
func terminalSize(w io.Writer) (width, height int, ok bool) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(f.Fd()) {
		return 0, 0, false
	}
	width, height, err := term.GetSize(f.Fd())
	return width, height, err == nil && width > 0
}

func (v *runView) snapshot() progress {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.progress
	p.now = v.now()
	p.history.sums = append([]float64(nil), p.history.sums...)
	p.history.counts = append([]int(nil), p.history.counts...)
	return p
}

// begin implements hostView.
func (v *runView) begin(r api.RunReport) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.progress.begin(v.now(), r)
	v.out.begin(v.progress)
}

// stepped implements hostView.
func (v *runView) stepped(_ training.RunID, s api.StepsTaken) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.progress.stepped(v.now(), s)
	v.out.update(v.progress)
}

// recorded implements hostView.
func (v *runView) recorded(_ training.RunID, event training.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	stopped := v.progress.stopping != "" || v.progress.phase.stopped() || v.progress.phase == phaseWaiting
	v.progress.recorded(v.now(), event)
	switch e := event.(type) {
	case training.EpochCompleted:
		v.out.epoch(v.progress, training.EpochMetrics{Epoch: e.Epoch, Step: e.Step, Metrics: e.Metrics})
	case training.EpochReproduced:
		v.note("epoch %d was recorded before the interruption and came out the same", e.Epoch)
	case training.EvaluationCompleted:
		v.note("step %s  val loss %s%s", thousands(e.Step), formatMetric(e.ValLoss), v.progress.monitored(e.Monitored))
	case training.EarlyStopped:
		v.note("stopping early after epoch %d: %s", e.Epoch, e.Reason())
	case training.TrainingInterrupted:
		if !stopped { // else its job says so
			v.note("%s", interruption(e.Cause))
		}
	case training.CheckpointFailed:
		v.note("checkpoint failed: %s", e.Reason)
	case training.TrainingResumed:
		if e.FromStep > 0 && e.FromStep != v.progress.resumedFrom { // else it begins, or tries again
			v.note("resuming from step %s", thousands(e.FromStep))
		}
		v.progress.resumedFrom = e.FromStep
	case training.TrainingFailed:
		v.note("failed after %s", plural(e.Step, "completed step")) // the end of the command says why
	case training.FiguresComputed: // the end of the command shows them
	case training.CheckpointsRemoved: // as the request asks, after every checkpoint
	case training.Remark:
		v.note("%s: %s", describe.Type(e.EventType()), e.Remark())
	case training.TrainingStarted, training.ResourceAllocated, training.ResourceAllocationFailed, training.DeviceReleased,
		training.DatasetLoaded, training.DatasetLoadFailed, training.DatasetUnloaded,
		training.ModelInitialized, training.ModelInitializationFailed,
		training.CheckpointCommitted, training.TrainingCompleted, training.RunFailed:
		// The display shows them, or the end of the command says what they are.
	}
}

// news implements hostView.
func (v *runView) news(_ training.RunID, n describe.JobNews) {
	v.mu.Lock()
	defer v.mu.Unlock()
	again := n.Obstacle != "" && n.Obstacle == v.progress.obstacle
	v.progress.news(n)
	if n.Text != "" && !again {
		v.note("%s", n.Text)
	}
}

// ended implements hostView.
func (v *runView) ended(_ training.RunID, state training.State) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.progress.ended(state)
}

// tell implements hostView.
func (v *runView) tell(_ training.RunID, text string) { v.message(text) }

// message shows a line that stays.
func (v *runView) message(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.closed {
		v.note("%s", text)
	}
}

// hint implements hostView.
func (v *runView) hint(text string) {
	if _, live := v.out.(*liveDisplay); !live {
		v.message(text)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.progress.hint = text
}

// note is message for callers that hold the lock.
func (v *runView) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	v.progress.notes = append(v.progress.notes, strings.Split(text, "\n")...)
	v.out.message(text)
}

// close ends the display. It may be called again, and does nothing then.
func (v *runView) close() {
	v.mu.Lock()
	v.progress.hint = "" // there is nothing left to interrupt
	p, closed := v.progress, v.closed
	v.closed = true
	v.mu.Unlock()
	if !closed {
		v.out.close(p) // not under the lock: the live display takes a last snapshot
	}
}

// plainInterval is the time between two plain lines within an epoch.
const plainInterval = 5 * time.Second

// plainDisplay writes lines: one for each epoch, and one every few seconds of a
// long epoch.
type plainDisplay struct {
	w      io.Writer
	prefix string // of every line
	last   time.Time
}

func (d *plainDisplay) line(format string, args ...any) {
	_, _ = io.WriteString(d.w, visibleLines(d.prefix+fmt.Sprintf(format+"\n", args...))) // progress that nobody reads stops nothing
}

func (d *plainDisplay) begin(p progress) {
	d.last = p.now
	d.line("run %s: %s", p.id, p.title)
}

func (d *plainDisplay) update(p progress) {
	if p.now.Sub(d.last) < plainInterval {
		return
	}
	d.last = p.now
	d.line("%s", p.figures())
}

func (d *plainDisplay) epoch(p progress, m training.EpochMetrics) {
	d.last = p.now
	rate, eta := "", ""
	if perSecond := p.samplesPerSecond(); perSecond > 0 {
		rate = "  " + p.pace(perSecond)
	}
	if left, ok := p.eta(); ok {
		eta = "  ETA " + shortDuration(left)
	}
	accuracy := ""
	if p.data.HasAccuracy() {
		accuracy = "  val accuracy " + formatShare(m.ValAccuracy)
	}
	d.line("epoch %s/%s  step %s/%s%s  train loss %s  val loss %s%s%s%s", thousands(m.Epoch), thousands(p.epochs),
		thousands(m.Step), thousands(p.totalSteps), rate, formatMetric(m.TrainLoss), formatMetric(m.ValLoss), accuracy, p.monitored(m.Monitored), eta)
}

func (d *plainDisplay) message(text string) { d.line("%s", text) }

func (d *plainDisplay) close(progress) {}

// interruption says that a run was interrupted, and why: "interrupted by the user".
func interruption(cause string) string {
	if strings.HasPrefix(cause, "interrupted ") {
		return cause
	}
	return "interrupted: " + cause
}
