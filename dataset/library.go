package dataset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"reprise/dataset/tokenizer"
	"reprise/fault"
	"reprise/internal/disk"
	"reprise/internal/spelling"
)

// Source says which data to open.
type Source struct {
	// Path is a name of the catalogue, a folder of IDX files, of CIFAR-10's
	// binary files, of images by class or of text, a table, or a .txt or .md file.
	// A name of the catalogue takes precedence over a folder of that name, which can
	// be written as ./mnist.
	Path string
	// Task is what to learn; "" is what the data is for: NextToken for text,
	// Classification for everything else but the catalogue's tables. A CSV column
	// of numbers that looks like a quantity needs a Task.
	Task Task
	// Target is the column of a CSV file to predict; "" for everything else.
	// Regression takes several, separated by commas.
	Target string
	// ValidationFraction is how much to keep for validation, in (0, 1); 0 is
	// DefaultValidationFraction, or DefaultTextValidationFraction for text. It must
	// be 0 for data with a validation set of its own.
	ValidationFraction float64

	// Table says how to read a table; it is zero for everything else, but for the split
	// of a folder of images.
	Table TableOptions
	// Image says what becomes of the images of a folder, or of a table of their paths; it
	// is zero for everything else.
	Image ImageOptions

	// What follows is for text, and zero for everything else.

	// Tokenizer says how text is cut; "" is tokenizer.Bytes.
	Tokenizer tokenizer.Kind
	// Vocabulary is the number of tokens that tokenizer.BPE learns; 0 is
	// DefaultVocabulary.
	Vocabulary int
	// Context is the number of tokens in a sample; 0 is DefaultContext.
	Context int
}

// Config says what a Library works with. With the zero Config it opens data that is
// embedded or on the local disk.
type Config struct {
	// CacheDir is the folder in whose subfolder datasets fetched data sets are kept.
	// It is created when it is needed. With "" nothing is fetched.
	CacheDir string
	// NoCache is the error for a data set that would have to be fetched if CacheDir
	// is ""; nil means a *fault.FieldError.
	NoCache error
	// Memory is how many bytes the values of a data set may take in memory: those of a
	// larger table are kept in a file, below CacheDir or else in TempDir. 0 is
	// DefaultMemory, which a table may exceed, up to MaxBytes, where no file can be
	// written. No bit of what is trained depends on it.
	Memory int64
	// TempDir is a folder for files that are not kept; "" for none.
	TempDir string
	// GoProxy is the value of GOPROXY: a list of proxies, direct or off,
	// separated by commas or pipes. "" is Go's default.
	GoProxy string
	// ModuleCache is the value of GOMODCACHE, which is searched first; "" for none.
	ModuleCache string
	// SystemDir is where the operating system's packages put data sets; "" is
	// /usr/share/datasets.
	SystemDir string
	// GoRoot is the folder of a Go installation, which contains some texts; "" for
	// none.
	GoRoot string
	// HTTP fetches; nil is http.DefaultClient.
	HTTP *http.Client
	// StallTimeout is how long a download may deliver nothing before it is given up;
	// 0 is a minute.
	StallTimeout time.Duration
	// Progress, if not nil, is called from the fetching goroutine for every read
	// from the network; it must return quickly.
	Progress func(Progress)
	// Images bounds the memory in which images are decoded; nil for a bound of the
	// library's own.
	Images *ImageRoom
}

// Progress is the progress of a download.
type Progress struct {
	Name string // of the data set
	File string
	Done int64
	// Total is the expected size; 0 if it is not known.
	Total int64
}

// DefaultGoProxy is what the go command uses if GOPROXY is not set.
const DefaultGoProxy = "https://proxy.golang.org,direct"

// The other defaults of Config.
const (
	defaultSystemDir    = "/usr/share/datasets"
	defaultStallTimeout = time.Minute
)

// Library opens data sets. It is safe for concurrent use, and several processes may
// share a cache.
type Library struct {
	config  Config
	entries []Entry
}

// NewLibrary returns a library of the built-in catalogue. It accesses neither files
// nor the network.
func NewLibrary(config Config) (*Library, error) {
	return newLibrary(config, catalogue())
}

func newLibrary(config Config, entries []Entry) (*Library, error) {
	if config.CacheDir == "" && config.NoCache == nil {
		config.NoCache = &fault.FieldError{Field: "CacheDir", Value: `""`, Problem: "is not a folder", Fix: "name a folder to keep data sets in"}
	}
	if config.GoProxy == "" {
		config.GoProxy = DefaultGoProxy
	}
	if config.SystemDir == "" {
		config.SystemDir = defaultSystemDir
	}
	if config.StallTimeout == 0 {
		config.StallTimeout = defaultStallTimeout
	}
	if config.HTTP == nil {
		config.HTTP = http.DefaultClient
	}
	if config.Images == nil {
		config.Images = NewImageRoom(0)
	}
	return &Library{config: config, entries: entries}, nil
}

// Entries returns the catalogue, by name. The caller owns it.
func (l *Library) Entries() []Entry {
	entries := slices.Clone(l.entries)
	for i := range entries {
		entries[i] = entries[i].clone()
	}
	return entries
}

func (e Entry) clone() Entry {
	e.Files, e.Shape, e.ClassNames = slices.Clone(e.Files), e.Shape.Clone(), slices.Clone(e.ClassNames)
	return e
}

// Lookup returns the entry with a name, and whether there is one.
func (l *Library) Lookup(name string) (Entry, bool) {
	for _, e := range l.entries {
		if e.Name == name {
			return e.clone(), true
		}
	}
	return Entry{}, false
}

// Status reports whether an entry's files are present. It checks their sizes
// only; Open and Get compare the hashes.
func (l *Library) Status(entry Entry) Status {
	if entry.origin.content != nil {
		return StatusEmbedded
	}
	for _, f := range entry.Files {
		if !slices.ContainsFunc(l.places(entry, f), func(path string) bool {
			info, err := os.Stat(path)
			return err == nil && info.Mode().IsRegular() && info.Size() == f.Bytes
		}) {
			return StatusNotFetched
		}
	}
	return StatusCached
}

// Get fetches an entry unless its verified files are present. It fails as Open
// does.
func (l *Library) Get(ctx context.Context, name string) error {
	entry, ok := l.Lookup(name)
	if !ok {
		return l.unknown(name)
	}
	if content := entry.origin.content; content != nil {
		return checkHash("embedded "+entry.Files[0].Name, content, entry.Files[0])
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	loaded := l.load(entry)
	if len(loaded.missing) == 0 {
		return nil
	}
	return l.fetch(ctx, entry, loaded)
}

// Open returns the data of a source, fetching it first if it is in the catalogue
// and not in the cache. It fails with a *fault.FieldError for a source that makes no
// sense, a *DataError for files that cannot be used, an *OfflineError if a data set
// cannot be fetched, a *HashError if its content is not what the catalogue pins, or
// the context's error.
func (l *Library) Open(ctx context.Context, source Source) (*Dataset, error) {
	return l.open(ctx, source, currentReading)
}

func (l *Library) open(ctx context.Context, source Source, r reading) (*Dataset, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if source.Path == "" {
		return nil, &fault.FieldError{Field: FieldPath, Value: `""`, Problem: "names no data", Fix: "use " + l.choices()}
	}
	if !utf8.ValidString(source.Path) { // it is recorded in JSON
		return nil, &fault.FieldError{Field: FieldPath, Value: showPath(source.Path), Problem: "is not UTF-8, and could not be recorded",
			Fix: "rename the folder or file, or give it another name with a symbolic link"}
	}
	if source.Task != "" && !slices.Contains(Tasks(), source.Task) {
		return nil, &fault.FieldError{Field: FieldTask, Value: quote(string(source.Task)), Problem: "is not a task",
			Fix: fmt.Sprintf("use one of %s, %s, %s, or leave it out", Classification, Regression, NextToken)}
	}
	if entry, ok := l.Lookup(source.Path); ok {
		return l.openEntry(ctx, entry, source, r)
	}
	info, err := os.Stat(source.Path)
	if err == nil && info.Mode().IsRegular() && (isTable(source.Path) || !source.Table.IsZero() && !isCSV(source.Path) && (source.Target != "" || !isText(source.Path))) ||
		errors.Is(err, fs.ErrNotExist) && isPattern(source.Path) {
		if err := checkNoText(source, "a table", Classification, Regression); err != nil {
			return nil, err
		}
		return r.openTable(ctx, source, l.packing())
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, l.unknown(source.Path)
	case err != nil:
		return nil, unreadable(source.Path, err)
	case info.IsDir():
		return openFolder(ctx, source, r, l.packing())
	case info.Mode().IsRegular() && isCSV(source.Path):
		if err := checkNoText(source, "a .csv file", Classification, Regression); err != nil {
			return nil, err
		}
		return r.openCSVOrTable(ctx, source, l.packing())
	case info.Mode().IsRegular() && isText(source.Path):
		if err := checkOnlyText(source, "text"); err != nil {
			return nil, err
		}
		return r.openText(ctx, source)
	}
	if !info.Mode().IsRegular() {
		return nil, &DataError{File: source.Path, Problem: "is not a regular file, and data is read more than once", Fix: "write it to a file first"}
	}
	fix := "use " + l.choices()
	if strings.Contains(filepath.Base(source.Path), "-ubyte") {
		fix = "give the folder that the IDX files are in"
	}
	return nil, &fault.FieldError{Field: FieldPath, Value: showPath(source.Path), Problem: "is neither a folder nor a table or text, by its name", Fix: fix}
}

// openFolder opens a folder according to its files. Text comes last, since other
// data often has a README beside it.
func openFolder(ctx context.Context, source Source, r reading, p packing) (*Dataset, error) {
	entries, err := os.ReadDir(source.Path)
	if err != nil {
		return nil, unreadable(source.Path, err)
	}
	has := func(found func(name string) bool) bool {
		return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return found(e.Name()) })
	}
	what, open := "a folder of IDX files, which has labels of its own", r.openIDXFolder
	switch {
	case has(func(name string) bool { return strings.Contains(name, "-ubyte") }):
	case has(isCIFAR):
		what, open = "a folder of CIFAR-10 files, which has labels of its own", r.openCIFAR
	case r > fourthReading && source.Task != NextToken && source.Tokenizer == "" && isImageFolder(source.Path, source.Task == "" && has(isText)):
		return openImageFolder(ctx, source, p)
	case source.Task == NextToken || has(isText):
		if err := checkOnlyText(source, "a folder of text"); err != nil {
			return nil, err
		}
		return r.openText(ctx, source)
	}
	if err := joinAll([]error{checkNoTable(source, what), checkNoText(source, what, Classification)}); err != nil {
		return nil, err
	}
	if source.Target != "" {
		return nil, doesNotFit(FieldTarget, quote(source.Target), what, "leave it out; it is for .csv files")
	}
	return open(ctx, source.Path, source.ValidationFraction)
}

func doesNotFit(field, value, what, fix string) error {
	return &fault.FieldError{Field: field, Value: value, Problem: "does not fit " + what, Fix: fix}
}

// checkTask refuses a task that data is not for.
func checkTask(source Source, what string, tasks ...Task) error {
	if source.Task == "" || slices.Contains(tasks, source.Task) {
		return nil
	}
	return doesNotFit(FieldTask, string(source.Task), what, fmt.Sprintf("use %s, or leave it out", tasks[0]))
}

// checkNoText refuses fields that are only for text, and tasks not listed.
func checkNoText(source Source, what string, tasks ...Task) error {
	const fix = "leave it out; it is for text"
	switch {
	case source.Tokenizer != "":
		return doesNotFit(FieldTokenizer, quote(string(source.Tokenizer)), what, fix)
	case source.Vocabulary != 0:
		return doesNotFit(FieldVocabulary, strconv.Itoa(source.Vocabulary), what, fix)
	case source.Context != 0:
		return doesNotFit(FieldContext, strconv.Itoa(source.Context), what, fix)
	}
	return checkTask(source, what, tasks...)
}

// checkNoTable refuses fields that are only for tables.
func checkNoTable(source Source, what string) error {
	const fix = "leave it out; it is for tables"
	switch o := source.Table; {
	case o.Columns != "":
		return doesNotFit(FieldColumns, "a mapping", what, fix)
	case o.Missing != "":
		return doesNotFit(FieldMissing, "a list", what, fix)
	case o.Encoding != "":
		return doesNotFit(FieldEncoding, quote(o.Encoding), what, fix)
	case o.Separator != "":
		return doesNotFit(FieldSeparator, quote(o.Separator), what, fix)
	case o.Root != "":
		return doesNotFit(FieldRoot, quote(o.Root), what, "leave it out; it is for tables with a column of paths")
	case o.Split.Folds != 0:
		return doesNotFit(FieldFolds, fmt.Sprint(o.Split.Folds), what, "leave it out; folds are for tables and folders of images by class")
	case o.Split != SplitOptions{}:
		return doesNotFit(FieldSplit, "a mapping", what, fix)
	}
	return checkNoImage(source, what)
}

// checkNoImage refuses what is only for files of images.
func checkNoImage(source Source, what string) error {
	if source.Image == (ImageOptions{}) {
		return nil
	}
	return doesNotFit(FieldImage, "a mapping", what, "leave it out; it is for folders of images and tables of their paths")
}

// checkOnlyText refuses fields and tasks that are not for text.
func checkOnlyText(source Source, what string) error {
	if err := checkNoTable(source, what); err != nil {
		return err
	}
	if source.Target != "" {
		return doesNotFit(FieldTarget, quote(source.Target), what, "leave it out; it is for .csv files")
	}
	return checkTask(source, what, NextToken)
}

// checkEntry refuses fields that do not apply to an entry.
func checkEntry(source Source, entry Entry) error {
	what := "the catalogue's " + entry.Name
	if entry.Task == NextToken {
		return checkOnlyText(source, what)
	}
	if err := checkNoTable(source, what); err != nil {
		return err
	}
	what += ", which is split and labelled already"
	if source.Target != "" {
		return doesNotFit(FieldTarget, quote(source.Target), what, "leave it out; it is for .csv files")
	}
	if source.ValidationFraction != 0 {
		return doesNotFit(FieldValidationFraction, fmt.Sprint(source.ValidationFraction), what, "leave it out")
	}
	return checkNoText(source, what, entry.Task)
}

// unknown is the error for a name or path that does not exist.
func (l *Library) unknown(path string) error {
	fix := "use " + l.choices()
	if name, ok := spelling.Nearest(filepath.Base(path), l.names()); ok {
		fix = fmt.Sprintf("did you mean %s?", name)
	}
	return &fault.FieldError{Field: FieldPath, Value: showPath(path), Problem: "is neither in the catalogue nor a file or folder", Fix: fix}
}

func (l *Library) names() []string {
	names := make([]string, len(l.entries))
	for i, e := range l.entries {
		names[i] = e.Name
	}
	return names
}

func (l *Library) choices() string {
	return strings.Join(l.names(), ", ") + ", a folder of IDX files, CIFAR-10 files, images by class or text, a table (.csv, .tsv, .jsonl, .parquet, .npy and others), or a .txt or .md file"
}

func (l *Library) openEntry(ctx context.Context, entry Entry, source Source, r reading) (*Dataset, error) {
	if err := checkEntry(source, entry); err != nil {
		return nil, err
	}
	if o := entry.origin; o.content != nil {
		if o.target == "" {
			return openDigits(entry)
		}
		d, err := r.readCSV(ctx, bytes.NewReader(o.content), entry.Files[0].Name, entry.Task, o.target)
		if err != nil {
			return nil, err
		}
		d.name = entry.Name
		return d, nil
	}
	var options textOptions
	if entry.Task == NextToken { // before anything is fetched
		var err error
		if options, err = checkText(source); err != nil {
			return nil, err
		}
	}
	loaded := l.load(entry)
	if len(loaded.missing) > 0 {
		if err := l.fetch(ctx, entry, loaded); err != nil {
			return nil, err
		}
		if loaded = l.load(entry); len(loaded.missing) > 0 {
			return nil, fmt.Errorf("data set %s was fetched but is no longer in the cache: %w", entry.Name, loaded.damage)
		}
	}
	if entry.Task == NextToken {
		text, err := io.ReadAll(loaded.inputs[0])
		if err != nil {
			return nil, err
		}
		return r.textDataset(ctx, entry.Name, entry.Name, text, options)
	}
	var pairs []idxPair
	for i := 0; i < len(loaded.inputs); i += 2 {
		pair, err := readIDXPair(ctx, loaded.inputs[i], loaded.inputs[i+1])
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, pair)
	}
	return r.idxDataset(entry.Name, pairs, 0, entry.ClassNames)
}

// loaded is what the cache has of an entry: the verified content of its files (the
// bytes that are parsed are those that were hashed), and the files that are missing.
type loaded struct {
	inputs  []idxInput
	missing []File
	// damage says what is wrong with copies that are present but not intact.
	damage error
}

func (l *Library) load(entry Entry) loaded {
	var all loaded
	for _, f := range entry.Files {
		path, content, err := l.verified(entry, f)
		if path == "" {
			all.missing = append(all.missing, f)
			all.damage = errors.Join(all.damage, err)
			continue
		}
		all.inputs = append(all.inputs, idxInput{name: path, Reader: bytes.NewReader(content),
			size: int64(len(content)), gzip: strings.HasSuffix(f.Name, ".gz")})
	}
	return all
}

// dir is the folder that the files of an entry are kept in.
func (l *Library) dir(entry Entry) string {
	return filepath.Join(l.config.CacheDir, "datasets", entry.Name)
}

// places returns the paths where a file may be.
func (l *Library) places(entry Entry, f File) []string {
	var places []string
	if l.config.CacheDir != "" {
		places = append(places, filepath.Join(l.dir(entry), f.Name))
	}
	places = append(places, filepath.Join(l.config.SystemDir, entry.Name, f.Name))
	if folder := entry.origin.goRoot; folder != "" && l.config.GoRoot != "" {
		places = append(places, filepath.Join(l.config.GoRoot, filepath.FromSlash(folder), f.Name))
	}
	return places
}

// verified returns the content of a file and its path; the path is "" if there is
// no intact copy, and the error, if any, says what is wrong with the others.
func (l *Library) verified(entry Entry, f File) (string, []byte, error) {
	var damage error
	for _, path := range l.places(entry, f) {
		content, err := readSized(path, f.Bytes)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = checkHash(path, content, f)
		}
		if err == nil {
			return path, content, nil
		}
		damage = errors.Join(damage, err)
	}
	return "", nil, damage
}

// readSized reads a file, or just enough of it to see that it is too long.
func readSized(path string, size int64) ([]byte, error) {
	f, err := disk.Open(disk.OS{}, path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	content := make([]byte, size+1)
	n, err := io.ReadFull(f, content)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil
	}
	return content[:n], err
}

// checkHash fails with a *HashError unless the content is what f pins.
func checkHash(name string, content []byte, f File) error {
	sum := sha256.Sum256(content)
	if got := hex.EncodeToString(sum[:]); got != f.SHA256 {
		return &HashError{File: name, Want: f.SHA256, Got: got}
	}
	return nil
}
