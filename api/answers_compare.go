package api

import (
	"encoding/json"
	"time"

	"reprise/training"
)

// MaxCompared bounds the runs of one comparison.
const MaxCompared = 100

// CompareRequest asks for a comparison of runs, 2 to MaxCompared, each once: those named, or
// those of a group that have begun.
type CompareRequest struct {
	Runs  []string `json:"runs,omitempty"`
	Group string   `json:"group,omitempty"`
}

// Comparison is what runs have that differs, and their figures. Every list of values has
// the order of Runs, and null where a run has none.
type Comparison struct {
	Runs []ComparedRun `json:"runs"`
	// Differences are the fields of the requests that differ, and those of the data, whose
	// names begin with "data.".
	Differences []FieldDifference `json:"differences"`
	Figures     []ComparedFigure  `json:"figures"`
	// SameData says that all runs were judged by the same validation samples. If it is
	// false, their figures say little about each other.
	SameData bool `json:"same_data"`
	// Folds are the runs that are folds of one request, with means and standard deviations.
	Folds []FoldSet `json:"folds,omitempty"`
}

// ComparedRun is a run of a comparison.
type ComparedRun struct {
	Result
	Name   string         `json:"name,omitempty"`
	Tags   []string       `json:"tags,omitempty"`
	ForkOf training.RunID `json:"fork_of,omitempty"`
	// InitFrom says where initial weights come from that the seed does not give.
	InitFrom string `json:"init_from,omitempty"`
	// DeletedAt is when the run was deleted; nil for one that was not.
	DeletedAt *time.Time `json:"deleted_at,omitempty"`
	// FiguresStep is the step of the checkpoint whose figures are compared: the best one of
	// a run that has completed, the last one of another.
	FiguresStep uint64 `json:"figures_step"`
}

// FieldDifference is a field in which runs differ.
type FieldDifference struct {
	Field  string            `json:"field"`
	Values []json.RawMessage `json:"values"`
}

// ComparedFigure is one figure of all runs.
type ComparedFigure struct {
	Name   string     `json:"name"`
	Values []*float64 `json:"values"`
	// HigherIsBetter is false where the lowest value is the best. Best are the places in
	// Runs of those that have it; none where all have the same.
	HigherIsBetter bool  `json:"higher_is_better"`
	Best           []int `json:"best"`
}
