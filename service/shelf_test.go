package service

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"reprise/api"
	"reprise/dataset"
)

func TestDataThatHangsBlocksOnlyThoseWhoWantIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f shelf
		defer f.use()()
		slow, other := volume{source: dataset.Source{Path: "slow"}}, volume{source: dataset.Source{Path: "other"}}
		first, second := new(dataset.Dataset), new(dataset.Dataset)
		ctx, leave := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() { // reads, until it goes away
			_, err := f.open(ctx, slow, func() (*dataset.Dataset, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			})
			gone <- err
		}()
		synctest.Wait()
		if data, err := f.open(t.Context(), other, func() (*dataset.Dataset, error) { return second, nil }); data != second || err != nil {
			t.Errorf("%v, %v", data, err)
		}
		f.use()() // does not wait either
		impatient, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := f.open(impatient, slow, nil); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		got := make(chan *dataset.Dataset)
		var reads atomic.Int32
		for range 2 { // one of which reads
			go func() {
				data, err := f.open(t.Context(), slow, func() (*dataset.Dataset, error) {
					reads.Add(1)
					return first, nil
				})
				if err != nil {
					t.Error(err)
				}
				got <- data
			}()
		}
		synctest.Wait()
		leave()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if a, b := <-got, <-got; a != first || b != first {
			t.Errorf("%p and %p, want %p", a, b, first)
		}
		if n := reads.Load(); n != 1 {
			t.Errorf("it was read %d times", n)
		}
	})
}

func TestDataIsReadOnceForAllWhoWaitAndFailsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f shelf
		failure := errors.New("damaged")
		release, reads := make(chan struct{}), 0
		errs := make(chan error)
		for range 3 {
			go func() {
				_, err := f.open(t.Context(), volume{}, func() (*dataset.Dataset, error) {
					reads++
					<-release
					return nil, failure
				})
				errs <- err
			}()
		}
		synctest.Wait()
		close(release)
		for range 3 {
			if err := <-errs; !errors.Is(err, failure) {
				t.Error(err)
			}
		}
		if reads != 1 {
			t.Errorf("it was read %d times", reads)
		}
	})
}

// A process lives on: what a file had before does not count any more.
func TestAFileThatChangedIsReadAgain(t *testing.T) {
	s := newService(t)
	defer s.shelf.use()()
	r, table := requests(t, 1, 4)
	before, err := s.prepare(t.Context(), r, false)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(table, append(content, "99,a\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	after, err := s.prepare(t.Context(), r, false)
	if err != nil || after[0].session.Dataset.Fingerprint == before[0].session.Dataset.Fingerprint {
		t.Errorf("still %+v, %v", after, err)
	}
	if _, err := s.shelf.recorded(t.Context(), s, before[0].session.Dataset); err == nil {
		t.Error("data that is gone was opened")
	}
}

// The files of a folder, and what links point to, count as well.
func TestTheStampOfAFolderIsThatOfItsFiles(t *testing.T) {
	library, err := dataset.NewLibrary(dataset.Config{})
	if err != nil {
		t.Fatal(err)
	}
	folder, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "b.txt")
	write := func(path, content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(folder, "a.txt"), "a")
	write(elsewhere, "b")
	link := filepath.Join(t.TempDir(), "link")
	if err := errors.Join(os.Symlink(elsewhere, filepath.Join(folder, "b.txt")), os.Symlink(folder, link)); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i, change := range []func(){
		func() {},
		func() { write(filepath.Join(folder, "a.txt"), "aa") },
		func() { write(elsewhere, "bb") },
		func() { write(filepath.Join(folder, "c.txt"), "c") },
	} {
		change()
		stamp := stampOf(library, dataset.Source{Path: link})
		if seen[stamp] || stamp != stampOf(library, dataset.Source{Path: link}) {
			t.Errorf("change %d left the stamp at %s", i, stamp)
		}
		seen[stamp] = true
	}
	if stamp := stampOf(library, dataset.Source{Path: "digits"}); stamp != "" {
		t.Errorf("the catalogue's digits have the stamp %s", stamp)
	}
}

func TestNothingIsKeptOnceACallHasEnded(t *testing.T) {
	s := newService(t)
	r, _ := requests(t, 1, 4)
	if _, err := s.Validate(t.Context(), api.ValidateRequest{File: r.Files[0], Folder: r.Folder}); err != nil {
		t.Fatal(err)
	}
	if s.shelf.data != nil || s.shelf.users != 0 || len(s.shelf.openings) != 0 {
		t.Errorf("kept %+v", &s.shelf)
	}
}
