package datadir_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reprise/datadir"
	"reprise/fault"
	"reprise/internal/flock"
)

func TestNothingIsMadeInTheWayOrNowhere(t *testing.T) {
	dir := t.TempDir()
	w := datadir.Workspace{Dir: filepath.Join(dir, "data")}
	outside := filepath.Join(dir, "outside")
	for _, folder := range []string{w.Dir, outside} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink(outside, w.RunsDir()), os.Symlink(w.Dir, filepath.Join(dir, "link"))); err != nil {
		t.Skipf("no symbolic links: %v", err)
	}
	for path, want := range map[string]string{
		w.Dir:                                 "already exists",
		filepath.Join(dir, "none", "copy"):    "there is no folder",
		filepath.Join(w.Dir, "copy"):          "lies in the data directory",
		filepath.Join(outside, "copy"):        "lies in the data directory", // its runs really lie there
		filepath.Join(dir, "link", "copy"):    "lies in the data directory",
		filepath.Join(dir, "data-2"):          "",
		filepath.Join(dir, "..copy"):          "",
		filepath.Join(w.Dir, "..", "sibling"): "",
	} {
		err := datadir.CheckNew("folder", "folder", path)
		if err == nil {
			err = w.CheckOutside("folder", path)
		}
		var field *fault.FieldError
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", path, err)
		case want != "" && (!errors.As(err, &field) || field.Field != "folder" || field.Fix == "" || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

func TestWhatCannotBeMadeLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	write := func(during func() error) error {
		return datadir.WriteNew("file", path, flock.Info{PID: 7}, func(w io.Writer) error {
			_, err := io.WriteString(w, "new")
			return errors.Join(err, during())
		})
	}
	names := func() (list []string) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			list = append(list, e.Name())
		}
		return list
	}
	failed := errors.New("failed")
	if err := write(func() error { return failed }); !errors.Is(err, failed) || len(names()) > 0 {
		t.Errorf("%v left %v", err, names())
	}
	var field *fault.FieldError
	if err := write(func() error { return os.WriteFile(path, []byte("theirs"), 0o600) }); !errors.As(err, &field) || field.Field != "file" {
		t.Errorf("somebody else was faster: %v", err)
	}
	if raw, err := os.ReadFile(path); err != nil || string(raw) != "theirs" || len(names()) != 1 {
		t.Errorf("%q, %v beside %v", raw, err, names())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := write(func() error { return nil }); err != nil || len(names()) != 1 {
		t.Errorf("%v left %v", err, names())
	}
}
