package main

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"reprise/api"
	"reprise/dataset"
	"reprise/nn"
	"reprise/training"
)

// writeRunSummary prints the state of a run and what to do next.
func (env *environment) writeRunSummary(w io.Writer, r api.RunReport) error {
	t := newTable(w)
	t.line("\nRun %s %s.\n", r.Details.RunID, ended(r.Details))
	writeFigures(t, r)
	writeRunFigures(t, r)
	if err := t.flush(); err != nil {
		return err
	}
	t.line("\nNext:")
	for _, next := range env.nextCommands(r) {
		t.line("  %s:", next.does)
		t.command("    ", next.command)
	}
	return t.flush()
}

// ended says how a run at rest stands: "completed in 3m05s".
func ended(r api.RunDetails) string {
	switch r.State {
	case training.Completed:
		return "completed in " + shortDuration(time.Duration(math.Round(r.TrainedSeconds*float64(time.Second))))
	case training.Failed:
		return "has failed"
	case training.Interrupted, api.Paused, api.Cancelled, api.Rejected:
		return "was " + string(r.State)
	default:
		return "is " + string(r.State)
	}
}

// writeFigures prints what a run has reached, indented.
func writeFigures(t *table, r api.RunReport) {
	d := r.Details
	t.indent = "  "
	if d.Reason != "" {
		t.row("reason", d.Reason)
	}
	if d.SessionID == "" { // nothing is recorded but its job
		_ = t.flush() // which keeps the error
		t.indent = ""
		return
	}
	if m := d.Metrics; m.ValLoss != nil {
		switch {
		case d.Data.Task == dataset.NextToken && m.ValAccuracy != nil:
			t.row("validation loss", fmt.Sprintf("%s  (next token right: %s)", formatMetric(*m.ValLoss), formatShare(*m.ValAccuracy)))
		case m.ValAccuracy != nil:
			t.row("validation accuracy", fmt.Sprintf("%s  (loss %s)", formatShare(*m.ValAccuracy), formatMetric(*m.ValLoss)))
		default:
			t.row("validation loss", describeLoss(d.Data, d.Hyperparameters.Loss, *m.ValLoss))
		}
		t.row("training loss", formatMetric(*m.TrainLoss))
	}
	if n := len(d.Checkpoints); n > 0 {
		last := d.Checkpoints[n-1]
		title := "last checkpoint"
		if d.State == training.Completed {
			title = "trained"
		}
		t.row(title, describeCheckpoint(d.Checkpoints, d.Hyperparameters, d.Data, r.CanResume))
		if s := r.Stopped; s != nil {
			t.row("stopped early", describeStopped(*s))
		}
		if r.BestStep != 0 && r.BestStep != last.Step {
			for _, e := range d.History {
				if e.Step == r.BestStep {
					figure := "validation loss " + formatMetric(*e.ValLoss)
					if name := d.Hyperparameters.Monitor; name != "" {
						figure = name + " " + e.Monitored.String()
					}
					t.row("best checkpoint", fmt.Sprintf("step %s, after epoch %s  (%s)", thousands(e.Step), thousands(e.Epoch), figure))
				}
			}
		}
		t.row("weights SHA-256", last.WeightsSHA256)
		t.row("checkpoints", fmt.Sprintf("%d in %s", len(d.KeptCheckpoints()), d.CheckpointsDir))
	} else {
		t.row("checkpoints", noneOf("none", r.CanResume))
	}
	_ = t.flush() // which keeps the error
	t.indent = ""
}

// describeStopped says when early stopping has seen the best figure.
func describeStopped(e training.EarlyStopped) string {
	if e.Monitor != "" && e.BestStep == 0 {
		return e.Reason()
	}
	return fmt.Sprintf("%s %s, at step %s", strings.TrimPrefix(training.BestFigure(e.Monitor), "the "), formatMetric(e.Best), thousands(e.BestStep))
}

// describeLoss says what a loss of a regression is, such as the mean squared error of
// targets that are standardized. Of a single target, the root of that and the mean
// absolute error have a meaning in the target's unit.
func describeLoss(d training.Dataset, of nn.Loss, loss float64) string {
	name, own := "mean squared error", "its root is %s"
	unit := math.Sqrt(loss)
	switch of.Name {
	case nn.LossMAE:
		name, own, unit = "mean absolute error", "%s", loss
	case nn.LossHuber:
		name, own = "Huber's loss", ""
	case "", nn.LossMSE, nn.LossCrossEntropy, nn.LossFocal:
	}
	what := fmt.Sprintf("%s  (%s of the standardized %s", formatMetric(loss), name, targetNames(d))
	if len(d.Targets) == 1 && own != "" {
		what += fmt.Sprintf("; "+own+" in the target's own unit", formatMetric(unit*d.Targets[0].StandardDeviation))
	}
	return what + ")"
}

// targetNames names the targets of a regression: "target price".
func targetNames(d training.Dataset) string {
	names := make([]string, len(d.Targets))
	for i, target := range d.Targets {
		names[i] = target.Name
	}
	if len(names) == 1 {
		return "target " + names[0]
	}
	return "targets " + andList(names)
}

// writeTask says what is learned, and how the targets of a regression are scaled.
func writeTask(t *table, d training.Dataset) {
	t.row("task", describeTask(d.Task))
	if len(d.Targets) == 0 && d.Target != "" {
		t.row("target", d.Target)
	}
	for _, target := range d.Targets {
		t.row("target "+target.Name, fmt.Sprintf("trained on as (value - %.6g) / %.6g, its mean and standard deviation",
			target.Mean, target.StandardDeviation))
	}
}

// nextCommand is a command line that makes sense now, and what it does.
type nextCommand struct{ command, does string }

func (env *environment) nextCommands(r api.RunReport) []nextCommand {
	d := r.Details
	command := func(verb string) string { return env.commandFor(verb, d.RunID) }
	var list []nextCommand
	if r.CanResume {
		from := "resume it"
		if len(d.Checkpoints) > 0 {
			from = "resume from the last checkpoint, to the same bits"
		}
		list = append(list, nextCommand{command("runs resume"), from})
	}
	if d.SessionID == "" {
		return append(list, nextCommand{command("runs explain"), "see what became of it"})
	}
	if len(d.Checkpoints) > 0 && d.Data.TokenizerModel != "" {
		list = append(list, nextCommand{command("generate"), "generate text with it"})
	} else if d.State == training.Completed {
		list = append(list, nextCommand{command("predict") + " --input FILE", "predict for the rows or images of a file"},
			nextCommand{command("export") + " --format bundle --out model.tar", "take the model elsewhere (also for PyTorch and ONNX)"})
	}
	if len(d.Checkpoints) > 0 {
		list = append(list, nextCommand{command("runs verify"), "train it again and prove that the weights come out the same"})
	}
	if step, which, setting := forkPoint(r); setting != "" {
		fork := fmt.Sprintf("%s --from %d --set %s", command("runs fork"), step, setting)
		list = append(list, nextCommand{fork, fmt.Sprintf("start another run from its %s checkpoint, of step %s, with other settings", which, thousands(step))})
	}
	return append(list,
		nextCommand{command("runs metrics"), "see loss and accuracy over time"},
		nextCommand{command("runs events"), "see everything that happened to it"})
}

// forkPoint returns the checkpoint from which a fork of a run makes the most sense, and a
// setting with which it has something to train: the best one, or the last one if that is the
// best or the run did not complete. The setting is "" if there is no such checkpoint.
func forkPoint(r api.RunReport) (step uint64, which, setting string) {
	d := r.Details
	there := slices.DeleteFunc(slices.Clone(d.KeptCheckpoints()), func(c training.Checkpoint) bool { return slices.Contains(r.MissingSteps, c.Step) })
	if len(there) == 0 {
		return 0, "", ""
	}
	last := there[len(there)-1].Step
	isBest := func(c training.Checkpoint) bool { return c.Step == r.BestStep }
	slower := fmt.Sprintf("config.learning_rate=%v", d.Hyperparameters.LearningRate.Value/2)
	more := 2 * d.Hyperparameters.Epochs
	switch {
	case d.State != training.Completed:
		return last, "last", slower
	case r.BestStep != last && slices.ContainsFunc(there, isBest):
		return r.BestStep, "best", slower
	case more > training.MaxEpochs:
		return 0, "", ""
	}
	return last, "last", fmt.Sprintf("config.epochs=%d", more) // with as many as before, it would end at once
}

// shellQuoted quotes a word for a shell where it needs that.
func shellQuoted(word string) string {
	plain := func(r rune) bool {
		return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) || strings.ContainsRune("/._-+@%,:", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// commandFor returns a command line about a run that can be pasted.
func (env *environment) commandFor(verb string, id training.RunID) string {
	return env.commandLine(verb + " " + string(id))
}

// commandLine returns a command line of this program that can be pasted.
func (env *environment) commandLine(words string) string {
	line := env.program + " " + words
	if env.dataDir != "" {
		line += " --data-dir " + shellQuoted(env.dataDir)
	}
	return line
}

// programName returns how the user called this program, for command lines that
// can be pasted.
func programName(arg0 string) string {
	if strings.Contains(filepath.ToSlash(arg0), "/go-build") {
		return "go run ./cmd/reprise" // a build that is gone once it ends
	}
	return arg0
}
