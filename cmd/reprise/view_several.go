package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"charm.land/lipgloss/v2"

	tea "charm.land/bubbletea/v2"

	"reprise/api"
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

func newSeveralView(env *environment, files []string) *severalView {
	v := &severalView{runs: map[training.RunID]*runView{}}
	for i, file := range files {
		view := &runView{now: env.now}
		view.progress.phase = phaseUnstarted
		view.progress.label = fmt.Sprintf("%d %s", i+1, filepath.Base(file))
		v.views = append(v.views, view)
	}
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
	lines := &lockedWriter{w: env.stderr}
	for _, view := range v.views {
		view.out = &plainDisplay{w: lines, prefix: "[" + visible(view.progress.label) + "] "}
	}
	v.out = plainMessages{&plainDisplay{w: lines}}
	v.guests = env.othersInLines(lines)
	return v
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

// tell implements hostView.
func (v *severalView) tell(run training.RunID, text string) {
	if view := v.runs[run]; view != nil {
		view.message(text)
	}
}

// message shows a line that stays.
func (v *severalView) message(text string) { v.out.message(text) }

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
	closed bool
}

func (l *liveRows) message(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notes = append(l.notes, text)
	l.notes = l.notes[max(0, len(l.notes)-liveNotes):]
}

func (l *liveRows) lastNotes() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.notes)
}

func (l *liveRows) close() {
	l.mu.Lock()
	closed := l.closed
	l.closed = true
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
	return frameOf(m.lines(m.rows.snapshots(), m.rows.lastNotes()), m.height)
}

func (m rowsModel) lines(runs []progress, notes []string) []string {
	strong := lipgloss.NewStyle().Bold(true)
	lines := []string{strong.Render(plural(len(runs), "run") + ": " + countPhases(runs))}
	// Besides the rows: the heading, the notes, what is not shown and the cursor's line.
	lines = append(lines, rowLines(runs, rowsWithRoom(runs, max(m.height-liveNotes-3, 1)), m.width)...)
	for _, note := range notes {
		lines = append(lines, visible(note))
	}
	for i, l := range lines {
		lines[i] = cutLine(l, m.width)
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
		parts := []string{
			bar(p.step, p.totalSteps, rowBar) + fmt.Sprintf(" %3.0f%%", 100*p.done()),
			"epoch " + thousands(p.epoch) + "/" + thousands(p.epochs),
		}
		return strings.Join(append(append(parts, p.newest()...), "on "+p.device), "  ")
	case phaseCompleted:
		if p.metrics != nil {
			return string(phaseCompleted) + "  " + formatValidation(p.data, p.metrics.Metrics)
		}
	case phaseWaiting:
		if p.step > 0 {
			return fmt.Sprintf("waiting for a device, at step %s/%s", thousands(p.step), thousands(p.totalSteps))
		}
		return "waiting for a device"
	case phaseFailed, phaseInterrupted, phaseUnstarted:
	}
	return string(p.phase)
}

// phase is what a run does.
type phase string

const (
	phaseRunning     phase = "running"
	phaseWaiting     phase = "waiting"
	phaseFailed      phase = "failed"
	phaseInterrupted phase = "interrupted"
	phaseCompleted   phase = "completed"
	phaseUnstarted   phase = "not started" // until its start is recorded
)

// phases lists the phases by what a reader of the display cares about most.
func phases() []phase {
	return []phase{phaseRunning, phaseWaiting, phaseFailed, phaseInterrupted, phaseCompleted, phaseUnstarted}
}

// after returns the phase of a run when an event is recorded.
func (ph phase) after(event training.Event) phase {
	switch event.(type) {
	case training.TrainingStarted, training.TrainingResumed:
		return phaseWaiting
	case training.ResourceAllocated:
		return phaseRunning
	case training.TrainingInterrupted:
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
