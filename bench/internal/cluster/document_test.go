package cluster_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"reprise/bench/internal/cluster"
	"reprise/queue"
)

// What docs/scheduling.md says was measured is what was recorded, and its figure is
// drawn from that.
func TestTheDocumentShowsTheRecordedFigures(t *testing.T) {
	lines, err := cluster.ReadLines("../../results/scheduler.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../../../docs/scheduling.md")
	if err != nil {
		t.Fatal(err)
	}
	figures := map[string]string{}
	for _, l := range lines {
		if l.Patience == 0 || l.Patience == queue.DefaultPolicy().Patience.Minutes() {
			figures[l.Policy] += fmt.Sprintf(" %s | %s |", thousands(l.MeanCompletion), thousands(l.MaxWait))
		}
	}
	if len(figures) != 6 {
		t.Fatalf("%d policies were recorded", len(figures))
	}
	for policy, want := range figures {
		row := ""
		for line := range strings.SplitSeq(string(document), "\n") {
			if strings.HasPrefix(strings.ReplaceAll(line, "*", ""), "| "+policy+" |") {
				row = line
			}
		}
		if !strings.HasSuffix(row, " |"+want) {
			t.Errorf("the row of %s is %q, want it to end in %q", policy, row, want)
		}
	}
	at := map[string]cluster.Line{} // with 1,250 minutes of patience, by trace
	for _, l := range lines {
		if l.Patience == 1250 {
			at[l.Trace] = l
		}
	}
	for _, l := range lines {
		if least := at[l.Trace]; l.Patience > 0 && l.Patience < 1250 && (l.MeanCompletion <= least.MeanCompletion || l.MaxWait <= least.MaxWait) {
			t.Errorf("%s: with %v minutes of patience not both figures are worse than with 1250", l.Trace, l.Patience)
		}
		if want := thousands(float64(l.Preemptions)) + " jobs of Philly give way"; l.Trace == "Philly" && l.Patience == 2000 &&
			!strings.Contains(strings.Join(strings.Fields(string(document)), " "), want) {
			t.Errorf("the document does not say %q", want)
		}
	}
	svg, err := cluster.Front(lines).SVG()
	if err != nil {
		t.Fatal(err)
	}
	if drawn, err := os.ReadFile("../../../docs/scheduling-front.svg"); err != nil || string(drawn) != string(svg) {
		t.Errorf("the figure is not the one of the recorded lines (%v): go run ./cmd/scheduler -recorded results/scheduler.jsonl -figure ../docs/scheduling-front.svg", err)
	}
}

// thousands writes a figure with commas.
func thousands(v float64) string {
	whole, fraction, _ := strings.Cut(strconv.FormatFloat(v, 'f', -1, 64), ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction != "" {
		whole += "." + fraction
	}
	return whole
}
