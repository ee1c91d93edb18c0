package fsync

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMkdirAllMakesWhatIsMissing(t *testing.T) {
	root := t.TempDir()
	deep := filepath.Join(root, "a", "b", "c")
	for range 2 { // again, it changes nothing
		if err := MkdirAll(deep, 0o750); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(deep)
	if err != nil || !info.IsDir() || info.Mode().Perm() != 0o750 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestMkdirAllRefusesAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		if err := MkdirAll(path, 0o750); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
}

func TestDirOfNothingFails(t *testing.T) {
	if err := Dir(filepath.Join(t.TempDir(), "missing")); !os.IsNotExist(err) {
		t.Errorf("%v", err)
	}
}
