package stepseries

import (
	"path/filepath"
	"testing"

	"reprise/internal/disk/disktest"
)

func TestCommittedRecordsSurviveALossOfPower(t *testing.T) {
	d := disktest.New(t.TempDir())
	w, err := Series{Path: filepath.Join(d.Root(), "steps.series"), Disk: d}.Create()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Append(Record{Step: 1, Epoch: 1, Loss: 2, LearningRate: 3}); err != nil {
		t.Fatal(err)
	}
	digest, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	left, err := d.After(disktest.Strict(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := (Series{Path: filepath.Join(left.Root(), "steps.series"), Disk: left}).Verify(digest); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
