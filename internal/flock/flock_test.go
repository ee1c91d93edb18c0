package flock

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestMain lets the test binary act as the process that holds a lock and is killed.
func TestMain(m *testing.M) {
	if path := os.Getenv("FLOCK_TEST_HOLD"); path != "" {
		lock, err := Acquire(path, Info{PID: os.Getpid(), Command: "holder"})
		if err != nil {
			os.Exit(1)
		}
		os.Stdout.WriteString("held\n")
		os.Stdin.Read(make([]byte, 1)) // until killed
		lock.Release()
	}
	os.Exit(m.Run())
}

func TestASecondHolderIsRefusedAndToldWhoTheFirstIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if held, _, err := Probe(path); held || err != nil {
		t.Fatalf("a missing file: %v, %v", held, err)
	}
	first, err := Acquire(path, Info{PID: 7, Command: "reprise train", StartedAt: time.Unix(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Acquire(path, Info{PID: 8})
	var locked *LockedError
	if !errors.As(err, &locked) || !errors.Is(err, ErrLocked) || locked.Holder.PID != 7 {
		t.Fatalf("second Acquire: %v", err)
	}
	if held, holder, err := Probe(path); !held || holder.Command != "reprise train" || err != nil {
		t.Errorf("Probe = %v, %+v, %v", held, holder, err)
	}
	for range 2 {
		if err := first.Release(); err != nil {
			t.Fatal(err)
		}
	}
	if held, _, err := Probe(path); held || err != nil {
		t.Errorf("after Release: Probe = %v, %v", held, err)
	}
	again, err := Acquire(path, Info{PID: 9})
	if err != nil {
		t.Fatalf("after Release: %v", err)
	}
	if err := again.Release(); err != nil {
		t.Fatal(err)
	}
}

// TestProbesDoNotDisturbAcquire fails if a Probe is mistaken for a holder, or
// misses one.
func TestProbesDoNotDisturbAcquire(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, _, err := Probe(path); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 200 {
		lock, err := Acquire(path, Info{PID: 7})
		if err != nil {
			t.Error(err)
			break
		}
		if held, _, err := Probe(path); !held || err != nil {
			t.Errorf("while it is held: Probe = %v, %v", held, err)
		}
		if err := lock.Release(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
}

// TestOneOfManyAcquires lets goroutines race for the lock.
func TestOneOfManyAcquires(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	const racers = 16
	results := make(chan error, racers)
	locks := make(chan *Lock, racers)
	for range racers {
		go func() {
			lock, err := Acquire(path, Info{PID: 7})
			if err == nil {
				locks <- lock
			}
			results <- err
		}()
	}
	won := 0
	for range racers {
		switch err := <-results; {
		case err == nil:
			won++
		case !errors.Is(err, ErrLocked):
			t.Error(err)
		}
	}
	if won != 1 {
		t.Fatalf("%d of %d hold the lock", won, racers)
	}
	if err := (<-locks).Release(); err != nil {
		t.Fatal(err)
	}
}

func TestAKilledHolderLeavesNoLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), "FLOCK_TEST_HOLD="+path)
	if _, err := child.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("the holder said %q, %v", line, err)
	}
	if _, err := Acquire(path, Info{}); !errors.Is(err, ErrLocked) {
		t.Fatalf("while it is held: %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // "signal: killed" is expected
	lock, err := Acquire(path, Info{})
	if err != nil {
		t.Fatalf("after the holder was killed: %v", err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyARegularFileIsLocked(t *testing.T) {
	dir := t.TempDir()
	victim, link, dangling, folder := filepath.Join(dir, "victim"), filepath.Join(dir, "link"), filepath.Join(dir, "dangling"), filepath.Join(dir, "folder")
	if err := errors.Join(os.WriteFile(victim, []byte("mine"), 0o600), os.Symlink(victim, link),
		os.Symlink(filepath.Join(dir, "new"), dangling), os.Mkdir(folder, 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, dangling, folder} {
		if _, err := Acquire(path, Info{PID: 1}); err == nil {
			t.Errorf("%s was locked", path)
		}
		if held, _, err := Probe(path); held || err == nil {
			t.Errorf("Probe of %s = %v, %v", path, held, err)
		}
	}
	if content, err := os.ReadFile(victim); err != nil || string(content) != "mine" {
		t.Errorf("%q, %v", content, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "new")); err == nil {
		t.Error("a file was made through a link")
	}
}
