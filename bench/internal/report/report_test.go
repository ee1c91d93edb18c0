package report_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reprise/bench/internal/report"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite testdata")
	flag.Parse()
	os.Exit(m.Run())
}

func update() bool { return flag.Lookup("update").Value.String() == "true" }

func TestDocumentIsTheGoldenFile(t *testing.T) {
	r, err := report.Read("testdata/results")
	if err != nil {
		t.Fatal(err)
	}
	got := report.Document(r)
	const golden = "testdata/performance.md"
	if update() {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("the document is not %s; read it and run go test -update", golden)
	}
}

// What the golden file must say, whoever updates it.
func TestDocumentSaysWhatIsMetAndWhatIsNot(t *testing.T) {
	r, err := report.Read("testdata/results")
	if err != nil {
		t.Fatal(err)
	}
	got := string(report.Document(r))
	for _, row := range []string{
		"| mlp | PyTorch 1.13.1 (threads 1, SKYLAKEX) | 60000 | 30000 | samples/s | 2.00 | ≥ 1.7 | met |",
		"| cnn | PyTorch 1.13.1 (threads 2, SKYLAKEX) | 4600 | 2300 | samples/s | 2.00 | ≥ 2.5 | **not met** |",
		"| cnn | PyTorch 1.13.1 (threads 2, SKYLAKEX, malloc tuned) | 4600 | 3000 | samples/s | 1.53 |  |  |",
		"| cnn | GoMLX | – | – | samples/s | – | ≥ 5 | not measured |",
		"- GoMLX, cnn: `no gradient of a convolution`",
		"| opticks gpt, PyTorch 1.13.1 (threads 1) | 500 | 2.32000 | 2.30000 | +0.02000 | nats/byte | 0.00100 | 0.01 | **not met** |",
		"| tell | Hollywood 1.0.5 (inbox of 64) | 15000000 | 10000000 | messages/s | 1.50 | ≥ 1.5 | met |",
		"| bytes per actor | Proto.Actor 2024-08-22 | 200 | 600 | bytes | 3.00 | ≥ 4 | **not met** |",
		"| durable append, 64 writers | PostgreSQL | 20000 | 8000 | events/s | 2.50 | ≥ 2 | met |",
		"| durable append, 64 writers | JetStream | 20000 | 4000 | events/s | 5.00 |  |  |",
		"| durable append, 1 writer | PostgreSQL | 900 | 1000 | events/s | 0.90 | ≥ 1 | **not met** |",
		"| mlp | 2 | 3.00 | 2 to 4 | **a rise of 1.5 or more** |",
		"| cnn | 2 | 1.10 | 1 to 2 | no cliff |",
	} {
		if !strings.Contains(got, row+"\n") {
			t.Errorf("no line %q", row)
		}
	}
	files, err := report.Figures(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 1 || !strings.Contains(string(files["performance-batch.svg"]), ">cnn, 2 threads<") {
		t.Errorf("figures: %d", len(files))
	}
	if !strings.Contains(got, "](performance-batch.svg)") || strings.Contains(got, "performance-width") {
		t.Error("the document does not show all figures")
	}
}

func TestReadRefusesGaps(t *testing.T) {
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("testdata/results")); err != nil {
		t.Fatal(err)
	}
	if _, err := report.Read(folder); err != nil {
		t.Fatal(err)
	}
	for content, want := range map[string]string{"": "is empty", `{"work":"mlp","speed":1}`: "unknown field", "{": "line 1"} {
		if err := os.WriteFile(filepath.Join(folder, "peers.jsonl"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := report.Read(folder); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
	}
	if err := os.Remove(filepath.Join(folder, "peers.jsonl")); err != nil {
		t.Fatal(err)
	}
	if _, err := report.Read(folder); err == nil {
		t.Error("a missing file was accepted")
	}
}

func TestThisMachineIsDescribed(t *testing.T) {
	if _, err := os.Stat("/proc/cpuinfo"); err != nil {
		t.Skip("no /proc/cpuinfo here")
	}
	m, err := report.ThisMachine(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "abc")
	if err != nil {
		t.Fatal(err)
	}
	if m.Cores < 1 || m.MemoryMiB < 1 || m.Go == "" || m.Load == "" || m.Date != "2026-01-02 03:04" || m.Commit != "abc" {
		t.Errorf("got %+v", m)
	}
}
