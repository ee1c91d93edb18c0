package server_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"reprise/api"
	"reprise/server"
)

// waiting is a service that follows runs until its test lets it end.
type waiting struct {
	api.Service
	release chan struct{}
}

func (s waiting) Follow(ctx context.Context, _ api.FollowRequest) iter.Seq2[api.RunUpdate, error] {
	return func(yield func(api.RunUpdate, error) bool) {
		if !yield(api.RunUpdate{RunID: "first"}, nil) {
			return
		}
		select {
		case <-s.release:
			yield(api.RunUpdate{RunID: "last"}, nil)
		case <-ctx.Done():
			yield(api.RunUpdate{}, ctx.Err())
		}
	}
}

// impatient serves a service; requests have to arrive within the patience.
func impatient(s api.Service, patience time.Duration) *httptest.Server {
	served := httptest.NewUnstartedServer(server.Handler(s))
	served.Config.ReadTimeout = patience
	served.Start()
	return served
}

// A body that does not arrive is cut off, whatever the operation.
func TestABodyThatDoesNotArriveIsCutOff(t *testing.T) {
	s := impatient(waiting{}, 50*time.Millisecond)
	defer s.Close()
	for path, want := range map[string]string{"/v1/runs.follow": "did not arrive in time", "/v1/none": "no such operation"} {
		body, unsent := io.Pipe()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+path, body)
		if err != nil {
			t.Fatal(err)
		}
		sent := make(chan error, 1)
		go func() { // until the connection is closed
			_, err := fmt.Fprint(unsent, `{"runs":`)
			sent <- err
		}()
		response, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(response.Body)
		if err != nil || !strings.Contains(string(answer), want) {
			t.Errorf("%s: %s, %v", path, answer, err)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
		_ = unsent.Close()
		_ = response.Body.Close()
	}
}

// An answer may take longer than a request is allowed to.
func TestAStreamOutlivesThePatienceForItsRequest(t *testing.T) {
	const patience = 50 * time.Millisecond
	release := make(chan struct{})
	s := impatient(waiting{release: release}, patience)
	defer s.Close()
	response, err := s.Client().Post(s.URL+"/v1/runs.follow", "application/json", strings.NewReader(`{"runs":["latest"]}`))
	if err != nil {
		t.Fatal(err)
	}
	<-time.After(4 * patience)
	close(release)
	answer, err := io.ReadAll(response.Body)
	if err != nil || !strings.Contains(string(answer), `"last"`) || !strings.Contains(string(answer), `{"end":true}`) {
		t.Errorf("%s, %v", answer, err)
	}
	_ = response.Body.Close()
}
