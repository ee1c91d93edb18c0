package peer_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reprise/bench/internal/duel"
	"reprise/bench/internal/peer"
	"reprise/bench/internal/wire"
)

// TestMain lets this test binary act as its own peer.
func TestMain(m *testing.M) {
	if role := os.Getenv("BENCH_TEST_PEER"); role != "" {
		if err := wire.Serve(os.Stdin, os.Stdout, &fake{role: role}); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// fake loses loss 1, 2, 3, ... times the file's only weight.
type fake struct {
	role   string
	weight float32
}

func (f *fake) Load(path string) (string, error) {
	file, err := wire.ReadFile(path)
	if err != nil {
		return "", err
	}
	f.weight = file.Tensor("w").Data[0]
	if f.role == "wrong" {
		f.weight++
	}
	return "Fake", nil
}
func (f *fake) Reset() error { return nil }
func (f *fake) Step(i int) (float32, error) {
	if f.role == "panics" {
		panic("no such operation")
	}
	time.Sleep(time.Millisecond)
	return f.weight * float32(i+1), nil
}

// ours is four times as fast as the fake can be.
type ours struct{}

func (ours) Check() ([]float32, error)  { return []float32{3, 6, 9, 12, 15}, nil }
func (ours) Run(n int) (float64, error) { return 0.00025 * float64(n), nil }

func TestCompareWithAProcess(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	file := wire.File{Work: "w", Tensors: []wire.Tensor{{Name: "w", Shape: []int{1}, Data: []float32{3}}}}
	contest := peer.Contest{
		Work: "w", Units: 2, Unit: "samples/s", Threads: 2, Ours: ours{},
		Tolerance: func([]float32) float64 { return 1e-3 },
		File:      filepath.Join(folder, "file"), Folder: folder,
	}
	if err := file.Write(contest.File); err != nil {
		t.Fatal(err)
	}
	compare := func(command, role string) duel.Line {
		return contest.Compare(duel.Config{Rounds: 2, Seconds: 0.01}, peer.Peer{Name: "Peer", Configurations: []peer.Configuration{
			{Label: role, Command: []string{command}, Env: []string{"BENCH_TEST_PEER=" + role}},
		}})
	}
	got := compare(self, "right")
	if got.Error != "" || got.Peer != "Fake (right)" || got.Ours != 8000 || !(got.Theirs > 0 && got.Theirs <= 2000) || got.Ratio != got.Ours/got.Theirs {
		t.Errorf("got %+v", got)
	}
	for role, want := range map[string]string{"wrong": "results differ", "panics": "no such operation"} {
		if got := compare(self, role); !strings.Contains(got.Error, want) || got.Ratio != 0 {
			t.Errorf("%s: got %+v", role, got)
		}
	}
	if got := compare(filepath.Join(folder, "missing"), "right"); got.Error == "" || got.Work != "w" || got.Peer != "Peer" {
		t.Errorf("got %+v", got)
	}
	missing := errors.New("cannot be built")
	if got := contest.Compare(duel.Config{}, peer.Peer{Name: "Peer", Missing: missing}); got.Error != missing.Error() {
		t.Errorf("got %+v", got)
	}
}
