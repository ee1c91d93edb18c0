package loop

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reprise/dataset"
	"reprise/kernel/cpu"
	"reprise/nn"
	"reprise/training"
)

// tableOf opens a table of 200 rows with so much memory.
func tableOf(t *testing.T, memory int64) (*dataset.Dataset, string) {
	t.Helper()
	var text strings.Builder
	text.WriteString("kind")
	for j := range 20 {
		fmt.Fprintf(&text, ",x%d", j)
	}
	for i := range 200 {
		fmt.Fprintf(&text, "\n%d", i%3)
		for j := range 20 {
			fmt.Fprintf(&text, ",%d", (i+j)*(i-j)%17)
		}
	}
	folder := t.TempDir()
	path := filepath.Join(folder, "table.csv")
	if err := os.WriteFile(path, []byte(text.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	library, err := dataset.NewLibrary(dataset.Config{CacheDir: folder, Memory: memory})
	if err != nil {
		t.Fatal(err)
	}
	data, err := library.Open(t.Context(), dataset.Source{Path: path, Target: "kind"})
	if err != nil {
		t.Fatal(err)
	}
	if data.InFile() != (memory < 1<<20) {
		t.Fatalf("in a file: %t", data.InFile())
	}
	return data, folder
}

const fileMemory = 20_000

// tableSession returns a session whose last batch of an epoch is shorter than the others.
func tableSession(data *dataset.Dataset) training.TrainingSession {
	return training.TrainingSession{
		ID: "session", ModelID: "model", Architecture: nn.MLP(data.SampleShape(), []int{8}, "", data.Classes()),
		Dataset: training.Dataset{
			ID: "table", Path: "table.csv", Fingerprint: data.Fingerprint(),
			Training: data.Len(dataset.Train), Validation: data.Len(dataset.Validation), SampleShape: data.SampleShape(), Classes: data.Classes(),
		},
		Hyperparameters: training.Hyperparameters{
			BatchSize: 30, Epochs: 3, Seed: 9, Shards: 1, CheckpointInterval: 1, Optimizer: nn.Optimizer{Name: nn.Adam},
			LearningRate: training.LearningRate{Value: 0.02, Schedule: training.Schedule{Name: training.Constant}},
		},
	}
}

func executionOf(t *testing.T, data *dataset.Dataset) *Execution {
	t.Helper()
	backend, err := cpu.NewBackend(cpu.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { backend.Close() })
	x, err := NewExecution(tableSession(data), data, backend)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Close)
	if err := x.Reset(); err != nil {
		t.Fatal(err)
	}
	return x
}

// A batch that was gathered ahead is that of its step: also after an evaluation, and after
// going back to a checkpoint.
func TestBatchesGatheredAheadChangeNoBit(t *testing.T) {
	inMemory, _ := tableOf(t, 1<<20)
	inFile, _ := tableOf(t, fileMemory)
	x, y := executionOf(t, inMemory), executionOf(t, inFile)
	step := func(n int) {
		t.Helper()
		for range n {
			a, errA := x.Train()
			b, errB := y.Train()
			if err := errors.Join(errA, errB); err != nil {
				t.Fatal(err)
			}
			if a != b {
				t.Fatalf("in a file: %+v, in memory: %+v", b, a)
			}
		}
	}
	evaluate := func() {
		t.Helper()
		a, errA := x.Evaluate()
		b, errB := y.Evaluate()
		if err := errors.Join(errA, errB); err != nil || a.ValLoss != b.ValLoss {
			t.Fatalf("in a file: %+v, in memory: %+v, %v", b, a, err)
		}
	}
	step(4)
	kept, err := y.Content("run")
	if err != nil {
		t.Fatal(err)
	}
	step(3) // beyond the end of the epoch
	evaluate()
	step(2)
	for _, e := range []*Execution{x, y} {
		if err := e.Load(kept); err != nil {
			t.Fatal(err)
		}
	}
	step(9)
	evaluate()
	a, errA := x.WeightsSHA256()
	b, errB := y.WeightsSHA256()
	if err := errors.Join(errA, errB); err != nil || a != b {
		t.Errorf("weights %s in a file, %s in memory, %v", b, a, err)
	}
}

func TestAFileThatIsCutOffEndsTheStepWithAnError(t *testing.T) {
	data, folder := tableOf(t, fileMemory)
	x := executionOf(t, data)
	if _, err := x.Train(); err != nil {
		t.Fatal(err)
	}
	// The file has no name: only this process can cut it off.
	files, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(files) == 0 {
		t.Skip("this system does not show the open files")
	}
	cut := 0
	for _, file := range files {
		if name, err := os.Readlink(file); err == nil && strings.HasPrefix(name, folder) {
			if err := os.Truncate(file, 0); err != nil {
				t.Fatal(err)
			}
			cut++
		}
	}
	if cut != 1 {
		t.Fatalf("%d files were cut off", cut)
	}
	x.Train() //nolint:errcheck // its batch may have been read before
	if _, err := x.Train(); !errors.As(err, new(*FilesError)) {
		t.Errorf("error %v", err)
	}
	if _, err := x.Evaluate(); !errors.As(err, new(*FilesError)) {
		t.Errorf("evaluation: error %v", err)
	}
}
