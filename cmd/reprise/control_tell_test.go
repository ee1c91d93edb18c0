package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"reprise/datadir"
	"reprise/dataset"
	"reprise/eventstore/memory"
	"reprise/integration"
	"reprise/training"
)

func TestWhatIsToldAnActorIsAnsweredOrRefusedAndShown(t *testing.T) {
	host, _, err := integration.NewHost(t.Context(), integration.HostConfig{
		Store: memory.New(), Workspace: datadir.Workspace{Dir: t.TempDir()}, Now: time.Now, NewID: newID,
		OpenDataset: func(context.Context, training.Dataset) (*dataset.Dataset, error) {
			return nil, errors.New("there is none")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	}()
	handler := controlHandler(host, time.Now)
	refused := []struct {
		body   string
		status int
		kind   string
		reason string
	}{
		{`{"to":"run/r","type":"dance"}`, http.StatusBadRequest, "invalid", `type: "dance" is not understood; use one of pause, resume, train`},
		{`{"to":"run/r","type":"pause"}`, http.StatusNotFound, "not_found", "no run of the name"},
		{`{"to":"run/r","type":"pause","payload":{"why":"x"}}`, http.StatusBadRequest, "invalid", `unknown field "why"`},
		{`{"to":"\u001b[2J","type":"pause"}`, http.StatusBadRequest, "invalid", "does not take messages of type pause"},
		{`{`, http.StatusBadRequest, "invalid", "cannot be read"},
		{`{} {}`, http.StatusBadRequest, "invalid", "more than one"},
		{`{"to":"run/r","type":"pause","then":1}`, http.StatusBadRequest, "invalid", `unknown field "then"`},
		{`{"type":"` + strings.Repeat("a", maxTold) + `"}`, http.StatusBadRequest, "invalid", "too large"},
	}
	for _, c := range refused {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/tell", strings.NewReader(c.body)))
		var answer struct{ Kind, Error string }
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != c.status || answer.Kind != c.kind || !strings.Contains(answer.Error, c.reason) {
			t.Errorf("%.60s: %d %s", c.body, w.Code, w.Body)
		}
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/actors", nil))
	var l actorSnapshot
	if err := json.Unmarshal(w.Body.Bytes(), &l); err != nil || l.DeadLetters != 4 || len(l.Letters) != 4 {
		t.Fatalf("%v: %s", err, w.Body)
	}
	var out strings.Builder
	table := newTable(&out)
	if err := errors.Join(l.table(table), table.flush()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"4 dead letters:", "dance to run/r: type:", `pause to \x1b[2J: to:`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	for range 10 {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/v1/tell", strings.NewReader(refused[0].body)))
	}
	if l = snapshotOf(host, 1, time.Now()); l.DeadLetters != 14 || len(l.Letters) != shownLetters {
		t.Errorf("%d dead letters, %d shown", l.DeadLetters, len(l.Letters))
	}
}
