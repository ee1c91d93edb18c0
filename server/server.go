// Package server answers for an api.Service over HTTP: POST /v1/NAME calls the
// operation of that name in api.Operations, with its request as JSON. [Handler] is all
// of it; package client is the other side.
//
// It has no logic of its own: names, types and statuses come from package api. It
// authenticates nobody: whoever listens decides who may connect. When the client goes
// away, the context of the call ends.
package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"reprise/api"
	"reprise/fault"
)

// Handler returns the handler that answers for the service. It may be called by
// several goroutines, as the service may.
//
// A server that it belongs to may bound how long requests take to arrive, with
// http.Server.ReadTimeout: answers may take longer.
//
// It bounds the calls that only read, so that they do not keep the service from its work:
// how many it serves at a time, and how long a client may leave an answer unread.
func Handler(s api.Service) http.Handler { return handler(s, newLimits()) }

func handler(s api.Service, l *limits) http.Handler {
	mux := http.NewServeMux()
	for _, o := range api.Operations() {
		mux.HandleFunc("POST "+api.PathPrefix+o.Name, func(w http.ResponseWriter, r *http.Request) { serve(w, r, s, o, l) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		newAnswer(w, r, false).end(&api.Error{
			Fault: fault.NotFound, Code: api.UnknownOperation,
			Message: r.Method + " " + r.URL.Path + ": this version has no such operation; use POST " + api.PathPrefix + "NAME, with a NAME such as " + string(api.ListRuns),
		})
	})
	return mux
}

// serve calls an operation and writes what it gives.
func serve(w http.ResponseWriter, r *http.Request, s api.Service, o api.Operation, l *limits) {
	a := newAnswer(w, r, o.Streams)
	if o.Reads {
		a.patience = l.writePatience
	}
	leave := func() {}
	defer func() { leave() }()
	ctx := api.WithNotices(r.Context(), a.notice)
	a.end(o.Call(ctx, s, func(request any) error {
		err := decode(w, r, o, request)
		if err != nil {
			return err
		}
		left, err := l.enter(ctx, o, request)
		if err == nil {
			leave = left
		}
		return err
	}, a.item))
}

// decode reads the request of a call, up to the operation's bound.
func decode(w http.ResponseWriter, r *http.Request, o api.Operation, request any) error {
	if err := o.CheckSize(r.ContentLength); err != nil { // it need not be read
		return err
	}
	body := http.MaxBytesReader(w, r.Body, o.MaxRequest)
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	err := d.Decode(request)
	if err == nil {
		_, err = d.Token()
		if errors.Is(err, io.EOF) {
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // it would end the answer, too
			return nil
		}
		if err == nil {
			err = errors.New("there is something after it")
		}
	}
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return o.CheckSize(tooLarge.Limit + 1)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fault.New(fault.Unavailable, "the request did not arrive in time; send its body together with its headers")
	}
	if mistyped := new(json.UnmarshalTypeError); errors.As(err, &mistyped) { // its text names a type of Go
		field := mistyped.Field
		if field == "" {
			field = "the request"
		}
		err = errors.New(field + " cannot be a JSON " + mistyped.Value)
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("it is empty; send {} for a request without fields")
	}
	return fault.New(fault.Invalid, "the request is not one of this operation: %w", err)
}

// answer writes the answer of one call: in lines or, where the client did not ask for
// them and there is only one item, as one JSON value.
type answer struct {
	lines bool
	// patience is how long the client may leave a part unread; 0 is for ever.
	patience time.Duration

	mu    sync.Mutex // notices may come from any goroutine of the service
	w     http.ResponseWriter
	wrote bool
	only  []byte // the item of an answer that is not in lines
	// noticed is how much of the headers are notices, in bytes.
	noticed int
}

func newAnswer(w http.ResponseWriter, r *http.Request, streams bool) *answer {
	return &answer{w: w, lines: streams || strings.Contains(r.Header.Get("Accept"), api.LinesType)}
}

// maxNotices bounds the notices in the headers of an answer, in bytes: clients refuse
// headers that are much larger. Further ones are left out.
const maxNotices = 16 << 10

// notice sends a notice. The progress of a download is not for headers, which come when
// it is over.
func (a *answer) notice(n api.Notice) {
	if a.lines {
		_ = a.line(api.Line{Notice: &n}, http.StatusOK) // the next item finds out, too
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	raw, err := encode(n)
	if n.Download != nil || err != nil { // it is made of text
		return
	}
	if a.noticed += len(raw); a.noticed <= maxNotices {
		a.w.Header().Add(api.NoticeHeader, string(raw))
	}
}

// item sends an item. It fails where the item has no JSON, or the client is gone.
func (a *answer) item(v any) error {
	raw, err := encode(v)
	if err != nil {
		return err
	}
	if !a.lines {
		a.only = raw
		return nil
	}
	return a.line(api.Line{Item: raw}, http.StatusOK)
}

// end ends the answer, with the error of the call if there is one.
func (a *answer) end(err error) {
	e := api.ErrorOf(err)
	status := http.StatusOK
	if e != nil {
		status = api.StatusOf(e.Fault).HTTP
	}
	switch {
	case a.lines:
		_ = a.line(api.Line{End: e == nil, Error: e}, status) // the client has gone
	case e != nil:
		a.only, _ = encode(api.Line{Error: e}) // it is made of text
		fallthrough
	default:
		_ = a.write("application/json", append(a.only, '\n'), status) // the client has gone
	}
}

// line writes a line; status is that of the answer if it is the first.
func (a *answer) line(l api.Line, status int) error {
	raw, err := encode(l)
	if err != nil {
		return err
	}
	return a.write(api.LinesType, append(raw, '\n'), status)
}

// write writes a part of the answer at once.
func (a *answer) write(mediaType string, raw []byte, status int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.wrote {
		a.wrote = true
		a.w.Header().Set("Content-Type", mediaType)
		a.w.WriteHeader(status)
	}
	c := http.NewResponseController(a.w)
	if a.patience > 0 {
		unread := time.AfterFunc(a.patience, func() { _ = c.SetWriteDeadline(time.Unix(1, 0)) }) // it has passed, so that the write ends
		defer unread.Stop()
	}
	if _, err := a.w.Write(raw); err != nil {
		return err
	}
	return c.Flush()
}

// encode returns the JSON of a value, on one line and with its texts as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
