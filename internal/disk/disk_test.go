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

// Linux refuses to sync the folder of its processes, and the caller must be told.
func TestAFolderThatCannotBeSyncedIsAnError(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no folder is known here that cannot be synced")
	}
	if err := (OS{}).SyncDir("/proc"); err == nil {
		t.Error("no error: was it synced?")
	}
	if err := (Within{Dir: "/proc"}).SyncDir("/proc"); err == nil {
		t.Error("within itself: no error: was it synced?")
	}
	dir := t.TempDir()
	for _, files := range []FS{OS{}, Within{Dir: dir}} {
		if err := files.SyncDir(dir); err != nil {
			t.Error(err)
		}
	}
}

func TestMkdirAllCreatesMissingFolders(t *testing.T) {
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

func (r *recorder) Rename(from, to string) error {
	return r.do("rename", from, func() error { return r.OS.Rename(from, to) })
}

func (r *recorder) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := r.OS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return recordedFile{f, r}, nil
}

func (r *recorder) RenameNew(from, to string) error {
	return r.do("rename", from, func() error { return r.OS.RenameNew(from, to) })
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

func TestANewFileIsWrittenWholeOrNotAtAll(t *testing.T) {
	content := func(w io.Writer) error {
		_, err := io.WriteString(w, "whole")
		return err
	}
	name := filepath.Join(t.TempDir(), "file")
	r := &recorder{}
	if err := WriteNew(r, name, content); err != nil {
		t.Fatal(err)
	}
	if want := []string{"write file", "sync file"}; !slices.Equal(r.log, want) {
		t.Errorf("%q, want %q", r.log, want)
	}
	if err := WriteNew(OS{}, name, func(io.Writer) error { return nil }); !errors.Is(err, fs.ErrExist) {
		t.Errorf("again: %v", err)
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != "whole" {
		t.Errorf("%q, %v", got, err)
	}
	for _, fail := range []string{"write", "sync"} {
		dir := t.TempDir()
		err := WriteNew(&recorder{fail: fail}, filepath.Join(dir, "file"), content)
		left, _ := os.ReadDir(dir)
		if !errors.Is(err, errInjected) || len(left) > 0 {
			t.Errorf("%s fails: %v, left are %v", fail, err, left)
		}
	}
}

func TestPublishSyncsAFolderBeforeTheRenameAndItsNameAfterwards(t *testing.T) {
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
	if _, err := os.Stat(filepath.Join(dir, "folder")); err != nil {
		t.Error(err)
	}
	for _, fail := range []string{"rename", "syncdir"} {
		if err := Publish(&recorder{fail: fail}, filepath.Join(dir, "folder"), filepath.Join(dir, "again")); !errors.Is(err, errInjected) {
			t.Errorf("%s fails: %v", fail, err)
		}
	}
}

// noSuchCall is a system that cannot rename without replacing in one operation.
type noSuchCall struct{ OS }

func (noSuchCall) RenameNew(from, to string) error { return OS{}.claimAndRename(from, to) }

// stepwise is a file system that has no such operation at all.
type stepwise struct{ FS }

func TestRenameNewReplacesNothing(t *testing.T) {
	for name, files := range map[string]FS{"one call": OS{}, "by a claim": noSuchCall{}, "by a check": stepwise{OS{}}} {
		for _, folder := range []bool{false, true} {
			dir := t.TempDir()
			from := filepath.Join(dir, "from")
			write := func(path string) {
				t.Helper()
				if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if folder {
				if err := os.Mkdir(from, 0o755); err != nil {
					t.Fatal(err)
				}
			} else {
				write(from)
			}
			write(filepath.Join(dir, "file"))
			if err := errors.Join(os.Mkdir(filepath.Join(dir, "folder"), 0o755), os.Symlink("nowhere", filepath.Join(dir, "link"))); err != nil {
				t.Fatal(err)
			}
			for _, taken := range []string{"file", "folder", "link"} {
				if err := RenameNew(files, from, filepath.Join(dir, taken)); !errors.Is(err, fs.ErrExist) {
					t.Errorf("%s, a folder %t as %s: %v", name, folder, taken, err)
				}
			}
			if err := RenameNew(files, from, filepath.Join(dir, "new")); err != nil {
				t.Errorf("%s, a folder %t: %v", name, folder, err)
			}
			if info, err := os.Stat(filepath.Join(dir, "new")); err != nil || info.IsDir() != folder {
				t.Errorf("%s, a folder %t: %v, %v", name, folder, info, err)
			}
		}
	}
}

func TestOnlyARegularFileIsOpened(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(OS{}, file)
	if err != nil {
		t.Fatal(err)
	}
	if content, err := io.ReadAll(f); err != nil || string(content) != "content" {
		t.Errorf("%q, %v", content, err)
	}
	_ = f.Close()
	if _, err := Open(OS{}, dir); !errors.Is(err, ErrNotRegular) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := Open(OS{}, filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
	if f, err = OpenRegular(OS{}, file, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
		t.Fatal(err)
	}
	if info, err := f.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("truncated: %v, %v", info, err)
	}
	_ = f.Close()
}

func TestWithinRefusesPathsOutsideTheFolder(t *testing.T) {
	root := t.TempDir()
	dir, outside := filepath.Join(root, "dir"), filepath.Join(root, "outside")
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "sub"), 0o755), os.Mkdir(outside, 0o755),
		os.WriteFile(filepath.Join(outside, "file"), []byte("mine"), 0o600),
		os.Symlink(outside, filepath.Join(dir, "out")), os.Symlink("../outside", filepath.Join(dir, "relative")),
		os.Symlink("sub", filepath.Join(dir, "in"))); err != nil {
		t.Fatal(err)
	}
	w := Within{Dir: dir}
	for _, name := range []string{
		filepath.Join(dir, "out", "file"), filepath.Join(dir, "relative", "file"), filepath.Join(outside, "file"),
		filepath.Join(dir, "..", "outside", "file"), root,
	} {
		_, open := w.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		_, stat := w.Stat(name)
		_, lstat := w.Lstat(name)
		_, list := w.ReadDir(name)
		for op, err := range map[string]error{
			"open": open, "stat": stat, "lstat": lstat, "readdir": list,
			"mkdir": w.Mkdir(name, 0o755), "remove": w.Remove(name), "removeall": w.RemoveAll(name), "sync": w.SyncDir(name),
			"rename to": w.Rename(filepath.Join(dir, "sub"), name), "rename from": w.Rename(name, filepath.Join(dir, "new")),
		} {
			if err == nil {
				t.Errorf("%s %s: no error", op, name)
			}
		}
		if !errors.Is(open, ErrOutside) {
			t.Errorf("%s: %v", name, open)
		}
	}
	if content, err := os.ReadFile(filepath.Join(outside, "file")); err != nil || string(content) != "mine" {
		t.Errorf("%q, %v", content, err)
	}
	f, err := w.OpenFile(filepath.Join(dir, "in", "new"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatalf("a link that stays within: %v", err)
	}
	if f.Name() != filepath.Join(dir, "in", "new") {
		t.Errorf("its name is %s", f.Name())
	}
	_ = f.Close()
}

// A folder that its owner keeps on another disk is the root itself.
func TestWithinMayItselfBeALink(t *testing.T) {
	root := t.TempDir()
	elsewhere, link := filepath.Join(root, "elsewhere"), filepath.Join(root, "link")
	if err := errors.Join(os.Mkdir(elsewhere, 0o755), os.Symlink(elsewhere, link)); err != nil {
		t.Fatal(err)
	}
	w := Within{Dir: link}
	if err := errors.Join(MkdirAll(w, filepath.Join(link, "a", "b"), 0o755), w.SyncDir(link)); err != nil {
		t.Fatal(err)
	}
	if entries, err := w.ReadDir(link); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	if err := w.Rename(filepath.Join(link, "a", "b"), filepath.Join(link, "c")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(elsewhere, "c")); err != nil {
		t.Error(err)
	}
}
