package integration

import (
	"testing"

	"reprise/journal"
	"reprise/journal/journaltest"
)

func TestTheOverviewOfGoldenLogsEqualsTheirReplay(t *testing.T) {
	for _, name := range goldenLogs(t) {
		store, head := golden(t, name)
		if err := journal.CatchUpProjections(t.Context(), store); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for at := range head.Position + 1 {
			if err := journaltest.CompareOverview(t.Context(), store, at); err != nil {
				t.Fatal(name, err)
			}
		}
	}
}
