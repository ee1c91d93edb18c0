package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"reprise/dataset/tokenizer"
	"reprise/fault"
	"reprise/internal/disk"
	"reprise/internal/figures"
	"reprise/tensor"
)

// The limits and defaults of text.
const (
	// MaxTextBytes is the largest total size of the files of a text: 512 MiB. A token
	// takes four bytes, so that the text fits in MaxBytes.
	MaxTextBytes = 512 << 20
	// MaxContext is the largest number of tokens in a sample.
	MaxContext = 1 << 20
	// DefaultContext is the number of tokens in a sample.
	DefaultContext = 128
	// DefaultVocabulary is the number of tokens that byte-pair encoding learns.
	DefaultVocabulary = 1024
	// DefaultTextValidationFraction is how much of a text is kept for validation.
	DefaultTextValidationFraction = 0.1
)

// textSplits is the number of splits of text: it has no test split.
const textSplits = 2

// tokenText is a text in tokens: the first part is for training, the rest for
// validation.
//
// Sample i of a split is its tokens [i*context, (i+1)*context), and its labels
// the tokens that follow each of them. So no token is an input twice in an epoch,
// and the inputs and labels of one split are never from the other. Tokens after
// the last whole sample are left out.
type tokenText struct {
	tokenizer tokenizer.Tokenizer
	context   int
	tokens    [textSplits][]int32
}

// windows returns the number of samples of a split.
func (t *tokenText) windows(split Split) int {
	if split == Test {
		return 0
	}
	return max(len(t.tokens[split])-1, 0) / t.context
}

// window returns the tokens of sample i and those that follow them.
func (t *tokenText) window(split Split, i int) (tokens, next []int32) {
	if n := t.windows(split); uint(i) >= uint(n) {
		panic(fmt.Sprintf("dataset: sample %d of %d", i, n))
	}
	from, to := i*t.context, (i+1)*t.context
	return t.tokens[split][from:to], t.tokens[split][from+1 : to+1]
}

func (t *tokenText) validate(name string) error {
	size := t.tokenizer.VocabSize()
	if size > MaxClasses {
		return fmt.Errorf("data set %s has %d kinds of tokens; training takes up to %d", name, size, MaxClasses)
	}
	for s, tokens := range t.tokens {
		for i, token := range tokens {
			if token < 0 || int(token) >= size {
				return fmt.Errorf("data set %s: %v token %d is %d of %d", name, Split(s), i, token, size)
			}
		}
	}
	return nil
}

// textOptions are the fields of a Source for text, with their defaults.
type textOptions struct {
	kind       tokenizer.Kind
	vocabulary int
	context    int
	fraction   float64
}

func checkText(source Source) (textOptions, error) {
	o := textOptions{kind: source.Tokenizer, vocabulary: source.Vocabulary, context: source.Context}
	if o.kind == "" {
		o.kind = tokenizer.Bytes
	}
	if !slices.Contains(tokenizer.Kinds(), o.kind) {
		return o, &fault.FieldError{Field: FieldTokenizer, Value: quote(string(o.kind)), Problem: "is not a kind of tokenizer",
			Fix: fmt.Sprintf("use one of %s, %s, %s", tokenizer.Bytes, tokenizer.Characters, tokenizer.BPE)}
	}
	switch {
	case o.kind != tokenizer.BPE && o.vocabulary != 0:
		return o, &fault.FieldError{Field: FieldVocabulary, Value: strconv.Itoa(o.vocabulary),
			Problem: fmt.Sprintf("does not fit the tokenizer %s, which has a vocabulary of its own", o.kind), Fix: "leave it out, or use tokenizer: bpe"}
	case o.vocabulary == 0:
		o.vocabulary = DefaultVocabulary
	case o.vocabulary < 257 || o.vocabulary > tokenizer.MaxVocabulary:
		return o, &fault.FieldError{Field: FieldVocabulary, Value: strconv.Itoa(o.vocabulary),
			Problem: fmt.Sprintf("is not between 257 and %d", tokenizer.MaxVocabulary), Fix: "use a size such as 1024, or leave it out"}
	}
	if o.context == 0 {
		o.context = DefaultContext
	}
	if o.context < 1 || o.context > MaxContext {
		return o, &fault.FieldError{Field: FieldContext, Value: strconv.Itoa(o.context),
			Problem: fmt.Sprintf("is not between 1 and %d", MaxContext), Fix: "use a number of tokens such as 128, or leave it out"}
	}
	if o.fraction = source.ValidationFraction; o.fraction == 0 {
		o.fraction = DefaultTextValidationFraction
	}
	var err error
	o.fraction, err = checkFraction(o.fraction)
	return o, err
}

// openText reads a text file, or a folder's .txt and .md files.
func (r reading) openText(ctx context.Context, source Source) (*Dataset, error) {
	o, err := checkText(source)
	if err != nil {
		return nil, err
	}
	files := []string{source.Path}
	if info, err := os.Stat(source.Path); err != nil {
		return nil, unreadable(source.Path, err)
	} else if info.IsDir() {
		if files, err = textFiles(source.Path); err != nil {
			return nil, err
		}
	}
	text, err := readTexts(ctx, files, MaxTextBytes)
	if err != nil {
		return nil, err
	}
	return r.textDataset(ctx, filepath.Base(source.Path), source.Path, text, o)
}

func isText(name string) bool {
	ext := strings.ToLower(filepath.Ext(name))
	return (ext == ".txt" || ext == ".md") && !strings.HasPrefix(filepath.Base(name), ".")
}

// textFiles returns the text files in a folder and below it, in ascending order
// of path. Hidden files and folders are ignored.
func textFiles(folder string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != folder && strings.HasPrefix(e.Name(), "."):
			return fs.SkipDir
		case isText(path):
			if info, err := os.Stat(path); err != nil { // follows links
				return err
			} else if info.Mode().IsRegular() {
				files = append(files, path)
			}
		}
		return nil
	})
	if err != nil {
		return nil, unreadable(folder, err)
	}
	if len(files) == 0 {
		return nil, &DataError{File: folder, Problem: "the folder has no .txt or .md files", Fix: "put some text there"}
	}
	slices.SortFunc(files, func(a, b string) int { return strings.Compare(filepath.ToSlash(a), filepath.ToSlash(b)) })
	return files, nil
}

// readTexts returns the content of the files, concatenated.
func readTexts(ctx context.Context, files []string, most int64) ([]byte, error) {
	var text []byte
	for _, path := range files {
		f, err := disk.Open(disk.OS{}, path)
		if err != nil {
			return nil, unreadable(path, err)
		}
		content, err := io.ReadAll(io.LimitReader(&contextReader{ctx, f}, most-int64(len(text))+1))
		_ = f.Close() // it was only read
		if err != nil {
			if ctx.Err() != nil {
				return nil, fmt.Errorf("read %s: %w", path, err)
			}
			return nil, unreadable(path, err)
		}
		if text == nil {
			text = content // usually the only one
		} else {
			text = append(text, content...)
		}
		if int64(len(text)) > most {
			return nil, &DataError{File: path, Problem: fmt.Sprintf("takes the text beyond the limit of %d bytes", most), Fix: "use less text"}
		}
	}
	return text, nil
}

// textDataset splits a text in two, trains the tokenizer and encodes both parts.
// path names the text in errors.
//
// The text is split before anything is learnt, so that byte-pair encoding sees
// nothing of the validation part. The set of characters is that of the whole text:
// otherwise a character that is only in the validation part could not be encoded.
func (r reading) textDataset(ctx context.Context, name, path string, text []byte, o textOptions) (*Dataset, error) {
	if len(text) < 4 {
		return nil, &DataError{File: path, Problem: "the text has " + figures.Plural(len(text), "byte") + ", too few to train and validate on", Fix: "use more text"}
	}
	cut := len(text) - r.validationRows(len(text), o.fraction)
	if r != firstReading {
		cut = characterStart(text, cut)
	}
	t := &tokenText{context: o.context}
	var err error
	switch o.kind {
	case tokenizer.Bytes:
		t.tokenizer = tokenizer.NewBytes()
	case tokenizer.Characters:
		if r == firstReading {
			t.tokenizer, err = tokenizer.NewByteCharacters(text)
			break
		}
		t.tokenizer, err = tokenizer.NewCharacters(text)
		var invalid *tokenizer.InvalidTextError
		if errors.As(err, &invalid) {
			return nil, &DataError{File: path, Offset: int64(invalid.Offset), HasOffset: true, Value: quote(string([]byte{invalid.Byte})),
				Problem: "is not UTF-8, so that it is not part of any character", Fix: "save the text as UTF-8, or use tokenizer: bytes", Cause: err}
		}
	case tokenizer.BPE:
		t.tokenizer, err = tokenizer.TrainBPE(ctx, text[:cut], o.vocabulary)
		var few *tokenizer.TooFewPairsError
		if errors.As(err, &few) {
			fix := fmt.Sprintf("use %d at most, or more text", few.Most)
			if few.Most < 257 {
				fix = "use tokenizer: bytes, or more text"
			}
			return nil, &fault.FieldError{Field: FieldVocabulary, Value: strconv.Itoa(few.Want),
				Problem: fmt.Sprintf("is more than the %d tokens that the training part of %s gives", few.Most, path), Fix: fix}
		}
	}
	if err != nil {
		return nil, err
	}
	for s, part := range [textSplits][]byte{Train: text[:cut], Validation: text[cut:]} {
		if o.kind != tokenizer.BPE {
			t.tokens[s] = make([]int32, 0, len(part))
		}
		if t.tokens[s], err = t.tokenizer.Encode(t.tokens[s], part); err != nil {
			return nil, err
		}
	}
	if err := t.checkContext(path); err != nil {
		return nil, err
	}
	return (&Dataset{name: name, shape: tensor.Shape{o.context}, text: t}).seal()
}

// characterStart returns the start of the character that contains the byte at i:
// i itself for its first byte, and for bytes that are not UTF-8.
func characterStart(text []byte, i int) int {
	for start := i; start >= max(1, i-utf8.UTFMax+1); start-- { // a part is never empty
		if utf8.RuneStart(text[start]) {
			if _, size := utf8.DecodeRune(text[start:]); start+size > i {
				return start
			}
			break
		}
	}
	return i
}

// checkContext fails unless there is a whole sample in each split.
func (t *tokenText) checkContext(path string) error {
	for s, tokens := range t.tokens {
		if len(tokens) > t.context {
			continue
		}
		fix := "use more text"
		if len(tokens) > 1 {
			fix = fmt.Sprintf("use %d at most, or more text", len(tokens)-1)
		}
		if Split(s) == Validation {
			fix += ", or a larger " + FieldValidationFraction
		}
		return &fault.FieldError{Field: FieldContext, Value: strconv.Itoa(t.context),
			Problem: fmt.Sprintf("needs at least one token more than that, but the %v part of %s has %d", Split(s), path, len(tokens)), Fix: fix}
	}
	return nil
}
