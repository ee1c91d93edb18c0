package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"reprise/api"
	"reprise/api/describe"
	"reprise/dataset"
	"reprise/nn"
	"reprise/training"
)

// progress is what a display shows of a run that trains. It is a value without a
// clock or a lock: its owner passes the time in.
type progress struct {
	label   string // of one among several
	phase   phase
	id      training.RunID
	title   string // model and data in one line
	device  string
	started time.Time // of this process's part of the run
	now     time.Time

	epochs, epoch    uint64
	totalSteps, step uint64
	firstStep        uint64
	learningRate     float32
	loss             float64 // running mean
	lossKnown        bool    // after the first step
	history          lossHistory
	rate             rateMeter
	data             training.Dataset
	monitor          string // the figure that the run is judged by; "" is the validation loss
	metrics          *training.EpochMetrics
	checkpoints      int
	checkpointStep   uint64
	evaluating       bool
	after            []training.RunID // runs that have to complete first and have not
	obstacle         string           // why the last attempt failed, while the run waits for the next one
	awaits           string           // what it waits for instead of a device
	resumedFrom      uint64           // the step that was told last
	stopping         phase            // what it will be once it has written a checkpoint; "" for nothing
	notes            []string         // what happened, in lines for people
	hint             string           // what stays in sight below; "" for nothing
}

// begin takes over the state of a recorded run.
func (p *progress) begin(now time.Time, r api.RunReport) {
	d := r.Details
	p.id, p.started, p.now = d.RunID, now, now
	p.phase, p.stopping, p.after = phaseWaiting, "", nil
	if d.Job != nil {
		for _, id := range d.Job.After {
			p.after = append(p.after, training.RunID(id))
		}
	}
	if d.State == training.Running {
		p.phase = phaseRunning
	}
	p.title = describeModel(d.Architecture) + " on " + describeData(d.Data)
	p.data, p.monitor = d.Data, d.Hyperparameters.Monitor
	p.epochs = d.Epochs
	p.totalSteps = d.TotalSteps
	p.step, p.firstStep, p.epoch = d.Step, d.Step, d.Epoch
	p.checkpoints, p.checkpointStep = len(d.Checkpoints), d.Step
	for _, e := range d.History {
		if e.Epoch == d.Epoch {
			p.metrics = &training.EpochMetrics{Epoch: e.Epoch, Step: e.Step, Metrics: e.Values()}
		}
	}
}

// stepped adds an optimizer step.
func (p *progress) stepped(now time.Time, s api.StepsTaken) {
	p.now, p.phase = now, phaseRunning
	p.obstacle, p.awaits, p.resumedFrom = "", "", 0
	p.step, p.epoch, p.learningRate = s.Step, s.Epoch, s.LearningRate
	const memory = 0.95 // of the running mean
	if !p.lossKnown {
		p.loss, p.lossKnown = s.Loss, true
	}
	p.loss = memory*p.loss + (1-memory)*s.Loss
	p.history.add(s.Step, s.Loss)
	p.rate.add(now, s.Samples)
	p.evaluating = s.EpochDone
}

// recorded adds an event of the run.
func (p *progress) recorded(now time.Time, e training.Event) {
	p.now = now
	p.phase = p.phase.after(e)
	switch e := e.(type) {
	case training.ResourceAllocated:
		p.device = string(e.Device)
		p.obstacle, p.awaits, p.resumedFrom = "", "", 0
	case training.EpochCompleted:
		p.evaluating = false
		p.metrics = &training.EpochMetrics{Epoch: e.Epoch, Step: e.Step, Metrics: e.Metrics}
	case training.EpochReproduced:
		p.evaluating = false
	case training.CheckpointCommitted:
		p.checkpoints++
		p.checkpointStep = e.Step
	case training.ModelInitialized:
		p.step, p.firstStep = e.Step, e.Step
		p.started, p.rate = now, rateMeter{}
	case training.TrainingInterrupted:
		if p.stopping != "" {
			p.phase, p.stopping = p.stopping, ""
		}
	case training.TrainingResumed: // its data may be back
		p.awaits = ""
	case training.TrainingCompleted, training.RunFailed, training.TrainingStarted, training.ResourceAllocationFailed, training.DeviceReleased,
		training.DatasetLoaded, training.DatasetLoadFailed, training.DatasetUnloaded, training.ModelInitializationFailed,
		training.EvaluationCompleted, training.EarlyStopped, training.CheckpointFailed,
		training.TrainingFailed, training.Remark:
		// They change at most the phase.
	}
}

// news takes in what happened to the run's job.
func (p *progress) news(n describe.JobNews) {
	p.after = slices.DeleteFunc(append(slices.Clone(p.after), n.After...), func(id training.RunID) bool { return id == n.Completed })
	switch {
	case n.Obstacle != "":
		p.phase, p.obstacle, p.awaits = phaseWaiting, n.Obstacle, n.Awaits
	case n.Stopping != "":
		p.stopping = phase(n.Stopping)
	case n.State == api.Queued:
		p.stopping, p.obstacle, p.awaits = "", "", ""
		if p.phase.stopped() || p.phase == phaseInterrupted {
			p.phase = phaseWaiting
		}
	case n.State != "":
		p.phase, p.stopping = phase(n.State), ""
	}
}

// ended takes in how the run is at rest.
func (p *progress) ended(s training.State) {
	if ph := phase(s); slices.Contains(phases(), ph) {
		p.phase, p.stopping = ph, ""
	}
}

// done returns the share of the run's steps that are taken.
func (p *progress) done() float64 {
	if p.totalSteps == 0 {
		return 0
	}
	return float64(p.step) / float64(p.totalSteps)
}

// eta returns how long the rest will take at the pace of this process so far.
func (p *progress) eta() (time.Duration, bool) {
	taken := p.step - p.firstStep
	if taken == 0 || p.step >= p.totalSteps {
		return 0, false
	}
	return time.Duration(float64(p.now.Sub(p.started)) / float64(taken) * float64(p.totalSteps-p.step)), true
}

// samplesPerSecond returns the current pace, or that since the start where the
// run is too young for one; 0 before its first step.
func (p *progress) samplesPerSecond() float64 {
	if present := p.rate.perSecond(); present > 0 {
		return present
	}
	elapsed := p.now.Sub(p.started).Seconds()
	if elapsed <= 0 {
		return 0
	}
	return float64(p.rate.samples) / elapsed
}

// pace formats samples per second in the unit of the data: text counts tokens.
func (p *progress) pace(perSecond float64) string {
	if p.data.Task == dataset.NextToken {
		return thousands(int64(perSecond*float64(p.data.SampleShape[0]))) + " tokens/s"
	}
	return thousands(int64(perSecond)) + " samples/s"
}

// monitored returns the figure that the run is judged by, to follow others; "" if there
// is none but the validation loss, or it is the accuracy, which is shown anyway.
func (p *progress) monitored(m training.Monitored) string {
	if m.IsZero() || p.monitor == "accuracy" {
		return ""
	}
	return "  " + truncate(p.monitor, maxNamed) + " " + m.String()
}

// formatValidation returns the one figure that says how good a model is.
func (p *progress) formatValidation() string {
	d, m := p.data, p.metrics.Metrics
	if text := p.monitored(m.Monitored); text != "" {
		return strings.TrimSpace(text)
	}
	if d.Task != "" {
		return "val loss " + formatMetric(m.ValLoss)
	}
	return "val accuracy " + formatShare(m.ValAccuracy)
}

// figures returns the running figures in one line.
func (p *progress) figures() string {
	parts := []string{
		"epoch " + thousands(p.epoch) + "/" + thousands(p.epochs),
		fmt.Sprintf("step %s/%s", thousands(p.step), thousands(p.totalSteps)),
	}
	if perSecond := p.samplesPerSecond(); perSecond > 0 {
		parts = append(parts, p.pace(perSecond))
	}
	return strings.Join(append(parts, p.newest()...), "  ")
}

// newest returns what losses does and the estimated time left, as far as it is known.
func (p *progress) newest() []string {
	parts := p.losses()
	if eta, ok := p.eta(); ok {
		parts = append(parts, "ETA "+shortDuration(eta))
	}
	return parts
}

// losses returns the newest loss and the newest validation, as far as they are known.
func (p *progress) losses() []string {
	var parts []string
	if p.lossKnown {
		parts = append(parts, "loss "+formatMetric(p.loss))
	}
	if p.metrics != nil {
		parts = append(parts, p.formatValidation())
	}
	return parts
}

func describeModel(a nn.Architecture) string {
	parameters, err := a.ParameterCount()
	if err != nil { // the architecture was validated before it was recorded
		return "model"
	}
	return plural(len(a.Layers), "layer") + ", " + plural(parameters, "parameter")
}

func describeData(d training.Dataset) string {
	if d.Task == dataset.NextToken {
		return fmt.Sprintf("%s (%s training and %s validation windows of %d tokens)",
			d.Path, thousands(d.Training), thousands(d.Validation), d.SampleShape[0])
	}
	fold := ""
	if s := d.Table.Split; s.Folds > 0 {
		fold = fmt.Sprintf(", fold %d of %d", s.Fold, s.Folds)
	}
	return fmt.Sprintf("%s (%s training and %s validation samples%s)", d.Path, thousands(d.Training), thousands(d.Validation), fold)
}

// rateMeter measures samples per second over the last seconds.
type rateMeter struct {
	marks   []rateMark
	samples int64
}

type rateMark struct {
	at      time.Time
	samples int64
}

const (
	rateWindow = 3 * time.Second
	rateGrain  = 100 * time.Millisecond
)

func (m *rateMeter) add(now time.Time, samples int) {
	m.samples += int64(samples)
	if n := len(m.marks); n > 0 && now.Sub(m.marks[n-1].at) < rateGrain {
		return
	}
	m.marks = append(m.marks, rateMark{now, m.samples})
	for len(m.marks) > 2 && now.Sub(m.marks[1].at) > rateWindow {
		m.marks = m.marks[1:]
	}
}

// perSecond returns the rate; 0 before there is one.
func (m *rateMeter) perSecond() float64 {
	if len(m.marks) < 2 {
		return 0
	}
	first, last := m.marks[0], m.marks[len(m.marks)-1]
	return float64(last.samples-first.samples) / last.at.Sub(first.at).Seconds()
}

// lossHistory keeps the mean loss of equal parts of the steps so far, to be drawn.
// Its zero value is empty.
type lossHistory struct {
	first   uint64 // step
	perPart uint64
	sums    []float64
	counts  []int
}

// historyParts is the largest number of parts.
const historyParts = 60

func (h *lossHistory) add(step uint64, loss float64) {
	if len(h.sums) == 0 {
		h.first, h.perPart = step, 1
	}
	taken := max(step, h.first) - h.first
	for taken/h.perPart >= historyParts {
		*h = h.halved()
	}
	for part := int(taken / h.perPart); len(h.sums) <= part; {
		h.sums, h.counts = append(h.sums, 0), append(h.counts, 0)
	}
	h.sums[taken/h.perPart] += loss
	h.counts[taken/h.perPart]++
}

// halved returns the history with each two neighbouring parts as one.
func (h *lossHistory) halved() lossHistory {
	half := lossHistory{first: h.first, perPart: 2 * h.perPart}
	for i := range h.sums {
		if i%2 == 0 {
			half.sums, half.counts = append(half.sums, 0), append(half.counts, 0)
		}
		half.sums[i/2] += h.sums[i]
		half.counts[i/2] += h.counts[i]
	}
	return half
}

// sparkline draws the means on a logarithmic scale, in at most width columns.
func (h *lossHistory) sparkline(width int) string {
	for shown := *h; ; shown = shown.halved() {
		if len(shown.sums) <= max(width, 1) {
			return shown.draw()
		}
	}
}

func (h *lossHistory) draw() string {
	var logs []float64
	low, high := math.Inf(1), math.Inf(-1)
	for i, n := range h.counts {
		if n == 0 {
			continue
		}
		v := math.Log(max(h.sums[i]/float64(n), 1e-9))
		low, high = min(low, v), max(high, v)
		logs = append(logs, v)
	}
	blocks := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, v := range logs {
		level := 0
		if high > low {
			level = int((v - low) / (high - low) * float64(len(blocks)-1))
		}
		b.WriteRune(blocks[level])
	}
	return b.String()
}
