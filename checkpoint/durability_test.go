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

func situations() []situation {
	changed := content(2)
	changed.Weights[0].Data[0]++
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
	earlier, err := write(files, dir, content(1))
	if err != nil {
		t.Fatal(err)
	}
	if s.leftover != nil {
		if _, err := write(files, dir, *s.leftover); err != nil {
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
			for _, f := range []fault{failOnce, diskFull, shortWrite, crash, crashAfter} {
				t.Run(fmt.Sprintf("%s/%s/%v", layer, s.name, f), func(t *testing.T) {
					faults := 0
					for at := 0; ; at++ {
						files, dir := fresh()
						earlier := s.prepare(t, files, dir)
						faulty := &faultyFiles{fileLayer: files, at: at, fault: f}
						ref, err := write(faulty, dir, content(2))
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
								t.Fatalf("without a fault: %v", err)
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
	if _, err := sweep(files, dir, []Ref{earlier}); err != nil {
		t.Fatal(err)
	}
	names, err := files.Names(dir)
	if err != nil || !slices.Equal(names, []string{earlier.Dir}) {
		t.Fatalf("after Sweep there are %q, %v", names, err)
	}
	ref, err := write(files, dir, content(2))
	if err != nil {
		t.Fatal(err)
	}
	mustRead(t, files, dir, ref, content(2))
	mustRead(t, files, dir, earlier, content(1))
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
					faulty := &faultyFiles{fileLayer: files, at: at, fault: crashAfter}
					ref, err := write(faulty, dir, content(2))
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
// content is written for a step that has been committed. Until the new one has
// been made durable, Sweep brings the committed one back.
func TestACommittedCheckpointSurvivesBeingReplaced(t *testing.T) {
	replacement := content(2)
	replacement.Weights[0].Data[0]++
	const dir = "/runs/7/checkpoints"
	cut := func(at int, random *rand.Rand) (replaced bool) {
		files := newPowerFiles()
		committed, err := write(files, dir, content(2))
		if err != nil {
			t.Fatal(err)
		}
		faulty := &faultyFiles{fileLayer: files, at: at, fault: crashAfter}
		_, err = write(faulty, dir, replacement)
		if err == nil {
			return true
		}
		if last := faulty.log[at]; at > 0 && last == "removeall "+filepath.Join(dir, asideName(committed.Dir)) && faulty.log[at-1] == "syncdir "+dir {
			return true // the last operation: the new one is durable
		}
		files.losePower(random)
		if _, err := sweep(files, dir, []Ref{committed}); err != nil {
			t.Fatal(err)
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
	replacement := content(2)
	replacement.Weights[0].Data[0]++
	for at := 0; ; at++ {
		files := newPowerFiles()
		const dir = "/runs/7/checkpoints"
		committed, err := write(files, dir, content(2))
		if err != nil {
			t.Fatal(err)
		}
		faulty := &faultyFiles{fileLayer: files, at: at, fault: failOnce}
		if _, err := write(faulty, dir, replacement); err == nil {
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
		if _, err := sweep(files, dir, []Ref{earlier}); err != nil {
			t.Fatal(err)
		}
		files.losePower(nil)
		if names, _ := files.Names(dir); !slices.Equal(names, []string{earlier.Dir}) {
			t.Errorf("%s: %q are back", s.name, names)
		}
		if err := files.Rename(filepath.Join(dir, earlier.Dir), filepath.Join(dir, asideName(earlier.Dir))); err != nil {
			t.Fatal(err)
		}
		if _, err := sweep(files, dir, []Ref{earlier}); err != nil {
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
		for _, f := range []fault{failOnce, crash} {
			files, dir := fresh()
			ref, err := write(files, dir, content(1))
			if err != nil {
				t.Fatal(err)
			}
			for at := 0; ; at++ {
				faulty := &faultyFiles{fileLayer: files, at: at, fault: f}
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
				faulty := &faultyFiles{fileLayer: files, at: at, fault: failOnce}
				removed, err := sweep(faulty, dir, []Ref{earlier})
				mustRead(t, files, dir, earlier, content(1))
				if faulty.count <= at {
					break
				}
				if !errors.Is(err, errInjected) {
					t.Fatalf("%s, %s: operation %d (%s) failed, and Sweep says %q, %v", layer, s.name, at, faulty.log[at], removed, err)
				}
				sweepAndWrite(t, files, dir, earlier)
			}
		}
	}
}
