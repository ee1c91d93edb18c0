package main

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"charm.land/lipgloss/v2"

	tea "charm.land/bubbletea/v2"

	"reprise/api"
	"reprise/api/describe"
	"reprise/training"
)

// severalView shows several runs on standard error: a row for each on a terminal, else
// plain lines that say which run they are about. It is a hostView, and safe for
// concurrent use.
type severalView struct {
	views []*runView // in the order of the requests
	runs  map[training.RunID]*runView
	out   severalDisplay
	// guests are the runs of other processes.
	guests *others
}

// severalDisplay is the part of the screen that several runs share. It is safe for
// concurrent use.
type severalDisplay interface {
	message(string)
	close()
}

// newRows returns a view of runs that have no display yet.
func newRows(env *environment, files []string) *severalView {
	v := &severalView{runs: map[training.RunID]*runView{}}
	for i, file := range files {
		view := &runView{now: env.now}
		view.progress.phase = phaseUnstarted
		view.progress.label = fmt.Sprintf("%d %s", i+1, filepath.Base(file))
		v.views = append(v.views, view)
	}
	return v
}

func newSeveralView(env *environment, files []string) *severalView {
	v := newRows(env, files)
	if width, ok := env.liveWidth(); ok {
		live := &liveRows{snapshots: v.snapshots}
		for _, view := range v.views {
			view.out = &rowDisplay{live.message, view.progress.label}
		}
		v.guests = env.othersInRows(live.message)
		live.screen = newLiveDisplay(env, rowsModel{rows: live, width: width, height: defaultHeight})
		v.out = live
		return v
	}
	v.inLines(env)
	return v
}

// newLinesView is newSeveralView in plain lines, also on a terminal: for a command that
// does not wait for its runs, which have no progress to be drawn.
func newLinesView(env *environment, files []string) *severalView {
	v := newRows(env, files)
	v.inLines(env)
	return v
}

// inLines shows the runs in plain lines.
func (v *severalView) inLines(env *environment) {
	lines := &lockedWriter{w: env.stderr}
	for _, view := range v.views {
		view.out = &plainDisplay{w: lines, prefix: "[" + visible(view.progress.label) + "] "}
	}
	v.out = plainMessages{&plainDisplay{w: lines}}
	v.guests = env.othersInLines(lines)
}

// submitted says which run was started for the request at an index.
func (v *severalView) submitted(index int, run training.RunID) { v.runs[run] = v.views[index] }

// begin implements hostView.
func (v *severalView) begin(r api.RunReport) {
	if view := v.runs[r.Details.RunID]; view != nil {
		view.begin(r)
	}
}

// stepped implements hostView.
func (v *severalView) stepped(run training.RunID, s api.StepsTaken) {
	if view := v.runs[run]; view != nil {
		view.stepped(run, s)
	}
}

// recorded implements hostView.
func (v *severalView) recorded(run training.RunID, event training.Event) {
	if view := v.runs[run]; view != nil {
		view.recordedAmongOthers(run, event)
	}
}

// others implements hostView.
func (v *severalView) others() *others { return v.guests }

// recordedAmongOthers is recorded for one of several runs. It also says what goes without
// saying where there is only one.
func (v *runView) recordedAmongOthers(run training.RunID, event training.Event) {
	before := v.phase()
	v.recorded(run, event)
	switch e := event.(type) {
	case training.ResourceAllocated:
		v.message("training on " + string(e.Device))
	case training.TrainingCompleted:
		v.message("completed")
	case training.RunFailed:
		if before != phaseFailed { // else it was said
			v.message("failed") // the end of the command says why
		}
	case training.TrainingStarted, training.ResourceAllocationFailed, training.DeviceReleased,
		training.DatasetLoaded, training.DatasetLoadFailed, training.DatasetUnloaded,
		training.ModelInitialized, training.ModelInitializationFailed,
		training.EpochCompleted, training.EpochReproduced, training.EvaluationCompleted, training.EarlyStopped,
		training.CheckpointCommitted, training.CheckpointFailed,
		training.TrainingInterrupted, training.TrainingResumed, training.TrainingFailed, training.Remark:
		// The view of the run says it.
	}
}

// news implements hostView.
func (v *severalView) news(run training.RunID, n describe.JobNews) {
	if view := v.runs[run]; view != nil {
		view.news(run, n)
	}
}

// ended implements hostView.
func (v *severalView) ended(run training.RunID, state training.State) {
	if view := v.runs[run]; view != nil {
		view.ended(run, state)
	}
}

// tell implements hostView.
func (v *severalView) tell(run training.RunID, text string) {
	if view := v.runs[run]; view != nil {
		view.message(text)
	}
}

// message shows a line that stays.
func (v *severalView) message(text string) { v.out.message(text) }

// hint implements hostView.
func (v *severalView) hint(text string) {
	if live, ok := v.out.(*liveRows); ok {
		live.setHint(text)
		return
	}
	v.message(text)
}

// close ends the display. It may be called again, and does nothing then.
func (v *severalView) close() { v.out.close() }

// snapshots returns the progress of the runs, and then that of the runs of others.
func (v *severalView) snapshots() []progress {
	list := make([]progress, len(v.views))
	for i, view := range v.views {
		list[i] = view.snapshot()
	}
	return append(list, v.guests.snapshots()...)
}

// phase returns what the run does now.
func (v *runView) phase() phase {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.progress.phase
}

// lockedWriter lets several displays write lines to one place.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// plainMessages shows what is about no single run in plain lines.
type plainMessages struct{ *plainDisplay }

func (plainMessages) close() {}

// liveRows redraws a row of the terminal for each run, and the last notes below.
type liveRows struct {
	screen    *liveDisplay
	snapshots func() []progress

	mu     sync.Mutex
	notes  []string
	hint   string // what stays in sight below; "" for nothing
	closed bool
}

func (l *liveRows) message(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notes = append(l.notes, strings.Split(text, "\n")...)
	l.notes = l.notes[max(0, len(l.notes)-liveNotes):]
}

func (l *liveRows) setHint(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hint = text
}

func (l *liveRows) hinted() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hint
}

func (l *liveRows) lastNotes() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.notes)
}

func (l *liveRows) close() {
	l.mu.Lock()
	closed := l.closed
	l.closed, l.hint = true, "" // there is nothing left to interrupt
	l.mu.Unlock()
	if !closed {
		l.screen.close(progress{}) // not under the lock: a last frame is drawn
	}
}

// rowDisplay is one run's part of a live display, which draws its row from its progress.
type rowDisplay struct {
	tell  func(string)
	label string
}

func (d *rowDisplay) begin(progress)                        {}
func (d *rowDisplay) update(progress)                       {}
func (d *rowDisplay) epoch(progress, training.EpochMetrics) {}
func (d *rowDisplay) message(text string)                   { d.tell(d.label + ": " + text) }
func (d *rowDisplay) close(progress)                        {}

// defaultHeight is that of a terminal which has not told its own.
const defaultHeight = 24

// rowsModel is liveRows in the Elm architecture.
type rowsModel struct {
	rows          *liveRows
	width, height int
}

// Init implements tea.Model.
func (m rowsModel) Init() tea.Cmd { return tick() }

// Update implements tea.Model.
func (m rowsModel) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	next := react(message, &m.width, &m.height)
	return m, next
}

// View implements tea.Model.
func (m rowsModel) View() tea.View {
	hint := hintLines(m.rows.hinted(), m.width)
	above := m
	above.height -= len(hint)
	return frameOf(append(above.lines(m.rows.snapshots(), m.rows.lastNotes()), hint...), m.height)
}

func (m rowsModel) lines(runs []progress, notes []string) []string {
	strong := lipgloss.NewStyle().Bold(true)
	lines := []string{strong.Render(plural(len(runs), "run") + ": " + countPhases(runs))}
	wrapped := m.wrapped(notes)
	// Besides the rows: the heading, the notes, what is not shown and the cursor's line.
	lines = append(lines, rowLines(runs, rowsWithRoom(runs, max(m.height-max(len(wrapped), liveNotes)-3, 1)), m.width)...)
	lines = append(lines, wrapped...)
	for i, l := range lines {
		lines[i] = cutLine(l, m.width)
	}
	return lines
}

// wrapped returns the lines of the notes: as many of the last ones as half of the terminal
// has room for, and of the last one what fits.
func (m rowsModel) wrapped(notes []string) (lines []string) {
	room := max(m.height/2, liveNotes)
	for i := len(notes) - 1; i >= 0; i-- {
		note := strings.Split(wrapWords(visible(notes[i]), m.width, "  "), "\n")
		if len(lines)+len(note) > room {
			if lines == nil {
				return note[:room]
			}
			break
		}
		lines = append(note, lines...)
	}
	return lines
}

// rowLines returns the rows of the runs that are shown, and how many are not.
func rowLines(runs []progress, shown []int, width int) []string {
	faint := lipgloss.NewStyle().Faint(true)
	labels := 0
	for _, i := range shown {
		labels = max(labels, lipgloss.Width(visible(runs[i].label)))
	}
	labels = min(labels, max(width/3, 1))
	var lines []string
	for _, i := range shown {
		label := cutLine(visible(runs[i].label), labels)
		label += strings.Repeat(" ", max(labels-lipgloss.Width(label), 0))
		row := runs[i].row()
		if runs[i].phase != phaseRunning {
			row = faint.Render(row)
		}
		lines = append(lines, cutLine(label+"  "+row, width))
	}
	if hidden := len(runs) - len(shown); hidden > 0 {
		lines = append(lines, faint.Render("and "+thousands(hidden)+" more"))
	}
	return lines
}

// countPhases returns how many runs do what: "1 running, 2 waiting".
func countPhases(runs []progress) string {
	counts := map[phase]int{}
	for _, p := range runs {
		counts[p.phase]++
	}
	var parts []string
	for _, ph := range phases() {
		if n := counts[ph]; n > 0 {
			parts = append(parts, thousands(n)+" "+string(ph))
		}
	}
	return strings.Join(parts, ", ")
}

// rowsWithRoom returns which runs have a row, in their order, where there is room for some
// only: those that run, then the next ones that wait, then those that have ended.
func rowsWithRoom(runs []progress, room int) []int {
	rows := make([]int, len(runs))
	for i := range rows {
		rows[i] = i
	}
	slices.SortStableFunc(rows, func(a, b int) int {
		return slices.Index(phases(), runs[a].phase) - slices.Index(phases(), runs[b].phase)
	})
	rows = rows[:min(room, len(rows))]
	slices.Sort(rows)
	return rows
}

// rowBar is the width of the bar in a row.
const rowBar = 12

// row returns a run's state in one line.
func (p *progress) row() string {
	switch p.phase {
	case phaseRunning:
		parts := []string{bar(p.step, p.totalSteps, rowBar) + fmt.Sprintf(" %3.0f%%", 100*p.done())}
		if eta, ok := p.eta(); ok { // before what a narrow terminal cuts off
			parts = append(parts, "ETA "+shortDuration(eta))
		}
		parts = append(parts, "epoch "+thousands(p.epoch)+"/"+thousands(p.epochs))
		return strings.Join(append(append(parts, p.losses()...), "on "+p.device), "  ")
	case phaseCompleted:
		if p.metrics != nil {
			return string(phaseCompleted) + "  " + p.formatValidation()
		}
	case phaseWaiting:
		if p.step > 0 {
			return fmt.Sprintf("%s, at step %s/%s", p.waits(), thousands(p.step), thousands(p.totalSteps))
		}
		return p.waits()
	case phaseFailed, phaseInterrupted, phasePaused, phaseCancelled, phaseRejected, phaseUnstarted:
	}
	return string(p.phase)
}

// waits says what a run that waits waits for.
func (p *progress) waits() string {
	switch len(p.after) {
	case 0:
		return "waiting for " + cmp.Or(p.awaits, "a device")
	case 1:
		return "waiting for run " + string(p.after[0])
	}
	return fmt.Sprintf("waiting for run %s and %s", p.after[0], plural(len(p.after)-1, "other"))
}

// phase is what a run does, in the words of a listing where the run is at rest.
type phase string

const (
	phaseRunning     phase = "running"
	phaseWaiting     phase = "waiting"
	phaseFailed      phase = "failed"
	phaseRejected          = phase(api.Rejected)
	phaseCancelled         = phase(api.Cancelled)
	phaseInterrupted phase = "interrupted"
	phasePaused            = phase(api.Paused)
	phaseCompleted   phase = "completed"
	phaseUnstarted   phase = "not started" // until its start is recorded
)

// phases lists the phases by what a reader of the display cares about most.
func phases() []phase {
	return []phase{
		phaseRunning, phaseWaiting, phaseFailed, phaseRejected, phaseCancelled, phaseInterrupted, phasePaused, phaseCompleted, phaseUnstarted,
	}
}

// stopped reports whether somebody or something has stopped the job of the run.
func (ph phase) stopped() bool {
	return ph == phaseRejected || ph == phaseCancelled || ph == phasePaused
}

// after returns the phase of a run when an event is recorded.
func (ph phase) after(event training.Event) phase {
	switch event.(type) {
	case training.TrainingStarted, training.TrainingResumed:
		return phaseWaiting
	case training.ResourceAllocated:
		return phaseRunning
	case training.TrainingInterrupted:
		if ph.stopped() || ph == phaseWaiting { // which the job has said before, or says next
			return ph
		}
		return phaseInterrupted
	case training.TrainingCompleted:
		return phaseCompleted
	case training.TrainingFailed, training.RunFailed:
		return phaseFailed
	case training.ResourceAllocationFailed, training.DeviceReleased,
		training.DatasetLoaded, training.DatasetLoadFailed, training.DatasetUnloaded,
		training.ModelInitialized, training.ModelInitializationFailed,
		training.EpochCompleted, training.EpochReproduced, training.EvaluationCompleted, training.EarlyStopped,
		training.CheckpointCommitted, training.CheckpointFailed, training.Remark:
		// The phase stays.
	}
	return ph
}
