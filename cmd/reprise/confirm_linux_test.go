package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"reprise/api"
)

// On a terminal, what ends many runs at once asks first, with their number. Elsewhere it
// does not, and neither does it for runs that were named one by one.
func TestCancellingManyRunsAsksOnATerminal(t *testing.T) {
	dir := t.TempDir()
	getenv := func(name string) string {
		return map[string]string{"REPRISE_DATA_DIR": dir, "REPRISE_CACHE_DIR": dir + "/cache"}[name]
	}
	s, _, err := hold(dir, getenv)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	cancel := func(answer string, args ...string) (code int, shown, out string) {
		master, slave := openTerminal(t)
		if _, err := io.WriteString(master, answer+"\n"); err != nil {
			t.Fatal(err)
		}
		var stdout bytes.Buffer
		code = run(append([]string{"reprise", "runs", "cancel"}, args...), slave, &stdout, slave, getenv)
		if err := slave.Close(); err != nil {
			t.Fatal(err)
		}
		raw, _ := io.ReadAll(master) // which ends with an error, since nobody has the other end
		return code, string(raw), stdout.String()
	}
	const question = "Cancel 2 runs for good? [y/N]"
	if code, shown, out := cancel("n", "--all"); code != api.ExitInvalid || !strings.Contains(shown, question) || !strings.Contains(shown, "nothing was cancelled") || out != "" {
		t.Errorf("no: exit code %d\n%s%s", code, shown, out)
	}
	if code, shown, out := cancel("y", "--all", "--yes"); code != 0 || strings.Contains(shown, question) || strings.Count(out, "is cancelled") != 2 {
		t.Errorf("--yes: exit code %d\n%s%s", code, shown, out)
	}
	if code, shown, out := cancel("y", "--all"); code != 0 || strings.Contains(shown, "?") || !strings.Contains(out, "no runs to cancel") {
		t.Errorf("nothing to cancel: exit code %d\n%s%s", code, shown, out)
	}

	if s, _, err = hold(dir, getenv); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if code, shown, out := cancel("y", "--all"); code != 0 || !strings.Contains(shown, question) || strings.Count(out, "is cancelled") != 2 {
		t.Errorf("yes: exit code %d\n%s%s", code, shown, out)
	}
	if code := run([]string{"reprise", "runs", "cancel", "--all"}, os.Stdin, io.Discard, io.Discard, getenv); code != 0 {
		t.Errorf("without a terminal: exit code %d", code)
	}
}
