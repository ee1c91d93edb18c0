package main

import (
	"os"
	"strings"
	"testing"

	"reprise/api"
)

// The request in the README can be trained, and its mistake is reported as the
// README shows.
func TestTheReadmeShowsARealRequestAndARealError(t *testing.T) {
	raw, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(raw)
	_, rest, found := strings.Cut(readme, "```yaml\n")
	request, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("the README has no request")
	}
	if _, err := api.ParseTrainingRequest("job.yaml", []byte(request)); err != nil {
		t.Errorf("the README's request: %v", err)
	}
	wrong := strings.Replace(request, "batch_size: 128", "batch_size: 0", 1)
	_, err = api.ParseTrainingRequest("job.yaml", []byte(wrong))
	if err == nil {
		t.Fatal("a batch size of 0 was accepted")
	}
	shown := "    " + strings.ReplaceAll(err.Error(), "\n", "\n    ")
	if !strings.Contains(readme, shown) {
		t.Errorf("the README does not show this error:\n%s", shown)
	}
}
