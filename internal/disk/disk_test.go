package disk

import (
	"runtime"
	"testing"
)

// Linux refuses to sync the folder of its processes: whoever asks it to must
// hear of it.
func TestAFolderThatCannotBeSyncedIsAnError(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no folder is known here that cannot be synced")
	}
	if err := (OS{}).SyncDir("/proc"); err == nil {
		t.Error("no error: was it synced?")
	}
	if err := (OS{}).SyncDir(t.TempDir()); err != nil {
		t.Error(err)
	}
}
