package service

import (
	"testing"

	"reprise/api"
	"reprise/fault"
)

// The process that trains holds the data directory, and rebuilds in the log that it has
// open; without a run it opens the log, and nobody is refused meanwhile.
func TestProjectionsAreRebuiltInTheProcessThatTrains(t *testing.T) {
	s := newService(t)
	rebuild := func(calls int) {
		t.Helper()
		errs := make(chan error)
		for range calls {
			go func() {
				_, err := s.RebuildProjections(t.Context(), api.RebuildRequest{})
				errs <- err
			}()
		}
		for range calls {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	}
	rebuild(3)
	h, err := s.hold(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rebuild(3)
	guest := AsGuest(t.Context())
	if _, err := s.RebuildProjections(guest, api.RebuildRequest{}); err != nil {
		t.Error(err)
	}
	s.release(h)
	<-h.ended
	if _, err := s.RebuildProjections(guest, api.RebuildRequest{}); fault.KindOf(err) != fault.Unavailable || api.ErrorOf(err).Code != api.ProcessEnding {
		t.Errorf("a guest took the data directory: %v", err)
	}
	rebuild(1)
}
