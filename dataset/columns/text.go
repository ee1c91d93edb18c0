package columns

import (
	"fmt"
	"slices"
	"strconv"

	"reprise/fault"
)

// Tokenizer says how the texts of a column are cut into tokens.
type Tokenizer string

// The tokenizers.
const (
	// Words are runs of letters and digits in lower case; every other character but
	// white space is a token of its own.
	Words Tokenizer = "words"
	Bytes Tokenizer = "bytes"
	BPE   Tokenizer = "bpe" // that of package tokenizer
)

// Tokenizers returns every tokenizer, the default first.
func Tokenizers() []Tokenizer { return []Tokenizer{Words, Bytes, BPE} }

// The limits and defaults of texts.
const (
	// SpecialTokens are those that every vocabulary has: padding and unknown.
	SpecialTokens = 2
	// MaxVocabulary is the largest vocabulary, and MaxTokens the most tokens of a text.
	MaxVocabulary = 65_536
	MaxTokens     = 8_192
	// DefaultWords is the largest vocabulary of words, and DefaultBPE of byte-pair
	// encoding, unless the request names another.
	DefaultWords = 10_000
	DefaultBPE   = 1_024
	// DefaultTokens bounds the tokens of a text unless the request does; if all texts of
	// the training part are shorter, the longest of them does.
	DefaultTokens = 256
)

// TextOptions say how texts become tokens. Zero fields are defaults.
type TextOptions struct {
	Tokenizer Tokenizer `json:"tokenizer,omitempty"`
	// Vocabulary is the largest number of tokens, padding and unknown included.
	Vocabulary int `json:"vocabulary,omitempty"`
	// MaxTokens is how many tokens of a text are used: the first ones.
	MaxTokens int `json:"max_tokens,omitempty"`
}

// Encoding says what becomes of a category.
type Encoding string

// The encodings.
const (
	OneHot Encoding = "one_hot" // a feature for each value; the default
	Learnt Encoding = "embedding"
)

func (o TextOptions) check(field string, kind Kind) []error {
	var errs []error
	fail := func(key, value, problem, fix string) {
		errs = append(errs, &fault.FieldError{Field: field + "." + key, Value: value, Problem: problem, Fix: fix})
	}
	for _, f := range []struct {
		key, value string
		given      bool
	}{
		{"tokenizer", strconv.Quote(string(o.Tokenizer)), o.Tokenizer != ""}, {"vocabulary", strconv.Itoa(o.Vocabulary), o.Vocabulary != 0},
		{"max_tokens", strconv.Itoa(o.MaxTokens), o.MaxTokens != 0},
	} {
		if f.given && kind != Text {
			fail(f.key, f.value, "is for columns of kind text", "write kind: text beside it, or leave it out")
		}
	}
	if len(errs) > 0 {
		return errs
	}
	if o.Tokenizer != "" && !slices.Contains(Tokenizers(), o.Tokenizer) {
		fail("tokenizer", strconv.Quote(string(o.Tokenizer)), "does not cut texts", "use one of "+list(Tokenizers()))
	}
	least := SpecialTokens + 1
	if o.Tokenizer == BPE {
		least = SpecialTokens + 257
	}
	switch {
	case o.Vocabulary != 0 && o.Tokenizer == Bytes:
		fail("vocabulary", strconv.Itoa(o.Vocabulary), "does not fit the tokenizer bytes, which has 258 tokens", "leave it out, or use words or bpe")
	case o.Vocabulary != 0 && (o.Vocabulary < least || o.Vocabulary > MaxVocabulary):
		fail("vocabulary", strconv.Itoa(o.Vocabulary), fmt.Sprintf("is not between %d and %d", least, MaxVocabulary), "use a size such as 5000, or leave it out")
	}
	if o.MaxTokens < 0 || o.MaxTokens > MaxTokens {
		fail("max_tokens", strconv.Itoa(o.MaxTokens), fmt.Sprintf("is not between 1 and %d", MaxTokens), "use a number such as 200, or leave it out")
	}
	return errs
}

// checkEncoding fails for an encoding that is none, or that is for another kind.
func checkEncoding(e Encoding, field string, kind Kind) []error {
	bad := &fault.FieldError{Field: field + ".encode", Value: strconv.Quote(string(e))}
	switch {
	case e == "":
		return nil
	case e != OneHot && e != Learnt:
		bad.Problem, bad.Fix = "is not an encoding", "use one_hot or embedding"
	case kind != Category:
		bad.Problem, bad.Fix = "is for columns of kind category", "write kind: category beside it, or leave it out"
	default:
		return nil
	}
	return []error{bad}
}
