package service

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reprise/api"
	"reprise/dataset"
	"reprise/queue"
	"reprise/training"
)

// slowData has whoever opens the data of a request wait until the function that it
// returns is called.
func slowData(t *testing.T, s *Service, r api.SubmitRequest, at int) (arrive func()) {
	t.Helper()
	request, err := api.ParseTrainingRequest("r.yaml", []byte(r.Files[at].Content))
	if err != nil {
		t.Fatal(err)
	}
	request, _, err = request.Split("r", "ada")
	if err != nil {
		t.Fatal(err)
	}
	library, done, err := s.library(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	source, err := request.DatasetReference(entryNames(library), string(r.Folder), stat)
	if err != nil {
		t.Fatal(err)
	}
	v := volume{source: source, files: stampOf(library, source)}
	_, o, mine := s.shelf.take(v)
	if !mine {
		t.Fatal("somebody opens these data already")
	}
	return func() {
		s.shelf.read(t.Context(), v, o, func() (*dataset.Dataset, error) { return library.Open(t.Context(), source) })
	}
}

// together is a request on data that are slow to open, and one on others.
func together(t *testing.T) api.SubmitRequest {
	t.Helper()
	slow, table := requests(t, 1, 4)
	rows, err := os.ReadFile(table)
	if err == nil {
		err = os.WriteFile(filepath.Join(filepath.Dir(table), "other.csv"), rows, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	quick := slow.Files[0]
	quick.Name, quick.Content = "quick.yaml", api.Text(strings.Replace(string(quick.Content), "table.csv", "other.csv", 1))
	slow.Files = append(slow.Files, quick)
	return slow
}

// Data that are slow to open delay neither the answer to a submission nor another run.
func TestARunDoesNotWaitForTheDataOfAnother(t *testing.T) {
	s := newService(t)
	s.patience = 0
	r := together(t)
	arrive := slowData(t, s, r, 0)
	var runs []string
	for submitted, err := range s.Submit(t.Context(), r) {
		if err != nil || submitted.Error != nil {
			t.Fatal(err, submitted.Error)
		}
		runs = append(runs, string(submitted.RunID))
	}
	var ended []string
	for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: runs}) {
		if err != nil || u.Unfinished != nil || u.End != nil && u.End.Details.State != training.Completed {
			t.Fatal(u.End, u.Unfinished, err)
		}
		if u.End == nil {
			continue
		}
		if ended = append(ended, string(u.RunID)); len(ended) == 1 {
			listed, err := s.Runs(t.Context(), api.RunsRequest{})
			if err != nil || len(listed.Runs) != 2 || listed.Runs[0].State != training.State(queue.StatePreparing) {
				t.Errorf("while its data are opened: %+v, %v", listed.Runs, err)
			}
			arrive()
		}
	}
	if want := []string{runs[1], runs[0]}; !slices.Equal(ended, want) {
		t.Errorf("ended %v, want %v", ended, want)
	}
}

// A mistake in the data of one request is found although those of another are not open,
// and refuses them all.
func TestDataThatAreSlowHideNoMistakeInOthers(t *testing.T) {
	s := newService(t)
	r := together(t)
	arrive := slowData(t, s, r, 0)
	defer arrive()
	r.Files[1].Content = api.Text(strings.Replace(string(r.Files[1].Content), "target: kind", "target: none", 1))
	for submitted, err := range s.Submit(t.Context(), r) {
		if err == nil || !strings.Contains(err.Error(), "none") || submitted.RunID != "" {
			t.Errorf("%+v, %v", submitted, err)
		}
	}
}

// A mistake that is found only when the data of a job are open rejects it, for good: it
// says what is wrong, and not that the data have changed. So does a retry of it.
func TestAMistakeThatIsFoundLateRejectsTheJob(t *testing.T) {
	s := newService(t)
	s.patience = 0
	r := together(t)
	r.Files = r.Files[:1]
	r.Files[0].Content = api.Text(strings.Replace(string(r.Files[0].Content), "target: kind", "target: none", 1))
	arrive := slowData(t, s, r, 0)
	run, err := submitOne(t.Context(), s, r)
	if err != nil {
		t.Fatal(err)
	}
	arrive()
	for range 2 {
		var end *api.RunReport
		for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: []string{run}}) {
			if err != nil || u.Unfinished != nil {
				t.Fatal(u.Unfinished, err)
			}
			end = u.End
		}
		if end.Details.State != api.Rejected || !strings.Contains(end.Details.Reason, `none`) || strings.Contains(end.Details.Reason, "changed") {
			t.Errorf("it is %s: %s", end.Details.State, end.Details.Reason)
		}
		retried, err := s.Retry(t.Context(), api.RetryRequest{Target: api.Target{Runs: []string{run}}})
		if err != nil || retried.Runs[0].Error != nil {
			t.Fatal(retried, err)
		}
		run = string(retried.Runs[0].RunID)
	}
}
