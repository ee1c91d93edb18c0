package survival

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// perDirectory is the number of cycles for one data directory: what a process
// reads as it starts grows with what was appended.
const perDirectory = 50

// longestUptime is how long a worker runs at most, from its start or from its
// first output.
const longestUptime = 300 * time.Millisecond

// TestKilledProcessesLoseAndDoubleNothingAcknowledged kills a process that trains
// while three writers append, with SIGKILL, again and again: REPRISE_KILLS times.
// A writer's client repeats what was not acknowledged.
func TestKilledProcessesLoseAndDoubleNothingAcknowledged(t *testing.T) {
	random, want, n := seeded(t), undisturbed(t), count(t, "REPRISE_KILLS", 20)
	acknowledged, completed := 0, 0
	for done := 0; done < n; {
		c := newClient(t, filepath.Join(t.TempDir(), "data"), want, random)
		c.prepare()
		for range min(perDirectory, n-done) {
			c.cycle(func(cmd *exec.Cmd) { _ = cmd.Process.Kill() })
			c.check()
			done++
		}
		c.conclude()
		acknowledged += len(c.acks)
		completed += c.completed
		progress("%d of %d kills: %d events acknowledged, none lost or doubled; %d runs complete with the same bits", done, n, acknowledged, completed)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d kills: %d events acknowledged, %d runs complete", n, acknowledged, completed)
	if acknowledged == 0 {
		t.Error("no worker lived long enough to append anything")
	}
}

// progress prints a line at once; go test would keep it until the end.
func progress(format string, args ...any) {
	_, _ = fmt.Fprintf(os.Stderr, format+"\n", args...)
}
