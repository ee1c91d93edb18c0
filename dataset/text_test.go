package dataset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"reprise/dataset/tokenizer"
	"reprise/tensor"
)

// goRoot returns the folder of the Go that runs the tests.
func goRoot(t testing.TB) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(root))
}

// openOpticks opens Newton's Opticks from the Go installation.
func openOpticks(t testing.TB, source Source) *Dataset {
	t.Helper()
	library, err := NewLibrary(Config{CacheDir: t.TempDir(), SystemDir: t.TempDir(), GoProxy: "off", GoRoot: goRoot(t)})
	if err != nil {
		t.Fatal(err)
	}
	source.Path = "opticks"
	d, err := library.Open(context.Background(), source)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// sentence is a text with byte pairs to learn.
func sentence(times int) string {
	return strings.Repeat("The rays of light are refrangible.\n", times)
}

func TestOpticksIsWhatTheCatalogueSays(t *testing.T) {
	d := openOpticks(t, Source{})
	if err := d.check(); err != nil {
		t.Fatal(err)
	}
	library, err := NewLibrary(Config{CacheDir: t.TempDir(), GoRoot: goRoot(t)})
	if err != nil {
		t.Fatal(err)
	}
	e, _ := library.Lookup("opticks")
	if d.Len(Train) != e.Train || d.Len(Validation) != e.Validation || d.Classes() != e.Classes || !d.SampleShape().Equal(e.Shape) || d.Task() != e.Task {
		t.Errorf("%d + %d samples of %v, %d kinds of tokens, %s", d.Len(Train), d.Len(Validation), d.SampleShape(), d.Classes(), d.Task())
	}
	if s := library.Status(e); s != StatusCached {
		t.Errorf("status %s", s)
	}
	if s, err := NewLibrary(Config{CacheDir: t.TempDir(), SystemDir: t.TempDir()}); err != nil || s.Status(e) != StatusNotFetched {
		t.Errorf("without a GoRoot: %v", err)
	}
}

func TestFingerprintsOfTextArePinned(t *testing.T) {
	// Golden: recorded runs name their data by it.
	seen := map[string]bool{}
	for _, c := range []struct {
		source Source
		want   string
		size   int
	}{
		{Source{}, "f1757aa493fba7bc737ac5fdf3a9cf6e8137e8412dc1d31499cd5bd6c8b7e921", 256},
		{Source{Context: 64}, "a924d3097a1c4aad3bcf95f017086324d2dea35289964d82c347b356a1e3e678", 256},
		{Source{ValidationFraction: 0.2}, "7dc316f6e547ddcb98d5ae3a14e8b40058100cc45b5e1e1e30ada502d89fdafd", 256},
		{Source{Tokenizer: tokenizer.Characters}, "056a1f985fb640830b1e81211e31bbef6fc9a37f1921fdc979953760a1c7545f", 91},
		{Source{Tokenizer: tokenizer.BPE, Vocabulary: 512}, "367017187fcc4cba4d35f47a46d263503a94ad8fbe59ba763abc26d5d639f95c", 512},
	} {
		d := openOpticks(t, c.source)
		if got := d.Fingerprint(); got != c.want || d.Classes() != c.size {
			t.Errorf("%+v: %s of %d kinds of tokens, want %s of %d", c.source, got, d.Classes(), c.want, c.size)
		}
		seen[d.Fingerprint()] = true
	}
	if len(seen) != 5 {
		t.Errorf("%d different fingerprints of 5 different data sets", len(seen))
	}
}

func TestSamplesOfTextAreTheTextOneAfterAnother(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.Byte(), 40, 300).Draw(t, "text")
		width := rapid.IntRange(1, 3).Draw(t, "context")
		path := filepath.Join(dir, "text.txt")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := currentReading.openText(context.Background(), Source{Path: path, Context: width, ValidationFraction: 0.25})
		if err != nil {
			t.Fatal(err)
		}
		cut := forwardStart(text, len(text)-(len(text)+3)/4)
		for split, part := range [textSplits][]byte{text[:cut], text[cut:]} {
			n := d.Len(Split(split))
			if want := (len(part) - 1) / width; n != want {
				t.Fatalf("%d samples of %d, want %d", n, len(part), want)
			}
			batch := d.NewBatch(n)
			index := make([]int, n)
			for i := range index {
				index[i] = n - 1 - i // any order
			}
			d.GatherBatch(Split(split), index, batch)
			for i, at := range index {
				for j := range width {
					input, label := batch.Tokens[i*width+j], batch.Labels[i*width+j]
					if from := at*width + j; input != int32(part[from]) || label != int32(part[from+1]) {
						t.Fatalf("sample %d, token %d: %d, then %d, want %d, then %d", at, j, input, label, part[from], part[from+1])
					}
				}
			}
		}
	})
}

// forwardStart is characterStart by its definition: it walks the characters from
// the beginning of the text to the one that contains byte i.
func forwardStart(text []byte, i int) int {
	at := 0
	for {
		_, size := utf8.DecodeRune(text[at:])
		if at+size > i {
			if at == 0 {
				return i // a part is never empty
			}
			return at
		}
		at += size
	}
}

func TestTextIsSplitBetweenCharacters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom(
			[]string{"a", "é", "€", "\U0001F600", "\xff", "\x80", "\xe2\x82", "\xf0\x9f"}), 1, 12).Draw(t, "text"), ""))
		for i := range text {
			if got, want := characterStart(text, i), forwardStart(text, i); got != want {
				t.Fatalf("the character at byte %d of %q begins at %d, want %d", i, text, got, want)
			}
		}
	})
	for _, kind := range tokenizer.Kinds() {
		source := Source{Tokenizer: kind, Context: 2}
		if kind == tokenizer.BPE {
			source.Vocabulary = 257
		}
		for n := range 8 { // so that the split falls on each byte of a character
			source.Path = writeFile(t, t.TempDir(), "a.txt", strings.Repeat("x", n)+strings.Repeat("\U0001F600", 30))
			d := mustOpen(t, source)
			for split, tokens := range d.text.tokens {
				part, err := d.Tokenizer().Decode(nil, tokens)
				if err != nil || !utf8.Valid(part) {
					t.Errorf("%s: the %v part is %q: %v", kind, Split(split), part, err)
				}
			}
		}
	}
}

func TestCharactersAreCodePoints(t *testing.T) {
	const text = "Größe: 5 µm – naïve café\n"
	path := writeFile(t, t.TempDir(), "text.txt", strings.Repeat(text, 20))
	d := mustOpen(t, Source{Path: path, Tokenizer: tokenizer.Characters, Context: 8})
	if want := 19; d.Classes() != want {
		t.Errorf("%d kinds of characters, want %d", d.Classes(), want)
	}
	if n, want := len(d.text.tokens[Train])+len(d.text.tokens[Validation]), 20*utf8.RuneCountInString(text); n != want {
		t.Errorf("%d tokens, want %d", n, want)
	}
	latin1 := writeFile(t, t.TempDir(), "text.txt", strings.Repeat("caf\xe9 ", 20))
	_, err := open(t, Source{Path: latin1, Tokenizer: tokenizer.Characters, Context: 8})
	checkDataError(t, err, "text.txt", "byte 3", `"\xe9" is not UTF-8`, "tokenizer: bytes")
	mustOpen(t, Source{Path: latin1, Context: 8})
}

func TestNothingIsLearntFromTheValidationPart(t *testing.T) {
	train, source := sentence(90), Source{Tokenizer: tokenizer.BPE, Vocabulary: 270, Context: 8}
	open := func(held string) *Dataset {
		source.Path = writeFile(t, t.TempDir(), "text.txt", train+held)
		return mustOpen(t, source)
	}
	a, b := open(sentence(10)), open(strings.Repeat("zq", len(sentence(10))/2))
	forms := make([]string, 2)
	for i, d := range []*Dataset{a, b} {
		form, err := tokenizer.Marshal(d.Tokenizer())
		if err != nil {
			t.Fatal(err)
		}
		forms[i] = string(form)
		text, err := d.Tokenizer().Decode(nil, d.text.tokens[Train])
		if err != nil || string(text) != train {
			t.Errorf("the training part is %q, %v", text, err)
		}
	}
	if forms[0] != forms[1] || !slices.Equal(a.text.tokens[Train], b.text.tokens[Train]) {
		t.Errorf("another end gives another tokenizer: %s, %s", forms[0], forms[1])
	}
	if a.Fingerprint() == b.Fingerprint() {
		t.Error("another end gives the same fingerprint")
	}
}

func TestAFolderOfTextIsReadInOrder(t *testing.T) {
	dir := folder(t, map[string]string{"b.txt": "bbbbbbbb", "a.MD": "aaaaaaaa", ".hidden.txt": "hhhh", "picture.png": "pppp"})
	for name, content := range map[string]string{"a/z.txt": "zzzzzzzz", ".git/x.txt": "xxxx"} {
		if err := os.Mkdir(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, dir, name, content)
	}
	d := mustOpen(t, Source{Path: dir, Context: 1, ValidationFraction: 0.25})
	text, err := d.Tokenizer().Decode(nil, slices.Concat(d.text.tokens[Train], d.text.tokens[Validation]))
	if want := "aaaaaaaa" + "zzzzzzzz" + "bbbbbbbb"; err != nil || string(text) != want {
		t.Errorf("%q, want %q, %v", text, want, err)
	}
	// A folder of images with a readme is still a folder of images.
	images := folder(t, map[string]string{"README.md": "read me",
		"train-images-idx3-ubyte": idx(counting(20*4), 20, 2, 2), "train-labels-idx1-ubyte": idx(alternating(20), 20)})
	if task := mustOpen(t, Source{Path: images}).Task(); task != Classification {
		t.Errorf("images are for %s", task)
	}
}

func TestSourcesOfTextThatMakeNoSenseAreRefused(t *testing.T) {
	dir := folder(t, map[string]string{"text.txt": sentence(40), "table.csv": smallCSV, "short.md": "abcdefgh"})
	text, table := filepath.Join(dir, "text.txt"), filepath.Join(dir, "table.csv")
	for name, c := range map[string]struct {
		source Source
		field  string
		want   []string
	}{
		"unknown task":         {Source{Path: text, Task: "generation"}, FieldTask, []string{`"generation"`, "classification, regression, next_token"}},
		"classes of text":      {Source{Path: text, Task: Classification}, FieldTask, []string{"classification does not fit text", "use next_token"}},
		"tokens of digits":     {Source{Path: "digits", Task: NextToken}, FieldTask, []string{"use classification"}},
		"classes of diabetes":  {Source{Path: "diabetes", Task: Classification}, FieldTask, []string{"use regression"}},
		"classes of opticks":   {Source{Path: "opticks", Task: Classification}, FieldTask, []string{"use next_token"}},
		"tokens of a table":    {Source{Path: table, Target: "kind", Task: NextToken}, FieldTask, []string{"next_token does not fit a .csv file"}},
		"target of text":       {Source{Path: text, Target: "x"}, FieldTarget, []string{"leave it out"}},
		"unknown tokenizer":    {Source{Path: text, Tokenizer: "words"}, FieldTokenizer, []string{`"words"`, "bytes, characters, bpe"}},
		"tokenizer of opticks": {Source{Path: "opticks", Tokenizer: "words"}, FieldTokenizer, []string{`"words"`}},
		"tokenizer of a table": {Source{Path: table, Target: "kind", Tokenizer: tokenizer.BPE}, FieldTokenizer, []string{"it is for text"}},
		"context of digits":    {Source{Path: "digits", Context: 8}, FieldContext, []string{"it is for text"}},
		"vocabulary of wine":   {Source{Path: "wine", Vocabulary: 300}, FieldVocabulary, []string{"it is for text"}},
		"vocabulary of bytes":  {Source{Path: text, Vocabulary: 300}, FieldVocabulary, []string{"300", "tokenizer: bpe"}},
		"vocabulary too small": {Source{Path: text, Tokenizer: tokenizer.BPE, Vocabulary: 256}, FieldVocabulary, []string{"between 257 and 65536"}},
		"vocabulary too large": {Source{Path: text, Tokenizer: tokenizer.BPE, Vocabulary: 65537}, FieldVocabulary, []string{"between 257 and 65536"}},
		"vocabulary beyond it": {Source{Path: text, Tokenizer: tokenizer.BPE, Vocabulary: 4000}, FieldVocabulary, []string{"4000 is more than the", text, "use 2"}},
		"no context":           {Source{Path: text, Context: -1}, FieldContext, []string{"-1"}},
		"context beyond it":    {Source{Path: text, Context: 140}, FieldContext, []string{"validation part", "has 140", "use 139 at most", "larger validation_fraction"}},
		"context beyond all":   {Source{Path: text, Context: 5000}, FieldContext, []string{"train part", "has 1260", "use 1259 at most"}},
		"one token held":       {Source{Path: filepath.Join(dir, "short.md"), Context: 1}, FieldContext, []string{"has 1; use more text, or"}},
		"fraction 1":           {Source{Path: text, ValidationFraction: 1}, FieldValidationFraction, []string{"not between 0 and 1"}},
		"no pairs to learn":    {Source{Path: filepath.Join(dir, "short.md"), Tokenizer: tokenizer.BPE}, FieldVocabulary, []string{"use tokenizer: bytes"}},
	} {
		_, err := open(t, c.source)
		checkFieldError(t, name, err, c.field, c.want...)
	}
}

func TestTextThatCannotBeUsedIsNamed(t *testing.T) {
	dir := folder(t, map[string]string{"empty.txt": "", "three.txt": "abc"})
	for name, want := range map[string]string{"empty.txt": "the text has 0 bytes, too few", "three.txt": "the text has 3 bytes, too few"} {
		_, err := open(t, Source{Path: filepath.Join(dir, name)})
		checkDataError(t, err, name, want)
	}
	_, err := open(t, Source{Path: t.TempDir(), Task: NextToken})
	checkDataError(t, err, "no .txt or .md files")
	a, b := writeFile(t, dir, "a.txt", "12345"), writeFile(t, dir, "b.txt", "678")
	if text, err := readTexts(context.Background(), []string{a, b}, 8); err != nil || string(text) != "12345678" {
		t.Errorf("%q, %v", text, err)
	}
	_, err = readTexts(context.Background(), []string{a, b}, 7)
	checkDataError(t, err, "b.txt", "limit of 7 bytes")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := readTexts(ctx, []string{a}, 8); !errors.Is(err, context.Canceled) || errors.As(err, new(*DataError)) {
		t.Errorf("%v", err)
	}
}

func TestTextIsSummarised(t *testing.T) {
	path := writeFile(t, t.TempDir(), "text.txt", sentence(40))
	d := mustOpen(t, Source{Path: path, Tokenizer: tokenizer.Characters, Context: 100})
	s := inspect(t, d)
	if s.Text == nil || s.Task != NextToken || s.Columns != nil {
		t.Fatalf("%+v", s)
	}
	want := TextSummary{
		Tokenizer: tokenizer.Characters, Vocabulary: 18, Context: 100, TrainTokens: 1260, ValidationTokens: 140, TrainBytes: 1260, ValidationBytes: 140,
		TrainCharacters: 1260, ValidationCharacters: 140, Sample: sentence(40)[:240],
	}
	if *s.Text != want {
		t.Errorf("%+v, want %+v", *s.Text, want)
	}
	if s.Train.Samples != 12 || s.Validation.Samples != 1 || s.MemoryBytes != 4*1400 || !s.SampleShape.Equal(tensor.Shape{100}) {
		t.Errorf("%+v", s)
	}
	if d.ClassNames() != nil || d.Targets() != nil || d.LabelsPerSample() != 100 || d.TargetsPerSample() != 0 || d.InputKind() != InputToken {
		t.Errorf("%v %v %d %d %s", d.ClassNames(), d.Targets(), d.LabelsPerSample(), d.TargetsPerSample(), d.InputKind())
	}
	raw, label, _ := d.AppendRaw(nil, Train, 1)
	if len(raw) != 100 || raw[0] != float64(d.text.tokens[Train][100]) || label != -1 {
		t.Errorf("%v %d", raw, label)
	}
}

func TestTextOfLongCharactersIsSummarised(t *testing.T) {
	text := strings.Repeat("x", 1) + strings.Repeat("数", 99) // 298 bytes
	d := mustOpen(t, Source{Path: writeFile(t, t.TempDir(), "text.txt", text), Context: 4})
	s := inspect(t, d).Text
	if s.TrainBytes+s.ValidationBytes != 298 || s.TrainTokens != s.TrainBytes || s.TrainCharacters+s.ValidationCharacters != 100 ||
		s.TrainCharacters != 1+(s.TrainBytes-1)/3 {
		t.Errorf("%+v", s)
	}
	if want := text[:1+3*79]; s.Sample != want {
		t.Errorf("the sample is %q, want %q", s.Sample, want)
	}
}

func TestTokensOutsideTheVocabularyAreNotValid(t *testing.T) {
	for _, bad := range []int32{-1, 256} {
		text := &tokenText{tokenizer: tokenizer.NewBytes(), context: 2, tokens: [textSplits][]int32{{1, 2, 3}, {1, bad, 3}}}
		d := &Dataset{name: "a", shape: tensor.Shape{2}, features: 2, text: text}
		if err := d.check(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("token 1 is %d of 256", bad)) {
			t.Errorf("%d: %v", bad, err)
		}
	}
}

func TestTextIsFetchedFromItsModule(t *testing.T) {
	e, zip := moduleEntry(t)
	s := newServer(t, sends(zip))
	e.Task = NextToken
	e.Files = e.Files[:1] // any bytes are text
	library := tinyLibrary(t, e, Config{GoProxy: s.URL})
	d, err := library.Open(context.Background(), Source{Path: e.Name, Context: 1})
	if err != nil {
		t.Fatal(err)
	}
	text, err := d.Tokenizer().Decode(nil, slices.Concat(d.text.tokens[Train], d.text.tokens[Validation]))
	if want := []byte(tinyFiles()[e.Files[0].Name]); err != nil || !bytes.Equal(text, want) {
		t.Errorf("%q, want %q, %v", text, want, err)
	}
}
