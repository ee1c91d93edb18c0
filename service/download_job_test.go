package service

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"reprise/api"
	"reprise/dataset"
	"reprise/queue"
)

// A job whose data have to be fetched waits while the module proxy is down, asks it again
// each time, and trains once the data can be had.
func TestAJobWhoseProxyIsDownWaits(t *testing.T) {
	goRoot, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
	}))
	t.Cleanup(proxy.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	var reachable atomic.Bool
	config := dataset.Config{CacheDir: t.TempDir(), SystemDir: t.TempDir(), GoProxy: proxy.URL, HTTP: &http.Client{Transport: transport}}
	s := newService(t)
	s.config.DataSets = func() dataset.Config {
		c := config
		if reachable.Load() { // the text is also part of every Go installation
			c.GoRoot = strings.TrimSpace(string(goRoot))
		}
		return c
	}
	run, err := submitOne(t.Context(), s, api.SubmitRequest{Folder: api.Text(t.TempDir()), Files: []api.RequestFile{{Name: "text.yaml", Content: `
model_architecture: gpt
model: {layers: 1, heads: 1, width: 8}
dataset_path: opticks
config: {batch_size: 4, learning_rate: 0.002, epochs: 1000}
`}}})
	if err != nil {
		t.Fatal(err)
	}
	attempts, trains := 0, false
	for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: []string{run}}) {
		if err != nil || u.End != nil || u.Unfinished != nil {
			t.Fatalf("%+v, %v", u, err)
		}
		if trains = u.Steps != nil; trains {
			break
		}
		if u.Job == nil || u.Job.Type != (queue.JobDeferred{}).EventType() {
			continue
		}
		var d queue.JobDeferred
		if err := json.Unmarshal(u.Job.Payload, &d); err != nil {
			t.Fatal(err)
		}
		if attempts++; d.Code != "unavailable" || d.RetryAfter <= 0 || !strings.Contains(d.Message, "503") {
			t.Errorf("deferral %d: %+v", attempts, d)
		}
		if n := asked.Load(); n < int64(attempts) {
			t.Errorf("after %d attempts the proxy was asked %d times", attempts, n)
		}
		reachable.Store(attempts == 3)
		if err := drain(s.Resume(t.Context(), api.ResumeRequest{Target: api.Target{Runs: []string{run}}})); err != nil {
			t.Fatal(err) // it does not wait for its next attempt
		}
	}
	if !trains || attempts != 3 {
		t.Errorf("trains: %v, after %d attempts", trains, attempts)
	}
}
