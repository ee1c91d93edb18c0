package client_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"reprise/api"
	"reprise/api/servicetest"
	"reprise/client"
	"reprise/dataset"
	"reprise/device"
	"reprise/device/cpu"
	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/eventstore/sqlite"
	"reprise/fault"
	"reprise/server"
	"reprise/service"
)

// config is that of a service over a data directory.
func config(dir string) service.Config {
	return service.Config{
		Dir: dir, Now: func() time.Time { return time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) },
		OpenReadOnly:   func(path string) (eventstore.Store, error) { return sqlite.OpenReadOnly(path) },
		EmptyLog:       func() eventstore.Store { return memory.New() },
		OpenForWriting: func(path string) (eventstore.Store, error) { return sqlite.Open(path, sqlite.Config{}) },
		Copies: service.Copies{
			Backup: sqlite.Backup, Restore: sqlite.Restore,
			OpenWreck: func(ctx context.Context, path string) (service.Wreck, error) { return sqlite.OpenWreck(ctx, path) },
		},
		Process: 7, Command: "a test",
		OpenDevices: func() ([]device.Driver, func() error, error) {
			d, err := cpu.New(cpu.Config{})
			return []device.Driver{d}, d.Close, err
		},
		DataSets: func() dataset.Config { return dataset.Config{GoProxy: "off", SystemDir: "none"} },
		Random:   rand.Reader,
		User:     func() string { return "ada" },
		Serve:    func(context.Context, *service.Service) (func() error, error) { return func() error { return nil }, nil },
	}
}

// local opens a service in the process.
func local(t testing.TB, dir string) api.Service { return open(t, config(dir)) }

func open(t testing.TB, c service.Config) *service.Service {
	t.Helper()
	s, err := service.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// serve serves a handler until the test ends, and returns a client of it.
func serve(t testing.TB, handler http.Handler) *client.Client {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	c := client.New(s.URL, func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", s.Listener.Addr().String())
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func harness() servicetest.Harness {
	return servicetest.Harness{
		Logs:  "../integration/testdata/golden",
		Store: func(path string) (eventstore.Store, error) { return sqlite.Open(path, sqlite.Config{}) },
		Open: func(t testing.TB, dir string) api.Service {
			return serve(t, server.Handler(local(t, dir)))
		},
	}
}

func TestAClientOfAServerKeepsTheContract(t *testing.T) { servicetest.Run(t, harness()) }

func TestAClientGivesWhatTheServiceGives(t *testing.T) {
	h := harness()
	for _, name := range h.Names(t) {
		s := local(t, h.Dir(t, name))
		want := servicetest.Transcript(t, s)
		if got := servicetest.Transcript(t, serve(t, server.Handler(s))); got != want {
			t.Errorf("%s: over a wire\n%s\nin the process\n%s", name, got, want)
		}
	}
}

// An answer without its last line was cut off: what came is not all of it.
func TestAnAnswerThatIsCutOffIsAnError(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":           "",
		"an item":           `{"item":{"position":1}}` + "\n",
		"a part of a line":  `{"item":{"positi`,
		"something else":    "<html>\n",
		"an empty line":     "{}\n",
		"an unknown answer": `{"item":[1]}` + "\n" + `{"end":true}` + "\n",
	} {
		c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
		var last error
		for _, err := range c.Events(t.Context(), api.EventsRequest{}) {
			last = err
		}
		_, single := c.Runs(t.Context(), api.RunsRequest{})
		for _, err := range []error{last, single} {
			var e *api.Error
			if !errors.As(err, &e) || e.Fault != fault.Unavailable || e.Code != api.Unreachable {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"end":true}`+"\n") }))
	if _, err := c.Runs(t.Context(), api.RunsRequest{}); err == nil || !strings.Contains(err.Error(), "0 answers") {
		t.Errorf("no answer at all: %v", err)
	}
}

func TestAServiceThatIsNotThereIsNamed(t *testing.T) {
	c := client.New("/run/reprise.sock", func(context.Context) (net.Conn, error) { return nil, errors.New("connection refused") })
	var e *api.Error
	if _, err := c.Runs(t.Context(), api.RunsRequest{}); !errors.As(err, &e) || e.Code != api.Unreachable || e.Fault != fault.Unavailable ||
		!strings.Contains(err.Error(), "/run/reprise.sock") || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("%v", err)
	}
}

// Whoever waits for a server does not wait any longer than its context, and the call on
// the other side ends with it.
func TestTheEndOfACallEndsItOnTheServer(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan struct{})
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the server watches the connection
		_ = http.NewResponseController(w).Flush()
		close(begun)
		<-r.Context().Done()
		close(ended)
	}))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
	}()
	if _, err := c.Runs(ctx, api.RunsRequest{}); fault.KindOf(err) != fault.Canceled {
		t.Errorf("%v", err)
	}
	<-ended
}

// A request that the service would cut off is not sent.
func TestARequestThatIsTooLargeIsRefusedBeforeItIsSent(t *testing.T) {
	c := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was sent") }))
	long := strings.Repeat("r", api.MaxRequest)
	_, err := c.Run(t.Context(), api.RunRequest{Run: long})
	errs := []error{err}
	for _, err := range c.Events(t.Context(), api.EventsRequest{Run: long}) {
		errs = append(errs, err)
	}
	for i, name := range []string{"runs.show", "events.list"} {
		if want := name + ": the request is larger than 1048576 bytes; send less at a time"; fault.KindOf(errs[i]) != fault.Invalid || errs[i].Error() != want {
			t.Errorf("%v", errs[i])
		}
	}
}
