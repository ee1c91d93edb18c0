package servicetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reprise/api"
	"reprise/fault"
	"reprise/training"
)

// submitted submits training requests on the digits, and returns their runs.
func submitted(t *testing.T, s api.Service, settings ...string) []string {
	t.Helper()
	content := api.Text(strings.ReplaceAll(digits, `\n`, "\n"))
	request := api.SubmitRequest{Folder: "/", Files: []api.RequestFile{{Name: "one.yaml", Content: content}, {Name: "two.yaml", Content: content}}}
	for _, text := range settings {
		request.Settings.Values = append(request.Settings.Values, api.Text(text))
	}
	var runs []string
	for submission, err := range s.Submit(t.Context(), request) {
		if err != nil || submission.Error != nil || submission.Index != len(runs) {
			t.Fatalf("%+v, %v", submission, err)
		}
		runs = append(runs, string(submission.RunID))
	}
	if len(runs) != 2 {
		t.Fatalf("runs %q", runs)
	}
	return runs
}

// followed follows runs to their ends, which it returns in their order.
func followed(t *testing.T, s api.Service, runs []string, look func(api.RunUpdate)) []api.RunReport {
	t.Helper()
	ends := map[training.RunID]api.RunReport{}
	begun := map[training.RunID]bool{}
	for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: runs}) {
		if err != nil || u.Unfinished != nil {
			t.Fatalf("%+v, %v", u, err)
		}
		if _, ended := ends[u.RunID]; ended || u.End == nil && begun[u.RunID] == (u.Begin != nil) {
			t.Errorf("%+v comes before the run's beginning, or after its end", u)
		}
		if begun[u.RunID] = true; u.End != nil {
			ends[u.RunID] = *u.End
		}
		if look != nil {
			look(u)
		}
	}
	list := make([]api.RunReport, len(runs))
	for i, run := range runs {
		end, ok := ends[training.RunID(run)]
		if !ok {
			t.Fatalf("run %s has no end", run)
		}
		list[i] = end
	}
	return list
}

func trained(t *testing.T, h Harness) {
	s := h.Open(t, filepath.Join(t.TempDir(), "new"))
	runs := submitted(t, s)
	var steps, samples int
	events := map[string]int{}
	ends := followed(t, s, runs, func(u api.RunUpdate) {
		switch {
		case u.RunID != training.RunID(runs[0]):
		case u.Steps != nil:
			steps += u.Steps.Count
			samples += u.Steps.Samples
		case u.Event != nil:
			events[u.Event.Type]++
		}
	})
	for _, end := range ends {
		if d := end.Details; d.State != training.Completed || d.WeightsSHA256 != ends[0].Details.WeightsSHA256 || d.WeightsSHA256 == "" || d.Step != 6 {
			t.Errorf("%+v", d.Run)
		}
	}
	// It may have taken steps before it was followed.
	if steps > 6 || samples > 2*1437 || events["training.epoch_completed.v1"] != 2 || events["training.training_completed.v1"] != 1 {
		t.Errorf("%d steps with %d samples, events %v", steps, samples, events)
	}
	again := followed(t, s, runs, nil)
	if again[1].Details.WeightsSHA256 != ends[1].Details.WeightsSHA256 {
		t.Errorf("followed again: %+v", again[1].Details.Run)
	}
	answer, err := s.Interrupt(t.Context(), api.InterruptRequest{Runs: runs, Cause: "a test"})
	if err != nil || len(answer.Runs) != 0 {
		t.Errorf("runs at rest are interrupted: %+v, %v", answer, err)
	}
	var e *api.Error
	for _, err := range s.Resume(t.Context(), api.ResumeRequest{Target: api.Target{Runs: runs[:1]}}) {
		if !errors.As(err, &e) || e.Code != api.RunEnded || e.Run != training.RunID(runs[0]) {
			t.Errorf("a run that has ended is resumed: %v", err)
		}
	}
	half := uint64(3)
	forked, err := s.Fork(t.Context(), api.ForkRequest{Run: runs[0], From: &half, Settings: api.Settings{Values: []api.Text{"config.seed=9"}}})
	if err != nil || forked.Step != 3 || string(forked.Parent) != runs[0] || len(forked.Changes) != 1 {
		t.Fatalf("%+v, %v", forked, err)
	}
	if end := followed(t, s, []string{string(forked.RunID)}, nil); end[0].Details.State != training.Completed || end[0].Details.ForkOf != forked.Parent {
		t.Errorf("%+v", end[0].Details.Run)
	}
}

// folded submits a request with folds beside another one. Its runs have the ids that were
// given and are one group, whose comparison sums them up.
func folded(t *testing.T, h Harness) {
	s := h.Open(t, filepath.Join(t.TempDir(), "new"))
	table := filepath.Join(t.TempDir(), "sizes.csv")
	if err := os.WriteFile(table, []byte("size,kind\n1,a\n9,b\n2,a\n8,b\n3,a\n7,b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const head = "model_architecture: mlp\nmodel: {hidden: [2]}\ndataset_path: sizes.csv\nconfig: {batch_size: 2, learning_rate: 0.01, epochs: 1}\n"
	q := api.SubmitRequest{Folder: api.Text(filepath.Dir(table)), Files: []api.RequestFile{
		{Name: "one.yaml", Content: head + "dataset: {target: kind}\n"}, {Name: "folds.yaml", Content: head + "dataset: {target: kind, split: {folds: 2}}\n"},
	}}
	for _, n := range []int{2, 4} {
		q.RunIDs = []training.RunID{"one", "fold1", "fold2", "more"}[:n]
		for _, err := range s.Submit(t.Context(), q) {
			if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "is not the number of runs, which is 3") {
				t.Errorf("%d ids for 3 runs: %v", n, err)
			}
		}
	}
	q.RunIDs = q.RunIDs[:3]
	var runs []string
	for submission, err := range s.Submit(t.Context(), q) {
		if err != nil || submission.Error != nil || submission.Index != len(runs) || submission.RunID != q.RunIDs[len(runs)] {
			t.Fatalf("%+v, %v", submission, err)
		}
		runs = append(runs, string(submission.RunID))
	}
	if len(runs) != 3 {
		t.Fatalf("runs %q", runs)
	}
	for i, end := range followed(t, s, runs, nil) {
		group := "folds-fold1"
		if i == 0 {
			group = ""
		}
		if d := end.Details; d.State != training.Completed || d.Data.Table.Split.Fold != i || d.Job.Group != group {
			t.Errorf("%+v in group %q, fold %d", d.Run, d.Job.Group, d.Data.Table.Split.Fold)
		}
	}
	c, err := s.Compare(t.Context(), api.CompareRequest{Group: "folds-fold1"})
	if err != nil || len(c.Folds) != 1 || len(c.Folds[0].Runs) != 2 {
		t.Fatalf("%+v, %v", c.Folds, err)
	}
	if f, ok := c.Folds[0].Figure("accuracy"); !ok || f.StandardDeviation == nil || f.Baseline == nil {
		t.Errorf("%+v", f)
	}
	if _, err := s.Compare(t.Context(), api.CompareRequest{Runs: runs, Group: "folds-fold1"}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("runs and a group: %v", err)
	}
}

func interrupted(t *testing.T, h Harness) {
	s := h.Open(t, filepath.Join(t.TempDir(), "new"))
	undisturbed := followed(t, s, submitted(t, s, "config.epochs=200", "config.checkpoint_interval=50"), nil)[0]
	runs := submitted(t, s, "config.epochs=200", "config.checkpoint_interval=50")
	// Whoever stops to follow a run does not stop it.
	for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: runs}) {
		if err != nil {
			t.Fatal(err)
		}
		if u.Event != nil && u.Event.Type == "training.epoch_completed.v1" {
			break
		}
	}
	// It can be named in every way while it trains.
	for _, name := range []string{"latest", runs[1][:len(runs[1])-1]} {
		for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: []string{name}}) {
			if err != nil || string(u.RunID) != runs[1] && name == "latest" {
				t.Errorf("followed as %s: %+v, %v", name, u, err)
			}
			break
		}
	}
	if _, err := s.Interrupt(t.Context(), api.InterruptRequest{Runs: runs, Cause: "a test"}); err != nil {
		t.Fatal(err)
	}
	for _, end := range followed(t, s, runs, nil) {
		if end.Details.State == training.Interrupted && end.Details.Reason != "a test" {
			t.Errorf("interrupted by %q", end.Details.Reason)
		}
	}
	var resumable []string
	for _, run := range runs {
		r, err := s.Run(t.Context(), api.RunRequest{Run: run})
		if err != nil {
			t.Fatal(err)
		}
		if r.CanResume {
			resumable = append(resumable, run)
		}
	}
	if len(resumable) == 0 {
		t.Fatal("both runs ended before they could be interrupted")
	}
	for submission, err := range s.Resume(t.Context(), api.ResumeRequest{Target: api.Target{Runs: resumable}}) {
		if err != nil || submission.Error != nil {
			t.Fatalf("%+v, %v", submission, err)
		}
	}
	for _, end := range followed(t, s, resumable, nil) {
		if d := end.Details; d.State != training.Completed || d.WeightsSHA256 != undisturbed.Details.WeightsSHA256 || d.Interruptions != 1 {
			t.Errorf("%+v, undisturbed %+v", d.Run, undisturbed.Details.Run)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range s.Follow(ctx, api.FollowRequest{Runs: runs}) {
		if err != nil && fault.KindOf(err) != fault.Canceled {
			t.Errorf("a canceled call: %v", err)
		}
	}
}

// Whoever asks for the others gets the updates of all runs of the process, also of those
// that are submitted meanwhile.
func followedWithOthers(t *testing.T, h Harness) {
	s := h.Open(t, filepath.Join(t.TempDir(), "new"))
	runs := submitted(t, s, "config.epochs=3000", "config.checkpoint_interval=1000")
	var late []string
	ended := map[string]bool{}
	for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: runs[:1], Others: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if late == nil && u.Steps != nil {
			late = submitted(t, s, "config.epochs=1")
			if _, err := s.Interrupt(t.Context(), api.InterruptRequest{Runs: runs, Cause: "a test"}); err != nil {
				t.Fatal(err)
			}
		}
		ended[string(u.RunID)] = ended[string(u.RunID)] || u.End != nil
	}
	if _, seen := ended[runs[1]]; late == nil || !ended[runs[0]] || !seen {
		t.Errorf("followed %v of %q", ended, runs)
	}
	more := submitted(t, s, "config.epochs=1", "job.group=late", "job.owner=ada")
	for u, err := range s.Follow(t.Context(), api.FollowRequest{Others: true}) {
		if err != nil {
			t.Fatal(err)
		}
		ended[string(u.RunID)] = ended[string(u.RunID)] || u.End != nil
	}
	for _, id := range more {
		if r, err := s.Run(t.Context(), api.RunRequest{Run: id}); err != nil || r.Details.State != training.Completed {
			t.Errorf("run %s is left: %+v, %v", id, r.Details.Run, err)
		}
	}
	q := api.RunsRequest{Group: "late", Owner: "ada", State: training.Completed}
	if got := selected(t, s, q); len(got) != 2 || string(got[0]) != more[0] || string(got[1]) != more[1] {
		t.Errorf("%+v gives %q, want %q", q, got, more)
	}
	if q.Owner = "bob"; len(selected(t, s, q)) > 0 {
		t.Errorf("%+v gives runs of another owner", q)
	}
	for u, err := range s.Follow(t.Context(), api.FollowRequest{Others: true}) {
		t.Errorf("%+v, %v, although no run is left", u, err)
	}
}

// shared sets how the queue is shared, and submits what no longer fits.
func shared(t *testing.T, h Harness) {
	s := h.Open(t, filepath.Join(t.TempDir(), "data"))
	share, quota := 2.0, 0
	var q api.SetQueueRequest
	q.Shares, q.Quotas = map[string]*float64{"ada": &share}, map[string]*int{"bob": &quota}
	before, err := s.Queue(t.Context(), api.QueueRequest{})
	if err != nil || before.Version != 0 || before.ChangedAt != nil || len(before.Owners) != 0 || len(before.Devices) == 0 {
		t.Fatalf("%+v, %v", before, err)
	}
	id := before.Devices[0].ID
	q.Label(string(id), []string{"fast"})
	after, err := s.SetQueue(t.Context(), q)
	if err != nil || after.Version != 1 || after.Order != "share" || len(after.Owners) != 2 || after.Owners[0].Share != 2 || after.Owners[1].Quota == nil {
		t.Fatalf("%+v, %v", after, err)
	}
	list, err := s.Devices(t.Context(), api.DevicesRequest{})
	if err != nil || list.Devices[0].ID != id || len(list.Devices[0].Labels) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	content := api.Text(strings.ReplaceAll(digits, `\n`, "\n") + "job: {owner: bob, labels: [slow]}\n")
	for _, err := range s.Submit(t.Context(), api.SubmitRequest{Folder: "/", Files: []api.RequestFile{{Name: "a", Content: content}}}) {
		var e *api.Error
		if !errors.As(err, &e) || e.Fault != fault.Invalid || len(e.Mistakes) != 2 || !strings.Contains(err.Error(), "there are fast") {
			t.Errorf("what can never run as it is set: %v", err)
		}
	}
	q.Shares["ada"], q.Quotas["bob"] = nil, nil
	q.Label(string(id), nil)
	if again, err := s.SetQueue(t.Context(), q); err != nil || again.Version != 2 || len(again.Owners) != 0 || len(again.Devices[0].Labels) != 0 {
		t.Errorf("%+v, %v", again, err)
	}
}
