package api

import (
	"fmt"
	"math"
	"slices"

	"reprise/metrics"
	"reprise/training"
)

// Folds returns the requests that r stands for: one for each fold, if it has folds and does
// not name one, else r itself. Each is complete: submitted alone, it trains its fold to the
// same bits.
func (r TrainingRequest) Folds() []TrainingRequest {
	split := r.Dataset.Split
	if split.Folds == 0 || split.Fold != 0 {
		return []TrainingRequest{r}
	}
	list := make([]TrainingRequest, split.Folds)
	for i := range list {
		list[i] = r
		list[i].Dataset.Split.Fold = i + 1
	}
	return list
}

// RequestedRun is one of the runs that a SubmitRequest asks for.
type RequestedRun struct {
	// File is the place in Files.
	File int
	// Fold is that of the run, from 1, of Folds; both are 0 for the only run of a file.
	Fold, Folds int
}

// Runs returns the runs that the request asks for, in their order: one for each file, or one
// for each fold of it. A file with a mistake, with which nothing is submitted, counts as one.
func (r SubmitRequest) Runs() []RequestedRun {
	settings := r.Settings.Parse()
	list := make([]RequestedRun, 0, len(r.Files))
	for i, file := range r.Files {
		request, err := ParseTrainingRequest(string(file.Name), []byte(file.Content), settings...)
		folds := request.Folds()
		if err != nil || file.Unreadable != nil || len(folds) == 1 {
			list = append(list, RequestedRun{File: i})
			continue
		}
		for _, f := range folds {
			list = append(list, RequestedRun{File: i, Fold: f.Dataset.Split.Fold, Folds: len(folds)})
		}
	}
	return list
}

// FoldSet is what the folds of one request have reached.
type FoldSet struct {
	// Folds is how many folds there are. Runs has a run of each that is known, by fold.
	Folds int       `json:"folds"`
	Group string    `json:"group,omitempty"`
	Runs  []FoldRun `json:"runs"`
	// Monitor names the figure that the runs are judged by; "" is the validation loss.
	Monitor string `json:"monitor,omitempty"`
	// Baseline is what the trivial baseline is: "majority_class" or "mean", of the training
	// rows of each fold; "" if there are no figures.
	Baseline string `json:"baseline,omitempty"`
	// Figures are those of the best checkpoint of each run on its validation split, Test
	// those on the test split, which is the same for all; it is absent if there is none.
	Figures []FoldFigure `json:"figures"`
	Test    []FoldFigure `json:"test,omitempty"`
}

// FoldRun is the run of a fold.
type FoldRun struct {
	Fold  int            `json:"fold"`
	RunID training.RunID `json:"run_id"`
	State training.State `json:"state"`
	// Validation is the number of samples that the fold holds out.
	Validation int `json:"validation_samples"`
	// FiguresStep is the step of the checkpoint that the figures are of; 0 if there are none.
	FiguresStep uint64 `json:"figures_step"`
}

// FoldFigure is one figure of all folds.
type FoldFigure struct {
	Name           string `json:"name"`
	HigherIsBetter bool   `json:"higher_is_better"`
	FoldStatistics
	// Baseline is the same of the trivial baseline; absent where it does not have the figure.
	Baseline *FoldStatistics `json:"baseline,omitempty"`
}

// FoldStatistics are the values of a figure, in the order of FoldSet.Runs, with null where a
// run does not have it; their mean; and their standard deviation, which is the root of the
// sum of the squared differences from the mean by the number of values less one. They are
// null for too few values.
type FoldStatistics struct {
	Values            []*float64 `json:"values"`
	Mean              *float64   `json:"mean"`
	StandardDeviation *float64   `json:"standard_deviation"`
}

// Figure returns the figure with a name, and whether there is one.
func (s FoldSet) Figure(name string) (FoldFigure, bool) {
	at := slices.IndexFunc(s.Figures, func(f FoldFigure) bool { return f.Name == name })
	if at < 0 {
		return FoldFigure{}, false
	}
	return s.Figures[at], true
}

// Has reports whether a run is one of the folds.
func (s FoldSet) Has(run training.RunID) bool {
	return slices.ContainsFunc(s.Runs, func(r FoldRun) bool { return r.RunID == run })
}

// FoldSetsOf returns the sets of runs, of two folds or more, that are folds of the same
// request. Of several runs of the same fold, one that has completed counts: all of them have
// the same bits. The sets have the order of their first runs.
func FoldSetsOf(reports []RunReport) []FoldSet {
	byRequest := map[string][]RunDetails{}
	var order []string
	for _, r := range reports {
		key := foldKey(r.Details)
		if key == "" {
			continue
		}
		of := byRequest[key]
		if of == nil {
			order = append(order, key)
		}
		fold := r.Details.Data.Table.Split.Fold
		at, known := slices.BinarySearchFunc(of, fold, func(d RunDetails, fold int) int { return d.Data.Table.Split.Fold - fold })
		switch {
		case !known:
			of = slices.Insert(of, at, r.Details)
		case of[at].State != training.Completed || r.Details.State == training.Completed:
			of[at] = r.Details
		}
		byRequest[key] = of
	}
	var sets []FoldSet
	for _, key := range order {
		if list := byRequest[key]; len(list) > 1 {
			sets = append(sets, foldSet(list))
		}
	}
	return sets
}

// foldKey is what folds of one request have in common; "" for a run that is no fold.
func foldKey(d RunDetails) string {
	if d.Data.Table.Split.Folds == 0 || len(d.Request) == 0 || d.ForkOf != "" {
		return ""
	}
	request, err := RecordedRequest(d.Request)
	if err != nil {
		return ""
	}
	request.Dataset.Split.Fold = 0
	key, err := request.Canonical()
	if err != nil {
		return ""
	}
	// Data that have become larger or smaller between two folds are not the same.
	return fmt.Sprintf("%s %d", key, d.Data.Training+d.Data.Validation)
}

func foldSet(list []RunDetails) FoldSet {
	s := FoldSet{Folds: list[0].Data.Table.Split.Folds, Monitor: list[0].Hyperparameters.Monitor}
	own, test := make([]*metrics.Figures, len(list)), make([]*metrics.Figures, len(list))
	for i, d := range list {
		run := FoldRun{Fold: d.Data.Table.Split.Fold, RunID: d.RunID, State: d.State, Validation: d.Data.Validation}
		if d.Job != nil && s.Group == "" {
			s.Group = d.Job.Group
		}
		if f := d.Figures; f != nil {
			run.FiguresStep, own[i] = f.Step, &f.Figures
			s.Baseline = baselineOf(f.Figures)
			if f.Test != nil {
				test[i] = &f.Test.Figures
			}
		}
		s.Runs = append(s.Runs, run)
	}
	s.Figures, s.Test = foldFigures(own), foldFigures(test)
	if s.Figures == nil {
		s.Figures = []FoldFigure{}
	}
	return s
}

func baselineOf(f metrics.Figures) string {
	switch {
	case f.MajorityClass != nil:
		return "majority_class"
	case len(f.Targets) > 0:
		return "mean"
	}
	return ""
}

// foldFigures puts the figures of all folds side by side, in the order of package metrics. A
// fold that has none is nil.
func foldFigures(folds []*metrics.Figures) []FoldFigure {
	var names []string
	for _, f := range folds {
		if f == nil {
			continue
		}
		for _, n := range f.Named() {
			if !slices.Contains(names, n.Name) {
				names = append(names, n.Name)
			}
		}
	}
	var list []FoldFigure
	for _, name := range names {
		figure := FoldFigure{Name: name, HigherIsBetter: !metrics.LowerIsBetter(name)}
		var own, baseline []*float64
		for _, f := range folds {
			if f == nil {
				own, baseline = append(own, nil), append(baseline, nil)
				continue
			}
			found, _ := f.Find(name)
			own, baseline = append(own, found.Value), append(baseline, f.Baseline(name))
		}
		figure.FoldStatistics = foldStatistics(own)
		if of := foldStatistics(baseline); of.Mean != nil {
			figure.Baseline = &of
		}
		list = append(list, figure)
	}
	return list
}

func foldStatistics(values []*float64) FoldStatistics {
	s := FoldStatistics{Values: values}
	n, sum := 0.0, 0.0
	for _, v := range values {
		if v != nil {
			n++
			sum += *v
		}
	}
	if n == 0 {
		return s
	}
	mean := sum / n
	s.Mean = &mean
	if n == 1 {
		return s
	}
	squares := 0.0
	for _, v := range values {
		if v != nil {
			difference := *v - mean
			squares += float64(difference * difference)
		}
	}
	deviation := math.Sqrt(squares / (n - 1))
	s.StandardDeviation = &deviation
	return s
}
