package tokenizer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// opticks returns Newton's Opticks, which every Go has.
func opticks(t testing.TB) []byte {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "src", "testdata", "Isaac.Newton-Opticks.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func train(t testing.TB, text string, vocabulary int) *bytePair {
	t.Helper()
	tok, err := TrainBPE(context.Background(), []byte(text), vocabulary)
	if err != nil {
		t.Fatal(err)
	}
	return tok.(*bytePair)
}

func TestEveryKindIsLossless(t *testing.T) {
	learnt := train(t, strings.Repeat("the rays of light, the ray of lights\n\n  in 1704 ", 3), 270)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.SliceOf(rapid.Byte()),
			rapid.Map(rapid.SliceOf(rapid.SampledFrom([]string{"the", " ray", "light", " ", "\n", "17", "é", ",", "\xff"})),
				func(parts []string) []byte { return []byte(strings.Join(parts, "")) })).Draw(t, "text")
		kinds := []Tokenizer{NewBytes(), learnt}
		if c, err := NewCharacters(text); err == nil {
			kinds = append(kinds, c)
		} else if len(text) > 0 && utf8.Valid(text) {
			t.Fatal(err)
		}
		if c, err := NewByteCharacters(text); err == nil {
			kinds = append(kinds, c)
		} else if len(text) > 0 {
			t.Fatal(err)
		}
		for _, tok := range kinds {
			tokens, err := tok.Encode([]int32{7}, text)
			if err != nil || tokens[0] != 7 {
				t.Fatalf("%s: %v %v", tok.Kind(), tokens, err)
			}
			for _, token := range tokens[1:] {
				if token < 0 || int(token) >= tok.VocabSize() {
					t.Fatalf("%s: token %d of %d", tok.Kind(), token, tok.VocabSize())
				}
			}
			back, err := tok.Decode([]byte("x"), tokens[1:])
			if err != nil || !bytes.Equal(back, append([]byte("x"), text...)) {
				t.Fatalf("%s: %q became %q, %v", tok.Kind(), text, back, err)
			}
		}
	})
}

func TestCharactersAreCodePoints(t *testing.T) {
	// Of one, two, three and four bytes, a combining accent, and the replacement
	// character, which is a character like any other where the text has it.
	const text = "naïve – \U0001F600e\u0301\uFFFD"
	tok, err := NewCharacters([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if want := len([]rune(text)) - 2; tok.VocabSize() != want { // e and the space come twice
		t.Errorf("%d characters, want %d", tok.VocabSize(), want)
	}
	tokens, err := tok.Encode(nil, []byte(text))
	if err != nil || len(tokens) != len([]rune(text)) {
		t.Fatalf("%d tokens of %d characters: %v", len(tokens), len([]rune(text)), err)
	}
	for i, r := range []rune(text) {
		if piece, err := tok.Decode(nil, tokens[i:i+1]); err != nil || string(piece) != string(r) {
			t.Errorf("token %d is %q, want %q: %v", i, piece, r, err)
		}
	}
	for bad, want := range map[string]UnknownCharacterError{
		"naü": {"ü", 2}, "ï\xc3": {"\xc3", 2}, "na\xff": {"\xff", 2}, "–\x80": {"\x80", 3},
	} {
		var unknown *UnknownCharacterError
		if _, err := tok.Encode(nil, []byte(bad)); !errors.As(err, &unknown) || *unknown != want {
			t.Errorf("%q: %v, want %v", bad, err, want)
		}
	}
	var invalid *InvalidTextError
	if _, err := NewCharacters([]byte("fine"), []byte("caf\xe9")); !errors.As(err, &invalid) || *invalid != (InvalidTextError{0xe9, 3}) {
		t.Errorf("%v", err)
	}
}

func TestBothFormsOfCharactersAreOneForASCII(t *testing.T) {
	text := []byte("The rays of light.\n")
	now, err := NewCharacters(text)
	if err != nil {
		t.Fatal(err)
	}
	before, err := NewByteCharacters(text)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := now.Encode(nil, text)
	b, _ := before.Encode(nil, text)
	formA, errA := Marshal(now)
	formB, errB := Marshal(before)
	if !slices.Equal(a, b) || !bytes.Equal(formA, formB) || errors.Join(errA, errB) != nil {
		t.Errorf("%v %s, %v %s", a, formA, b, formB)
	}
	// A form that was recorded before there were code points has bytes.
	old, err := Parse([]byte(`{"format":"reprise.tokenizer.v1","kind":"characters","characters":[97,169,195]}`))
	if err != nil {
		t.Fatal(err)
	}
	if tokens, err := old.Encode(nil, []byte("aé")); err != nil || !slices.Equal(tokens, []int32{0, 2, 1}) {
		t.Errorf("%v, %v", tokens, err)
	}
}

func TestCharactersAreKeptInOrder(t *testing.T) {
	tok, err := NewCharacters([]byte("banana"), []byte("cab\n"))
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := tok.Encode(nil, []byte("\nabcn"))
	if err != nil || !slices.Equal(tokens, []int32{0, 1, 2, 3, 4}) || tok.VocabSize() != 5 {
		t.Errorf("%v of %d, %v", tokens, tok.VocabSize(), err)
	}
	var unknown *UnknownCharacterError
	if _, err := tok.Encode(nil, []byte("abd")); !errors.As(err, &unknown) || *unknown != (UnknownCharacterError{"d", 2}) {
		t.Errorf("%v", err)
	}
}

func TestTokensOutsideOfTheVocabularyAreRefused(t *testing.T) {
	c, err := NewCharacters([]byte("ab"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tok := range []Tokenizer{NewBytes(), c, train(t, "aaaa", 257)} {
		for _, bad := range []int32{-1, int32(tok.VocabSize())} {
			var unknown *UnknownTokenError
			if _, err := tok.Decode(nil, []int32{0, bad}); !errors.As(err, &unknown) || *unknown != (UnknownTokenError{bad, 1, tok.VocabSize()}) {
				t.Errorf("%s: %v", tok.Kind(), err)
			}
		}
	}
}

func TestPiecesPartTheText(t *testing.T) {
	for text, want := range map[string][]string{
		"the ray":               {"the", " ray"},
		"in  1704, light's":     {"in", " ", " 1704", ",", " light", "'", "s"},
		"a\n\n  b":              {"a", "\n\n ", " b"},
		"a \n":                  {"a", " \n"},
		" ":                     {" "},
		"  ":                    {"  "},
		"é ü":                   {"é", " ü"},
		"x=1;":                  {"x", "=", "1", ";"},
		strings.Repeat("a", 70): {strings.Repeat("a", 64), strings.Repeat("a", 6)},
	} {
		var got []string
		for rest := []byte(text); len(rest) > 0; {
			n := piece(rest)
			got = append(got, string(rest[:n]))
			rest = rest[n:]
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// naiveMerges is TrainBPE as its comment says it: it counts everything anew for
// every merge.
func naiveMerges(text []byte, n int) []merge {
	var pieces [][]int32
	for len(text) > 0 {
		size := piece(text)
		var p []int32
		for _, b := range text[:size] {
			p = append(p, int32(b))
		}
		pieces = append(pieces, p)
		text = text[size:]
	}
	var merges []merge
	for len(merges) < n {
		counts := map[merge]int{}
		for _, p := range pieces {
			for i := range len(p) - 1 {
				counts[merge{p[i], p[i+1]}]++
			}
		}
		var best merge
		most := 1
		for m, count := range counts {
			if count > most || count == most && most > 1 && compareMerges(m, best) < 0 {
				best, most = m, count
			}
		}
		if most < 2 {
			break
		}
		for i, p := range pieces {
			var joined []int32
			for j := 0; j < len(p); j++ {
				if j+1 < len(p) && p[j] == best.left && p[j+1] == best.right {
					joined = append(joined, int32(256+len(merges)))
					j++
					continue
				}
				joined = append(joined, p[j])
			}
			pieces[i] = joined
		}
		merges = append(merges, best)
	}
	return merges
}

func TestBPELearnsWhatItsDefinitionSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "ab", "aa", " ", "\n", "ba", "c"}), 1, 60).Draw(t, "parts")
		text := []byte(strings.Join(parts, ""))
		want := naiveMerges(text, 1000)
		if len(want) > 0 {
			got, err := TrainBPE(context.Background(), text, 256+len(want))
			if err != nil || !slices.Equal(got.(*bytePair).merges, want) {
				t.Fatalf("%v, want %v, %v", got, want, err)
			}
		}
		var few *TooFewPairsError
		_, err := TrainBPE(context.Background(), text, 256+len(want)+1)
		if !errors.As(err, &few) || few.Most != 256+len(want) {
			t.Fatalf("one more: %v, want at most %d", err, 256+len(want))
		}
	})
}

func TestBPEOfOpticksIsPinned(t *testing.T) {
	// Golden: a run records its tokenizer, and data sets their tokens.
	text := opticks(t)
	tok, err := TrainBPE(context.Background(), text[:100_000], 512)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tok.(*bytePair).merges, naiveMerges(text[:100_000], 256); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	raw, err := Marshal(tok)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	if got, want := hex.EncodeToString(sum[:]), "c803841b81f2b2e1378e2a55ccae8f42c93ad39f153e5f969de107124344b11c"; got != want {
		t.Errorf("the tokenizer's SHA-256 is %s, want %s", got, want)
	}
	tokens, err := tok.Encode(nil, text)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := tok.Decode(nil, tokens); err != nil || !bytes.Equal(back, text) {
		t.Errorf("not lossless: %v", err)
	}
	if perToken := float64(len(text)) / float64(len(tokens)); perToken < 1.8 || perToken > 4 {
		t.Errorf("%.3g bytes a token", perToken)
	}
}

func TestVocabulariesOutOfRangeAreRefused(t *testing.T) {
	for _, size := range []int{-1, 0, 256, MaxVocabulary + 1} {
		if _, err := TrainBPE(context.Background(), []byte("aaaa"), size); err == nil {
			t.Errorf("%d: no error", size)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := TrainBPE(ctx, []byte("aaaa"), 257); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestJSONFormIsReadBack(t *testing.T) {
	c, err := NewCharacters([]byte("hello\n"))
	if err != nil {
		t.Fatal(err)
	}
	accented, err := NewCharacters([]byte("hellö\n"), []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	accentedBytes, err := NewByteCharacters([]byte("helloé"))
	if err != nil {
		t.Fatal(err)
	}
	for want, tok := range map[string]Tokenizer{
		`{"format":"reprise.tokenizer.v1","kind":"bytes"}`:                                             NewBytes(),
		`{"format":"reprise.tokenizer.v1","kind":"characters","characters":[10,101,104,108,111]}`:      c,
		`{"format":"reprise.tokenizer.v2","kind":"characters","characters":[10,101,104,108,111,246]}`:  accented,
		`{"format":"reprise.tokenizer.v1","kind":"characters","characters":[101,104,108,111,169,195]}`: accentedBytes,
		`{"format":"reprise.tokenizer.v1","kind":"bpe","merges":[[104,101],[116,256]]}`:                train(t, "the the", 258),
	} {
		raw, err := Marshal(tok)
		if err != nil || string(raw) != want {
			t.Errorf("%s, want %s, %v", raw, want, err)
		}
		back, err := Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := tok.Encode(nil, []byte("hello"))
		b, _ := back.Encode(nil, []byte("hello"))
		if !slices.Equal(a, b) || back.Kind() != tok.Kind() || back.VocabSize() != tok.VocabSize() {
			t.Errorf("%s: %v, then %v", want, a, b)
		}
	}
}

func TestParseRefusesInvalidTokenizers(t *testing.T) {
	const head = `{"format":"reprise.tokenizer.v1",`
	doubling := make([]string, 0, 10)
	for i := range 10 {
		left := "97"
		if i > 0 {
			left = []string{"256", "257", "258", "259", "260", "261", "262", "263", "264"}[i-1]
		}
		doubling = append(doubling, "["+left+","+left+"]")
	}
	for name, c := range map[string]struct{ text, want string }{
		"nothing":            {"", "EOF"},
		"no object":          {"7", "cannot unmarshal"},
		"another format":     {`{"format":"x","kind":"bytes"}`, `format is "x"`},
		"another kind":       {head + `"kind":"words"}`, `kind is "words"`},
		"another field":      {head + `"kind":"bytes","size":1}`, "size"},
		"something after it": {head + `"kind":"bytes"}1`, "more after the JSON object"},
		"misplaced field":    {head + `"kind":"bytes","characters":[1]}`, "does not fit"},
		"no characters":      {head + `"kind":"characters"}`, "no characters"},
		"no code point":      {`{"format":"reprise.tokenizer.v2","kind":"characters","characters":[1114112]}`, "character 0 is 1114112: they are code points"},
		"half a surrogate":   {`{"format":"reprise.tokenizer.v2","kind":"characters","characters":[65,55296]}`, "character 1 is 55296"},
		"bytes of v2":        {`{"format":"reprise.tokenizer.v2","kind":"bytes"}`, `format is "reprise.tokenizer.v2"`},
		"no byte":            {head + `"kind":"characters","characters":[256]}`, "character 0 is 256"},
		"out of order":       {head + `"kind":"characters","characters":[2,2]}`, "character 1 is 2"},
		"no pair":            {head + `"kind":"bpe","merges":[[1]]}`, "1 tokens"},
		"later token":        {head + `"kind":"bpe","merges":[[256,1]]}`, "merge 0 joins 256 and 1"},
		"negative token":     {head + `"kind":"bpe","merges":[[-1,1]]}`, "merge 0 joins -1"},
		"twice":              {head + `"kind":"bpe","merges":[[1,1],[1,1]]}`, "merge 1 joins 1 and 1 again"},
		"doubling":           {head + `"kind":"bpe","merges":[` + strings.Join(doubling, ",") + `]}`, "128 bytes"},
	} {
		if _, err := Parse([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"format":"reprise.tokenizer.v1","kind":"bytes"}`))
	f.Add([]byte(`{"format":"reprise.tokenizer.v1","kind":"characters","characters":[10,101]}`))
	f.Add([]byte(`{"format":"reprise.tokenizer.v2","kind":"characters","characters":[10,233,8364]}`))
	f.Add([]byte(`{"format":"reprise.tokenizer.v1","kind":"characters","characters":[10,233]}`))
	f.Add([]byte(`{"format":"reprise.tokenizer.v1","kind":"bpe","merges":[[116,104],[256,101]]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		tok, err := Parse(raw)
		if err != nil {
			return
		}
		again, err := Marshal(tok)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(again); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		tokens, err := tok.Encode(nil, raw)
		if err != nil {
			return
		}
		if back, err := tok.Decode(nil, tokens); err != nil || !bytes.Equal(back, raw) {
			t.Fatalf("%q became %q, %v", raw, back, err)
		}
	})
}

func BenchmarkBPEOfOpticks(b *testing.B) {
	text := opticks(b)
	b.Run("train", func(b *testing.B) {
		for b.Loop() {
			if _, err := TrainBPE(context.Background(), text, 2048); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encode", func(b *testing.B) {
		tok, err := TrainBPE(context.Background(), text, 2048)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(text)))
		var dst []int32
		for b.Loop() {
			if dst, err = tok.Encode(dst[:0], text); err != nil {
				b.Fatal(err)
			}
		}
	})
}
