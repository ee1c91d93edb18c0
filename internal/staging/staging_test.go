package staging

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"reprise/internal/flock"
)

// TestMain lets the test binary act as a maker that is killed, or as one of many
// processes that make and sweep areas in the same folder.
func TestMain(m *testing.M) {
	if parent := os.Getenv("STAGING_TEST_PARENT"); parent != "" {
		a, err := New(parent, flock.Info{PID: os.Getpid(), Command: "maker"})
		if err == nil {
			err = os.MkdirAll(filepath.Join(a.Path(), "half"), 0o755)
		}
		if err != nil {
			os.Exit(1)
		}
		_, _ = os.Stdout.WriteString("made\n")
		_, _ = os.Stdin.Read(make([]byte, 1)) // until it is killed
	}
	if parent := os.Getenv("STAGING_TEST_RIVAL"); parent != "" {
		if err := rival(parent); err != nil {
			_, _ = os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// rounds is how many areas a rival makes.
const rounds = 100

// rival makes areas, each of which the sweeps of its rivals must leave alone, and
// sweeps theirs.
func rival(parent string) error {
	for i := range rounds {
		a, err := New(parent, flock.Info{PID: os.Getpid(), Command: "rival"})
		if err != nil {
			return fmt.Errorf("New: %w", err)
		}
		for n := range 3 {
			if err := os.MkdirAll(filepath.Join(a.Path(), strconv.Itoa(n)), 0o755); err != nil {
				return err
			}
			Sweep(parent)
		}
		if entries, err := os.ReadDir(a.Path()); err != nil || len(entries) != 3 {
			return fmt.Errorf("%d entries are left of 3, %w", len(entries), err)
		}
		if err := a.Publish(filepath.Join(parent, fmt.Sprintf("%d-%d", os.Getpid(), i))); err != nil {
			return fmt.Errorf("Publish: %w", err)
		}
		if err := a.Close(); err != nil {
			return fmt.Errorf("Close: %w", err)
		}
	}
	return nil
}

func newArea(t *testing.T, parent string) *Area {
	t.Helper()
	a, err := New(parent, flock.Info{PID: 1, Command: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPublishedContentIsAllThatIsLeft(t *testing.T) {
	parent := t.TempDir()
	for _, folder := range []bool{false, true} {
		a := newArea(t, parent)
		name := filepath.Join(parent, "file")
		if folder {
			name = filepath.Join(parent, "folder")
			write(t, filepath.Join(a.Path(), "inside"))
		} else {
			write(t, a.Path())
		}
		if err := errors.Join(a.Publish(name), a.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := names(t, parent), []string{"file", "folder"}; !slices.Equal(got, want) {
		t.Errorf("there are %q, want %q", got, want)
	}
}

func TestNothingIsReplacedByPublish(t *testing.T) {
	parent := t.TempDir()
	file, folder, empty, link := filepath.Join(parent, "file"), filepath.Join(parent, "folder"), filepath.Join(parent, "empty"), filepath.Join(parent, "link")
	write(t, file)
	write(t, filepath.Join(folder, "thesis.txt"))
	if err := errors.Join(os.Mkdir(empty, 0o755), os.Symlink("nowhere", link)); err != nil {
		t.Fatal(err)
	}
	before := names(t, parent)
	for _, asFolder := range []bool{false, true} {
		for _, taken := range []string{file, folder, empty, link} {
			a := newArea(t, parent)
			if asFolder {
				write(t, filepath.Join(a.Path(), "inside"))
			} else {
				write(t, a.Path())
			}
			if err := a.Publish(taken); !errors.Is(err, fs.ErrExist) {
				t.Errorf("publish a folder %t as %s: %v", asFolder, taken, err)
			}
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if got := names(t, parent); !slices.Equal(got, before) {
		t.Errorf("there are %q, there were %q", got, before)
	}
	if content, err := os.ReadFile(filepath.Join(folder, "thesis.txt")); err != nil || string(content) != "mine" {
		t.Errorf("%q, %v", content, err)
	}
}

func TestWhatAKilledMakerLeftIsSweptAndALivingMakersIsNot(t *testing.T) {
	parent := t.TempDir()
	maker := exec.Command(os.Args[0])
	maker.Env = append(os.Environ(), "STAGING_TEST_PARENT="+parent)
	out, err := maker.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := maker.StdinPipe() // it would end with it
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	if err := maker.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	left := names(t, parent)
	Sweep(parent)
	if got := names(t, parent); len(left) != 1 || !slices.Equal(got, left) {
		t.Fatalf("a living maker's area was swept: %q, then %q", left, got)
	}
	_ = maker.Process.Kill()
	_ = maker.Wait() // it was killed
	if err := newArea(t, parent).Close(); err != nil {
		t.Fatal(err)
	}
	if got := names(t, parent); len(got) > 0 {
		t.Errorf("left are %q", got)
	}
}

func TestRivalsThatMakeAndSweepNeverLoseAnArea(t *testing.T) {
	const rivals = 4
	parent := t.TempDir()
	var all []*exec.Cmd
	for range rivals {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), "STAGING_TEST_RIVAL="+parent)
		c.Stderr = new(strings.Builder)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	for _, c := range all {
		if err := c.Wait(); err != nil {
			t.Errorf("%v: %v", err, c.Stderr)
		}
	}
	published := names(t, parent)
	if n := len(published); n != rivals*rounds && !t.Failed() {
		t.Errorf("%d names are there, want %d", n, rivals*rounds)
	}
	for _, name := range published {
		if isArea(name) {
			t.Errorf("%s is left", name)
		}
	}
}

// A sweeper that comes between the making of the folder and the lock takes the
// folder, and the maker makes another.
func TestAMakerWhoseFolderIsSweptMakesAnother(t *testing.T) {
	for name, meanwhile := range map[string]func(parent, lock string) error{
		"before the lock's file": func(parent, _ string) error {
			Sweep(parent)
			return nil
		},
		"with the lock's file": func(parent, lock string) error {
			err := os.WriteFile(lock, nil, 0o600)
			Sweep(parent)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			parent, calls := t.TempDir(), 0
			a, err := makeArea(parent, func(path string) (*flock.Lock, error) {
				if calls++; calls == 1 {
					if err := meanwhile(parent, path); err != nil {
						t.Error(err)
					}
				}
				return flock.Acquire(path, flock.Info{PID: 7})
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := names(t, parent); calls != 2 || !slices.Equal(got, []string{filepath.Base(a.folder)}) {
				t.Errorf("%d calls; there are %q, want %s", calls, got, a.folder)
			}
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAnAreaWithoutALockLeavesNothing(t *testing.T) {
	parent := t.TempDir()
	full := errors.New("disk full")
	if _, err := makeArea(parent, func(path string) (*flock.Lock, error) { return nil, errors.Join(full, os.WriteFile(path, nil, 0o600)) }); !errors.Is(err, full) {
		t.Errorf("makeArea: %v", err)
	}
	if got := names(t, parent); len(got) > 0 {
		t.Errorf("left are %q", got)
	}
}

func TestSweepImportsRemovesLogsOfKilledImportsAlone(t *testing.T) {
	dir := t.TempDir()
	kept := []string{".import-1/events.db/is-a-folder", ".import-2/cat.png", ".import-x3/events.db", ".import-/events.db", "import-4/events.db"}
	swept := []string{".import-5/events.db", ".import-67/events.db-wal"}
	for _, name := range slices.Concat(kept, swept) {
		write(t, filepath.Join(dir, filepath.FromSlash(name)))
	}
	write(t, filepath.Join(dir, ".import-8")) // a file
	elsewhere := t.TempDir()
	write(t, filepath.Join(elsewhere, "events.db"))
	if err := errors.Join(os.Symlink(elsewhere, filepath.Join(dir, ".import-9")), os.Mkdir(filepath.Join(dir, ".import-10"), 0o755)); err != nil {
		t.Fatal(err)
	}
	SweepImports(dir)
	for _, name := range append(kept, ".import-8", ".import-9/events.db") {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Errorf("%s was removed: %v", name, err)
		}
	}
	for _, name := range []string{".import-5", ".import-67", ".import-10"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was not swept: %v", name, err)
		}
	}
}

func TestSweepRemovesNothingOfAnotherForm(t *testing.T) {
	parent := t.TempDir()
	id := strings.Repeat("0a", idBytes)
	kept := []string{
		prefix + id + "/content/without-a-lock",
		prefix + strings.Repeat("1a", idBytes) + "/lock/is-a-folder",
		prefix + strings.Repeat("2a", idBytes) + "/thesis.txt",
		prefix + strings.ToUpper(strings.Repeat("3a", idBytes)) + "/lock",
		prefix + id + "0/lock",
		prefix + "photos/lock",
		"monday.part/thesis.txt",
		".import-photos/cat.png",
	}
	for _, name := range kept {
		write(t, filepath.Join(parent, filepath.FromSlash(name)))
	}
	write(t, filepath.Join(parent, prefix+strings.Repeat("2a", idBytes), lockName))
	write(t, filepath.Join(parent, prefix+strings.Repeat("4a", idBytes))) // a file
	elsewhere := t.TempDir()
	write(t, filepath.Join(elsewhere, lockName))
	if err := os.Symlink(elsewhere, filepath.Join(parent, prefix+strings.Repeat("5a", idBytes))); err != nil {
		t.Fatal(err)
	}
	abandoned := filepath.Join(parent, prefix+strings.Repeat("6a", idBytes))
	write(t, filepath.Join(abandoned, lockName))
	nameless := filepath.Join(parent, prefix+strings.Repeat("7a", idBytes))
	if err := os.Mkdir(nameless, 0o755); err != nil {
		t.Fatal(err)
	}
	Sweep(parent)
	for _, name := range append(kept, prefix+strings.Repeat("4a", idBytes), prefix+strings.Repeat("5a", idBytes)+"/lock") {
		if _, err := os.Stat(filepath.Join(parent, filepath.FromSlash(name))); err != nil {
			t.Errorf("%s was removed: %v", name, err)
		}
	}
	for _, path := range []string{abandoned, nameless} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was not swept: %v", path, err)
		}
	}
}
