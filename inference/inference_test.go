package inference

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"reprise/dataset/tokenizer"
	"reprise/fault"
	"reprise/kernel"
	"reprise/kernel/cpu"
	"reprise/nn"
	"reprise/tensor"
)

func TestSamplingDrawsInProportion(t *testing.T) {
	logits := []float32{float32(math.Log(2)), float32(math.Log(5)), float32(math.Log(1)), float32(math.Log(2))}
	for name, c := range map[string]struct {
		sampling Sampling
		want     [4]float64
	}{
		"as they are":     {Sampling{Temperature: 1}, [4]float64{0.2, 0.5, 0.1, 0.2}},
		"colder":          {Sampling{Temperature: 0.5}, [4]float64{4. / 34, 25. / 34, 1. / 34, 4. / 34}},
		"greedy":          {Sampling{}, [4]float64{0, 1, 0, 0}},
		"top 2":           {Sampling{Temperature: 1, TopK: 2}, [4]float64{2. / 7, 5. / 7, 0, 0}},
		"nucleus of 0.69": {Sampling{Temperature: 1, TopP: 0.69}, [4]float64{2. / 7, 5. / 7, 0, 0}},
		"nucleus of 0.71": {Sampling{Temperature: 1, TopP: 0.71}, [4]float64{2. / 9, 5. / 9, 0, 2. / 9}},
	} {
		const draws = 20000
		var seen [4]int
		c.sampling.Seed = 3
		for place := range uint64(draws) {
			seen[c.sampling.Next(logits, place)]++
		}
		for token, n := range seen {
			want := c.want[token] * draws
			if math.Abs(float64(n)-want) > 4*math.Sqrt(want*(1-c.want[token]))+1e-9 {
				t.Errorf("%s: token %d was drawn %d times, want about %.0f", name, token, n, want)
			}
		}
	}
	a, b := Sampling{Temperature: 1, Seed: 1}, Sampling{Temperature: 1, Seed: 2}
	same := 0
	for place := range uint64(1000) {
		if first, second := a.Next(logits, place), a.Next(logits, place); first != second {
			t.Fatal("the same draw twice gave two tokens")
		}
		if a.Next(logits, place) == b.Next(logits, place) {
			same++
		}
	}
	if same > 500 {
		t.Errorf("two seeds agree in %d of 1000 draws", same)
	}
}

func TestSamplingRefuses(t *testing.T) {
	for want, s := range map[string]Sampling{
		"temperature: -1 must":   {Temperature: -1},
		"temperature: NaN must":  {Temperature: math.NaN()},
		"temperature: +Inf must": {Temperature: math.Inf(1)},
		"top_k: -1 must":         {TopK: -1},
		"top_p: 1.5 must":        {TopP: 1.5},
	} {
		var field *fault.FieldError
		if err := s.Validate(); !errors.As(err, &field) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func newBackend(t *testing.T, config cpu.Config) *cpu.Backend {
	t.Helper()
	b, err := cpu.NewBackend(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestGeneratedTextIsTheSameEverywhere(t *testing.T) {
	letters, err := tokenizer.NewCharacters([]byte("abcdefgh "))
	if err != nil {
		t.Fatal(err)
	}
	arch := nn.GPT(12, letters.VocabSize(), 2, 2, 16, 0.3)
	model, err := nn.NewModel("m", arch, 4)
	if err != nil {
		t.Fatal(err)
	}
	want := ""
	for _, level := range cpu.Detect().Levels() {
		for _, threads := range []int{1, 3} {
			g, err := NewGenerator(newBackend(t, cpu.Config{Features: level, Threads: threads}), arch, model.Parameters, letters)
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			var out bytes.Buffer
			write := func(piece []byte) error { out.Write(piece); return nil }
			if err := g.Generate(context.Background(), []byte("bad "), 40, Sampling{Temperature: 1, Seed: 9}, write); err != nil {
				t.Fatal(err)
			}
			if want == "" {
				want = out.String()
			}
			if out.Len() != 40 || out.String() != want {
				t.Errorf("%v, %d threads: %q, want %q", level, threads, out.String(), want)
			}
		}
	}
	checkContext(t, arch, model.Parameters, letters)
}

// checkContext compares the greedy continuation of a long text with that of its
// last tokens alone: text before the context has no influence.
func checkContext(t *testing.T, arch nn.Architecture, weights []tensor.Tensor, letters tokenizer.Tokenizer) {
	t.Helper()
	g, err := NewGenerator(newBackend(t, cpu.Config{}), arch, weights, letters)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	next := func(prompt string) string {
		var out bytes.Buffer
		err := g.Generate(context.Background(), []byte(prompt), 1, Sampling{}, func(piece []byte) error { out.Write(piece); return nil })
		if err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	text := "a bad cab fed a deaf hag egg"
	if got, want := next(text), next(text[len(text)-12:]); got != want {
		t.Errorf("%q with text before the context, %q without", got, want)
	}
	if next("") == "" {
		t.Error("an empty prompt was not continued")
	}
	stop := errors.New("stop")
	if err := g.Generate(context.Background(), nil, 5, Sampling{}, func([]byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, want the error of emit", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := g.Generate(ctx, nil, 5, Sampling{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	var unknown *tokenizer.UnknownCharacterError
	if err := g.Generate(context.Background(), []byte("Z"), 5, Sampling{}, nil); !errors.As(err, &unknown) {
		t.Errorf("got %v, want an UnknownCharacterError", err)
	}
}

func TestOnlyLanguageModelsGenerate(t *testing.T) {
	b := newBackend(t, cpu.Config{})
	for name, arch := range map[string]nn.Architecture{
		"classifier":       nn.MLP(tensor.Shape{4}, nil, kernel.ReLU, 256),
		"other vocabulary": nn.GPT(4, 255, 1, 1, 4, 0),
	} {
		model, err := nn.NewModel("m", arch, 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewGenerator(b, arch, model.Parameters, tokenizer.NewBytes()); !errors.Is(err, ErrNoLanguageModel) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
