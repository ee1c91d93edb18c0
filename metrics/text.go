package metrics

import (
	"math"

	"reprise/internal/detmath"
)

// Text has the figures of predicting the next token of a text. A nil figure is not
// defined.
type Text struct {
	// Tokens is the number of tokens that were predicted, Bytes that of their text.
	Tokens int `json:"tokens"`
	Bytes  int `json:"bytes"`
	// Accuracy is the share of tokens that were the most probable one.
	Accuracy *float64 `json:"accuracy"`
	// LogLoss is the mean of -ln of the probability of the token that follows, and
	// Perplexity e to that power: as if the model chose evenly among so many tokens.
	LogLoss    *float64 `json:"log_loss"`
	Perplexity *float64 `json:"perplexity"`
	// BitsPerByte is the loss of the whole text in bits, divided by its bytes. It does not
	// depend on how the text is cut into tokens.
	BitsPerByte *float64 `json:"bits_per_byte"`
}

// TextOf returns the figures of a text whose tokens have the given mean log loss, and of
// which the share accuracy was right.
func TextOf(tokens, bytes int, loss, accuracy float64) Text {
	t := Text{Tokens: tokens, Bytes: bytes}
	if tokens == 0 {
		return t
	}
	t.Accuracy, t.LogLoss, t.Perplexity = defined(accuracy), defined(loss), defined(detmath.Exp(loss))
	if bytes > 0 {
		t.BitsPerByte = defined(float64(loss*float64(tokens)) / math.Ln2 / float64(bytes))
	}
	return t
}

// TextBaseline returns the figures of a model that knows nothing but how often each token
// occurs in the training split. Where a token occurs that the training split does not
// have, only its accuracy is defined.
func TextBaseline(bytes int, trained, occurring []int) Text {
	tokens := 0
	for _, n := range occurring {
		tokens += n
	}
	loss := math.NaN()
	if l := constantLoss(trained, occurring); l != nil {
		loss = *l
	}
	best := mostFrequent(trained)
	return TextOf(tokens, bytes, loss, float64(occurring[best])/float64(tokens))
}
