package main

import (
	"fmt"
	"strings"
	"testing"

	"charm.land/lipgloss/v2"

	"reprise/api"
)

func TestExcerptsFitTheTerminalWithTheCaretUnderItsPlace(t *testing.T) {
	for _, filler := range []string{"", "é", "世", "\t"} {
		for place := range 40 {
			pad := strings.Repeat("a", 3*place)
			text := fmt.Sprintf("model_architecture: mlp # %s\nconfig: {batch_size: 1, optimizer: %q, foo: 1, epochs: 3}%s\n", filler, filler+pad, strings.Repeat(" # end", 15))
			_, err := api.ParseTrainingRequest("job.yaml", []byte(text))
			if err == nil {
				t.Fatal("no error")
			}
			for _, width := range []int{40, 80, 100, 200} {
				lines := strings.Split(visibleLines(err.Error()), "\n")
				fitExcerpts(lines, width)
				found := false
				for i, line := range lines {
					if i == 0 || !strings.HasSuffix(line, "^") {
						continue
					}
					shown := lines[i-1]
					if lipgloss.Width(shown) > width || lipgloss.Width(line) > width {
						t.Errorf("%d columns:\n%s\n%s", width, shown, line)
					}
					if strings.Contains(lines[i-2], "config.foo") {
						found = true
						if at := strings.Index(shown, "foo: 1"); at < 0 || lipgloss.Width(shown[:at]) != lipgloss.Width(line)-1 {
							t.Errorf("%d columns: the caret is not under foo:\n%s\n%s", width, shown, line)
						}
					}
				}
				if !found && filler != "\t" {
					t.Errorf("no excerpt of foo in\n%s", strings.Join(lines, "\n"))
				}
			}
		}
	}
}

func TestWithoutATerminalExcerptsStayAsTheyAre(t *testing.T) {
	lines := []string{"    7 | " + strings.Repeat("a", 200), "      | ^"}
	want := strings.Join(lines, "\n")
	if fitExcerpts(lines, 0); strings.Join(lines, "\n") != want {
		t.Error(lines)
	}
}
