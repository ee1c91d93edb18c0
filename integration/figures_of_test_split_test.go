package integration

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reprise/dataset"
	"reprise/journal"
	"reprise/training"
)

// tableWithTest returns a table with classes and a test split.
func tableWithTest(t *testing.T) *dataset.Dataset {
	t.Helper()
	var rows strings.Builder
	rows.WriteString("size,weight,kind\n")
	for i := range 60 {
		rows.WriteString([]string{"1.5,2,cat\n", "7,8.5,dog\n", "3,7,cat\n", "6,2.5,dog\n", "4.5,5,dog\n"}[i*i%5])
	}
	path := filepath.Join(t.TempDir(), "pets.csv")
	if err := os.WriteFile(path, []byte(rows.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	library, err := dataset.NewLibrary(dataset.Config{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	data, err := library.Open(t.Context(), dataset.Source{Path: path, Target: "kind", Table: dataset.TableOptions{Split: dataset.SplitOptions{TestFraction: 0.2}}})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestTheTestSplitIsMeasuredOnceWithTheWeightsOfTheBestCheckpoint(t *testing.T) {
	w := newWorld(t)
	w.data = tableWithTest(t)
	r, j := w.train(w.request(func(h *training.Hyperparameters) {
		h.BatchSize, h.Epochs, h.LearningRate.Value = 8, 2, 0.1
	}), nil)
	f := r.Figures
	if f == nil || f.Test == nil || f.Test.Samples != 12 || f.Test.Classification == nil || f.Test.Classification.Samples != 12 || f.Test.MajorityClass == nil {
		t.Fatalf("figures %+v", f)
	}
	if n := j.count("training.figures_computed.v1"); n != 1 {
		t.Errorf("they were recorded %d times", n)
	}
	if said := f.Remark(); !strings.Contains(said, "; on the test split: accuracy ") {
		t.Errorf("%q", said)
	}
	if report := verify(t, w, r); !report.FiguresCompared {
		t.Error("the figures were not computed again")
	}
	if _, err := journal.VerifyLog(context.Background(), w.store); err != nil {
		t.Error(err)
	}
	verifyForged := func(forge func(*training.FiguresComputed)) (string, error) {
		forged, f := r, copyOf(t, *r.Figures)
		forge(&f)
		forged.Figures = &f
		v := Verifier{Store: w.store, Workspace: w.workspace, Devices: w.devices()}
		report, err := v.Verify(t.Context(), Verification{Run: forged}, w.data)
		return report.Problem, err
	}
	for name, forge := range map[string]func(*training.FiguresComputed){
		"test.samples":                        func(f *training.FiguresComputed) { f.Test.Samples++ },
		"test.classification.confusion[0][1]": func(f *training.FiguresComputed) { f.Test.Classification.Confusion[0][1]++ },
		"test.majority_class.accuracy":        func(f *training.FiguresComputed) { *f.Test.MajorityClass.Accuracy /= 2 },
		"majority_class.trained[0]":           func(f *training.FiguresComputed) { f.MajorityClass.Trained[0]++ },
	} {
		if problem, err := verifyForged(forge); !errors.Is(err, journal.ErrNotVerified) || !strings.Contains(problem, name) {
			t.Errorf("%s: %q, %v", name, problem, err)
		}
	}
	// As an older version recorded it.
	if problem, err := verifyForged(func(f *training.FiguresComputed) { f.Test, f.MajorityClass.Trained = nil, nil }); err != nil {
		t.Errorf("without what older versions do not record: %q, %v", problem, err)
	}
	before := r.TrainingRun
	before.Figures = nil
	for name, forge := range map[string]func(*training.TestFigures){
		"no samples":      func(f *training.TestFigures) { f.Samples = 0 },
		"other samples":   func(f *training.TestFigures) { f.Samples++ },
		"no classes":      func(f *training.TestFigures) { f.Classification = nil },
		"no baseline":     func(f *training.TestFigures) { f.MajorityClass = nil },
		"not unavailable": func(f *training.TestFigures) { f.Unavailable = "no reason" },
	} {
		forged := copyOf(t, *f)
		if forge(forged.Test); forged.Contradicts(before) == "" {
			t.Errorf("%s: the forged event contradicts nothing", name)
		}
	}
	if what := f.Contradicts(before); what != "" {
		t.Error(what)
	}
}
