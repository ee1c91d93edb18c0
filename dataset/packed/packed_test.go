package packed

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// content has a chunk and a half.
func content() []byte {
	data := make([]byte, chunkBytes*3/2)
	for i := range data {
		data[i] = byte(i * i >> 7)
	}
	return data
}

func publish(t *testing.T, dir, name string, body, meta []byte) string {
	t.Helper()
	w, err := Create(dir)
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
	t.Cleanup(func() { _ = f.Close() })
	path := filepath.Join(dir, name)
	if err := w.Publish(path, meta); err != nil {
		t.Fatal(err)
	}
	if f.Path() != path {
		t.Errorf("path %s, want %s", f.Path(), path)
	}
	return path
}

func TestAFileIsReadAsItWasWritten(t *testing.T) {
	for name, body := range map[string][]byte{"empty": {}, "short": []byte("abc"), "a chunk": content()[:chunkBytes], "more": content()} {
		t.Run(name, func(t *testing.T) {
			path := publish(t, filepath.Join(t.TempDir(), "new"), "x", body, []byte("what it is"))
			f, meta, err := Open(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			got := make([]byte, f.Size())
			if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, body) || string(meta) != "what it is" {
				t.Errorf("%d bytes, meta %q, %v", len(got), meta, err)
			}
			if _, err := f.ReadAt(make([]byte, 1), f.Size()); err == nil {
				t.Error("bytes after the body are read")
			}
			if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
				t.Errorf("the folder has %v, %v", left, err)
			}
		})
	}
}

// Every byte of a file counts.
func TestAChangedByteIsFound(t *testing.T) {
	path := publish(t, t.TempDir(), "x", []byte("some values"), []byte("meta"))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, at int, changed []byte) {
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		f, _, err := Open(t.Context(), path)
		if !errors.As(err, new(*DamagedError)) {
			t.Errorf("%s %d: error %v", what, at, err)
		}
		if err == nil {
			_ = f.Close()
		}
	}
	for i := range whole {
		changed := slices.Clone(whole)
		changed[i] ^= 0x80
		check("byte", i, changed)
		check("length", i, whole[:i])
	}
}

func TestSweepRemovesOnlyWhatNobodyWrites(t *testing.T) {
	dir := t.TempDir()
	w, err := Create(dir)
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
	for _, path := range []string{other, w.file.Name()} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

func TestAScratchFileLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	f, err := NewScratch(dir, 0)
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

func FuzzOpen(f *testing.F) {
	seed := filepath.Join(f.TempDir(), "seed")
	w, err := Create(filepath.Dir(seed))
	if err != nil {
		f.Fatal(err)
	}
	if _, err := w.Write([]byte("values")); err != nil {
		f.Fatal(err)
	}
	if _, err := w.Finish(); err != nil {
		f.Fatal(err)
	}
	if err := w.Publish(seed, []byte("meta")); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(seed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		file, _, err := Open(t.Context(), path)
		switch {
		case err == nil:
			_ = file.Close()
		case !errors.As(err, new(*DamagedError)):
			t.Errorf("error %v", err)
		}
	})
}
