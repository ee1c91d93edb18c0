package dataset

import (
	"errors"
	"fmt"
	"slices"

	"reprise/dataset/number"
	"reprise/dataset/packed"
	"reprise/tensor"
)

// The limits of a data set.
const (
	// MaxBytes is the most memory that the values and labels of one data set may
	// take: 4 GiB. A pixel takes one byte, a cell of a CSV file eight, a label
	// four.
	MaxBytes = 4 << 30
	// MaxClasses is the largest number of classes in a data set.
	MaxClasses = 65536
)

// Split is a part of a data set.
type Split uint8

// The splits: samples to learn from, samples to measure the result on while training, and
// samples that neither learning nor any choice made in training sees. Most data has none
// of the last.
const (
	Train Split = iota
	Validation
	Test
)

// splits is the number of splits.
const splits = 3

// String returns "train", "validation" or "test".
func (s Split) String() string {
	switch s {
	case Train:
		return "train"
	case Validation:
		return "validation"
	case Test:
		return "test"
	}
	return fmt.Sprintf("split(%d)", int(s))
}

// Dataset is samples of one shape in two or three splits, with what is to be learnt from
// them. It is immutable and safe for concurrent use. Library.Open returns one; the
// zero value has no samples and is not valid.
type Dataset struct {
	name        string
	shape       tensor.Shape
	features    int      // elements of one sample
	classNames  []string // of a classification
	targets     []Target // of a regression
	columnNames []string // of a table; nil for images
	scaling     scaling
	parts       [splits]part
	text        *tokenText // of next-token training, which has no parts
	table       *tableData // of a table whose values are codes
	images      *imageData // of files of images
	label       string     // the column of the classes of a table
	kept        string     // a note about the file that has the values
	document    document   // the preprocessing document
	fingerprint string
}

// block is samples as they were read: raw bytes or the values of a table,
// row-major, in memory or in a file; with the class of each sample, or its targets,
// row-major.
type block struct {
	raw     []byte
	values  []float64
	file    *packed.File // has raw or values, which are nil then
	labels  []int32
	targets []float64
}

// part is the rows of a block that make up a split, in ascending order; nil rows
// means all of them.
type part struct {
	*block
	rows []uint32
}

func (p part) len() int {
	switch {
	case p.block == nil:
		return 0
	case p.rows != nil:
		return len(p.rows)
	}
	return len(p.labels)
}

func (p part) row(i int) int {
	if p.rows != nil {
		return int(p.rows[i])
	}
	return i
}

// scaling turns what was read into what is trained on: bytes are divided by
// divisor, through the table of all quotients; columns are standardised.
type scaling struct {
	divisor int
	table   *[256]float32
	columns []number.Scale
}

func byteScaling(divisor int) scaling {
	s := scaling{divisor: divisor, table: new([256]float32)}
	for v := range s.table {
		s.table[v] = float32(v) / float32(divisor)
	}
	return s
}

// Name returns the name in the catalogue, or the last element of the path.
func (d *Dataset) Name() string { return d.name }

// Len returns the number of samples in a split.
func (d *Dataset) Len(split Split) int {
	if d.text != nil {
		return d.text.windows(split)
	}
	return d.parts[split].len()
}

// SampleShape returns the shape of one sample: [features], [height width
// channels], or [context] of tokens. The caller owns it.
func (d *Dataset) SampleShape() tensor.Shape { return d.shape.Clone() }

// Classes returns the number of classes; labels are in [0, Classes). For
// next-token training it is the size of the vocabulary, for regression 0.
func (d *Dataset) Classes() int {
	if d.text != nil {
		return d.text.tokenizer.VocabSize()
	}
	return len(d.classNames)
}

// ClassNames returns the name of each class, nil for regression and next-token
// training. The caller owns the slice.
func (d *Dataset) ClassNames() []string { return slices.Clone(d.classNames) }

// ColumnNames returns the name of each feature of a table, nil for images. The
// caller owns the slice.
func (d *Dataset) ColumnNames() []string { return slices.Clone(d.columnNames) }

// Bytes returns the memory that the data set holds. What is in a file does not count.
func (d *Dataset) Bytes() int64 {
	var total int64
	seen := map[*block]bool{nil: true}
	for _, p := range d.parts {
		total += 4 * int64(len(p.rows))
		if !seen[p.block] {
			seen[p.block] = true
			total += int64(len(p.raw)) + 8*int64(len(p.values)+len(p.targets)) + 4*int64(len(p.labels))
		}
	}
	if d.text != nil {
		for _, tokens := range d.text.tokens {
			total += 4 * int64(len(tokens))
		}
	}
	return total
}

// width returns how many values of a block a sample has.
func (d *Dataset) width() int {
	if d.table != nil {
		return d.table.encoder.Codes()
	}
	return d.features
}

// scaleRow makes inputs of a row, which is pixels, or else cells or codes.
func (d *Dataset) scaleRow(raw []byte, values []float64, x []float32) {
	switch {
	case d.table != nil:
		d.table.encoder.Encode(values, x)
	case d.scaling.table != nil:
		table := d.scaling.table
		for j, v := range raw {
			x[j] = table[v]
		}
	default:
		columns := d.scaling.columns
		for j, v := range values {
			x[j] = columns[j].Apply(v)
		}
	}
}

// AppendRaw appends sample i of the split to row as it was read, before
// scaling, and returns the extended slice and the sample's class, -1 if it has
// none. It panics if i is out of range, and fails if the sample is in a file that cannot be
// read.
func (d *Dataset) AppendRaw(row []float64, split Split, i int) ([]float64, int32, error) {
	if d.text != nil {
		tokens, _ := d.text.window(split, i)
		for _, token := range tokens {
			row = append(row, float64(token))
		}
		return row, -1, nil
	}
	p := d.parts[split]
	at := p.row(i)
	raw, values, err := (&rowReader{d: d}).row(p.block, at)
	if err != nil {
		return row, -1, fmt.Errorf("data set %s: %w", d.name, err)
	}
	for _, v := range raw {
		row = append(row, float64(v))
	}
	row = append(row, values...)
	if p.labels == nil {
		return row, -1, nil
	}
	return row, p.labels[at], nil
}

// Validate fails for nil and for the zero value. Every other data set can be trained
// on: it was checked when it was opened, and has not changed since.
func (d *Dataset) Validate() error {
	if d == nil || d.fingerprint == "" {
		return errors.New("data set has no samples; open one with Library.Open")
	}
	return nil
}

// check fails unless the data set can be trained on: it has samples in both
// splits, of a shape that fits their values, and each has what the task needs:
// one of at least two classes, finite targets, or tokens of the vocabulary.
func (d *Dataset) check() error {
	if d == nil || d.Len(Train) == 0 || d.Len(Validation) == 0 {
		return errors.New("data set has no samples; open one with Library.Open")
	}
	if n, err := d.shape.NumElements(); err != nil || n != d.features || n == 0 {
		return fmt.Errorf("data set %s: shape %v is not that of its %d features", d.name, d.shape, d.features)
	}
	switch d.Task() {
	case NextToken:
		return d.text.validate(d.name)
	case Regression:
		return d.validateTargets()
	case Classification:
	}
	return d.validateClasses()
}

func (d *Dataset) validateClasses() error {
	if k := d.Classes(); k < 2 || k > MaxClasses {
		return fmt.Errorf("data set %s has %d classes; training takes 2 to %d", d.name, k, MaxClasses)
	}
	for s, p := range d.parts {
		if p.block == nil {
			continue
		}
		if n := d.count(p.block); n != len(p.labels)*d.width() {
			return fmt.Errorf("data set %s: %v split has %d values for %d labels", d.name, Split(s), n, len(p.labels))
		}
		for i := range p.len() {
			if label := p.labels[p.row(i)]; label < 0 || int(label) >= d.Classes() {
				return fmt.Errorf("data set %s: %v sample %d has class %d of %d", d.name, Split(s), i, label, d.Classes())
			}
		}
	}
	return nil
}

// seal checks the data set, computes what is derived from it and returns it. From
// then on it does not change.
func (d *Dataset) seal() (*Dataset, error) {
	n, err := d.shape.NumElements()
	if err != nil {
		return nil, err
	}
	d.features = n
	if err := d.check(); err != nil {
		return nil, err
	}
	if d.document, err = d.describe(); err != nil {
		return nil, err
	}
	if d.fingerprint, err = d.computeFingerprint(); err != nil {
		return nil, err
	}
	return d, nil
}
