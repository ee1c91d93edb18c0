package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"reprise/dataset"
	"reprise/integration"
	"reprise/training"
)

// writeRunSummary prints how a run stands and what to do next.
func (env *environment) writeRunSummary(w io.Writer, r integration.RunRecord, ws integration.Workspace) error {
	var b strings.Builder
	last, hasCheckpoint := r.LastCheckpoint()
	fmt.Fprintf(&b, "\nRun %s %s", visible(string(r.ID)), r.Session.State)
	if r.Session.State == training.Completed {
		fmt.Fprintf(&b, " in %s", span(r.UpdatedAt.Sub(r.StartedAt)))
	}
	b.WriteString(".\n\n")
	t := newTable(&b)
	if r.Reason != "" {
		t.row("  reason", r.Reason)
	}
	if m, ok := r.TrainingRun.Epoch(last.Epoch); ok {
		switch r.Session.Dataset.Task {
		case dataset.NextToken:
			t.row("  validation loss", fmt.Sprintf("%s  (next token right: %s)", figure(m.ValLoss), figure(m.ValAccuracy)))
		case dataset.Regression:
			t.row("  validation loss", figure(m.ValLoss))
		default:
			t.row("  validation accuracy", fmt.Sprintf("%s  (loss %s)", figure(m.ValAccuracy), figure(m.ValLoss)))
		}
		t.row("  training loss", figure(m.TrainLoss))
	}
	if hasCheckpoint {
		t.row("  trained", fmt.Sprintf("epoch %d of %d, step %s of %s", last.Epoch, r.Session.Hyperparameters.Epochs,
			count(last.Step), count(r.Session.Hyperparameters.TotalSteps(r.Session.Dataset.Training))))
		if s := r.Stopped; s != nil {
			t.row("  stopped early", fmt.Sprintf("the lowest validation loss, %s, was reached at step %s", figure(s.Best), count(s.BestStep)))
		}
		if best, ok := r.BestCheckpoint(); ok && best.Step != last.Step {
			m, _ := r.TrainingRun.Epoch(best.Epoch)
			t.row("  best checkpoint", fmt.Sprintf("%s, after epoch %d  (validation loss %s)", best.Dir, best.Epoch, figure(m.ValLoss)))
		}
		t.row("  weights SHA-256", last.WeightsSHA256)
		t.row("  checkpoints", fmt.Sprintf("%s  (%d, the last one %s)", ws.CheckpointsDir(r.ID), len(r.Checkpoints), last.Dir))
	} else {
		t.row("  checkpoints", "none yet")
	}
	if err := t.flush(); err != nil {
		return err
	}
	b.WriteString("\nNext:\n")
	for _, next := range env.nextCommands(r) {
		t.row("  "+next[0], next[1])
	}
	if err := t.flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// nextCommands lists command lines that make sense now, with what they do.
func (env *environment) nextCommands(r integration.RunRecord) [][2]string {
	command := func(verb string) string {
		line := env.program + " " + verb + " " + string(r.ID)
		if env.dataDir != "" {
			line += " --data-dir " + env.dataDir
		}
		return line
	}
	var list [][2]string
	if r.Session.CanResume() {
		list = append(list, [2]string{command("runs resume"), "go on from the last checkpoint, to the same bits"})
	}
	if len(r.Checkpoints) > 0 && r.Session.Dataset.TokenizerModel != "" {
		list = append(list, [2]string{command("generate"), "let it write"})
	}
	if len(r.Checkpoints) > 0 {
		list = append(list, [2]string{command("runs verify"), "train it again and prove that the same weights come out"})
	}
	if n := len(r.Checkpoints); n > 1 {
		half := r.Session.Hyperparameters.LearningRate.Value / 2
		fork := fmt.Sprintf("%s --from %d --set config.learning_rate=%v", command("runs fork"), r.Checkpoints[(n-1)/2].Step, half)
		list = append(list, [2]string{fork, "go on from a checkpoint with other settings"})
	}
	return append(list,
		[2]string{command("runs metrics"), "loss and accuracy over time"},
		[2]string{command("runs events"), "everything that happened to it"})
}

// programName returns how the user called this program, for command lines that
// can be pasted.
func programName(arg0 string) string {
	if strings.Contains(filepath.ToSlash(arg0), "/go-build") {
		return "go run ./cmd/reprise" // a build that is gone once it ends
	}
	return arg0
}
