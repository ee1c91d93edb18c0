package api

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"reprise/dataset"
	"reprise/metrics"
	"reprise/training"
)

// folded is a request with folds, where the options are of the split.
func folded(split string) string {
	return strings.Replace(minimal(""), "digits", "flats.csv\ndataset: {target: price, split: {"+split+"}}", 1)
}

func TestARequestWithFoldsIsOneForEach(t *testing.T) {
	r := parse(t, folded("folds: 3, seed: 7"))
	list := r.Folds()
	if len(list) != 3 || r.Dataset.Split.Fold != 0 {
		t.Fatalf("%d requests, and fold %d of the one that was given", len(list), r.Dataset.Split.Fold)
	}
	for i, fold := range list {
		if want := (dataset.SplitOptions{Folds: 3, Fold: i + 1, Seed: 7}); fold.Dataset.Split != want {
			t.Errorf("split %+v, want %+v", fold.Dataset.Split, want)
		}
		canonical, err := fold.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		again := parse(t, string(canonical))
		if alone := again.Folds(); len(alone) != 1 || alone[0].Dataset.Split != fold.Dataset.Split {
			t.Errorf("what fold %d records is %d requests: %s", i+1, len(alone), canonical)
		}
	}
	if alone := parse(t, folded("seed: 7")).Folds(); len(alone) != 1 || alone[0].Dataset.Split.Fold != 0 {
		t.Errorf("a request without folds is %d", len(alone))
	}
}

func TestASubmissionHasARunForEachFold(t *testing.T) {
	q := SubmitRequest{Files: []RequestFile{
		{Name: "a.yaml", Content: Text(folded("folds: 2"))}, {Name: "b.yaml", Content: Text(folded("folds: 2, fold: 1"))},
		{Name: "c.yaml", Content: Text(folded("folds: 1"))}, {Name: "d.yaml", Unreadable: &Error{Message: "is away"}},
	}}
	want := []RequestedRun{{0, 1, 2}, {0, 2, 2}, {File: 1}, {File: 2}, {File: 3}}
	if got := q.Runs(); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	q.Settings.Values = []Text{"dataset.split.fold=2"}
	q.Files = q.Files[:2]
	if got, want := q.Runs(), []RequestedRun{{File: 0}, {File: 1}}; !slices.Equal(got, want) {
		t.Errorf("with a fold by a setting: %+v, want %+v", got, want)
	}
}

// foldReport is a run of a fold with an accuracy, or without figures if it is negative.
func foldReport(id string, fold int, accuracy float64, state training.State) RunReport {
	var d RunDetails
	d.RunID, d.State = training.RunID(id), state
	d.Data.Table.Split = dataset.SplitOptions{Folds: 3, Fold: fold}
	d.Job = &Job{Group: "g"}
	d.Request = json.RawMessage(folded(fmt.Sprintf("folds: 3, fold: %d", fold)))
	if accuracy >= 0 {
		share := 0.25
		d.Figures = &training.FiguresComputed{Step: uint64(fold), Figures: metrics.Figures{
			Classification: &metrics.Classification{Accuracy: &accuracy}, MajorityClass: &metrics.ClassBaseline{Accuracy: &share},
		}}
	}
	return RunReport{Details: d}
}

// The standard deviation of 0.5, 0.7 and 0.9 is 0.2 with n - 1, and 0.163 with n.
func TestFoldsHaveMeanAndStandardDeviation(t *testing.T) {
	other := foldReport("other", 1, 0.1, training.Completed)
	other.Details.Request = json.RawMessage(strings.Replace(string(other.Details.Request), "flats", "houses", 1))
	alone := foldReport("alone", 1, 0.1, training.Completed)
	alone.Details.Data.Table.Split = dataset.SplitOptions{}
	forked := foldReport("forked", 2, 0.1, training.Completed)
	forked.Details.ForkOf = "two"
	sets := FoldSetsOf([]RunReport{
		other, foldReport("three", 3, 0.9, training.Completed), foldReport("failed", 1, -1, training.Failed), alone,
		foldReport("one", 1, 0.5, training.Completed), forked, foldReport("two", 2, 0.7, training.Completed), foldReport("later", 2, -1, training.Failed),
	})
	if len(sets) != 1 {
		t.Fatalf("%d sets", len(sets))
	}
	s := sets[0]
	var runs []string
	for _, r := range s.Runs {
		runs = append(runs, string(r.RunID))
	}
	f, ok := s.Figure("accuracy")
	if !slices.Equal(runs, []string{"one", "two", "three"}) || s.Group != "g" || s.Folds != 3 || s.Baseline != "majority_class" || !ok {
		t.Fatalf("%+v", s)
	}
	if math.Abs(*f.Mean-0.7) > 1e-15 || math.Abs(*f.StandardDeviation-0.2) > 1e-15 || *f.Values[0] != 0.5 || !f.HigherIsBetter ||
		*f.Baseline.Mean != 0.25 || *f.Baseline.StandardDeviation != 0 {
		t.Errorf("mean %v, standard deviation %v, baseline %v", *f.Mean, *f.StandardDeviation, *f.Baseline.Mean)
	}
}

// A fold that has no figures is left out of the mean, and one value has no deviation.
func TestFoldsWithoutFigures(t *testing.T) {
	s := FoldSetsOf([]RunReport{foldReport("one", 1, 0.5, training.Completed), foldReport("two", 2, -1, training.Failed)})[0]
	f, _ := s.Figure("accuracy")
	if *f.Mean != 0.5 || f.StandardDeviation != nil || f.Values[1] != nil || s.Runs[1].FiguresStep != 0 {
		t.Errorf("%+v", f)
	}
	none := FoldSetsOf([]RunReport{foldReport("one", 1, -1, training.Failed), foldReport("two", 2, -1, training.Failed)})[0]
	if len(none.Figures) != 0 || none.Figures == nil {
		t.Errorf("%+v", none)
	}
	if sets := FoldSetsOf([]RunReport{foldReport("one", 1, 0.5, training.Completed)}); len(sets) != 0 {
		t.Errorf("a single fold is %d sets", len(sets))
	}
}
