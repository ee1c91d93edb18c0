package tokenizer

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/json"
	"fmt"

	"reprise/fault"
)

// merge is a pair of neighbours that becomes a token of its own: merge i is
// token 256+i.
type merge struct{ left, right int32 }

// MarshalJSON returns [left,right].
func (m merge) MarshalJSON() ([]byte, error) { return json.Marshal([2]int32{m.left, m.right}) }

// UnmarshalJSON reads [left,right].
func (m *merge) UnmarshalJSON(raw []byte) error {
	var ids []int32
	if err := json.Unmarshal(raw, &ids); err != nil {
		return err
	}
	if len(ids) != 2 {
		return fmt.Errorf("a merge has %d tokens, want 2", len(ids))
	}
	m.left, m.right = ids[0], ids[1]
	return nil
}

func compareMerges(a, b merge) int {
	return cmp.Or(cmp.Compare(a.left, b.left), cmp.Compare(a.right, b.right))
}

// bytePair is the tokenizer of kind bpe.
type bytePair struct {
	merges []merge
	tokens map[merge]int32 // the token of each merge
	text   [][]byte        // of each token
}

func newBytePair(merges []merge) (*bytePair, error) {
	if most := MaxVocabulary - 256; len(merges) > most {
		return nil, fmt.Errorf("tokenizer: %d merges are more than the limit of %d", len(merges), most)
	}
	t := &bytePair{merges: merges, tokens: make(map[merge]int32, len(merges)), text: make([][]byte, 256, 256+len(merges))}
	for b := range t.text {
		t.text[b] = []byte{byte(b)}
	}
	for i, m := range merges {
		if n := int32(len(t.text)); m.left < 0 || m.right < 0 || m.left >= n || m.right >= n {
			return nil, fmt.Errorf("tokenizer: merge %d joins %d and %d, but there are %d tokens before it", i, m.left, m.right, n)
		}
		if _, twice := t.tokens[m]; twice {
			return nil, fmt.Errorf("tokenizer: merge %d joins %d and %d again", i, m.left, m.right)
		}
		left, right := t.text[m.left], t.text[m.right]
		if len(left)+len(right) > maxPiece { // no text has it; and lengths could double with every merge
			return nil, fmt.Errorf("tokenizer: merge %d makes a token of %d bytes, more than the limit of %d", i, len(left)+len(right), maxPiece)
		}
		t.tokens[m] = int32(len(t.text))
		t.text = append(t.text, append(append(make([]byte, 0, len(left)+len(right)), left...), right...))
	}
	return t, nil
}

func (*bytePair) Kind() Kind       { return BPE }
func (t *bytePair) VocabSize() int { return len(t.text) }

// Encode cuts the text into pieces and in each of them merges the neighbours
// whose merge was learnt first, until none are left that were merged.
func (t *bytePair) Encode(dst []int32, text []byte) ([]int32, error) {
	for len(text) > 0 {
		n := piece(text)
		start := len(dst)
		for _, b := range text[:n] {
			dst = append(dst, int32(b))
		}
		dst = dst[:start+t.mergeAll(dst[start:])]
		text = text[n:]
	}
	return dst, nil
}

// mergeAll applies the merges to a piece in place and returns its new length.
func (t *bytePair) mergeAll(piece []int32) int {
	for len(piece) > 1 {
		var first merge
		token := int32(MaxVocabulary)
		for i := range len(piece) - 1 {
			m := merge{piece[i], piece[i+1]}
			if id, ok := t.tokens[m]; ok && id < token {
				first, token = m, id
			}
		}
		if token == MaxVocabulary {
			break
		}
		piece = join(piece, first, token)
	}
	return len(piece)
}

// join replaces the pair by the token wherever it occurs, from left to right,
// in place.
func join(tokens []int32, m merge, token int32) []int32 {
	n := 0
	for i := 0; i < len(tokens); i++ {
		tokens[n] = tokens[i]
		if i+1 < len(tokens) && tokens[i] == m.left && tokens[i+1] == m.right {
			tokens[n] = token
			i++
		}
		n++
	}
	return tokens[:n]
}

func (t *bytePair) Decode(dst []byte, tokens []int32) ([]byte, error) {
	for i, token := range tokens {
		if token < 0 || int(token) >= len(t.text) {
			return dst, &UnknownTokenError{token, i, len(t.text)}
		}
		dst = append(dst, t.text[token]...)
	}
	return dst, nil
}

// maxPiece is the most bytes in a piece, and so in a token: the cost of merging a
// piece grows with the square of its length.
const maxPiece = 64

// piece returns the length of the first piece of a text that is not empty. No
// token extends over two pieces. A piece is a run of bytes of one
// class: letters (ASCII letters and all bytes from 128 on, which are those of
// other letters in UTF-8), digits, white space, or all others; of maxPiece bytes
// at most. A space right before a run that is not white space belongs to it.
func piece(text []byte) int {
	n := 0
	if text[0] == ' ' && len(text) > 1 && class(text[1]) != space {
		n = 1
	}
	kind := class(text[n])
	for n++; n < len(text) && n < maxPiece && class(text[n]) == kind; n++ {
	}
	if kind == space && n > 1 && n < len(text) && text[n-1] == ' ' && class(text[n]) != space {
		n--
	}
	return n
}

type byteClass int

const (
	other byteClass = iota
	letter
	digit
	space
)

func class(b byte) byteClass {
	switch {
	case b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= 0x80:
		return letter
	case b >= '0' && b <= '9':
		return digit
	case b == ' ' || b >= '\t' && b <= '\r':
		return space
	}
	return other
}

// TooFewPairsError says that a text has not enough pairs for a vocabulary.
type TooFewPairsError struct {
	Want int // the vocabulary that was asked for
	Most int // the largest that the text gives
}

// Error says how large the vocabulary can be.
func (e *TooFewPairsError) Error() string {
	return fmt.Sprintf("the text gives a vocabulary of at most %d tokens, not %d", e.Most, e.Want)
}

// Kind returns Invalid.
func (e *TooFewPairsError) Kind() fault.Kind { return fault.Invalid }

// TrainBPE learns byte-pair encoding from a text: as long as there are fewer
// than vocabulary tokens, the pair of neighbours within a piece that occurs most
// often becomes a token; of several, the one with the lowest left and then the
// lowest right token. The result is a function of text and vocabulary alone. It
// fails with a *TooFewPairsError if no remaining pair occurs twice, and with the
// context's error. vocabulary is in [257, MaxVocabulary].
func TrainBPE(ctx context.Context, text []byte, vocabulary int) (Tokenizer, error) {
	if vocabulary < 257 || vocabulary > MaxVocabulary {
		return nil, fmt.Errorf("a vocabulary of %d tokens is not in 257 to %d", vocabulary, MaxVocabulary)
	}
	l, err := newLearner(ctx, text)
	if err != nil {
		return nil, err
	}
	merges := make([]merge, 0, vocabulary-256)
	for 256+len(merges) < vocabulary {
		if err := ended(ctx, "learn byte pairs"); err != nil {
			return nil, err
		}
		m, ok := l.best()
		if !ok {
			return nil, &TooFewPairsError{Want: vocabulary, Most: 256 + len(merges)}
		}
		l.merge(m, int32(256+len(merges)))
		merges = append(merges, m)
	}
	return newBytePair(merges)
}

// learner counts the pairs of a text while it learns merges. Nothing that it
// decides depends on the order of a map: counts are sums of integers.
type learner struct {
	words  []word
	counts map[merge]int64
	// places are the words that have, or once had, a pair.
	places map[merge][]int32
	queue  queue
}

// word is a piece of the text and how often it occurs.
type word struct {
	tokens []int32
	count  int64
}

func newLearner(ctx context.Context, text []byte) (*learner, error) {
	l := &learner{counts: map[merge]int64{}, places: map[merge][]int32{}}
	index := map[string]int{}
	for at := 0; len(text) > 0; at++ {
		if at%(1<<16) == 0 {
			if err := ended(ctx, "learn byte pairs"); err != nil {
				return nil, err
			}
		}
		n := piece(text)
		i, ok := index[string(text[:n])]
		if !ok {
			i = len(l.words)
			index[string(text[:n])] = i
			w := word{tokens: make([]int32, n)}
			for j, b := range text[:n] {
				w.tokens[j] = int32(b)
			}
			l.words = append(l.words, w)
		}
		l.words[i].count++
		text = text[n:]
	}
	for i, w := range l.words {
		l.count(w, 1)
		for j := range len(w.tokens) - 1 {
			l.place(merge{w.tokens[j], w.tokens[j+1]}, i)
		}
	}
	for m, count := range l.counts {
		l.queue = append(l.queue, candidate{m, count})
	}
	heap.Init(&l.queue)
	return l, nil
}

// count adds the pairs of a word to the counts, or subtracts them.
func (l *learner) count(w word, sign int64) {
	for j := range len(w.tokens) - 1 {
		l.counts[merge{w.tokens[j], w.tokens[j+1]}] += sign * w.count
	}
}

// place notes that a word has a pair.
func (l *learner) place(m merge, i int) {
	if p := l.places[m]; len(p) == 0 || p[len(p)-1] != int32(i) {
		l.places[m] = append(p, int32(i))
	}
}

// best returns the pair that occurs most often, at least twice. The queue has the
// count of a pair from when it was added; it can only have decreased since, because
// later merges make no new pairs of older tokens.
func (l *learner) best() (merge, bool) {
	for len(l.queue) > 0 {
		c := heap.Pop(&l.queue).(candidate)
		now := l.counts[c.merge]
		if now == c.count && now >= 2 {
			return c.merge, true
		}
		if now >= 2 {
			heap.Push(&l.queue, candidate{c.merge, now})
		}
	}
	return merge{}, false
}

// merge joins a pair to the token in all words.
func (l *learner) merge(m merge, token int32) {
	var fresh []merge // pairs that have the token
	for _, i := range l.places[m] {
		w := &l.words[i]
		l.count(*w, -1)
		w.tokens = join(w.tokens, m, token)
		l.count(*w, 1)
		for j := range len(w.tokens) - 1 {
			if p := (merge{w.tokens[j], w.tokens[j+1]}); p.left == token || p.right == token {
				if l.places[p] == nil {
					fresh = append(fresh, p)
				}
				l.place(p, int(i))
			}
		}
	}
	delete(l.places, m)
	delete(l.counts, m)
	for _, p := range fresh {
		heap.Push(&l.queue, candidate{p, l.counts[p]})
	}
}

// candidate is a pair and how often it occurred when it was queued.
type candidate struct {
	merge
	count int64
}

// queue is a heap with the best candidate on top.
type queue []candidate

func (q queue) Len() int      { return len(q) }
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q queue) Less(i, j int) bool {
	if q[i].count != q[j].count {
		return q[i].count > q[j].count
	}
	return compareMerges(q[i].merge, q[j].merge) < 0
}
func (q *queue) Push(x any) { *q = append(*q, x.(candidate)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	c := (*q)[last]
	*q = (*q)[:last]
	return c
}
