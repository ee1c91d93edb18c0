package events

import (
	"os"
	"path/filepath"
	"testing"
)

// Every log gives the state that its events fold to, however they were written.
func TestEveryLogReplaysWhatWasAppended(t *testing.T) {
	for name, open := range map[string]func(folder string) (Log, error){
		"reprise":    func(folder string) (Log, error) { return OpenReprise(filepath.Join(folder, "events.db"), true) },
		"PostgreSQL": func(folder string) (Log, error) { return StartPostgres(t.Context(), folder, true) },
		"JetStream":  func(folder string) (Log, error) { return StartJetStream(t.Context(), folder, true) },
	} {
		t.Run(name, func(t *testing.T) {
			folder, err := os.MkdirTemp("", "reprise-bench-") // t.TempDir() is not accessible to PostgreSQL's user
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(folder)
			log, err := open(folder)
			if err != nil {
				if name == "PostgreSQL" {
					t.Skip(err)
				}
				t.Fatal(err)
			}
			defer func() {
				if err := log.Close(); err != nil {
					t.Error(err)
				}
			}()
			exercise(t, log, name != "JetStream")
		})
	}
}

func exercise(t *testing.T, log Log, snapshots bool) {
	names := Names("appended", 3)
	if err := log.Append(t.Context(), names, 5); err != nil {
		t.Fatal(err)
	}
	if err := log.Fill(t.Context(), []string{"filled"}, 600, 0); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int{"appended-1": 5, "filled": 600} {
		if got, err := log.Replay(t.Context(), name, false); err != nil || got != Want(n) {
			t.Errorf("%s is at %+v, %v; want %+v", name, got, err, Want(n))
		}
	}
	if !snapshots {
		return
	}
	names = Names("remembered", 4)
	if err := log.Fill(t.Context(), names, 20, 15); err != nil {
		t.Fatal(err)
	}
	if err := log.Reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := Recovery(t.Context(), log, names, 2, Want(20)); err != nil {
		t.Error(err)
	}
	if err := Recovery(t.Context(), log, names, 2, Want(21)); err == nil {
		t.Error("a wrong state was not noticed")
	}
	if n, err := log.ReadAll(t.Context()); err != nil || n != 15+600+80 {
		t.Errorf("%d events, %v", n, err)
	}
}
