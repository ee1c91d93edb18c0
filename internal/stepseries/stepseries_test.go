package stepseries

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func record(step uint64) Record {
	return Record{Step: step, Epoch: uint32(step/4) + 1, Loss: 1 / float32(step), LearningRate: 0.5}
}

func write(t *testing.T, w *Writer, from, to uint64) Digest {
	t.Helper()
	for s := from; s <= to; s++ {
		if err := w.Append(record(s)); err != nil {
			t.Fatal(err)
		}
	}
	d, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestResumeCutsOffWhatTheCheckpointDoesNotCover(t *testing.T) {
	path := filepath.Join(t.TempDir(), "steps")
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	keep := write(t, w, 1, 5)
	write(t, w, 6, 9)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	resumed, err := Resume(path, keep)
	if err != nil {
		t.Fatal(err)
	}
	whole := write(t, resumed, 6, 12)
	if err := resumed.Close(); err != nil {
		t.Fatal(err)
	}

	uninterrupted, err := Create(filepath.Join(t.TempDir(), "steps"))
	if err != nil {
		t.Fatal(err)
	}
	if want := write(t, uninterrupted, 1, 12); whole != want {
		t.Errorf("resumed series %+v, uninterrupted %+v", whole, want)
	}
	if err := uninterrupted.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := Series{Path: path}.Read()
	if err != nil || len(got) != 12 || got[6] != record(7) {
		t.Errorf("Read = %d records, %v", len(got), err)
	}
}

func TestAppendRefusesAGapAndARepeat(t *testing.T) {
	w, err := Create(filepath.Join(t.TempDir(), "steps"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	write(t, w, 1, 2)
	for _, step := range []uint64{2, 4} {
		if err := w.Append(record(step)); err == nil {
			t.Errorf("step %d was accepted after step 2", step)
		}
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "steps")
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	keep := write(t, w, 1, 3)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		for bit := range 8 {
			damaged := slices.Clone(whole)
			damaged[i] ^= 1 << bit
			if err := os.WriteFile(path, damaged, 0o644); err != nil {
				t.Fatal(err)
			}
			var corrupt *CorruptError
			if err := Verify(path, keep); !errors.As(err, &corrupt) {
				t.Fatalf("byte %d bit %d: %v", i, bit, err)
			}
			if _, err := Resume(path, keep); !errors.As(err, &corrupt) {
				t.Fatalf("byte %d bit %d: Resume accepted it: %v", i, bit, err)
			}
		}
	}
}

func TestATornTailEndsTheSeriesAndAMissingPartIsCorruption(t *testing.T) {
	path := filepath.Join(t.TempDir(), "steps")
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	keep := write(t, w, 1, 3)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, int64(len(magic))+2*RecordSize+7); err != nil {
		t.Fatal(err)
	}
	if got, err := (Series{Path: path}).Read(); err != nil || len(got) != 2 {
		t.Errorf("Read = %d records, %v; want 2", len(got), err)
	}
	var corrupt *CorruptError
	if err := Verify(path, keep); !errors.As(err, &corrupt) || corrupt.Record != 2 {
		t.Errorf("Verify = %v; want record 2 to be missing", err)
	}
	if got, err := (Series{Path: path + "-absent"}).Read(); err != nil || got != nil {
		t.Errorf("a missing series read as %v, %v", got, err)
	}
}

func FuzzReadNeverReturnsARecordOutOfOrder(f *testing.F) {
	f.Add([]byte(magic))
	var b [RecordSize]byte
	record(1).encode(&b)
	f.Add(append([]byte(magic), b[:]...))
	f.Add([]byte("RPSTEP2\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "steps")
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		records, _ := Series{Path: path}.Read()
		for i, r := range records {
			if r.Step != uint64(i)+1 {
				t.Fatalf("record %d holds step %d", i, r.Step)
			}
		}
	})
}
