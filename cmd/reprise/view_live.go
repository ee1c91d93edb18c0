package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"reprise/training"
)

// frame is the time between two frames of the live display.
const frame = 80 * time.Millisecond

// liveNotes is the number of notes that are drawn.
const liveNotes = 5

// liveDisplay redraws a few lines of the terminal. It takes no input, so that Ctrl-C
// remains a signal.
type liveDisplay struct {
	program *tea.Program
	done    chan struct{}
}

func newLiveDisplay(env *environment, model tea.Model) *liveDisplay {
	d := &liveDisplay{
		program: tea.NewProgram(model, tea.WithOutput(fromFirstColumn(env.stderr)), tea.WithInput(nil), tea.WithoutSignalHandler()),
		done:    make(chan struct{}),
	}
	go func() {
		defer close(d.done)
		_, _ = d.program.Run() // a display that fails stops nothing
	}()
	return d
}

// fromFirstColumn returns w, to be written to from the first column on. That is where a
// frame leaves the cursor, and the next one begins; but the terminal shows a Ctrl-C as
// "^C" there.
func fromFirstColumn(w io.Writer) io.Writer {
	if f, ok := w.(*os.File); ok {
		return firstColumn{f}
	}
	return w
}

// firstColumn is a terminal.
type firstColumn struct{ *os.File }

// Write implements io.Writer.
func (f firstColumn) Write(p []byte) (int, error) {
	n, err := f.File.Write(append([]byte{'\r'}, p...))
	return max(n-1, 0), err
}

// WriteString implements io.StringWriter.
func (f firstColumn) WriteString(s string) (int, error) { return f.Write([]byte(s)) }

func (d *liveDisplay) begin(progress)                        {}
func (d *liveDisplay) update(progress)                       {}
func (d *liveDisplay) epoch(progress, training.EpochMetrics) {}

// message does nothing: the progress has the notes, and they are drawn.
func (d *liveDisplay) message(string) {}

func (d *liveDisplay) close(progress) {
	d.program.Send(closeMessage{})
	<-d.done
}

type (
	tickMessage  struct{}
	closeMessage struct{}
)

// liveModel is the live display in the Elm architecture.
type liveModel struct {
	snapshot func() progress
	others   func() []progress
	width    int
	height   int // of the terminal; 0 where it is not known
}

func tick() tea.Cmd {
	return tea.Tick(frame, func(time.Time) tea.Msg { return tickMessage{} })
}

// Init implements tea.Model.
func (m liveModel) Init() tea.Cmd { return tick() }

// Update implements tea.Model.
func (m liveModel) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	next := react(message, &m.width, &m.height)
	return m, next
}

// react is what both live displays do about a message.
func react(message tea.Msg, width, height *int) tea.Cmd {
	switch message := message.(type) {
	case tickMessage:
		return tick()
	case closeMessage:
		return tea.Quit
	case tea.WindowSizeMsg:
		*width, *height = message.Width, message.Height
	}
	return nil
}

// View implements tea.Model.
func (m liveModel) View() tea.View {
	p := m.snapshot()
	hint := hintLines(p.hint, m.width)
	if p.id == "" { // nothing has begun
		return frameOf(append(m.notes(p), hint...), m.height)
	}
	lines := m.lines(p)
	room := cmp.Or(m.height, defaultHeight) - len(lines) - len(hint) - 3 // their heading, what is not shown, the cursor's line
	lines = append(lines, rowsOf(m.others(), m.width, room)...)
	return frameOf(append(lines, hint...), m.height)
}

// userCursor leaves the shape of the cursor as the user's terminal has it: Bubble Tea
// writes the code 2*shape+2 of a steady cursor, and 0, the default, writes nothing.
const userCursor tea.CursorShape = -1

// frameOf returns the lines as a frame of a terminal of this height, 0 where it is not
// known. The cursor waits below them: a shell that takes the terminal over after kill -9
// writes its prompt there.
func frameOf(lines []string, height int) tea.View {
	below := len(lines)
	if height > 0 {
		below = min(below, height-1)
	}
	view := tea.NewView(strings.Join(lines, "\n") + "\n")
	view.Cursor = &tea.Cursor{Position: tea.Position{Y: below}, Shape: userCursor}
	return view
}

// barWidth leaves room for what stands beside the bar: the epoch, and this.
func (m liveModel) barWidth(tail string) int {
	return max(min(m.width-max(40, 20+lipgloss.Width(tail)), historyParts), 10)
}

func (m liveModel) lines(p progress) []string {
	faint, strong := lipgloss.NewStyle().Faint(true), lipgloss.NewStyle().Bold(true)
	filled := lipgloss.NewStyle().Foreground(lipgloss.Color("6"))

	tail := fmt.Sprintf(" %3.0f%%", 100*p.done())
	if eta, ok := p.eta(); ok {
		tail += "  ETA " + shortDuration(eta)
	}
	switch {
	case p.phase == phaseCompleted:
		tail += "  done"
	case p.phase == phaseWaiting:
		tail += "  " + p.waits()
	case p.phase != phaseRunning && p.phase != "":
		tail += "  " + string(p.phase)
	case p.evaluating:
		tail += "  evaluating"
	}
	pace := fmt.Sprintf("step %s/%s", thousands(p.step), thousands(p.totalSteps))
	if perSecond := p.samplesPerSecond(); perSecond > 0 {
		pace += "  " + p.pace(perSecond)
	}
	if p.learningRate > 0 {
		pace += fmt.Sprintf("  learning rate %.3g", p.learningRate)
	}
	if p.device != "" {
		pace += "  on " + p.device
	}
	lines := []string{strong.Render("run " + visible(string(p.id)))}
	wrapped := func(text string, style lipgloss.Style) {
		for l := range strings.SplitSeq(wrapWords(visible(text), m.width, "  "), "\n") {
			lines = append(lines, style.Render(l))
		}
	}
	wrapped(p.title, faint)
	lines = append(lines, fmt.Sprintf("epoch %s/%s  %s%s",
		thousands(p.epoch), thousands(p.epochs), filled.Render(bar(p.step, p.totalSteps, m.barWidth(tail))), tail))
	wrapped(pace, faint)
	loss := "loss: after the first step"
	if p.lossKnown {
		loss = fmt.Sprintf("loss %-9s ", formatMetric(p.loss))
		loss += p.history.sparkline(m.width - lipgloss.Width(loss))
	}
	lines = append(lines, loss)
	validation := "validation: at the end of the epoch"
	if p.metrics != nil {
		validation = fmt.Sprintf("val loss %s  (epoch %s)", formatMetric(p.metrics.ValLoss), thousands(p.metrics.Epoch))
		if p.data.HasAccuracy() {
			validation = "val accuracy " + strong.Render(formatShare(p.metrics.ValAccuracy)) + "  " + validation
		}
		validation += p.monitored(p.metrics.Monitored)
	}
	if p.checkpoints > 0 {
		validation += faint.Render(fmt.Sprintf("  checkpoint %d at step %s", p.checkpoints, thousands(p.checkpointStep)))
	}
	lines = append(lines, validation)
	lines = append(lines, m.notes(p)...)
	for i, l := range lines {
		lines[i] = cutLine(l, m.width)
	}
	return lines
}

// notes returns the lines of the last notes.
func (m liveModel) notes(p progress) (lines []string) {
	for _, note := range p.notes[max(0, len(p.notes)-liveNotes):] {
		for l := range strings.SplitSeq(wrapWords(visible(note), m.width, "  "), "\n") {
			lines = append(lines, cutLine(l, m.width))
		}
	}
	return lines
}

// hintLines returns the lines of a hint, which come last.
func hintLines(hint string, width int) (lines []string) {
	if hint == "" {
		return nil
	}
	for l := range strings.SplitSeq(wrapWords(visible(hint), width, "  "), "\n") {
		lines = append(lines, lipgloss.NewStyle().Faint(true).Render(cutLine(l, width)))
	}
	return lines
}

// cutLine cuts a line that may have styles to a width, and marks the cut.
func cutLine(line string, width int) string {
	if lipgloss.Width(line) <= width {
		return line
	}
	if width < 2 {
		return ""
	}
	return lipgloss.NewStyle().MaxWidth(width-1).Render(line) + "…"
}
