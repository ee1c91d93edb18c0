package inference

import "reprise/dataset/tokenizer"

// ParseTokenizer returns the tokenizer of a model from the form in which it is recorded
// with the model's data.
func ParseTokenizer(recorded string) (tokenizer.Tokenizer, error) {
	return tokenizer.Parse([]byte(recorded))
}
