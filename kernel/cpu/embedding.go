package cpu

import (
	"fmt"

	"reprise/fault"
	"reprise/kernel"
)

// TokenError reports a token that is not in the vocabulary.
type TokenError struct {
	Row        int
	Token      int32
	Vocabulary int
}

// Error names the row, its token and the range of valid ones.
func (e *TokenError) Error() string {
	return fmt.Sprintf("token %d in row %d of the batch, want 0 to %d", e.Token, e.Row, e.Vocabulary-1)
}

// Kind returns Invalid.
func (e *TokenError) Kind() fault.Kind { return fault.Invalid }

// withTokens turns a function that needs valid tokens into a step.
func withTokens(tokens []int32, vocabulary int, run func()) step {
	return func(kernel.Scalars) error {
		for i, token := range tokens {
			if token < 0 || int(token) >= vocabulary {
				return &TokenError{Row: i, Token: token, Vocabulary: vocabulary}
			}
		}
		run()
		return nil
	}
}

func (b *binder) embedding(in kernel.Embedding) step {
	tokens, table, y, n := b.i32(in.Tokens), b.f32(in.Table), b.f32(in.Y), in.N
	return withTokens(tokens, in.V, b.ranges(in.M, max(1, cheapGrain/n), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			copy(row(y, i, n), row(table, int(tokens[i]), n))
		}
	}))
}

// embeddingGrad divides columns among the threads, because a chain goes over
// all rows.
func (b *binder) embeddingGrad(in kernel.EmbeddingGrad) step {
	tokens, dy, table, n := b.i32(in.Tokens), b.f32(in.DY), b.f32(in.DTable), in.N
	return withTokens(tokens, in.V, b.columns(in.M+in.V, n, func(lo, hi int) {
		for v := range in.V {
			clear(table[v*n+lo : v*n+hi])
		}
		for i, token := range tokens {
			at := int(token) * n
			sum := table[at+lo : at+hi]
			b.elements.add(sum, sum, dy[i*n+lo:i*n+hi])
		}
	}))
}
