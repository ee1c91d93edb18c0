package checkpoint

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Whether a checkpoint that the log does not have was committed is for the log to
// prove; while it proves nothing, nothing is removed.
func TestSweepRemovesOnlyWhatTheLogProvesToBeLitter(t *testing.T) {
	for name, c := range map[string]struct {
		judge   Judge
		removed []string
		failed  error
	}{
		"the run has committed another one since": {allLitter, []string{folderName(2)}, nil},
		"the log ends where it was written":       {undecided, nil, nil},
		"there is nobody to ask":                  {nil, nil, nil},
		"the log is older":                        {olderLog, nil, errOlder},
	} {
		f := Folder{Path: filepath.Join(t.TempDir(), "checkpoints")}
		kept, err := f.WritePending(content(1), *noted())
		if err != nil {
			t.Fatal(err)
		}
		ref, err := f.WritePending(content(2), *noted())
		if err != nil {
			t.Fatal(err)
		}
		swept, err := f.Sweep([]Ref{kept}, c.judge)
		if !errors.Is(err, c.failed) || !slices.Equal(swept.Removed, c.removed) || swept.SetAside != nil {
			t.Errorf("%s: %+v, %v", name, swept, err)
		}
		if err := f.Verify(ref); (err == nil) != (c.removed == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An older version left no note, so that nothing can be proved about its checkpoint.
func TestACheckpointWithoutANoteIsSetAsideOnce(t *testing.T) {
	f := Folder{Path: filepath.Join(t.TempDir(), "checkpoints")}
	ref, err := f.Write(content(2))
	if err != nil {
		t.Fatal(err)
	}
	aside := unrecordedName(ref.Dir)
	want := Swept{SetAside: []string{aside}}
	if swept, err := f.Sweep(nil, allLitter); err != nil || !reflect.DeepEqual(swept, want) {
		t.Errorf("%+v, %v; want %+v", swept, err, want)
	}
	mustHold(t, osFiles(), filepath.Join(f.Path, aside), content(2))
	if swept, err := f.Sweep(nil, allLitter); err != nil || swept.changed() {
		t.Errorf("again: %+v, %v", swept, err)
	}
	// The same one again is a copy.
	if _, err := f.Write(content(2)); err != nil {
		t.Fatal(err)
	}
	want = Swept{Removed: []string{ref.Dir}}
	if swept, err := f.Sweep(nil, allLitter); err != nil || !reflect.DeepEqual(swept, want) {
		t.Errorf("the same again: %+v, %v; want %+v", swept, err, want)
	}
	mustHold(t, osFiles(), filepath.Join(f.Path, aside), content(2))
	// Another one is not, and replaces nothing.
	if _, err := f.Write(changed()); err != nil {
		t.Fatal(err)
	}
	if swept, err := f.Sweep(nil, allLitter); err == nil || swept.changed() {
		t.Errorf("another one: %+v, %v", swept, err)
	}
	mustHold(t, osFiles(), filepath.Join(f.Path, aside), content(2))
	mustHold(t, osFiles(), filepath.Join(f.Path, ref.Dir), changed())
}

func TestACheckpointThatWasSetAsideIsReclaimed(t *testing.T) {
	f := Folder{Path: filepath.Join(t.TempDir(), "checkpoints")}
	ref, err := f.Write(content(2))
	if err != nil {
		t.Fatal(err)
	}
	if path, err := f.SetAside(2); err != nil || path != filepath.Join(f.Path, "step-00000002.unrecorded") {
		t.Fatalf("%s, %v", path, err)
	}
	other, err := RefOf(changed())
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := f.Reclaim(other); ok || err != nil {
		t.Errorf("as another one: %v, %v", ok, err)
	}
	if ok, err := f.Reclaim(ref); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	if err := f.Verify(ref); err != nil {
		t.Error(err)
	}
	if ok, err := f.Reclaim(ref); ok || err != nil {
		t.Errorf("again: %v, %v", ok, err)
	}
}

// Write has no log to ask: what it replaces stays, unless it is the same.
func TestWriteKeepsAnotherCheckpointThatItReplaces(t *testing.T) {
	for name, leftover := range map[string]Content{"the same": content(2), "another": changed()} {
		f := Folder{Path: filepath.Join(t.TempDir(), "checkpoints")}
		if _, err := f.WritePending(leftover, *noted()); err != nil {
			t.Fatal(err)
		}
		ref, err := f.WritePending(content(2), *noted())
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Verify(ref); err != nil {
			t.Error(err)
		}
		want := []string{ref.Dir}
		if name == "another" {
			want = append(want, unrecordedName(ref.Dir))
			mustHold(t, osFiles(), filepath.Join(f.Path, unrecordedName(ref.Dir)), leftover)
		}
		if names, _ := osFiles().Names(f.Path); !slices.Equal(names, want) {
			t.Errorf("over %s: %q, want %q", name, names, want)
		}
	}
}

// TestUndecidedCheckpointsSurviveEveryCrash crashes, and cuts the power, at every
// operation of a Write over an undecided checkpoint of the same or another content,
// and then of a Sweep under a log that decides nothing. The undecided content is
// always there.
func TestUndecidedCheckpointsSurviveEveryCrash(t *testing.T) {
	const dir = "/runs/7/checkpoints"
	for name, leftover := range map[string]Content{"the same": content(2), "another": changed()} {
		for _, during := range []string{"write", "sweep"} {
			for at, done := 0, false; !done; at++ {
				for seed := range uint64(8) {
					files := newPowerFiles()
					if _, err := write(files, dir, leftover, noted()); err != nil {
						t.Fatal(err)
					}
					faulty := &faultyFiles{fileLayer: files, at: at, mishap: crashAfter}
					if during == "write" {
						_, _ = write(faulty, dir, content(2), noted())
					} else { // as a crash in the middle of replace leaves it
						if err := errors.Join(files.Rename(dir+"/"+folderName(2), dir+"/"+asideName(folderName(2))), files.SyncDir(dir)); err != nil {
							t.Fatal(err)
						}
						_, _ = sweep(faulty, dir, nil, undecided)
					}
					done = faulty.count <= at
					var random *rand.Rand
					if seed > 0 {
						random = rand.New(rand.NewPCG(seed, 0))
					}
					files.losePower(random)
					if _, err := sweep(files, dir, nil, undecided); err != nil {
						t.Fatal(err)
					}
					where := fmt.Sprintf("%s over %s, operation %d", during, name, at)
					if !holds(t, files, dir, leftover) {
						t.Fatalf("%s: it is gone", where)
					}
					if _, err := write(files, dir, content(2), noted()); err != nil {
						t.Fatalf("%s: %v", where, err)
					}
					if !holds(t, files, dir, leftover) || !holds(t, files, dir, content(2)) {
						t.Fatalf("%s: it is gone once the step is written again", where)
					}
				}
			}
		}
	}
}

// holds reports whether the folder or the one set aside holds the content.
func holds(t *testing.T, files fileLayer, dir string, want Content) bool {
	t.Helper()
	ref, err := RefOf(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{ref.Dir, unrecordedName(ref.Dir)} {
		if whole, err := isWhole(files, filepath.Join(dir, name), ref); whole && err == nil {
			return true
		}
	}
	return false
}

func TestANoteThatCannotBeUnderstoodIsNone(t *testing.T) {
	f := Folder{Path: filepath.Join(t.TempDir(), "checkpoints")}
	ref, err := f.WritePending(content(2), *noted())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(f.Path, ref.Dir, pendingFile)
	if p, err := readPending(osFiles(), filepath.Dir(path)); err != nil || !reflect.DeepEqual(p, noted()) {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, text := range []string{"", "{", `{"format":"reprise.pending","version":0,"position":1}`, `{"format":"other","version":2,"position":1}`, `{"format":"other","version":1,"position":1}`, `{"format":"reprise.pending","version":1}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if p, err := readPending(osFiles(), filepath.Dir(path)); err != nil || p != nil {
			t.Errorf("%q: %+v, %v", text, p, err)
		}
	}
	if swept, err := f.Sweep(nil, allLitter); err != nil || !slices.Equal(swept.SetAside, []string{unrecordedName(ref.Dir)}) {
		t.Errorf("%+v, %v", swept, err)
	}
}

// Whatever else a note of a newer version says, nothing is renamed or removed.
func TestANoteOfANewerVersionIsAnError(t *testing.T) {
	f := Folder{Path: filepath.Join(t.TempDir(), "checkpoints")}
	ref, err := f.WritePending(content(2), *noted())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(f.Path, ref.Dir, pendingFile)
	for _, text := range []string{`{"format":"reprise.pending","version":2,"position":1}`, `{"format":"reprise.pending","version":3,"position":{"log":"a"},"hash":7}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var newer *VersionError
		swept, err := f.Sweep(nil, allLitter)
		if swept.changed() || !errors.As(err, &newer) || !strings.Contains(err.Error(), path+": the checkpoint was written by a newer version of reprise") {
			t.Errorf("%s: %+v, %v", text, swept, err)
		}
		if found, err := f.Uncommitted(0); len(found) > 0 || !errors.As(err, &newer) {
			t.Errorf("%s: %+v, %v", text, found, err)
		}
		if err := f.Verify(ref); err != nil {
			t.Error(err)
		}
	}
	// One that is marked was committed, whatever its note says.
	if err := f.Mark(ref, 9); err != nil {
		t.Fatal(err)
	}
	if found, err := f.Uncommitted(0); err != nil || len(found) != 1 || !found[0].Marked || found[0].Position != 9 {
		t.Errorf("marked: %+v, %v", found, err)
	}
}

// A checkpoint that cannot be marked keeps nobody from anything, and is named.
func TestSweepGoesOnWhereItCannotMark(t *testing.T) {
	files := newPowerFiles()
	const dir = "/runs/7/checkpoints"
	var keep []Ref
	for step := uint64(1); step <= 3; step++ {
		ref, err := write(files, dir, content(step), noted())
		if err != nil {
			t.Fatal(err)
		}
		keep = append(keep, ref)
	}
	swept, err := sweep(&readOnlyFolder{files, keep[1].Dir}, dir, keep, allLitter)
	if err != nil || swept.changed() || !errors.Is(swept.Unmarked, os.ErrPermission) {
		t.Errorf("%+v, %v", swept, err)
	}
	for i, ref := range keep {
		if marked, err := isMarked(files, filepath.Join(dir, ref.Dir)); marked != (i != 1) || err != nil {
			t.Errorf("%s: marked: %v, %v", ref.Dir, marked, err)
		}
	}
}

// readOnlyFolder is a file system with one folder in which nothing can be created.
type readOnlyFolder struct {
	fileLayer
	name string
}

func (f *readOnlyFolder) Create(path string) (outFile, error) {
	if filepath.Base(filepath.Dir(path)) == f.name {
		return nil, &os.PathError{Op: "open", Path: path, Err: os.ErrPermission}
	}
	return f.fileLayer.Create(path)
}
