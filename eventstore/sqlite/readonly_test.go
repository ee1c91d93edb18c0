package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"reprise/eventstore"
)

// readAndTell plays the process of another user that reads a store: it verifies and
// backs it up, and prints the head.
func readAndTell(path string) {
	head, err := func() (head eventstore.Head, err error) {
		r, err := OpenReadOnly(path)
		if err != nil {
			return head, err
		}
		defer func() { err = errors.Join(err, r.Close()) }()
		if head, err = r.Verify(context.Background()); err != nil {
			return head, err
		}
		copied, err := r.Backup(context.Background(), os.Getenv("SQLITE_TEST_COPY"))
		if err == nil && copied != head {
			err = fmt.Errorf("the copy ends at %+v", copied)
		}
		return head, err
	}()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(head)
	os.Exit(0)
}

// asReader runs readAndTell as somebody who may read the store and not write it.
func asReader(t *testing.T, path string) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "reader")
	if err := errors.Join(
		os.WriteFile(program, mustReadFile(t, os.Args[0]), 0o755), //nolint:gosec // others run it
		os.Chmod(dir, 0o777), os.Chmod(filepath.Dir(dir), 0o755),
		os.Chmod(filepath.Dir(filepath.Dir(path)), 0o755),
	); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), program)
	c.Env = []string{"SQLITE_TEST_READ=" + path, "SQLITE_TEST_COPY=" + filepath.Join(dir, "copy"), "TMPDIR=" + dir}
	asNobody(c)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("the reader: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// listed is all that a reader could change of a folder.
func listed(t *testing.T, dir string) string {
	t.Helper()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	list := fmt.Sprintln(info.ModTime())
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		list += fmt.Sprintf("%s %d %v %v %x\n", e.Name(), info.Size(), info.Mode(), info.ModTime(), sha256.Sum256(mustReadFile(t, filepath.Join(dir, e.Name()))))
	}
	return list
}

// left makes a store and leaves it in a state: with the named files beside it, as a
// killed process does, or alive.
func left(t *testing.T, state string) (path string, head eventstore.Head) {
	t.Helper()
	made := filepath.Join(t.TempDir(), "made.db")
	s, err := Open(made, Config{CheckpointPages: 30}) // some is in the file, some in the log
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for i := range 30 {
		w := write(fmt.Sprint(i))
		w.Events[0].Payload = bytes.Repeat([]byte{byte('a' + i%26)}, 1+i*500)
		if _, err := s.Append(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	if head, err = s.Head(t.Context()); err != nil {
		t.Fatal(err)
	}
	if state == "alive" {
		return made, head
	}
	path = filepath.Join(t.TempDir(), "data", "events.db")
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	suffixes := strings.Fields(state)
	if state == "closed" {
		suffixes = nil
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, suffix := range append(suffixes, "") {
		if err := os.WriteFile(path+suffix, mustReadFile(t, made+suffix), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return path, head
}

// A store is read by somebody who may only read it, whatever a killed process left
// and beside one that lives, with every acknowledged event; and nothing is left
// behind.
func TestWhoMayOnlyReadReadsEverythingAndLeavesNothing(t *testing.T) {
	for _, state := range []string{"closed", "-wal", "-wal -shm", "alive"} {
		t.Run(state, func(t *testing.T) {
			path, head := left(t, state)
			dir := filepath.Dir(path)
			if err := os.Chmod(dir, 0o555); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
			before := listed(t, dir)
			if got := asReader(t, path); got != fmt.Sprint(head) {
				t.Errorf("read %s, want %v", got, head)
			}
			if after := listed(t, dir); after != before {
				t.Errorf("before:\n%safter:\n%s", before, after)
			}
		})
	}
}

// Who may write a store, root for one, leaves nothing behind either by reading it, and
// changes no byte.
func TestReadingChangesNothing(t *testing.T) {
	for _, state := range []string{"closed", "-wal", "-shm", "-wal -shm"} {
		t.Run(state, func(t *testing.T) {
			path, head := left(t, state)
			before := listed(t, filepath.Dir(path))
			r, err := OpenReadOnly(path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.Verify(t.Context())
			if want := head.Position; err != nil || state != "-shm" && got.Position != want {
				t.Errorf("%+v, %v; want %d", got, err, want)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if after := listed(t, filepath.Dir(path)); after != before {
				t.Errorf("before:\n%safter:\n%s", before, after)
			}
		})
	}
}

// Writers come and go while others read: no read mixes what was with what is, is
// refused, or misses what had been acknowledged before it.
func TestReadersBesideWritersThatComeAndGo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	fill(t, path, 40)
	kept, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	done := make(chan struct{})
	last := make(chan eventstore.Position, 1)
	last <- 40
	for i := range 2 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				at := <-last
				last <- at
				r := kept
				if i == 1 {
					fresh, err := OpenReadOnly(path)
					if err != nil {
						t.Error(err)
						return
					}
					r = fresh
				}
				head, err := r.Verify(t.Context())
				if err != nil || head.Position < at {
					t.Errorf("read up to %d after %d was acknowledged: %v", head.Position, at, err)
				}
				if i == 1 {
					if err := r.Close(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for life := range 25 {
		s, err := Open(path, Config{CheckpointPages: 3})
		if err != nil {
			t.Error(err)
			break
		}
		for n := range 8 {
			w := write(fmt.Sprint(life, "/", n))
			w.Events[0].Payload = bytes.Repeat([]byte("x"), 3000)
			stored, err := s.Append(t.Context(), w)
			if err != nil {
				t.Error(err)
				break
			}
			<-last
			last <- stored[0].Position
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	close(done)
	wg.Wait()
	if err := kept.Close(); err != nil {
		t.Error(err)
	}
}

func TestWhoMayNotReadIsToldWhatToDo(t *testing.T) {
	path, _ := left(t, "closed")
	err := explain(path, false, 0, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}, nil)
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "chmod -R a+rX "+filepath.Dir(path)) {
		t.Error(err)
	}
}
