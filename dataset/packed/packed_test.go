package packed

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestAFileIsReadAsItWasWritten(t *testing.T) {
	more := make([]byte, (1<<20)*3/2)
	for i := range more {
		more[i] = byte(i * i >> 7)
	}
	for name, body := range map[string][]byte{"empty": {}, "short": []byte("abc"), "a buffer": more[:1<<20], "more": more} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "new")
			w, err := NewWriter(dir)
			if err != nil {
				t.Fatal(err)
			}
			for part := range slices.Chunk(body, 12345) {
				if _, err := w.Write(part); err != nil {
					t.Fatal(err)
				}
			}
			f, err := w.Finish()
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, f.Size())
			if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if _, err := f.ReadAt(make([]byte, 1), f.Size()); err == nil {
				t.Error("bytes after the body are read")
			}
			if err := f.file.Truncate(0); err != nil {
				t.Fatal(err)
			}
			if _, err := f.ReadAt(got, 0); len(body) > 0 && !errors.As(err, new(*DamagedError)) {
				t.Errorf("a file that was cut off: %v", err)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			Sweep(dir) // for systems that cannot remove an open file
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("the folder has %v, %v", left, err)
			}
		})
	}
}

func TestSweepHarmsNobodyWhoWrites(t *testing.T) {
	dir := t.TempDir()
	w, err := NewWriter(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Discard()
	dead := filepath.Join(dir, partial+"123")
	other := filepath.Join(dir, "notes.txt")
	for _, path := range []string{dead, other} {
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	Sweep(dir)
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was left by a writer that is gone: %v", err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
	if _, err := w.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	f, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 3)
	if _, err := f.ReadAt(got, 0); err != nil || string(got) != "abc" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAFileLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(dir, 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	Sweep(dir) // for systems that cannot remove an open file
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the folder has %v, %v", left, err)
	}
}
