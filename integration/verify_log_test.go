package integration

import (
	"context"
	"reprise/journal"
	"testing"
)

// No log that was ever recorded contradicts itself.
func TestGoldenLogsAreVerified(t *testing.T) {
	for file := range goldenFiles() {
		if len(file) < 6 || file[len(file)-6:] != ".jsonl" {
			continue
		}
		store, head := golden(t, file)
		report, err := journal.VerifyLog(context.Background(), store)
		if err != nil || report.Head != head || report.Runs == 0 {
			t.Errorf("%s: %+v, %v", file, report, err)
		}
	}
}
