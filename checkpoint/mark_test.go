package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func (s Swept) changed() bool { return len(s.Removed)+len(s.SetAside) > 0 }

// A log that is older than the files beside it does not know what was committed.
func TestSweepLeavesWhatWasCommittedAndSaysSo(t *testing.T) {
	f := Folder{Path: filepath.Join(t.TempDir(), "checkpoints")}
	var refs []Ref
	for step := uint64(1); step <= 3; step++ {
		ref, err := f.WritePending(content(step), *noted())
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ref)
	}
	for i, ref := range refs[:2] { // the third was never committed
		if err := f.Mark(ref, uint64(10*i+10)); err != nil {
			t.Fatal(err)
		}
	}
	want := []Uncommitted{
		{Step: 2, Folder: filepath.Join(f.Path, refs[1].Dir), Marked: true, Position: 20},
		{Step: 3, Folder: filepath.Join(f.Path, refs[2].Dir), Pending: noted()},
	}
	if got, err := f.Uncommitted(1); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("after step 1 there are %+v, %v", got, err)
	}
	swept, err := f.Sweep(refs[:1], allLitter)
	var committed *CommittedError
	if !errors.As(err, &committed) || committed.Position != 20 || !strings.Contains(err.Error(), "event 20") {
		t.Errorf("Sweep: %v", err)
	}
	if !slices.Equal(swept.Removed, []string{refs[2].Dir}) {
		t.Errorf("removed %q", swept.Removed)
	}
	for _, ref := range refs[:2] {
		if err := f.Verify(ref); err != nil {
			t.Error(err)
		}
	}
	// Nor is it written over.
	other := content(2)
	other.Weights[0].Data[0]++
	if _, err := f.Write(other); !errors.As(err, &committed) {
		t.Errorf("Write: %v", err)
	}
	if err := f.Verify(refs[1]); err != nil {
		t.Error(err)
	}
}

// One that was set aside, too, and whose name somebody else bears.
func TestSweepLeavesACommittedCheckpointThatWasSetAside(t *testing.T) {
	f := Folder{Path: filepath.Join(t.TempDir(), "checkpoints")}
	ref, err := f.Write(content(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Mark(ref, 0), os.Rename(filepath.Join(f.Path, ref.Dir), filepath.Join(f.Path, asideName(ref.Dir)))); err != nil {
		t.Fatal(err)
	}
	var committed *CommittedError
	if swept, err := f.Sweep(nil, allLitter); !errors.As(err, &committed) || swept.changed() {
		t.Errorf("%+v, %v", swept, err)
	}
	if _, err := f.Sweep([]Ref{ref}, allLitter); err != nil {
		t.Errorf("with the event: %v", err)
	}
	if err := f.Verify(ref); err != nil {
		t.Error(err)
	}
}

func TestSweepMarksWhatTheLogKnows(t *testing.T) {
	f := Folder{Path: filepath.Join(t.TempDir(), "checkpoints")}
	kept, err := f.Write(content(1)) // by a version that made no marks
	if err != nil {
		t.Fatal(err)
	}
	gone := kept
	gone.Step, gone.Dir = 9, folderName(9)
	if _, err := f.Sweep([]Ref{kept, gone}, allLitter); err != nil {
		t.Fatal(err)
	}
	var committed *CommittedError
	if swept, err := f.Sweep(nil, allLitter); !errors.As(err, &committed) || swept.changed() {
		t.Errorf("%+v, %v", swept, err)
	}
	if _, err := os.Lstat(filepath.Join(f.Path, gone.Dir)); err == nil {
		t.Error("a folder was made for a checkpoint that is missing")
	}
}

func TestNothingOfAnybodyElseIsRemoved(t *testing.T) {
	for _, name := range []string{folderName(2), partName(folderName(2)), asideName(folderName(2)), removedName(folderName(2))} {
		f := Folder{Path: filepath.Join(t.TempDir(), "checkpoints")}
		ref, err := f.Write(content(1))
		if err != nil {
			t.Fatal(err)
		}
		notes := filepath.Join(f.Path, name, "notes.txt")
		if err := errors.Join(os.Mkdir(filepath.Join(f.Path, name), 0o755), os.WriteFile(notes, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		var foreign *ForeignError
		if swept, err := f.Sweep([]Ref{ref}, allLitter); !errors.As(err, &foreign) || foreign.Name != "notes.txt" || swept.changed() {
			t.Errorf("%s: %+v, %v", name, swept, err)
		}
		_, _ = f.Write(content(2)) // it may fail, and may not remove them
		if left, _ := filepath.Glob(filepath.Join(f.Path, "*", "notes.txt")); len(left) == 0 {
			if left, _ = filepath.Glob(filepath.Join(f.Path, ".*", "notes.txt")); len(left) == 0 {
				t.Errorf("%s: the notes are gone", name)
			}
		}
	}
}

// TestAFaultAtAnyOperationOfMarkLeavesTheCheckpoint fails Mark at every
// operation. What is left is read, swept and marked as ever.
func TestAFaultAtAnyOperationOfMarkLeavesTheCheckpoint(t *testing.T) {
	for layer, fresh := range layers(t) {
		for _, f := range []mishap{failOnce, diskFull, shortWrite, crash, crashAfter} {
			for at := 0; ; at++ {
				files, dir := fresh()
				ref, err := write(files, dir, content(1), noted())
				if err != nil {
					t.Fatal(err)
				}
				faulty := &faultyFiles{fileLayer: files, at: at, mishap: f}
				if err := mark(faulty, dir, ref, 7); faulty.count <= at {
					if err != nil {
						t.Fatal(err)
					}
					break
				} else if err == nil && f != diskFull {
					t.Fatalf("%s, %v: operation %d (%s) failed, and Mark says nothing", layer, f, at, faulty.log[at])
				}
				if swept, err := sweep(files, dir, []Ref{ref}, allLitter); err != nil || swept.changed() || swept.Unmarked != nil {
					t.Fatalf("%s, %v at %d: Sweep: %+v, %v", layer, f, at, swept, err)
				}
				mustRead(t, files, dir, ref, content(1))
				var committed *CommittedError
				if _, err := sweep(files, dir, nil, allLitter); !errors.As(err, &committed) {
					t.Fatalf("%s, %v at %d: it is not marked: %v", layer, f, at, err)
				}
			}
		}
	}
}

func TestAMarkSurvivesALossOfPower(t *testing.T) {
	files := newPowerFiles()
	const dir = "/runs/7/checkpoints"
	ref, err := write(files, dir, content(1), noted())
	if err == nil {
		err = mark(files, dir, ref, 7)
	}
	if err != nil {
		t.Fatal(err)
	}
	files.losePower(nil)
	var committed *CommittedError
	if _, err := sweep(files, dir, nil, allLitter); !errors.As(err, &committed) || committed.Position != 7 {
		t.Errorf("%v", err)
	}
}

func TestWhatIsMissingIsToldFromWhatIsDamaged(t *testing.T) {
	f := Folder{Path: filepath.Join(t.TempDir(), "checkpoints")}
	ref, err := f.Write(content(1))
	if err != nil {
		t.Fatal(err)
	}
	weights := filepath.Join(f.Path, ref.Dir, weightsFile)
	if err := os.WriteFile(weights, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Verify(ref); errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "corrupt") {
		t.Errorf("damaged: %v", err)
	}
	for _, path := range []string{weights, filepath.Join(f.Path, ref.Dir), f.Path} {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if err := f.Verify(ref); !errors.Is(err, ErrMissing) || strings.Contains(err.Error(), "corrupt") {
			t.Errorf("without %s: %v", path, err)
		}
	}
}
