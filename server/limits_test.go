package server

import (
	"context"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"reprise/api"
	"reprise/fault"
)

// The operations that do something, or wait for a device, are never behind readers.
func TestOnlyCallsThatReadAreBounded(t *testing.T) {
	acts := map[string]bool{}
	for _, name := range []string{
		string(api.SubmitRuns), string(api.ForkRun), string(api.ResumeRuns), string(api.FollowRuns), string(api.InterruptRuns), string(api.CancelRuns),
		string(api.PauseRuns), string(api.PrioritizeRuns), string(api.RetryRuns), string(api.AnnotateRun), string(api.DeleteRuns), string(api.SetQueue), string(api.TellActor), string(api.LeaseDevice),
		string(api.VerifyRun), string(api.GenerateText), string(api.EvaluateModel), string(api.PlotRun), string(api.FetchDataSet), string(api.Rebuild),
	} {
		acts[name] = true
	}
	for _, o := range api.Operations() {
		l := &limits{readers: make(chan struct{}), followers: make(chan struct{})}
		_, err := l.enter(t.Context(), o, nil)
		switch {
		case o.Reads == acts[o.Name]:
			t.Errorf("%s: reads is %t", o.Name, o.Reads)
		case o.Reads != (fault.KindOf(err) == fault.Exhausted), o.Reads == (err == nil):
			t.Errorf("%s, where nobody may read: %v", o.Name, err)
		}
	}
}

// A place that is given back is taken by a call that waits, and a call that ends waits no
// longer. Followers and readers do not take each other's places.
func TestAPlaceOfAReaderIsWaitedFor(t *testing.T) {
	l := &limits{readers: make(chan struct{}, 1), followers: make(chan struct{}, 1), patience: time.Hour}
	read, tail := api.Operation{Name: "runs.list", Reads: true}, api.Operation{Name: "events.tail", Reads: true}
	leave, err := l.enter(t.Context(), read, &api.RunsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	unfollow, err := l.enter(t.Context(), tail, &api.TailRequest{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.enter(t.Context(), tail, &api.TailRequest{Follow: true}); fault.KindOf(err) != fault.Exhausted {
		t.Errorf("one follower more: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.enter(ended, tail, &api.TailRequest{}); fault.KindOf(err) != fault.Canceled {
		t.Errorf("a call that has ended: %v", err)
	}
	entered := make(chan error)
	go func() {
		_, err := l.enter(t.Context(), read, &api.RunsRequest{})
		entered <- err
	}()
	leave()
	unfollow()
	if err := <-entered; err != nil {
		t.Error(err)
	}
	if _, err := l.enter(t.Context(), tail, &api.TailRequest{Follow: true}); err != nil {
		t.Error(err)
	}
}

// endless gives events for as long as somebody takes them.
type endless struct {
	api.Service
	ended chan struct{}
}

func (s endless) Tail(context.Context, api.TailRequest) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		defer close(s.ended)
		for yield(api.Event{Type: strings.Repeat("x", 1<<16)}, nil) {
		}
	}
}

func (endless) Runs(context.Context, api.RunsRequest) (api.RunList, error) { return api.RunList{}, nil }

func (endless) Cancel(context.Context, api.CancelRequest) (api.Commanded, error) {
	return api.Commanded{}, nil
}

// A client that does not read has the only place of a reader: commands are answered
// meanwhile, other readers are refused, and the place is free once the client is cut off.
func TestAClientThatDoesNotReadIsCutOff(t *testing.T) {
	s := endless{ended: make(chan struct{})}
	l := &limits{readers: make(chan struct{}, 1), writePatience: 100 * time.Millisecond}
	served := httptest.NewServer(handler(s, l))
	defer served.Close()
	call := func(name api.Unary[api.CancelRequest, api.Commanded]) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, served.URL+api.PathPrefix+string(name), strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		response, err := served.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
		return response.StatusCode
	}
	l.readers <- struct{}{}
	if status := call("runs.list"); status != http.StatusTooManyRequests {
		t.Errorf("a reader more: %d", status)
	}
	if status := call(api.CancelRuns); status != http.StatusOK {
		t.Errorf("a command: %d", status)
	}
	<-l.readers
	deaf, err := new(net.Dialer).DialContext(t.Context(), "tcp", served.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = deaf.Close() }() // it was cut off
	if _, err := deaf.Write([]byte("POST /v1/events.tail HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	l.readers <- struct{}{} // the call has given it back
	<-l.readers
	if status := call("runs.list"); status != http.StatusOK {
		t.Errorf("afterwards: %d", status)
	}
}
