package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reprise/api"
	"reprise/training"
)

// foldsJob writes a request for the folds of a table of 30 rows.
func foldsJob(t *testing.T, folds int) string {
	t.Helper()
	var rows strings.Builder
	rows.WriteString("x,y,side\n")
	for i := range 30 {
		fmt.Fprintf(&rows, "%d,%d,%s\n", i*7%30, i*i%11, []string{"left", "right"}[i*7%30/15])
	}
	folder := t.TempDir()
	table, job := filepath.Join(folder, "sides.csv"), filepath.Join(folder, "job.yaml")
	must1(t, os.WriteFile(table, []byte(rows.String()), 0o600))
	must1(t, os.WriteFile(job, fmt.Appendf(nil, `model_architecture: mlp
model: {hidden: [8], dropout: 0.1}
dataset_path: %s
dataset: {target: side, split: {folds: %d, seed: 4}}
config: {batch_size: 4, learning_rate: 0.01, epochs: 40, checkpoint_interval: 5}
`, table, folds), 0o600))
	return job
}

// The folds of a request are killed on the way and resumed: each ends with the bits that it
// has when it is trained alone, by its number or by the request that it has recorded.
func TestFoldsThatAreKilledEndWithTheBitsOfEachAlone(t *testing.T) {
	const folds = 3
	b := build(t)
	job := foldsJob(t, folds)
	b = b.with()
	killWhen(b, func(line string) bool { return strings.HasPrefix(line, "[3 ") && strings.Contains(line, "] epoch 12/") }, "train", job)
	left := parse[[]api.Run](b, "runs", "list")
	if len(left) != folds {
		t.Fatalf("%d runs are recorded", len(left))
	}
	// Those that had ended before count, too.
	if out := b.must("runs", "resume", "--all").stdout; !strings.Contains(out, "of 3 folds, each on") || strings.Count(out, "/3 ") != folds {
		t.Errorf("%s", out)
	}

	alone := b.with()
	hashes := map[string]bool{}
	for i, r := range left {
		details := parse[api.RunDetails](b, "runs", "show", string(r.RunID))
		split := details.Data.Table.Split
		if details.State != training.Completed || split.Fold != i+1 || split.Folds != folds || split.Seed != 4 || r.Job.Group != "folds-"+string(left[0].RunID) {
			t.Errorf("run %s is %s, of %+v in group %s", r.RunID, details.State, split, r.Job.Group)
		}
		recorded := filepath.Join(t.TempDir(), "recorded.json")
		must1(t, os.WriteFile(recorded, details.Request, 0o600))
		args := []string{"train", recorded}
		if i == 1 {
			args = []string{"train", job, "--set", "dataset.split.fold=2"}
		}
		if got := parse[api.Result](alone, args...); got.WeightsSHA256 != details.WeightsSHA256 {
			t.Errorf("fold %d has the weights %s, and %s by %q", i+1, details.WeightsSHA256, got.WeightsSHA256, args)
		}
		hashes[details.WeightsSHA256] = true
	}
	if len(hashes) != folds {
		t.Errorf("%d folds have %d different weights", folds, len(hashes))
	}
	checkNoLease(t, b)
	if out := b.must("runs", "compare", "--group", left[0].Job.Group).stdout; !strings.Contains(out, "of 3 folds") {
		t.Errorf("%s", out)
	}
	b.must("events", "verify")
}
