package tokenizer

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

var errNoCharacters = errors.New("an empty text has no characters")

// NewCharacters returns the tokenizer of kind characters for the code points
// that occur in any of the texts: at least one. It fails with an
// *InvalidTextError for a text that is not UTF-8.
func NewCharacters(texts ...[]byte) (Tokenizer, error) {
	occurs := map[rune]bool{}
	for _, text := range texts {
		for at := 0; at < len(text); {
			r, size := utf8.DecodeRune(text[at:])
			if r == utf8.RuneError && size == 1 {
				return nil, &InvalidTextError{text[at], at}
			}
			occurs[r] = true
			at += size
		}
	}
	runes := make([]rune, 0, len(occurs))
	for r := range occurs {
		runes = append(runes, r)
	}
	slices.Sort(runes)
	return newCharacters(runes)
}

// newCharacters takes the code points in ascending order.
func newCharacters(runes []rune) (Tokenizer, error) {
	if len(runes) == 0 {
		return nil, errNoCharacters
	}
	if len(runes) > MaxVocabulary {
		return nil, fmt.Errorf("%d different characters are more than the limit of %d", len(runes), MaxVocabulary)
	}
	c := &characters{runes: runes, token: make(map[rune]int32, len(runes))}
	for i, r := range runes {
		c.token[r] = int32(i)
	}
	return c, nil
}

// characters is the tokenizer of kind characters.
type characters struct {
	runes []rune // of each token, ascending
	token map[rune]int32
}

func (*characters) Kind() Kind       { return Characters }
func (c *characters) VocabSize() int { return len(c.runes) }

func (c *characters) Encode(dst []int32, text []byte) ([]int32, error) {
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		token, ok := c.token[r]
		if !ok || r == utf8.RuneError && size == 1 {
			return dst, &UnknownCharacterError{string(text[at : at+size]), at}
		}
		dst = append(dst, token)
		at += size
	}
	return dst, nil
}

func (c *characters) Decode(dst []byte, tokens []int32) ([]byte, error) {
	for i, token := range tokens {
		if token < 0 || int(token) >= len(c.runes) {
			return dst, &UnknownTokenError{token, i, len(c.runes)}
		}
		dst = utf8.AppendRune(dst, c.runes[token])
	}
	return dst, nil
}

// NewByteCharacters returns the tokenizer of kind characters as it was at first: its
// tokens are the bytes, at least one, that occur in any of the texts. Models that
// were recorded then use it.
func NewByteCharacters(texts ...[]byte) (Tokenizer, error) {
	var occurs [256]bool
	for _, text := range texts {
		for _, b := range text {
			occurs[b] = true
		}
	}
	c := &byteCharacters{}
	for b, ok := range occurs {
		c.token[b] = -1
		if ok {
			c.token[b] = int32(len(c.bytes))
			c.bytes = append(c.bytes, byte(b))
		}
	}
	if len(c.bytes) == 0 {
		return nil, errNoCharacters
	}
	return c, nil
}

type byteCharacters struct {
	bytes []byte     // of each token, ascending
	token [256]int32 // of each byte; -1 where it has none
}

func (*byteCharacters) Kind() Kind       { return Characters }
func (c *byteCharacters) VocabSize() int { return len(c.bytes) }

func (c *byteCharacters) Encode(dst []int32, text []byte) ([]int32, error) {
	for i, b := range text {
		token := c.token[b]
		if token < 0 {
			return dst, &UnknownCharacterError{string(text[i : i+1]), i}
		}
		dst = append(dst, token)
	}
	return dst, nil
}

func (c *byteCharacters) Decode(dst []byte, tokens []int32) ([]byte, error) {
	for i, token := range tokens {
		if token < 0 || int(token) >= len(c.bytes) {
			return dst, &UnknownTokenError{token, i, len(c.bytes)}
		}
		dst = append(dst, c.bytes[token])
	}
	return dst, nil
}

// parseCharacters returns the tokenizer of kind characters in one of the two
// forms.
func parseCharacters(form string, values []int) (Tokenizer, error) {
	what, valid := "bytes", func(v int) bool { return v >= 0 && v <= 0xFF }
	if form == codePointsFormat {
		what, valid = "code points", func(v int) bool { return v == int(rune(v)) && utf8.ValidRune(rune(v)) }
	}
	runes := make([]rune, len(values))
	for i, v := range values {
		if !valid(v) || i > 0 && v <= values[i-1] {
			return nil, fmt.Errorf("tokenizer: character %d is %d: they are %s in ascending order", i, v, what)
		}
		runes[i] = rune(v)
	}
	var t Tokenizer
	var err error
	if n := len(runes); form == codePointsFormat || n > 0 && runes[n-1] < utf8.RuneSelf {
		t, err = newCharacters(runes)
	} else {
		text := make([]byte, n)
		for i, r := range runes {
			text[i] = byte(r)
		}
		t, err = NewByteCharacters(text)
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return t, nil
}
