package loop

import (
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

// textSession returns a session that trains on a table of texts and numbers.
func textSession(t *testing.T) (training.TrainingSession, *dataset.Dataset) {
	t.Helper()
	var b strings.Builder
	b.WriteString("message,size,kind\n")
	for i := range 40 {
		fmt.Fprintf(&b, "%s and the rest of %d,%d.5,%s\n", strings.Repeat("word ", i%9), i%5, i*3%11, []string{"ham", "spam"}[i*5%11%2])
	}
	path := filepath.Join(t.TempDir(), "messages.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	library, err := dataset.NewLibrary(dataset.Config{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := library.Open(t.Context(), dataset.Source{Path: path, Target: "kind"})
	if err != nil {
		t.Fatal(err)
	}
	sections := data.Sections()
	session, _ := digitsSession(t)
	session.Architecture = nn.Architecture{Input: data.SampleShape(), Layers: nn.Layers{
		nn.Columns{Parts: []nn.Part{
			{Columns: sections[0].Features, Layers: nn.Layers{nn.Embedding{Vocabulary: sections[0].Vocabulary, Width: 6}, nn.Position{},
				nn.TransformerBlock{Heads: 2, Dropout: 0.2}, nn.GlobalAvgPool{}}},
			{Columns: sections[1].Features},
		}},
		nn.Linear{Units: 2},
	}}
	if err := training.CheckFit(session.Architecture, data); err != nil {
		t.Fatal(err)
	}
	session.Dataset = training.Dataset{
		ID: "messages", Path: path, Fingerprint: data.Fingerprint(), Training: data.Len(dataset.Train), Validation: data.Len(dataset.Validation),
		SampleShape: data.SampleShape(), Classes: data.Classes(), Preprocessing: data.PreprocessingHash(),
	}
	session.Hyperparameters.BatchSize = 6
	return session, data
}

// A run on texts that is killed within an epoch and resumed with other kernels on another
// number of threads ends with the bits of one that was not.
func TestARunOnTextsResumesToTheSameBits(t *testing.T) {
	session, data := textSession(t)
	execution := func(threads int, level cpu.Level) *Execution {
		backend, err := cpu.NewBackend(cpu.Config{Threads: threads, Features: level})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(backend.Close)
		x, err := NewExecution(session, data, backend)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(x.Close)
		return x
	}
	train := func(x *Execution, steps int) {
		for range steps {
			if _, err := x.Train(); err != nil {
				t.Fatal(err)
			}
		}
	}
	end := func(x *Execution) string {
		e, err := x.Evaluate()
		if err != nil {
			t.Fatal(err)
		}
		weights, err := x.WeightsSHA256()
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(weights, " ", e)
	}
	whole := execution(2, cpu.LevelAuto)
	if err := whole.Reset(); err != nil {
		t.Fatal(err)
	}
	train(whole, 4)
	killed, err := whole.Content("run")
	if err != nil {
		t.Fatal(err)
	}
	train(whole, 6)
	want := end(whole)
	for _, level := range cpu.Detect().Levels() {
		x := execution(3, level)
		if err := x.Restore(killed); err != nil {
			t.Fatal(err)
		}
		train(x, 6)
		if got := end(x); got != want {
			t.Errorf("%v: %s, want %s", level, got, want)
		}
	}
}
