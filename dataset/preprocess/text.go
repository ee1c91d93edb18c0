package preprocess

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"reprise/dataset/columns"
	"reprise/dataset/tokenizer"
	"reprise/fault"
	"reprise/internal/figures"
)

// The tokens that every vocabulary begins with.
const (
	paddingToken = 0
	unknownToken = 1
)

// Words says how the texts of a column become tokens.
type Words struct {
	Tokenizer columns.Tokenizer `json:"tokenizer"`
	// Vocabulary are the words in the order of their tokens, from columns.SpecialTokens on.
	Vocabulary []string `json:"vocabulary,omitempty"`
	// Model is the tokenizer of byte pairs in the JSON form of its package.
	Model string `json:"model,omitempty"`
	// MaxTokens is the number of features.
	MaxTokens int `json:"max_tokens"`
}

func (w *Words) validate() error {
	if !slices.Contains(columns.Tokenizers(), w.Tokenizer) {
		return fmt.Errorf("the tokenizer %q is not known", w.Tokenizer)
	}
	if w.MaxTokens < 1 || w.MaxTokens > columns.MaxTokens {
		return fmt.Errorf("%d tokens", w.MaxTokens)
	}
	if (w.Tokenizer != columns.Words && w.Vocabulary != nil) || (w.Tokenizer == columns.BPE) != (w.Model != "") {
		return errors.New("a vocabulary does not fit the tokenizer")
	}
	if len(w.Vocabulary)+columns.SpecialTokens > columns.MaxVocabulary {
		return fmt.Errorf("a vocabulary of %d words", len(w.Vocabulary))
	}
	seen := map[string]bool{}
	for _, word := range w.Vocabulary {
		if seen[word] || word == "" || !utf8.ValidString(word) {
			return fmt.Errorf("the word %q is empty, comes twice or is not UTF-8", word)
		}
		seen[word] = true
	}
	_, err := newTextEncoder(w)
	return err
}

// size returns the number of tokens of the vocabulary.
func (e *textEncoder) size() int {
	if e.pieces != nil {
		return columns.SpecialTokens + e.pieces.VocabSize()
	}
	return columns.SpecialTokens + len(e.words)
}

// textEncoder turns texts into tokens. It is immutable.
type textEncoder struct {
	words  map[string]int32    // of the tokenizer words
	pieces tokenizer.Tokenizer // of the others
	most   int                 // tokens
	fill   []int32             // the tokens of missing texts
}

func newTextEncoder(w *Words) (*textEncoder, error) {
	e := &textEncoder{most: w.MaxTokens}
	switch w.Tokenizer {
	case columns.Bytes:
		e.pieces = tokenizer.NewBytes()
	case columns.BPE:
		var err error
		if e.pieces, err = tokenizer.Parse([]byte(w.Model)); err != nil {
			return nil, err
		}
		if e.pieces.Kind() != tokenizer.BPE {
			return nil, fmt.Errorf("the tokenizer bpe has a model of kind %s", e.pieces.Kind())
		}
	case columns.Words:
		e.words = make(map[string]int32, len(w.Vocabulary))
		for i, word := range w.Vocabulary {
			e.words[word] = int32(columns.SpecialTokens + i)
		}
	}
	return e, nil
}

// tokens returns the first tokens of a text, all of them with most = math.MaxInt.
func (e *textEncoder) tokens(text string, most int) []int32 {
	var list []int32
	if e.pieces == nil {
		eachWord(text, func(word string) bool {
			token, ok := e.words[word]
			if !ok {
				token = unknownToken
			}
			list = append(list, token)
			return len(list) < most
		})
		return list
	}
	list, err := e.pieces.Encode(nil, []byte(text))
	if err != nil {
		panic("preprocess: " + err.Error()) // every byte is a token
	}
	list = list[:min(len(list), most)]
	for i := range list {
		list[i] += columns.SpecialTokens
	}
	return list
}

// encode writes the codes of a text: its tokens, and then padding.
func (e *textEncoder) encode(text string, codes []float64) {
	putTokens(codes[:e.most], e.tokens(text, e.most))
}

func putTokens[T float32 | float64](codes []T, tokens []int32) {
	for i, token := range tokens {
		codes[i] = T(token)
	}
	clear(codes[len(tokens):]) // paddingToken
}

// eachWord calls do for the words of a text, in lower case, until it returns false: runs
// of letters, marks and digits, in which an apostrophe may come between two letters, and
// every other character but white space.
func eachWord(text string, do func(word string) bool) {
	text = strings.ToLower(text)
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		if unicode.IsSpace(r) {
			text = text[n:]
			continue
		}
		if inWord(r) {
			n = wordLength(text)
		}
		word := text[:n]
		if r == utf8.RuneError {
			word = string(utf8.RuneError)
		}
		if !do(word) {
			return
		}
		text = text[n:]
	}
}

// wordLength returns the bytes of the word that a text begins with.
func wordLength(text string) int {
	end, letter := 0, false // letter: the last character is one
	for i, r := range text {
		switch {
		case inWord(r):
			end, letter = i+utf8.RuneLen(r), unicode.IsLetter(r)
		case letter && (r == '\'' || r == '’'):
			next, _ := utf8.DecodeRuneInString(text[i+utf8.RuneLen(r):])
			if !unicode.IsLetter(next) {
				return end
			}
			letter = false
		default:
			return end
		}
	}
	return end
}

func inWord(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r))
}

// fitText learns the vocabulary of a column of texts from the codes of the training rows.
func (b *Builder) fitText(ctx context.Context, i int, c *Column, values []float64) error {
	options := b.used[i].Text
	c.Text = &Words{Tokenizer: options.Tokenizer, MaxTokens: columns.MaxTokens}
	if c.Text.Tokenizer == "" {
		c.Text.Tokenizer = columns.Words
	}
	if c.Missing.Strategy == columns.Constant {
		c.Missing.Category = b.used[i].Missing.Value
	}
	texts := make([]string, 0, len(values))
	for _, code := range values {
		if !math.IsNaN(code) {
			texts = append(texts, b.labels[i][int(code)])
		}
	}
	switch c.Text.Tokenizer {
	case columns.Words:
		most := options.Vocabulary
		if most == 0 {
			most = columns.DefaultWords
		}
		c.Text.Vocabulary = commonWords(texts, most-columns.SpecialTokens)
	case columns.BPE:
		model, err := learnPieces(ctx, c.Name, texts, options.Vocabulary)
		if err != nil {
			return err
		}
		c.Text.Model = model
	case columns.Bytes:
	}
	e, err := newTextEncoder(c.Text)
	if err != nil {
		return err
	}
	if c.Text.MaxTokens = options.MaxTokens; options.MaxTokens == 0 {
		c.Text.MaxTokens = 1
		for _, text := range texts {
			c.Text.MaxTokens = min(columns.DefaultTokens, max(c.Text.MaxTokens, len(e.tokens(text, columns.DefaultTokens))))
		}
	}
	return nil
}

// commonWords returns the words that are in most texts, at most so many, and of equal
// ones the first in the order of their bytes. Those that are in a single text are left
// out, so that there are some that are unknown, unless all are like that.
func commonWords(texts []string, most int) []string {
	type use struct{ texts, last int }
	uses := map[string]use{}
	several := false
	for i, text := range texts {
		eachWord(text, func(word string) bool {
			u := uses[word]
			if u.texts == 0 || u.last != i {
				u.texts++
				u.last = i
				several = several || u.texts > 1
				uses[strings.Clone(word)] = u
			}
			return true
		})
	}
	maps.DeleteFunc(uses, func(_ string, u use) bool { return several && u.texts == 1 })
	words := slices.SortedFunc(maps.Keys(uses), func(v, w string) int {
		if n := uses[w].texts - uses[v].texts; n != 0 {
			return n
		}
		return strings.Compare(v, w)
	})
	return words[:min(len(words), most)]
}

// learnPieces learns byte pairs and returns the tokenizer's model. vocabulary is 0 for the
// default, of which a short text gives less.
func learnPieces(ctx context.Context, column string, texts []string, vocabulary int) (string, error) {
	want := vocabulary - columns.SpecialTokens
	if vocabulary == 0 {
		want = columns.DefaultBPE - columns.SpecialTokens
	}
	all := []byte(strings.Join(texts, "\n"))
	t, err := tokenizer.TrainBPE(ctx, all, want)
	if few := new(tokenizer.TooFewPairsError); errors.As(err, &few) {
		most := few.Most + columns.SpecialTokens
		if vocabulary != 0 {
			fix := fmt.Sprintf("use %d at most", most)
			if few.Most < 257 {
				fix = "use tokenizer: bytes"
			}
			return "", &fault.FieldError{Field: columns.FieldColumns + "." + column + ".vocabulary", Value: strconv.Itoa(vocabulary),
				Problem: fmt.Sprintf("is more than the %s that the training rows give", figures.Plural(most, "token")), Fix: fix}
		}
		if few.Most < 257 { // no pair occurs twice: every token is a byte
			return withoutPairs, nil
		}
		t, err = tokenizer.TrainBPE(ctx, all, few.Most)
	}
	if err != nil {
		return "", err
	}
	model, err := tokenizer.Marshal(t)
	return string(model), err
}

// withoutPairs is the model of byte pairs that has none.
const withoutPairs = `{"format":"reprise.tokenizer.v1","kind":"bpe"}`

// prepare makes what turns codes into their final ones, once the columns have been fitted.
func (b *Builder) prepare(fitted []Column) error {
	b.texts, b.widths = make([]*textEncoder, len(fitted)), make([]int, len(fitted))
	for i := range fitted {
		c := &fitted[i]
		if b.widths[i] = c.codes(); c.Kind == columns.Text {
			var err error
			if b.texts[i], err = newTextEncoder(c.Text); err != nil {
				return err
			}
		}
	}
	return nil
}

// finish appends the final codes of a row: texts have one for each of their tokens.
func (b *Builder) finish(values, row []float64) []float64 {
	for i, code := range row {
		at := len(values)
		values = append(values, code)
		switch {
		case math.IsNaN(code):
		case b.final[i] != nil:
			values[at] = b.final[i][int(code)]
		case b.texts[i] != nil:
			values = slices.Grow(values, b.widths[i])[:at+b.widths[i]]
			b.texts[i].encode(b.labels[i][int(code)], values[at:])
			continue
		}
		values = append(values, make([]float64, b.widths[i]-1)...)
	}
	return values
}

// expand gives all codes in memory their final values.
func (b *Builder) expand() error {
	used, total := len(b.used), 0
	for _, n := range b.widths {
		total += n
	}
	if total == used && !slices.ContainsFunc(b.texts, func(e *textEncoder) bool { return e != nil }) {
		for row := range b.rows {
			own := b.values[row*used : (row+1)*used]
			b.finish(own[:0], own)
		}
		return nil
	}
	if int64(b.rows)*int64(total) > maxCodes {
		return &fault.DataError{Problem: fmt.Sprintf("%d rows of %d tokens and numbers take more memory than the limit of %d bytes", b.rows, total, int64(8*maxCodes)),
			Fix: "use a smaller max_tokens, or fewer rows"}
	}
	values := make([]float64, 0, b.rows*total)
	for row := range b.rows {
		values = b.finish(values, b.values[row*used:(row+1)*used])
	}
	b.values = values
	return nil
}

// maxCodes bounds the codes of all rows: 4 GiB.
const maxCodes = 4 << 30 / 8
