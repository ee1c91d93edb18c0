package service

import (
	"context"
	"slices"
	"strings"
	"testing"

	"reprise/api"
	"reprise/datadir"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/internal/disk"
	"reprise/journal"
	"reprise/training"
)

// paused returns a run that was paused after its eighth checkpoint or later, and has removed
// some of them.
func paused(t *testing.T, s *Service) string {
	t.Helper()
	r, _ := requests(t, 1_000_000, 4)
	r.Files[0].Content = api.Text(strings.Replace(string(r.Files[0].Content), "config: {", "config: {keep: {last: 3}, ", 1))
	run, err := submitOne(t.Context(), s, r)
	if err != nil {
		t.Fatal(err)
	}
	pauseLater(t, s, run)
	return run
}

// pauseLater pauses a run that trains after eight more checkpoints.
func pauseLater(t *testing.T, s *Service, run string) {
	t.Helper()
	checkpoints := 0
	for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: []string{run}}) {
		if err != nil || u.End != nil && u.End.Details.State != api.Paused {
			t.Fatal(u.End, err)
		}
		if u.Event == nil || u.Event.Type != (training.CheckpointCommitted{}).EventType() {
			continue
		}
		if checkpoints++; checkpoints == 8 {
			if _, err := s.Pause(t.Context(), api.PauseRequest{Target: api.Target{Runs: []string{run}}, Cause: "a test"}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// recorded returns a run as it is on record.
func recorded(t *testing.T, s *Service, run string) journal.RunRecord {
	t.Helper()
	r, err := s.findBegun(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	r.close()
	return r.run
}

func TestACheckpointThatIsRemovedBeforeItIsReadIsChosenAgain(t *testing.T) {
	s := newService(t)
	run := paused(t, s)
	r, err := s.findBegun(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	all := r.run.Checkpoints
	last := all[len(all)-1]
	gone := r.run.Removed[1]
	stale := func() subject { // as it was when the checkpoint that is gone was the last
		old := r
		old.run.Checkpoints, old.run.Removed = all[:indexOfStep(r.run, gone)+1], nil
		return old
	}

	old := stale()
	if cp, content, err := s.readCheckpoint(t.Context(), &old, nil, false); err != nil || cp != last || content.Step != last.Step {
		t.Errorf("the last one: step %d, content of step %d, %v", cp.Step, content.Step, err)
	}
	if len(old.run.Removed) != len(r.run.Removed) {
		t.Errorf("the run that was read again has removed %v", old.run.Removed)
	}
	old = stale()
	_, _, err = s.readCheckpoint(t.Context(), &old, &gone, false)
	if err == nil || !strings.Contains(err.Error(), "was removed, as its config.keep asks") || fault.KindOf(err) != fault.Invalid {
		t.Errorf("by its step: %v, %v", fault.KindOf(err), err)
	}

	j, _, err := s.prepareFork(t.Context(), stale().run, api.ForkRequest{})
	if err != nil || j.session.Parent.Step() != last.Step {
		t.Errorf("a fork begins at step %d, %v", j.session.Parent.Step(), err)
	}
	_, _, err = s.prepareFork(t.Context(), stale().run, api.ForkRequest{From: &gone})
	if err == nil || !strings.Contains(err.Error(), "was removed, as its config.keep asks") {
		t.Errorf("a fork from there: %v", err)
	}

	// What is missing without having been removed is damage.
	if err := s.workspace.Checkpoints(training.RunID(run)).Remove(last.Step); err != nil {
		t.Fatal(err)
	}
	old = r
	if _, _, err := s.readCheckpoint(t.Context(), &old, &last.Step, false); fault.KindOf(err) != fault.Corrupt || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("a damaged one: %v, %v", fault.KindOf(err), err)
	}
	if _, _, err := s.prepareFork(t.Context(), r.run, api.ForkRequest{From: &last.Step}); fault.KindOf(err) != fault.Corrupt {
		t.Errorf("a fork from a damaged one: %v", err)
	}
}

func TestABackupIsWholeThoughFilesAreRemovedMeanwhile(t *testing.T) {
	s := newService(t)
	remove := func(run string) {
		answer, err := s.Delete(t.Context(), api.DeleteRequest{Target: api.Target{Runs: []string{run}}})
		if err != nil || len(answer.Runs) != 1 || answer.Runs[0].Error != nil {
			t.Fatalf("%+v, %v", answer, err)
		}
	}
	first := trained(t, s)
	var second, third string
	var gone []uint64
	copyLog := s.config.Copies.Backup
	copies, kept := 0, 0
	s.config.Copies.Backup = func(ctx context.Context, from, path string) (eventstore.Head, error) {
		copies++
		switch copies {
		case 1:
			remove(first) // after its files were copied
			second = paused(t, s)
		case 2:
			third = trained(t, s)
		}
		head, err := copyLog(ctx, from, path)
		switch copies {
		case 1:
			then := recorded(t, s, second).Kept()
			if err := drain(s.Resume(t.Context(), api.ResumeRequest{Target: api.Target{Runs: []string{second}}})); err != nil {
				t.Fatal(err)
			}
			pauseLater(t, s, second)
			now := recorded(t, s, second)
			for _, cp := range then {
				if slices.Contains(now.Removed, cp.Step) {
					gone = append(gone, cp.Step)
				}
			}
			kept = len(now.Kept())
		case 2:
			remove(third)
		}
		return head, err
	}
	folder := t.TempDir() + "/copy"
	if err := drain(s.Backup(t.Context(), api.BackupRequest{Folder: folder})); err != nil || copies != 3 || len(gone) == 0 {
		t.Fatalf("after %d copies of the log: %v", copies, err)
	}
	restored := newService(t)
	report, err := restored.Restore(t.Context(), folder, true, func(uint64, uint64) {})
	if err != nil || report.Runs != 1 || report.Checkpoints != kept {
		t.Errorf("%+v, %v", report, err)
	}
	copied := datadir.Workspace{Dir: folder}
	for _, id := range []string{first, third} {
		if disk.Exists(copied.RunDir(training.RunID(id))) {
			t.Errorf("the backup has files of run %s, which was deleted", id)
		}
	}
	for _, step := range gone {
		if copied.Checkpoints(training.RunID(second)).Has(step) {
			t.Errorf("the backup has the checkpoint at step %d, which was removed", step)
		}
	}
	for _, at := range []datadir.Workspace{copied, restored.workspace} {
		log, err := s.config.OpenReadOnly(at.EventsPath())
		if err != nil {
			t.Fatal(err)
		}
		if err := datadir.CheckFiles(t.Context(), log, at); err != nil {
			t.Error(err)
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}

	// Damage is no reason to try again.
	copies = 3
	if _, err := s.workspace.Checkpoints(training.RunID(second)).Clear(); err != nil {
		t.Fatal(err)
	}
	err = drain(s.Backup(t.Context(), api.BackupRequest{Folder: folder + "-damaged"}))
	if fault.KindOf(err) != fault.Corrupt || copies != 4 {
		t.Errorf("after %d copies of the log: %v", copies-3, err)
	}
}
