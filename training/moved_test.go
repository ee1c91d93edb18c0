package training_test

import (
	"errors"
	"strings"
	"testing"

	"reprise/dataset"
	"reprise/training"
)

// started returns a run on a table that is split by files.
func onFiles(t *testing.T) training.TrainingRun {
	t.Helper()
	d := training.Dataset{ID: "d", Path: "/old/t.csv", Fingerprint: strings.Repeat("a", 64), Training: 8}
	d.Table.Split.ValidationPath = "/old/v.csv"
	run, err := training.TrainingRun{}.Apply(training.TrainingStarted{RunID: "run", SessionID: "s", Dataset: d})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func TestAMoveToOtherDataIsFound(t *testing.T) {
	run := onFiles(t)
	good := training.DatasetMoved{Path: "/new/t.csv", ValidationPath: "/new/v.csv", Fingerprint: run.Session.Dataset.Fingerprint}
	if what := good.Contradicts(run); what != "" {
		t.Error(what)
	}
	for field, forge := range map[string]func(*training.DatasetMoved){
		"path":            func(e *training.DatasetMoved) { e.Path = "" },
		"validation_path": func(e *training.DatasetMoved) { e.ValidationPath = "" },
		"test_path":       func(e *training.DatasetMoved) { e.TestPath = "/new/test.csv" },
		"root":            func(e *training.DatasetMoved) { e.Root = "/new" },
		"fingerprint":     func(e *training.DatasetMoved) { e.Fingerprint = strings.Repeat("b", 64) },
	} {
		e := good
		forge(&e)
		if what := e.Contradicts(run); !strings.HasPrefix(what, field+": ") {
			t.Errorf("a forged %s: %q", field, what)
		}
	}
}

// The first event keeps what it says; the run reads its data at the last place.
func TestARunKnowsWhereItsDataAre(t *testing.T) {
	run := onFiles(t)
	for _, path := range []string{"/new/t.csv", "/newest/t.csv"} {
		source := run.Dataset().Source()
		source.Path = path
		var err error
		if run, err = run.Apply(run.Session.Dataset.MovedTo(source)); err != nil {
			t.Fatal(err)
		}
		if got := run.Dataset().Source(); got != source || run.Session.Dataset.Path != "/old/t.csv" {
			t.Errorf("%+v, want %+v", got, source)
		}
	}
	run.Session.State = training.Completed
	if _, err := run.Apply(run.Session.Dataset.MovedTo(dataset.Source{Path: "/x"})); !errors.Is(err, training.ErrInvalidTransition) {
		t.Errorf("after its end: %v", err)
	}
}

// Data may move while a run is at rest, since it is then that they are missed.
func TestDataMayMoveWhileARunIsInterrupted(t *testing.T) {
	saga := training.TrainingSaga{State: training.Training}
	saga.Context.Paused = true
	if _, err := saga.Apply(training.DatasetMoved{Path: "/x"}); err != nil {
		t.Error(err)
	}
	if _, err := (training.TrainingSaga{State: training.SagaFailed}).Apply(training.DatasetMoved{Path: "/x"}); err == nil {
		t.Error("it may move after the run has failed")
	}
}
