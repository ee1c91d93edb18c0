package checkpoint

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

// noted is what these tests note in the folder of a checkpoint.
func noted() *Pending { return &Pending{RunVersion: 7, Position: 40, Hash: "0123456789abcdef"} }

// The judges of a log in which the run has committed something since, of one that
// ends where the checkpoint was written, and of one that ends before.
func allLitter(string, Pending) (bool, error) { return true, nil }
func undecided(string, Pending) (bool, error) { return false, nil }
func olderLog(folder string, _ Pending) (bool, error) {
	return false, fmt.Errorf("%s: %w", folder, errOlder)
}

var errOlder = errors.New("the log is an older one")

func osFiles() fileLayer { return Folder{}.files() }

// layers are the file systems that durability is tested on: the real one, and
// the one that knows what is on disk.
func layers(t *testing.T) map[string]func() (fileLayer, string) {
	return map[string]func() (fileLayer, string){
		"real":  func() (fileLayer, string) { return osFiles(), filepath.Join(t.TempDir(), "checkpoints") },
		"power": func() (fileLayer, string) { return newPowerFiles(), "/runs/7/checkpoints" },
	}
}

// situation is what a folder of checkpoints is in when a fault strikes.
type situation struct {
	name string
	// leftover, if not nil, is a content whose folder bears the name already.
	leftover *Content
	// litter of an earlier crash.
	litter []string
}

// changed is another checkpoint of the same step as content(2).
func changed() Content {
	c := content(2)
	c.Weights[0].Data[0]++
	return c
}

func situations() []situation {
	changed := changed()
	same := content(2)
	litter := []string{partName(folderName(2)), asideName(folderName(2))}
	return []situation{
		{"first of its step", nil, nil},
		{"after a crash before its event", &same, litter},
		{"over another content", &changed, litter},
	}
}

// prepare writes an earlier checkpoint and what the situation says.
func (s situation) prepare(t *testing.T, files fileLayer, dir string) Ref {
	t.Helper()
	earlier, err := write(files, dir, content(1), noted())
	if err != nil {
		t.Fatal(err)
	}
	if s.leftover != nil {
		if _, err := write(files, dir, *s.leftover, noted()); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range s.litter {
		if err := files.Mkdir(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return earlier
}

// TestAFaultAtAnyOperationOfWriteLosesNothing fails Write at every operation it
// makes, in every way, until it gets through.
func TestAFaultAtAnyOperationOfWriteLosesNothing(t *testing.T) {
	for layer, fresh := range layers(t) {
		for _, s := range situations() {
			for i, f := range []mishap{failOnce, diskFull, shortWrite, crash, crashAfter} {
				if testing.Short() && i%2 == 1 {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%v", layer, s.name, f), func(t *testing.T) {
					faults := 0
					for at := 0; ; at++ {
						files, dir := fresh()
						earlier := s.prepare(t, files, dir)
						faulty := &faultyFiles{fileLayer: files, at: at, mishap: f}
						ref, err := write(faulty, dir, content(2), noted())
						if err == nil {
							mustRead(t, files, dir, ref, content(2))
						}
						if err != nil && ref != (Ref{}) {
							t.Fatalf("operation %d: a Ref beside the error %v", at, err)
						}
						mustRead(t, files, dir, earlier, content(1))
						sweepAndWrite(t, files, dir, earlier)
						if faulty.count <= at {
							if err != nil {
								t.Fatalf("without a mishap: %v", err)
							}
							break
						}
						if err == nil && f != diskFull {
							t.Fatalf("operation %d (%s) failed, and Write says nothing", at, faulty.log[at])
						}
						faults++
					}
					if faults < 19 {
						t.Errorf("only %d operations were failed", faults)
					}
				})
			}
		}
	}
}

// sweepAndWrite does what a run does after a crash: it sweeps and writes again.
func sweepAndWrite(t *testing.T, files fileLayer, dir string, earlier Ref) {
	t.Helper()
	if _, err := sweep(files, dir, []Ref{earlier}, allLitter); err != nil {
		t.Fatal(err)
	}
	names, err := files.Names(dir)
	// What was replaced by another content may have been committed under another log.
	if slices.Contains(names, unrecordedName(folderName(2))) {
		names = slices.DeleteFunc(names, func(name string) bool { return name == unrecordedName(folderName(2)) })
		mustHold(t, files, filepath.Join(dir, unrecordedName(folderName(2))), changed())
	}
	if err != nil || !slices.Equal(names, []string{earlier.Dir}) {
		t.Fatalf("after Sweep there are %q, %v", names, err)
	}
	ref, err := write(files, dir, content(2), noted())
	if err != nil {
		t.Fatal(err)
	}
	mustRead(t, files, dir, ref, content(2))
	mustRead(t, files, dir, earlier, content(1))
}

// mustHold fails unless the folder of that path holds the content.
func mustHold(t *testing.T, files fileLayer, path string, want Content) {
	t.Helper()
	ref, err := RefOf(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readFolder(files, path, ref, true); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%s: read %+v, %v\nwant %+v", path, got, err, want)
	}
}

func mustRead(t *testing.T, files fileLayer, dir string, ref Ref, want Content) {
	t.Helper()
	got, err := read(files, dir, ref, true)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("read %+v\nwant %+v", got, want)
	}
}

// TestALossOfPowerAtAnyOperationLosesNothingAcknowledged cuts the power at
// every operation of Write. What was returned before is on disk.
func TestALossOfPowerAtAnyOperationLosesNothingAcknowledged(t *testing.T) {
	for _, s := range situations() {
		t.Run(s.name, func(t *testing.T) {
			for at := 0; ; at++ {
				done := false
				for seed := range uint64(12) {
					files := newPowerFiles()
					const dir = "/runs/7/checkpoints"
					earlier := s.prepare(t, files, dir)
					faulty := &faultyFiles{fileLayer: files, at: at, mishap: crashAfter}
					ref, err := write(faulty, dir, content(2), noted())
					var random *rand.Rand // seed 0 loses all that can be lost
					if seed > 0 {
						random = rand.New(rand.NewPCG(seed, 0))
					}
					files.losePower(random)
					if err == nil {
						mustRead(t, files, dir, ref, content(2))
					}
					mustRead(t, files, dir, earlier, content(1))
					sweepAndWrite(t, files, dir, earlier)
					done = faulty.count <= at
				}
				if done {
					return
				}
			}
		})
	}
}

// TestACommittedCheckpointSurvivesBeingReplaced cuts the power while another
// content is written for a step that has been committed. Until the new one is
// complete, Sweep brings the committed one back; then it is kept under another name.
func TestACommittedCheckpointSurvivesBeingReplaced(t *testing.T) {
	replacement := changed()
	const dir = "/runs/7/checkpoints"
	cut := func(at int, random *rand.Rand) (replaced bool) {
		files := newPowerFiles()
		committed, err := write(files, dir, content(2), noted())
		if err != nil {
			t.Fatal(err)
		}
		faulty := &faultyFiles{fileLayer: files, at: at, mishap: crashAfter}
		_, err = write(faulty, dir, replacement, noted())
		if err == nil {
			mustHold(t, files, filepath.Join(dir, unrecordedName(committed.Dir)), content(2))
			return true
		}
		files.losePower(random)
		if _, err := sweep(files, dir, []Ref{committed}, allLitter); err != nil {
			t.Fatal(err)
		}
		if found, _ := files.Kind(filepath.Join(dir, unrecordedName(committed.Dir))); found == folder {
			mustHold(t, files, filepath.Join(dir, unrecordedName(committed.Dir)), content(2)) // the last operation
			return false
		}
		got, err := read(files, dir, committed, true)
		if err != nil || !reflect.DeepEqual(got, content(2)) {
			t.Fatalf("power lost after operation %d (%s): %v", at, faulty.log[at], err)
		}
		return false
	}
	for at := 0; ; at++ {
		if cut(at, nil) {
			if at < 20 {
				t.Errorf("only %d operations were cut", at)
			}
			return
		}
		for seed := range uint64(32) {
			cut(at, rand.New(rand.NewPCG(seed, 1)))
		}
	}
}

// TestAReplacementThatFailsLeavesWhatWasThereInPlace fails one operation, with
// nobody sweeping afterwards.
func TestAReplacementThatFailsLeavesWhatWasThereInPlace(t *testing.T) {
	replacement := changed()
	for at := 0; ; at++ {
		files := newPowerFiles()
		const dir = "/runs/7/checkpoints"
		committed, err := write(files, dir, content(2), noted())
		if err != nil {
			t.Fatal(err)
		}
		faulty := &faultyFiles{fileLayer: files, at: at, mishap: failOnce}
		if _, err := write(faulty, dir, replacement, noted()); err == nil {
			return
		}
		renamed := slices.Index(faulty.log, "rename "+filepath.Join(dir, partName(committed.Dir)))
		if renamed >= 0 && renamed < at {
			return // the new one bears the name
		}
		got, err := read(files, dir, committed, true)
		if err != nil || !reflect.DeepEqual(got, content(2)) {
			t.Fatalf("operation %d (%s) failed: %v", at, faulty.log[at], err)
		}
	}
}

// TestWhatSweepDidSurvivesALossOfPower loses all that is not on disk.
func TestWhatSweepDidSurvivesALossOfPower(t *testing.T) {
	for _, s := range situations() {
		files := newPowerFiles()
		const dir = "/runs/7/checkpoints"
		earlier := s.prepare(t, files, dir)
		if err := files.SyncDir(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := sweep(files, dir, []Ref{earlier}, allLitter); err != nil {
			t.Fatal(err)
		}
		files.losePower(nil)
		if names, _ := files.Names(dir); !slices.Equal(names, []string{earlier.Dir}) {
			t.Errorf("%s: %q are back", s.name, names)
		}
		if err := files.Rename(filepath.Join(dir, earlier.Dir), filepath.Join(dir, asideName(earlier.Dir))); err != nil {
			t.Fatal(err)
		}
		if _, err := sweep(files, dir, []Ref{earlier}, allLitter); err != nil {
			t.Fatal(err)
		}
		if err := files.SyncDir("/runs/7"); err != nil {
			t.Fatal(err)
		}
		files.losePower(nil)
		mustRead(t, files, dir, earlier, content(1))
	}
}

// TestAFaultAtAnyOperationOfReadGivesNothing fails Read at every operation.
func TestAFaultAtAnyOperationOfReadGivesNothing(t *testing.T) {
	for layer, fresh := range layers(t) {
		for _, f := range []mishap{failOnce, crash} {
			files, dir := fresh()
			ref, err := write(files, dir, content(1), noted())
			if err != nil {
				t.Fatal(err)
			}
			for at := 0; ; at++ {
				faulty := &faultyFiles{fileLayer: files, at: at, mishap: f}
				got, err := read(faulty, dir, ref, true)
				if faulty.count <= at {
					if err != nil {
						t.Fatal(err)
					}
					break
				}
				if !errors.Is(err, errInjected) || !reflect.DeepEqual(got, Content{}) {
					t.Fatalf("%s, operation %d (%s): %+v, %v", layer, at, faulty.log[at], got, err)
				}
				var corrupt *CorruptError
				if errors.As(err, &corrupt) {
					t.Fatalf("a failing disk is taken for a corrupt file: %v", err)
				}
			}
		}
	}
}

// TestAFaultAtAnyOperationOfSweepTouchesNothingKept fails Sweep at every
// operation, then lets it finish.
func TestAFaultAtAnyOperationOfSweepTouchesNothingKept(t *testing.T) {
	for layer, fresh := range layers(t) {
		for _, s := range situations() {
			for at := 0; ; at++ {
				files, dir := fresh()
				earlier := s.prepare(t, files, dir)
				faulty := &faultyFiles{fileLayer: files, at: at, mishap: failOnce}
				swept, err := sweep(faulty, dir, []Ref{earlier}, allLitter)
				mustRead(t, files, dir, earlier, content(1))
				if faulty.count <= at {
					break
				}
				if !errors.Is(errors.Join(err, swept.Unmarked), errInjected) {
					t.Fatalf("%s, %s: operation %d (%s) failed, and Sweep says %+v, %v", layer, s.name, at, faulty.log[at], swept, err)
				}
				sweepAndWrite(t, files, dir, earlier)
			}
		}
	}
}
