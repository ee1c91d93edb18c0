package actor_test

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"reprise/actor"
)

// document returns docs/actors.md.
func document(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("../docs/actors.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestDocumentedExamplesAreCompiledAndRun(t *testing.T) {
	source, err := os.ReadFile("example_docs_test.go")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)<!-- (\\w+) -->\n```go\n(.*?)\n```\n")
	blocks := block.FindAllStringSubmatch(document(t), -1)
	if len(blocks) != strings.Count(document(t), "```go") || len(blocks) == 0 {
		t.Fatalf("%d blocks name their example, but there are %d blocks", len(blocks), strings.Count(document(t), "```go"))
	}
	for _, b := range blocks {
		indented := regexp.MustCompile("(?m)^(.)").ReplaceAllString(b[2], "\t$1")
		if !strings.Contains(string(source), "\nfunc "+b[1]+"() {\n"+indented+"\n}\n") {
			t.Errorf("the code of %s is not that of example_docs_test.go", b[1])
		}
	}
}

func TestDocumentedLimitsAreTheActualOnes(t *testing.T) {
	_, limits, _ := strings.Cut(document(t), "\n## Limits\n")
	for row, want := range map[string][]string{
		"messages in a mailbox":             {grouped(actor.DefaultCapacity), grouped(actor.MaxCapacity)},
		"workers":                           {grouped(actor.MaxWorkers)},
		"messages in one turn":              {grouped(actor.RunBudget)},
		"bytes of a name":                   {grouped(actor.MaxName)},
		"restarts":                          {fmt.Sprintf("%d in %v", actor.DefaultIntensity().Restarts, actor.DefaultIntensity().Period), grouped(actor.MaxRestarts)},
		"time to stop":                      {actor.DefaultStopTimeout.String(), actor.CutGrace.String()},
		"routees of a pool":                 {grouped(actor.MaxRoutees)},
		"events that wait for `OnEvent`":    {grouped(actor.MaxPendingEvents)},
		"depth of a trace":                  {grouped(actor.MaxTraceDepth)},
		"messages in a `TraceBuffer`":       {grouped(actor.MaxTraceSteps)},
		"letters in a `DeadLetterBuffer`":   {grouped(actor.MaxDeadLetters)},
		"actors that `TraceNext` waits for": {grouped(actor.MaxWanted)},
	} {
		line := regexp.MustCompile("(?m)^\\| " + regexp.QuoteMeta(row) + ".*$").FindString(limits)
		for _, w := range want {
			if !regexp.MustCompile("(^|[^0-9,])" + regexp.QuoteMeta(w) + "($|[^0-9,]|,[^0-9])").MatchString(line) {
				t.Errorf("%s: %q does not contain %s", row, line, w)
			}
		}
	}
}

// grouped writes 16,777,216.
func grouped(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return grouped(n/1000) + fmt.Sprintf(",%03d", n%1000)
}
