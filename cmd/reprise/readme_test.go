package main

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"reprise/api"
)

// Every command stands in a row of the README's table, and every row is of a
// command that there is.
func TestTheReadmeListsEveryCommand(t *testing.T) {
	raw, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, row := range strings.Split(string(raw), "\n") {
		names, ok := strings.CutPrefix(row, "| `reprise ")
		if !ok {
			continue
		}
		names, _, _ = strings.Cut(names, "|")
		group := ""
		for i, name := range strings.Split(names, ", ") {
			words := strings.Fields(strings.Trim(strings.TrimSpace(name), "`"))
			if i > 0 {
				words = append(strings.Fields(group), words...)
			}
			path := ""
			for _, w := range words {
				if w == strings.ToLower(w) {
					path += " " + w
				}
			}
			if i == 0 && len(words) > 1 && words[1] == strings.ToLower(words[1]) {
				group = words[0]
			}
			listed[strings.TrimSpace(path)] = true
		}
	}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if sub.HasSubCommands() {
				delete(listed, strings.TrimPrefix(sub.CommandPath(), "reprise ")) // some do something themselves
				visit(sub)
				continue
			}
			path := strings.TrimPrefix(sub.CommandPath(), "reprise ")
			if !listed[path] {
				t.Errorf("the README does not list `reprise %s`", path)
			}
			delete(listed, path)
		}
	}
	visit(newRootCommand(&environment{}))
	for path := range listed {
		t.Errorf("the README lists `reprise %s`, which there is not", path)
	}
}

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
