package training

import (
	"cmp"
	"fmt"
	"strings"

	"reprise/dataset"
	"reprise/internal/figures"
	"reprise/metrics"
	"reprise/nn"
)

// FiguresComputed has the figures of a run that has trained its last epoch: those of its
// best checkpoint, by the figure that the run monitors, on the validation split. It comes in
// one append with TrainingCompleted.
// Logs of older versions do not have it.
type FiguresComputed struct {
	// Epoch and Step are those of the best checkpoint.
	Epoch uint64 `json:"epoch"`
	Step  uint64 `json:"step"`
	// Monitor names the figure that the run is judged by; "" is the validation loss.
	Monitor string `json:"monitor,omitempty"`
	metrics.Figures
	// Unavailable is why there are no figures.
	Unavailable string `json:"unavailable,omitempty"`
	// Test has those of the same weights on the test split; nil where there is none, and
	// in logs of older versions.
	Test *TestFigures `json:"test,omitempty"`
}

// TestFigures are the figures on the test split, which nothing that happens in training
// depends on.
type TestFigures struct {
	Samples int `json:"samples"`
	metrics.Figures
	// Unavailable is why there are no figures.
	Unavailable string `json:"unavailable,omitempty"`
}

// MaxTestConfused is the largest number of classes with a confusion matrix in TestFigures,
// so that both matrices fit into an event.
const MaxTestConfused = 128

// EventType returns "training.figures_computed.v1".
func (FiguresComputed) EventType() string { return "training.figures_computed.v1" }

func (FiguresComputed) trainingEvent() {}

// Remark names the figure that says most about the task, and that of the baseline.
func (e FiguresComputed) Remark() string {
	if e.Unavailable != "" {
		return "none: " + e.Unavailable
	}
	said := fmt.Sprintf("of step %d: %s", e.Step, Headline(e.Figures, e.Monitor))
	switch test := e.Test; {
	case test == nil:
	case test.Unavailable != "":
		said += "; on the test split none: " + test.Unavailable
	default:
		said += "; on the test split: " + Headline(test.Figures, e.Monitor)
	}
	return said
}

// Headline names the figure that a run is judged by, monitor, or, where that is "", the one
// that says most about the task, and that of the trivial baseline: "accuracy 0.9790
// (majority class: 0.9620)".
func Headline(e metrics.Figures, monitor string) string {
	if monitor != "" {
		return monitored(e, monitor)
	}
	share := func(v *float64) string {
		if v == nil {
			return "undefined"
		}
		return figures.Share(*v)
	}
	metric := func(v *float64) string {
		if v == nil {
			return "undefined"
		}
		return figures.Metric(*v)
	}
	switch c, text := e.Classification, e.Text; {
	case c != nil && e.MajorityClass != nil:
		return fmt.Sprintf("accuracy %s (majority class: %s)", share(c.Accuracy), share(e.MajorityClass.Accuracy))
	case text != nil && e.TokenFrequencies != nil:
		return fmt.Sprintf("perplexity %s (token frequencies: %s)", metric(text.Perplexity), metric(e.TokenFrequencies.Perplexity))
	}
	var list []string
	for _, target := range e.Targets {
		list = append(list, fmt.Sprintf("RMSE of %s %s (its mean: %s)", target.Name, metric(target.RMSE), metric(target.Mean.RMSE)))
	}
	return strings.Join(list, ", ")
}

// monitored is the headline of a figure that was asked for.
func monitored(e metrics.Figures, monitor string) string {
	found, _ := e.Find(monitor)
	text := monitor + " " + MonitoredOf(found.Value).String()
	baseline := e.Baseline(monitor)
	switch {
	case baseline == nil:
		return text
	case e.MajorityClass != nil:
		return fmt.Sprintf("%s (majority class: %s)", text, figures.Metric(*baseline))
	case e.TokenFrequencies != nil:
		return fmt.Sprintf("%s (token frequencies: %s)", text, figures.Metric(*baseline))
	}
	return fmt.Sprintf("%s (its mean: %s)", text, figures.Metric(*baseline))
}

// Contradicts compares the figures with what the run's earlier events and its data say of
// them. Only training again gives the figures themselves.
func (e FiguresComputed) Contradicts(r TrainingRun) string {
	best, ok := r.BestCheckpoint()
	last, _ := r.LastCheckpoint()
	m, _ := r.Epoch(best.Epoch)
	epochs := r.Session.Hyperparameters.Epochs
	if r.Stopped != nil {
		epochs = r.Stopped.Epoch
	}
	switch {
	case !ok || last.Epoch != epochs:
		return fmt.Sprintf("epoch: figures are computed after the last epoch, %d", epochs)
	case r.Figures != nil:
		return fmt.Sprintf("step: figures of step %d are on record", r.Figures.Step)
	case e.Epoch != best.Epoch || e.Step != best.Step:
		by := ""
		if r.Session.Hyperparameters.Monitor != "" {
			by = ", as monitored,"
		}
		return fmt.Sprintf("step: recorded %d of epoch %d, the best checkpoint%s is that of step %d, epoch %d", e.Step, e.Epoch, by, best.Step, best.Epoch)
	}
	if want := r.Session.Hyperparameters.Monitor; e.Monitor != want {
		return fmt.Sprintf("monitor: recorded %q, the run is judged by %q", e.Monitor, want)
	}
	if e.Unavailable != "" {
		if !e.Figures.None() {
			return "unavailable: there are figures"
		}
		return e.contradictsTest(r.Session.Dataset)
	}
	return cmp.Or(e.contradictsData(r.Session.Dataset, m.Metrics), e.contradictsTest(r.Session.Dataset))
}

// contradictsTest compares what is said of the test split with the data. How many samples
// that has is on record nowhere else.
func (e FiguresComputed) contradictsTest(data Dataset) string {
	test := e.Test
	switch {
	case test == nil:
		return ""
	case test.Samples < 1:
		return fmt.Sprintf("test.samples: recorded %d", test.Samples)
	case test.Unavailable != "":
		if !test.None() {
			return "test.unavailable: there are figures"
		}
		return ""
	case !ofTask(test.Figures, data):
		return "test: the figures are those of another task"
	case test.Classification != nil && test.Classification.Samples != test.Samples:
		return fmt.Sprintf("test.classification.samples: recorded %d of %d", test.Classification.Samples, test.Samples)
	}
	if what := contradictsTargets(test.Targets, data, test.Samples); what != "" {
		return "test." + what
	}
	return ""
}

// ofTask reports whether figures are those of the data's task.
func ofTask(f metrics.Figures, data Dataset) bool {
	classes, text := data.Objective() == nn.CrossEntropy && data.Task != dataset.NextToken, data.Task == dataset.NextToken
	return (f.Classification != nil) == classes && (f.MajorityClass != nil) == classes &&
		(f.Text != nil) == text && (f.TokenFrequencies != nil) == text && len(f.Targets) == len(data.Targets)
}

// contradictsTargets compares the names and the samples of targets.
func contradictsTargets(targets []metrics.Target, data Dataset, samples int) string {
	for i, target := range targets {
		if target.Name != data.Targets[i].Name || target.Samples != samples || target.Mean.Samples != samples {
			return fmt.Sprintf("targets: recorded %d samples of %q, the run has %d of %q", target.Samples, target.Name, samples, data.Targets[i].Name)
		}
	}
	return ""
}

// contradictsData compares the figures with the data and the metrics of their epoch.
func (e FiguresComputed) contradictsData(data Dataset, m Metrics) string {
	classes, text := data.Objective() == nn.CrossEntropy && data.Task != dataset.NextToken, data.Task == dataset.NextToken
	if !ofTask(e.Figures, data) {
		return "the figures are those of another task"
	}
	if what := contradictsTargets(e.Targets, data, data.Validation); what != "" {
		return what
	}
	equal := func(field string, recorded *float64, want float64) string {
		if recorded != nil && *recorded == want {
			return ""
		}
		return fmt.Sprintf("%s: not that of the epoch, %v", field, want)
	}
	if e.Monitor != "" {
		found, _ := e.Find(e.Monitor)
		if MonitoredOf(found.Value) != m.Monitored {
			return fmt.Sprintf("%s: recorded %v, as monitored the epoch has %v", e.Monitor, MonitoredOf(found.Value), m.Monitored)
		}
	}
	switch {
	case classes && e.Classification.Samples != data.Validation:
		return fmt.Sprintf("classification.samples: recorded %d, the run has %d", e.Classification.Samples, data.Validation)
	case classes:
		return equal("classification.accuracy", e.Classification.Accuracy, m.ValAccuracy)
	case text:
		return cmp.Or(equal("text.accuracy", e.Text.Accuracy, m.ValAccuracy), equal("text.log_loss", e.Text.LogLoss, m.ValLoss))
	}
	return ""
}
