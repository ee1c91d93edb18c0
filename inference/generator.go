package inference

import (
	"context"
	"fmt"

	"reprise/dataset/tokenizer"
	"reprise/fault"
	"reprise/kernel"
	"reprise/nn"
	"reprise/tensor"
)

// ErrNoLanguageModel is returned for a model that does not predict next tokens.
var ErrNoLanguageModel = fault.New(fault.Invalid, "not a language model: it has no embedding, or no output for each token of its tokenizer")

// Generator continues text with one language model. It is used by one goroutine
// at a time.
type Generator struct {
	model     *nn.Trainer
	tokenizer tokenizer.Tokenizer
	context   int
	tokens    []int32   // of the model's input
	logits    []float32 // [context, vocabulary]
}

// LanguageModel is a trained language model.
type LanguageModel struct {
	Architecture nn.Architecture
	Weights      []tensor.Tensor
	Tokenizer    tokenizer.Tokenizer
}

// Plan returns how the model generates text, with the memory that this takes. It fails
// with ErrNoLanguageModel, and with the errors of nn.
func (m LanguageModel) Plan() (*nn.Plan, error) {
	out, err := m.Architecture.Output()
	if err != nil {
		return nil, err
	}
	if !m.Architecture.TakesTokens() || len(out) != 2 || out[1] != m.Tokenizer.VocabSize() {
		return nil, ErrNoLanguageModel
	}
	return nn.NewPlan(m.Architecture, nn.PlanConfig{BatchSize: 1, Optimizer: nn.Optimizer{Name: nn.SGD}})
}

// NewGenerator loads the model's weights on the backend. It fails with the errors of
// LanguageModel.Plan and nn. The caller must call Close.
func NewGenerator(backend kernel.Backend, arch nn.Architecture, weights []tensor.Tensor, t tokenizer.Tokenizer) (*Generator, error) {
	plan, err := LanguageModel{arch, weights, t}.Plan()
	if err != nil {
		return nil, err
	}
	out, err := arch.Output()
	if err != nil {
		return nil, err
	}
	model, err := nn.NewTrainer(backend, plan)
	if err != nil {
		return nil, err
	}
	if err := model.Load(nn.State{Parameters: weights}); err != nil {
		model.Close()
		return nil, err
	}
	return &Generator{
		model: model, tokenizer: t, context: out[0],
		tokens: make([]int32, out[0]), logits: make([]float32, out[0]*out[1]),
	}, nil
}

// Close frees the model's memory.
func (g *Generator) Close() { g.model.Close() }

// Generate continues a prompt by a number of tokens and calls emit with the
// bytes of each as it is drawn; an error from emit ends it. The model sees as
// many of the last tokens as its context holds. An empty prompt means one token
// 0. It fails with a *fault.FieldError for a prompt that cannot be encoded, which wraps
// the tokenizer's error.
func (g *Generator) Generate(ctx context.Context, prompt []byte, tokens int, s Sampling, emit func([]byte) error) error {
	if err := s.Validate(); err != nil {
		return err
	}
	text, err := g.tokenizer.Encode(nil, prompt)
	if err != nil {
		return &fault.FieldError{Field: "prompt", Problem: err.Error(), Cause: err}
	}
	if len(text) == 0 {
		text = []int32{0}
	}
	var piece []byte
	for i := range tokens {
		if err := ctx.Err(); err != nil {
			return err
		}
		next, err := g.next(text, s, uint64(i))
		if err != nil {
			return err
		}
		text = append(text, next)
		if piece, err = g.tokenizer.Decode(piece[:0], []int32{next}); err != nil {
			return err
		}
		if err := emit(piece); err != nil {
			return err
		}
	}
	return nil
}

// next draws the token that follows the text. What the model sees after the end
// of the text does not matter: attention is causal.
func (g *Generator) next(text []int32, s Sampling, place uint64) (int32, error) {
	seen := text[max(0, len(text)-g.context):]
	clear(g.tokens[copy(g.tokens, seen):])
	if err := g.model.Predict(nn.Batch{Rows: 1, Tokens: g.tokens}, g.logits); err != nil {
		return 0, err
	}
	vocabulary := g.tokenizer.VocabSize()
	last := g.logits[(len(seen)-1)*vocabulary : len(seen)*vocabulary]
	for i, v := range last {
		if v != v {
			return 0, fmt.Errorf("logit %d is %v: the model's weights have diverged", i, v)
		}
	}
	return s.Next(last, place), nil
}
