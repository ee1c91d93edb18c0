package stepseries

import (
	"path/filepath"
	"slices"
	"testing"

	"reprise/internal/disk"
)

// namesDisk records the folders that are synced.
type namesDisk struct {
	disk.OS
	synced *[]string
}

func (d namesDisk) SyncDir(name string) error {
	*d.synced = append(*d.synced, name)
	return d.OS.SyncDir(name)
}

func TestTheNameOfANewSeriesIsSynced(t *testing.T) {
	dir := t.TempDir()
	var synced []string
	w, err := Series{Path: filepath.Join(dir, "steps"), Disk: namesDisk{synced: &synced}}.Create()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if !slices.Equal(synced, []string{dir}) {
		t.Errorf("synced were %q", synced)
	}
}
