// Package tokenizer turns text into the numbers that a language model is
// trained on, and back. Text is bytes, usually UTF-8: nothing is normalised or
// lost.
//
// A Tokenizer is one of three kinds:
//
//   - bytes: every byte is a token, 256 of them;
//   - characters: the Unicode code points that occur in a text, in ascending
//     order, each a token. The text must be UTF-8, and a character that does not
//     occur in it cannot be encoded;
//   - bpe: byte-pair encoding (Sennrich, Haddow and Birch, "Neural Machine
//     Translation of Rare Words with Subword Units", ACL 2016) over bytes, as
//     in GPT-2: the 256 bytes and then one token for every merge.
//
// For all of them Decode(Encode(text)) is text. Marshal and Parse convert them to
// and from JSON, so that a model can be used without the text it was trained on:
//
//	{"format":"reprise.tokenizer.v1","kind":"bytes"}
//	{"format":"reprise.tokenizer.v1","kind":"characters","characters":[10,32,97]}
//	{"format":"reprise.tokenizer.v2","kind":"characters","characters":[10,32,97,233]}
//	{"format":"reprise.tokenizer.v1","kind":"bpe","merges":[[101,32],[116,104]]}
//
// The characters of format v2 are code points; those of v1 are bytes, which is
// what the kind characters meant at first (NewByteCharacters). For ASCII the two
// are the same, and are written as v1.
//
// Tokenizers are immutable and safe for concurrent use. The package starts no
// goroutines.
package tokenizer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"reprise/fault"
)

// MaxVocabulary is the largest vocabulary.
const MaxVocabulary = 65536

// Kind is a way to cut text into tokens.
type Kind string

// The kinds.
const (
	Bytes      Kind = "bytes"
	Characters Kind = "characters"
	BPE        Kind = "bpe"
)

// Kinds returns every kind, the simplest first.
func Kinds() []Kind { return []Kind{Bytes, Characters, BPE} }

// Tokenizer turns text into tokens in [0, VocabSize) and back.
type Tokenizer interface {
	// Kind says how text is cut.
	Kind() Kind
	// VocabSize returns the number of tokens.
	VocabSize() int
	// Encode appends the tokens of the text to dst. It fails with an
	// *UnknownCharacterError for a character that the vocabulary lacks.
	Encode(dst []int32, text []byte) ([]int32, error)
	// Decode appends the text of the tokens to dst. It fails with a
	// *UnknownTokenError for a token outside the vocabulary.
	Decode(dst []byte, tokens []int32) ([]byte, error)
}

// UnknownCharacterError says that a text has a character that the vocabulary
// lacks, or a byte that is not part of any character.
type UnknownCharacterError struct {
	Character string // as it is in the text
	Offset    int    // in the text, in bytes
}

// Error names the character and its place.
func (e *UnknownCharacterError) Error() string {
	return fmt.Sprintf("%q, at byte %d of the text, is not in the vocabulary", e.Character, e.Offset)
}

// Kind returns Invalid.
func (e *UnknownCharacterError) Kind() fault.Kind { return fault.Invalid }

// InvalidTextError says that a text is not UTF-8.
type InvalidTextError struct {
	Byte   byte
	Offset int // in the text, in bytes
}

// Error names the first byte that is not part of a character.
func (e *InvalidTextError) Error() string {
	return fmt.Sprintf("byte %d of the text, %q, is not UTF-8", e.Offset, []byte{e.Byte})
}

// Kind returns Invalid.
func (e *InvalidTextError) Kind() fault.Kind { return fault.Invalid }

// UnknownTokenError says that a token is outside the vocabulary.
type UnknownTokenError struct {
	Token int32
	At    int // its place in the sequence
	Size  int // of the vocabulary
}

// Error names the token and its place.
func (e *UnknownTokenError) Error() string {
	return fmt.Sprintf("token %d is %d, the vocabulary has %d", e.At, e.Token, e.Size)
}

// Kind returns Invalid.
func (e *UnknownTokenError) Kind() fault.Kind { return fault.Invalid }

// NewBytes returns the tokenizer of kind bytes.
func NewBytes() Tokenizer { return byteLevel{} }

type byteLevel struct{}

func (byteLevel) Kind() Kind     { return Bytes }
func (byteLevel) VocabSize() int { return 256 }

func (byteLevel) Encode(dst []int32, text []byte) ([]int32, error) {
	for _, b := range text {
		dst = append(dst, int32(b))
	}
	return dst, nil
}

func (byteLevel) Decode(dst []byte, tokens []int32) ([]byte, error) {
	for i, token := range tokens {
		if token < 0 || token > 255 {
			return dst, &UnknownTokenError{token, i, 256}
		}
		dst = append(dst, byte(token))
	}
	return dst, nil
}

// The formats of a tokenizer in a file. They differ in what characters are: bytes
// in the first, code points in the second.
const (
	format           = "reprise.tokenizer.v1"
	codePointsFormat = "reprise.tokenizer.v2"
)

type document struct {
	Format     string  `json:"format"`
	Kind       Kind    `json:"kind"`
	Characters []int   `json:"characters,omitempty"`
	Merges     []merge `json:"merges,omitempty"`
}

// Marshal returns the JSON form of a tokenizer, the same bytes every time.
func Marshal(t Tokenizer) ([]byte, error) {
	d := document{Format: format, Kind: t.Kind()}
	switch t := t.(type) {
	case byteLevel:
	case *byteCharacters:
		for _, b := range t.bytes {
			d.Characters = append(d.Characters, int(b))
		}
	case *characters:
		for _, r := range t.runes {
			d.Characters = append(d.Characters, int(r))
		}
		if t.runes[len(t.runes)-1] >= utf8.RuneSelf {
			d.Format = codePointsFormat
		}
	case *bytePair:
		d.Merges = t.merges
	default:
		return nil, fmt.Errorf("tokenizer of kind %s has no JSON form", t.Kind())
	}
	return json.Marshal(d)
}

// Parse reads what Marshal wrote and refuses everything else.
func Parse(raw []byte) (Tokenizer, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	var d document
	if err := decoder.Decode(&d); err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("tokenizer: there is more after the JSON object")
	}
	if d.Format != format && (d.Format != codePointsFormat || d.Kind != Characters) {
		return nil, fmt.Errorf("tokenizer: format is %q, want %q", d.Format, format)
	}
	if d.Kind != Characters && d.Characters != nil || d.Kind != BPE && d.Merges != nil {
		return nil, fmt.Errorf("tokenizer: a field does not fit the kind %q", d.Kind)
	}
	switch d.Kind {
	case Bytes:
		return NewBytes(), nil
	case Characters:
		return parseCharacters(d.Format, d.Characters)
	case BPE:
		return newBytePair(d.Merges)
	}
	return nil, fmt.Errorf("tokenizer: kind is %q, want one of %q", d.Kind, Kinds())
}

// The kinds.
var (
	_ Tokenizer = byteLevel{}
	_ Tokenizer = (*characters)(nil)
	_ Tokenizer = (*byteCharacters)(nil)
	_ Tokenizer = (*bytePair)(nil)
)

// ended returns the context's error, if there is one, and says what it interrupted.
func ended(ctx context.Context, what string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
