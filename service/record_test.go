package service_test

import (
	"path/filepath"
	"testing"

	"reprise/api"
	"reprise/api/servicetest"
	"reprise/datadir"
	"reprise/eventstore"
	"reprise/eventstore/sqlite"
	"reprise/internal/stepseries"
	"reprise/service"
)

// A run of any length fits: no part has too many steps for a line of an answer.
func TestTheStepsOfALongRunComeInParts(t *testing.T) {
	dir := servicetest.Harness{
		Logs:  "../integration/testdata/golden",
		Store: func(path string) (eventstore.Store, error) { return sqlite.Open(path, sqlite.Config{}) },
	}.Dir(t, "digits")
	s, err := service.New(config(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	run, err := s.Run(t.Context(), api.RunRequest{Run: "latest"})
	if err != nil {
		t.Fatal(err)
	}
	w := datadir.Workspace{Dir: dir}
	if err := w.CreateRun(run.Details.RunID); err != nil {
		t.Fatal(err)
	}
	const steps = 25_000
	series, err := stepseries.Create(filepath.Clean(w.SeriesPath(run.Details.RunID)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(steps) {
		if err := series.Append(stepseries.Record{Step: i + 1, Epoch: uint32(i/12) + 1, Loss: 1 / float32(i+1), LearningRate: 0.01}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := series.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := series.Close(); err != nil {
		t.Fatal(err)
	}
	heads, parts, next := 0, 0, uint64(1)
	for part, err := range s.Metrics(t.Context(), api.MetricsRequest{Run: "latest"}) {
		if err != nil {
			t.Fatal(err)
		}
		parts++
		if part.Head != nil {
			heads++
		}
		if len(part.Steps) > 10_000 {
			t.Errorf("a part has %d steps", len(part.Steps))
		}
		for _, step := range part.Steps {
			if want := (api.Step{Step: next, Epoch: uint32((next-1)/12) + 1, Loss: 1 / float32(next), LearningRate: 0.01}); step != want {
				t.Fatalf("%+v, want %+v", step, want)
			}
			next++
		}
	}
	if heads != 1 || parts != 3 || next != steps+1 {
		t.Errorf("%d heads in %d parts, %d steps", heads, parts, next-1)
	}
}
