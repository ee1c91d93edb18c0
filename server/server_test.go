package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"reprise/api"
	"reprise/fault"
	"reprise/server"
)

// scripted is a service that warns and then gives what it was told.
type scripted struct {
	api.Service
	runs api.RunList
	err  error
}

func (s scripted) Runs(ctx context.Context, _ api.RunsRequest) (api.RunList, error) {
	api.Notify(ctx, api.Notice{Warning: "look <out>"})
	return s.runs, s.err
}

func (s scripted) Events(context.Context, api.EventsRequest) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		if yield(api.Event{Position: 1, Payload: json.RawMessage(`{}`)}, nil) {
			yield(api.Event{}, s.err)
		}
	}
}

func post(t *testing.T, s api.Service, path, accept, body string) (*httptest.ResponseRecorder, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	server.Handler(s).ServeHTTP(w, r)
	return w, w.Body.String()
}

func TestAnAnswerIsOneValueOrLines(t *testing.T) {
	s := scripted{runs: api.RunList{Runs: []api.Run{}, Folder: "a<b"}}
	response, body := post(t, s, "/v1/runs.list", "", `{}`)
	if body != `{"runs":[],"folder":"a<b","runs_folder":""}`+"\n" || response.Code != http.StatusOK ||
		response.Header().Get("Content-Type") != "application/json" || response.Header().Get(api.NoticeHeader) != `{"warning":"look <out>"}` {
		t.Errorf("%v %v %s", response.Code, response.Header(), body)
	}
	response, body = post(t, s, "/v1/runs.list", api.LinesType, `{}`)
	want := `{"notice":{"warning":"look <out>"}}` + "\n" + `{"item":{"runs":[],"folder":"a<b","runs_folder":""}}` + "\n" + `{"end":true}` + "\n"
	if body != want || response.Header().Get("Content-Type") != api.LinesType {
		t.Errorf("%v %v %s", response.Code, response.Header(), body)
	}
}

func TestAnErrorIsTheLastLine(t *testing.T) {
	s := scripted{err: &api.Error{Fault: fault.Corrupt, Message: "worse", Remedy: "mend it"}}
	response, body := post(t, s, "/v1/events.list", "", `{"run":"x"}`)
	lines := strings.Split(strings.TrimSpace(body), "\n")
	if len(lines) != 2 || response.Code != http.StatusOK || !strings.HasPrefix(lines[0], `{"item":{"position":1,`) ||
		lines[1] != `{"error":{"kind":"corrupt","message":"worse","remedy":"mend it"}}` {
		t.Errorf("%v %s", response.Code, body)
	}
	response, body = post(t, s, "/v1/runs.list", "", `{}`)
	if response.Code != http.StatusInternalServerError || body != `{"error":{"kind":"corrupt","message":"worse","remedy":"mend it"}}`+"\n" {
		t.Errorf("%v %s", response.Code, body)
	}
}

func TestARequestThatIsNotOneOfTheOperationIsRefused(t *testing.T) {
	for _, body := range []string{"", "x", `{"runs":1}`, `{} {}`, `{"run":1}`, `{"at":"yesterday"}`} {
		response, answer := post(t, scripted{}, "/v1/events.list", "", body)
		if response.Code != http.StatusBadRequest || !strings.Contains(answer, `"kind":"invalid"`) || strings.Contains(answer, "Go ") ||
			body == `{"run":1}` && !strings.Contains(answer, "run cannot be a JSON number") {
			t.Errorf("%.40s: %v %s", body, response.Code, answer)
		}
	}
	response, answer := post(t, scripted{}, "/v1/runs.lost", "", `{}`)
	if response.Code != http.StatusNotFound || !strings.Contains(answer, `"code":"unknown_operation"`) {
		t.Errorf("%v %s", response.Code, answer)
	}
}

// talkative says more than headers hold.
type talkative struct{ scripted }

func (talkative) Runs(ctx context.Context, _ api.RunsRequest) (api.RunList, error) {
	for range 10000 {
		api.Notify(ctx, api.Notice{Download: &api.Download{Name: "mnist", Done: 1}})
		api.Notify(ctx, api.Notice{Warning: "look out"})
	}
	return api.RunList{}, nil
}

func TestNoticesInHeadersAreBoundedAndTellOfNoDownload(t *testing.T) {
	response, _ := post(t, talkative{}, "/v1/runs.list", "", `{}`)
	size := 0
	for _, notice := range response.Header().Values(api.NoticeHeader) {
		if size += len(notice); notice != `{"warning":"look out"}` {
			t.Fatalf("%s", notice)
		}
	}
	if size == 0 || size > 16<<10 {
		t.Errorf("notices of %d bytes", size)
	}
}

// unreadable is a body that nobody may read.
type unreadable struct{ t *testing.T }

func (u unreadable) Read([]byte) (int, error) {
	u.t.Error("a request that is announced to be too large was read")
	return 0, io.EOF
}

// Only what carries files may be large: one client cannot fill the memory of the process
// that trains with any other request.
func TestEveryOperationBoundsItsRequest(t *testing.T) {
	large := map[string]bool{
		string(api.SubmitRuns): true, string(api.ValidateRun): true, string(api.VerifyEvents): true, string(api.TellActor): true,
	}
	for _, o := range api.Operations() {
		if large[o.Name] != (o.MaxRequest > 1<<20) {
			t.Errorf("%s takes requests of %d bytes", o.Name, o.MaxRequest)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, api.PathPrefix+o.Name, unreadable{t})
		r.ContentLength = o.MaxRequest + 1
		w := httptest.NewRecorder()
		server.Handler(scripted{}).ServeHTTP(w, r)
		if want := fmt.Sprintf("%s: the request is larger than %d bytes; send less at a time", o.Name, o.MaxRequest); !strings.Contains(w.Body.String(), want) ||
			!strings.Contains(w.Body.String(), `"kind":"invalid"`) {
			t.Errorf("%s: %s", o.Name, w.Body)
		}
	}
}
