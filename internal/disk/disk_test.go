package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

// Linux refuses to sync the folder of its processes: whoever asks it to must
// hear of it.
func TestAFolderThatCannotBeSyncedIsAnError(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no folder is known here that cannot be synced")
	}
	if err := (OS{}).SyncDir("/proc"); err == nil {
		t.Error("no error: was it synced?")
	}
	if err := (OS{}).SyncDir(t.TempDir()); err != nil {
		t.Error(err)
	}
}

func TestMkdirAllMakesWhatIsMissing(t *testing.T) {
	root := t.TempDir()
	deep := filepath.Join(root, "a", "b", "c")
	for range 2 { // again, it changes nothing
		if err := MkdirAll(OS{}, deep, 0o750); err != nil {
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
		if err := MkdirAll(OS{}, path, 0o750); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
}

func TestSyncDirOfNothingFails(t *testing.T) {
	if err := (OS{}).SyncDir(filepath.Join(t.TempDir(), "missing")); !os.IsNotExist(err) {
		t.Errorf("%v", err)
	}
}

// recorder notes the operations that make something durable, and fails one.
type recorder struct {
	OS
	log  []string
	fail string
}

var errInjected = errors.New("injected")

func (r *recorder) do(op, name string, carryOut func() error) error {
	r.log = append(r.log, op+" "+filepath.Base(name))
	if r.fail == op {
		return errInjected
	}
	return carryOut()
}

func (r *recorder) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := r.OS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return recordedFile{f, r}, nil
}

func (r *recorder) Rename(from, to string) error {
	return r.do("rename", from, func() error { return r.OS.Rename(from, to) })
}

func (r *recorder) SyncDir(name string) error {
	return r.do("syncdir", name, func() error { return r.OS.SyncDir(name) })
}

type recordedFile struct {
	File
	recorder *recorder
}

func (f recordedFile) Write(b []byte) (n int, err error) {
	err = f.recorder.do("write", f.Name(), func() error { n, err = f.File.Write(b); return err })
	return n, err
}

func (f recordedFile) Sync() error { return f.recorder.do("sync", f.Name(), f.File.Sync) }

func TestCreateWritesAFileWholeOrNotAtAll(t *testing.T) {
	content := func(w io.Writer) error {
		_, err := io.WriteString(w, "whole")
		return err
	}
	dir := filepath.Join(t.TempDir(), "dir")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	if err := Create(r, filepath.Join(dir, "file"), content); err != nil {
		t.Fatal(err)
	}
	if want := []string{"write file.part", "sync file.part", "rename file.part", "syncdir dir"}; !slices.Equal(r.log, want) {
		t.Errorf("%q, want %q", r.log, want)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(got) != "whole" {
		t.Errorf("%q, %v", got, err)
	}
	for _, fail := range []string{"write", "sync", "rename"} {
		dir := t.TempDir()
		err := Create(&recorder{fail: fail}, filepath.Join(dir, "file"), content)
		left, _ := os.ReadDir(dir)
		if !errors.Is(err, errInjected) || len(left) > 0 {
			t.Errorf("%s fails: %v, left are %v", fail, err, left)
		}
	}
}

func TestPublishSyncsBeforeAndAfterTheRename(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	if err := os.MkdirAll(filepath.Join(dir, "folder.part"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	if err := Publish(r, filepath.Join(dir, "folder.part"), filepath.Join(dir, "folder")); err != nil {
		t.Fatal(err)
	}
	if want := []string{"syncdir folder.part", "rename folder.part", "syncdir dir"}; !slices.Equal(r.log, want) {
		t.Errorf("%q, want %q", r.log, want)
	}
}
