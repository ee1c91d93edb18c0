package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestMarkedCheckpointsAreRemovedWithWhatAnEarlierAttemptLeft(t *testing.T) {
	f := Folder{Path: t.TempDir()}
	write := func(step uint64) Ref {
		t.Helper()
		c := content(step)
		ref, err := f.Write(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Mark(ref, 1); err != nil {
			t.Fatal(err)
		}
		return ref
	}
	first, second, foreign, last := write(1), write(2), write(3), write(4)
	// One was given its other name, and then the process died.
	if err := os.Rename(filepath.Join(f.Path, second.Dir), filepath.Join(f.Path, removedName(second.Dir))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.Path, foreign.Dir, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var kept *ForeignError
	if err := f.Remove(1, 2, 3, 9); !errors.As(err, &kept) || filepath.Base(kept.Folder) != foreign.Dir {
		t.Errorf("%v", err)
	}
	entries, err := os.ReadDir(f.Path)
	if err != nil || len(entries) != 2 || f.Has(1) || !f.Has(3) {
		t.Errorf("%v are left, %v; %s was removed", entries, err, first.Dir)
	}
	if err := f.Verify(last); err != nil {
		t.Error(err)
	}
	if err := f.Remove(1, 2); err != nil {
		t.Errorf("again: %v", err)
	}
}
