package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"reprise/dataset/columns"
	"reprise/dataset/number"
	"reprise/dataset/packed"
	"reprise/dataset/preprocess"
	tablefile "reprise/dataset/table"
	"reprise/internal/disk"
	"reprise/internal/figures"
	"reprise/tensor"
)

// The memory of a data set whose values are kept in a file.
const (
	// DefaultMemory is how much the values of a data set may take in memory, unless a
	// Config says otherwise: 1 GiB.
	DefaultMemory = 1 << 30
	// rowMemory is what a row takes while a table is opened, with its label, its split and
	// the column that is learned from at a time; quantities and keys of a split come on top.
	rowMemory, quantityMemory, keyMemory = 48, 24, 96
	// maxKeptRows is the largest number of rows: number.Standardise sums no more.
	maxKeptRows = 1<<29 - 1
)

// packing says which data are kept in files, and where.
type packing struct {
	limit int64
	asked bool // the limit must hold
	cache string
	temp  string
	room  *ImageRoom // for decoding images
}

func (l *Library) packing() packing {
	p := packing{limit: l.config.Memory, asked: l.config.Memory != 0, temp: l.config.TempDir, room: l.config.Images}
	if !p.asked {
		p.limit = DefaultMemory
	}
	if l.config.CacheDir != "" {
		p.cache = filepath.Join(l.config.CacheDir, packedFolder)
	}
	return p
}

// packedFolder is the folder of packed data in the cache.
const packedFolder = "packed"

var errNoFolder = errors.New("there is no folder for it")

// create makes something in the cache, or else in the folder for what is not kept.
func create[T any](p packing, make func(folder string) (T, error)) (made T, err error) {
	err = errNoFolder
	if p.cache != "" {
		packed.Sweep(p.cache)
		if made, err = make(p.cache); err == nil {
			return made, nil
		}
	}
	if p.temp != "" {
		var other error
		if made, other = make(p.temp); other == nil {
			return made, nil
		}
		err = errors.Join(err, other)
	}
	return made, &preprocess.SpillError{Err: err}
}

// explain says what a limit that must hold has to do with an error.
func (p packing) explain(err error, path string) error {
	unkept := new(preprocess.SpillError)
	if !errors.As(err, &unkept) {
		return err
	}
	return fmt.Errorf("the data of %s take more than %v of memory, and cannot be kept in a file: %w; make room on the disk of %s, or allow more memory",
		showPath(path), tensor.Bytes(p.limit), unkept.Err, showPath(firstOf(p.cache, p.temp)))
}

func firstOf(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// needs returns the memory that the values of the table would take, once its columns are
// known.
func (t *tableReading) needs() int64 {
	codes := int64(len(t.target) + 2)
	for _, c := range t.meaning {
		switch {
		case !c.Kind.Used():
		case c.Kind != columns.Text:
			codes++
		case c.Text.MaxTokens > 0:
			codes += int64(c.Text.MaxTokens)
		default:
			codes += columns.DefaultTokens
		}
	}
	return 8 * codes * int64(t.rows)
}

// rowsNeed returns the memory that opening takes however the values are kept.
func (t *tableReading) rowsNeed() int64 {
	each := int64(rowMemory)
	if t.source.Task == Regression {
		each += quantityMemory * int64(len(t.target))
	}
	if t.by >= 0 {
		each += keyMemory
	}
	return each * int64(t.rows)
}

// checkSize refuses a table that has grown too large.
func (t *tableReading) checkSize(at tablefile.Place) error {
	n := len(t.fileOf)
	if t.scratch != nil {
		if n > maxKeptRows {
			return preprocess.BadCell(at, "", tablefile.Cell{}, fmt.Sprintf("%d rows are more than the limit of %d", n, maxKeptRows), "use fewer rows")
		}
		if t.asked && t.builder.TextBytes() > t.limit {
			return preprocess.BadCell(at, "", tablefile.Cell{}, "the texts take more memory than the limit of "+tensor.Bytes(t.limit).String(), "allow more memory, or use fewer rows")
		}
		return nil
	}
	cells := int64(n) * int64(len(t.builder.Columns())+len(t.target)+2)
	if 8*cells+t.builder.TextBytes() > MaxBytes {
		return preprocess.BadCell(at, "", tablefile.Cell{}, fmt.Sprintf("%d rows take more memory than the limit of %d bytes", n, int64(MaxBytes)),
			"use fewer rows or columns")
	}
	return nil
}

// openPacked is open for values that are kept in a file. It fails with a SpillError if
// there is no room for one.
func (t *tableReading) openPacked(ctx context.Context) (*Dataset, error) {
	if need := t.rowsNeed(); t.asked && need > t.limit {
		return nil, &DataError{File: t.source.Path, Value: fmt.Sprintf("%s rows", figures.Thousands(t.rows)),
			Problem: fmt.Sprintf("take %v of memory even if their values are kept in a file, more than the limit of %v", tensor.Bytes(need), tensor.Bytes(t.limit)),
			Fix:     "allow more memory, or use fewer rows"}
	}
	var err error
	if t.scratch, err = create(t.packing, func(folder string) (*packed.Scratch, error) { return packed.NewScratch(folder, 0) }); err != nil {
		return nil, err
	}
	defer func() {
		_ = t.scratch.Close() // it is gone
		t.scratch = nil
	}()
	return t.open(ctx)
}

// pack writes the rows to their file and seals the data set. of is the split of each row.
func (t *tableReading) pack(ctx context.Context, d *Dataset, b *block, of []Split) (*Dataset, error) {
	w, err := create(t.packing, packed.Create)
	if err != nil {
		return nil, err
	}
	done := false
	defer func() {
		if !done {
			w.Discard()
		}
	}()
	var row []byte
	err = t.builder.EachRow(ctx, func(codes []float64) error {
		row = appendFloats(row[:0], codes)
		return write(w, row)
	})
	if err != nil {
		return nil, err
	}
	t.builder = nil
	if err := d.finishFile(b, w, of); err != nil {
		return nil, err
	}
	done = true
	return t.keep(ctx, d, b, w)
}

// finishFile ends the file in which the values of a block were written. of is the split of
// each row.
func (d *Dataset) finishFile(b *block, w *packed.Writer, of []Split) error {
	for row, s := range of {
		tail := appendFloats([]byte{byte(s)}, b.targetsOf(row, len(d.targets)))
		if b.labels != nil {
			tail = binary.LittleEndian.AppendUint32(tail, uint32(b.labels[row]))
		}
		if err := write(w, tail); err != nil {
			return err
		}
	}
	file, err := w.Finish()
	if err != nil {
		return &preprocess.SpillError{Err: err}
	}
	b.file, b.fileBytes = file, 8*int64(len(of))*int64(d.width())
	return nil
}

// keep seals a data set whose values are in the file of a block, and gives the file its name
// if it is to be kept.
func (k *keeper) keep(ctx context.Context, d *Dataset, b *block, w *packed.Writer) (_ *Dataset, err error) {
	defer func() {
		if err != nil {
			w.Discard()
		}
	}()
	if d, err = d.seal(); err != nil {
		return nil, err
	}
	kept := w.Folder() == k.cache && k.publish(ctx, d, w, int(b.fileBytes)/(8*d.width())) == nil
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !kept {
		w.Unname()
	}
	if b.fileBytes <= k.limit { // texts are shorter than they might be
		return d, d.load(b)
	}
	d.kept = keptNote(b.fileBytes, w.Path(), kept)
	return d, nil
}

func write(w io.Writer, data []byte) error {
	if _, err := w.Write(data); err != nil {
		return &preprocess.SpillError{Err: err}
	}
	return nil
}

func appendFloats(data []byte, values []float64) []byte {
	for _, v := range values {
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(v))
	}
	return data
}

func unkeptNote(size int64, err error) string {
	return fmt.Sprintf("the values take about %v of memory, since they cannot be kept in a file: %v", tensor.Bytes(size), err)
}

func keptNote(size int64, path string, kept bool) string {
	if !kept {
		return fmt.Sprintf("the values take %s and are read from a file in %s, which is removed afterwards", tensor.Bytes(size), showPath(filepath.Dir(path)))
	}
	return fmt.Sprintf("the values take %s and are read from %s; the file can be removed, and is made again when it is needed", tensor.Bytes(size), showPath(path))
}

// fileStamp is what changes when a file is written to.
type fileStamp struct {
	path  string
	size  int64
	mtime time.Time
}

// keeper names the file that keeps what a source is as it is read by some rules.
type keeper struct {
	packing
	reading reading
	source  Source
	files   []string    // or patterns for them
	before  []fileStamp // the files before they were first read
}

// stamp returns the files as they are; nil if they cannot be told.
func (k *keeper) stamp() []fileStamp {
	var stamps []fileStamp
	for _, path := range k.files {
		files, err := tablefile.Files(path)
		if err != nil {
			return nil // whoever reads it says why
		}
		for _, file := range files {
			info, err := os.Stat(file)
			if err != nil {
				return nil
			}
			stamps = append(stamps, fileStamp{file, info.Size(), info.ModTime()})
		}
		stamps = append(stamps, fileStamp{})
	}
	return stamps
}

// keptRules is part of the name of a file: another version of the rules below, or of what
// reading a table gives, makes other files.
const keptRules = 1

// prefix begins the names of the files that may have the table as it is read here: it
// depends on the options and on the sizes of the files.
func (k *keeper) prefix() string {
	source := k.source
	source.Path, source.Table.Split.ValidationPath, source.Table.Split.TestPath = "", "", ""
	form, err := json.Marshal(struct {
		Rules   int
		Reading reading
		Source  Source
	}{keptRules, k.reading, source})
	if err != nil {
		panic("dataset: " + err.Error()) // a source has a JSON form
	}
	for _, s := range k.before {
		form = binary.LittleEndian.AppendUint64(form, uint64(s.size))
	}
	sum := sha256.Sum256(form)
	return hex.EncodeToString(sum[:8])
}

// name returns the path of the file for the table as it is read here: it depends on all
// that shapes the data, and so on the content of the files. It fails if they have changed
// since they were first read.
func (k *keeper) name(ctx context.Context) (string, error) {
	sum := sha256.New()
	for _, s := range k.before {
		if s.path == "" {
			continue
		}
		f, err := disk.Open(disk.OS{}, s.path)
		if err != nil {
			return "", err
		}
		of := sha256.New()
		_, err = io.Copy(of, &contextReader{ctx, f})
		_ = f.Close() // it was only read
		if err != nil {
			return "", err
		}
		sum.Write(of.Sum(nil))
	}
	if now := k.stamp(); len(now) == 0 || !slices.EqualFunc(now, k.before, func(a, b fileStamp) bool {
		return a.path == b.path && a.size == b.size && a.mtime.Equal(b.mtime)
	}) {
		return "", changed(k.source.Path)
	}
	return filepath.Join(k.cache, k.prefix()+"-"+hex.EncodeToString(sum.Sum(nil))[:48]+packedEnding), nil
}

const packedEnding = ".packed"

// keptTable is what a file says about its rows. After the values of all rows, it has for
// each row its split as a byte, its targets as IEEE 754 bits, and its class, if it has one,
// as a uint32.
type keptTable struct {
	Rows        int        `json:"rows"`
	Document    []byte     `json:"document"`
	Plain       *keptPlain `json:"plain,omitempty"` // or Table
	Table       *keptCells `json:"table,omitempty"`
	Fingerprint string     `json:"fingerprint"`
}

// keptPlain is what a table of numbers has beside its document, and keptCells what any
// other table has.
type (
	keptPlain struct {
		Scales []number.Scale `json:"scales"`
		Label  string         `json:"label"`
	}
	keptCells struct {
		Content string           `json:"content"`
		Columns []columns.Column `json:"columns"`
		Targets []string         `json:"targets"`
		Group   string           `json:"group,omitempty"`
		LeftOut string           `json:"left_out,omitempty"`
	}
)

// publish keeps the data under the name that it has.
func (k *keeper) publish(ctx context.Context, d *Dataset, w *packed.Writer, rows int) error {
	name, err := k.name(ctx)
	if err != nil {
		return err
	}
	kept := keptTable{Rows: rows, Document: d.document.content, Fingerprint: d.fingerprint}
	if t := d.table; t != nil {
		kept.Table = &keptCells{t.content, t.columns, t.targets, t.group, t.leftOut}
	} else {
		kept.Plain = &keptPlain{d.scaling.columns, d.label}
	}
	meta, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	return w.Publish(name, meta)
}

// open returns the data from a file that an earlier reading made; nil if there is none
// that can be used. One that is damaged is removed.
func (k *keeper) open(ctx context.Context) *Dataset {
	k.before = k.stamp()
	if k.cache == "" || k.before == nil {
		return nil
	}
	prefix := k.prefix()
	entries, err := os.ReadDir(k.cache)
	if err != nil || !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), prefix) }) {
		return nil
	}
	name, err := k.name(ctx)
	if err != nil {
		return nil
	}
	file, meta, err := packed.Open(ctx, name)
	var d *Dataset
	if err == nil {
		if d, err = k.read(file, meta, name); err == nil {
			return d
		}
		_ = file.Close()
	}
	if errors.As(err, new(*packed.DamagedError)) {
		_ = os.Remove(name) // else Publish replaces it
	}
	return nil
}

// read makes a data set of a file.
func (k *keeper) read(file *packed.File, meta []byte, name string) (*Dataset, error) {
	damaged := &packed.DamagedError{Path: name, Problem: "does not say what it holds"}
	var kept keptTable
	if err := json.Unmarshal(meta, &kept); err != nil || (kept.Plain == nil) == (kept.Table == nil) {
		return nil, damaged
	}
	document, err := preprocess.Parse(kept.Document)
	if err != nil {
		return nil, damaged
	}
	d := &Dataset{name: filepath.Base(k.source.Path), fingerprint: kept.Fingerprint, classNames: document.Target.Classes}
	if t := kept.Table; t != nil {
		d.table = &tableData{columns: t.Columns, content: t.Content, targets: t.Targets, group: t.Group, leftOut: t.LeftOut}
		if d.table.encoder, err = preprocess.NewEncoder(document); err != nil {
			return nil, damaged
		}
		d.columnNames = d.table.encoder.Names()
	} else {
		d.scaling.columns, d.label = kept.Plain.Scales, kept.Plain.Label
		for _, c := range document.Columns {
			d.columnNames = append(d.columnNames, c.Name)
		}
		if len(d.scaling.columns) != len(d.columnNames) {
			return nil, damaged
		}
	}
	for _, q := range document.Target.Quantities {
		d.targets = append(d.targets, Target{Name: q.Name, Mean: q.Scale.Mean, StandardDeviation: q.Scale.StandardDeviation})
	}
	d.features = len(d.columnNames)
	d.shape = tensor.Shape{d.features}
	b := &block{file: file, fileBytes: 8 * int64(kept.Rows) * int64(d.width())}
	of, err := d.readTails(b, kept.Rows)
	if err != nil {
		return nil, err
	}
	d.parts = partition(b, of)
	if err := d.check(); err != nil {
		return nil, damaged
	}
	if d.document, err = d.describe(); err != nil || string(d.document.content) != string(kept.Document) {
		return nil, damaged
	}
	if b.fileBytes <= k.limit {
		return d, d.load(b)
	}
	d.kept = keptNote(b.fileBytes, name, true)
	return d, nil
}

// load takes the values of a block, which are codes, into memory, and closes its file.
func (d *Dataset) load(b *block) error {
	values := make([]float64, 0, b.fileBytes/8)
	r := rowReader{d: d}
	for row := range int(b.fileBytes) / (8 * d.width()) {
		_, codes, err := r.row(b, row)
		if err != nil {
			return err
		}
		values = append(values, codes...)
	}
	_ = b.file.Close() // it was only read
	b.values, b.file, b.fileBytes = values, nil, 0
	return nil
}

// readTails reads what a file has after the values of all rows, and returns their splits.
func (d *Dataset) readTails(b *block, rows int) ([]Split, error) {
	targets, classes := len(d.targets), d.targets == nil
	size := 1 + 8*targets
	if classes {
		size += 4
	}
	if rows < 0 || rows > maxKeptRows || b.file.Size() != b.fileBytes+int64(size)*int64(rows) {
		return nil, &packed.DamagedError{Path: d.name, Problem: "has another size than its rows"}
	}
	of := make([]Split, 0, rows)
	if classes {
		b.labels = make([]int32, 0, rows)
	} else {
		b.targets = make([]float64, 0, rows*targets)
	}
	const window = 1 << 14
	buffer := make([]byte, window*size)
	for first := 0; first < rows; first += window {
		data := buffer[:min(window, rows-first)*size]
		if _, err := b.file.ReadAt(data, b.fileBytes+int64(first)*int64(size)); err != nil {
			return nil, err
		}
		for ; len(data) > 0; data = data[size:] {
			if data[0] >= splits {
				return nil, &packed.DamagedError{Path: d.name, Problem: "names a split that does not exist"}
			}
			of = append(of, Split(data[0]))
			for k := range targets {
				b.targets = append(b.targets, math.Float64frombits(binary.LittleEndian.Uint64(data[1+8*k:])))
			}
			if classes {
				b.labels = append(b.labels, int32(binary.LittleEndian.Uint32(data[1+8*targets:])))
			}
		}
	}
	return of, nil
}
