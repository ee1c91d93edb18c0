package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"reprise/api"
	"reprise/fault"
)

// closePatience is how long a server that ends waits for calls to end by themselves, and
// again for those that it has cut off.
const closePatience = time.Second

// socketServer serves a handler on a socket. Once it is closing, it takes no more calls.
type socketServer struct {
	server *http.Server
	served chan struct{}

	mu      sync.Mutex // guards what follows
	calls   int
	closing bool
	idle    chan struct{} // closed when it is closing and has no calls
}

// serveOn serves a handler. The calls of a connection have contexts of what connected
// returns for it; nil is ctx as it is. close must follow.
func serveOn(
	ctx context.Context, listener net.Listener, handler http.Handler, connected func(context.Context, net.Conn) context.Context,
) *socketServer {
	s := &socketServer{served: make(chan struct{}), idle: make(chan struct{})}
	s.server = &http.Server{
		BaseContext: func(net.Listener) context.Context { return ctx }, ConnContext: connected, ReadTimeout: controlPatience, IdleTimeout: -1, MaxHeaderBytes: 1 << 14,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !s.begin() {
				refuseEnding(w)
				return
			}
			defer s.end()
			handler.ServeHTTP(w, r)
		}),
	}
	go func() {
		defer close(s.served)
		_ = s.server.Serve(listener) // close ends it
	}()
	return s
}

// refuseEnding answers a call that comes when the server is closing: nothing has happened,
// and the caller can try again.
func refuseEnding(w http.ResponseWriter) {
	e := &api.Error{Fault: fault.Unavailable, Code: api.ProcessEnding, Message: "the process is ending; try again"}
	w.Header().Set("Content-Type", api.LinesType)
	w.WriteHeader(api.StatusOf(e.Fault).HTTP)
	_ = json.NewEncoder(w).Encode(api.Line{Error: e}) // the client may have gone
}

func (s *socketServer) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.calls++
	return true
}

func (s *socketServer) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls--; s.closing && s.calls == 0 {
		close(s.idle)
	}
}

// close lets calls end for a moment, such as those that follow runs to their end, and
// cuts off the others. It does not wait for long for one that goes on regardless.
func (s *socketServer) close() error {
	s.mu.Lock()
	if s.closing = true; s.calls == 0 {
		close(s.idle)
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.server.Close()
	}
	<-s.served
	timer := time.NewTimer(closePatience)
	defer timer.Stop()
	select {
	case <-s.idle:
	case <-timer.C:
	}
	return err
}
