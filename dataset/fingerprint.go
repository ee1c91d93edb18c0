package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math"

	"reprise/dataset/tokenizer"
	"reprise/tensor"
)

// Fingerprint returns the SHA-256, in lower-case hex, of everything that shapes
// training: two data sets that share it give the same run, whatever files they
// came from. The data's location and name do not matter.
//
// It is the hash of these bytes, where every number is a little-endian uint64, and
// a string is its length in bytes followed by the bytes:
//
//	string  "reprise.dataset.v1"
//	number  rank of the shape; each dimension
//	number  of classes; each class name as a string
//	number  the divisor of pixels, or 0 and then for every column the IEEE 754
//	        bits of mean and standard deviation
//	then for training and for validation:
//	number  of samples
//	values  of all samples, row-major: pixels as bytes, cells as IEEE 754 bits
//	labels  of all samples, each a number
//
// This is for classification. For the other tasks it begins with
//
//	string  "reprise.dataset.v2"
//	string  the task
//
// and continues, for regression, with
//
//	number  rank of the shape; each dimension
//	number  of targets; the IEEE 754 bits of mean and standard deviation of each
//	number  0, and then for every column the bits of mean and standard deviation
//	then for training and for validation:
//	number  of samples
//	values  of all samples, row-major, as IEEE 754 bits
//	targets of all samples, row-major, as IEEE 754 bits, before scaling
//
// and for next-token training with
//
//	string  the tokenizer in the JSON form of its package
//	number  the context
//	then for training and for validation:
//	number  of tokens
//	tokens  each a number
//
// For a table with a preprocessing document it is the hash of
//
//	string  "reprise.dataset.v3"
//	string  the task
//	string  the SHA-256 of the document, in hex
//	string  the SHA-256, in hex, of the names of all columns and then of the texts of
//	        all cells, row by row, each as a string: also of rows and columns that
//	        are not used, so that no change to a file goes unnoticed
//	number  0
//	then for training, for validation and, if there are any, for test:
//	number  of samples
//	values  the codes of package preprocess, row-major, as IEEE 754 bits
//	labels  of all samples, each a number; or targets, as above
//
// For files of images it is the hash of
//
//	string  "reprise.dataset.v4"
//	string  the task
//	string  the SHA-256 of the document, in hex
//	string  the SHA-256, in hex, of all images in their order: for each, its path below
//	        the folder as a string, and the SHA-256 of its height, width and channels as
//	        numbers and its pixels as bytes, before they were resized. Of a table, it is
//	        the SHA-256 of the hash of its cells, as above, and this one, both in hex
//	number  255
//	then for training, for validation and, if there are any, for test:
//	number  of samples
//	values  of all samples, row-major: pixels as bytes
//	labels  of all samples, each a number; or targets, as above
func (d *Dataset) Fingerprint() string { return d.fingerprint }

func (d *Dataset) computeFingerprint() (string, error) {
	w := fingerprintWriter{Hash: sha256.New()}
	switch {
	case d.images != nil:
		w.fitted(d, "reprise.dataset.v4", d.images.content)
	case d.table != nil:
		w.fitted(d, "reprise.dataset.v3", d.table.content)
	default:
		if err := w.plain(d); err != nil {
			return "", err
		}
	}
	if w.err != nil {
		return "", w.err
	}
	w.flush()
	return hex.EncodeToString(w.Sum(nil)), nil
}

// fingerprintWriter collects small writes: hashing is fastest in large ones.
type fingerprintWriter struct {
	hash.Hash
	buffer []byte
	err    error // of a file of samples
}

func (w *fingerprintWriter) flush() {
	w.Write(w.buffer)
	w.buffer = w.buffer[:0]
}

func (w *fingerprintWriter) number(v uint64) {
	if len(w.buffer) >= 1<<16 {
		w.flush()
	}
	w.buffer = binary.LittleEndian.AppendUint64(w.buffer, v)
}

func (w *fingerprintWriter) text(s string) {
	w.number(uint64(len(s)))
	w.buffer = append(w.buffer, s...)
}

func (w *fingerprintWriter) shape(shape tensor.Shape) {
	w.number(uint64(len(shape)))
	for _, n := range shape {
		w.number(uint64(n))
	}
}

// fitted writes what a data set with a preprocessing document is: the form of the rest, the
// document, the content of its files, and the samples.
func (w *fingerprintWriter) fitted(d *Dataset, form, content string) {
	w.text(form)
	w.text(string(d.Task()))
	w.text(d.document.hash)
	w.text(content)
	w.samples(d)
}

// plain writes what a data set without one is.
func (w *fingerprintWriter) plain(d *Dataset) error {
	switch task := d.Task(); task {
	case Classification:
		w.text("reprise.dataset.v1")
		w.shape(d.shape)
		w.number(uint64(len(d.classNames)))
		for _, name := range d.classNames {
			w.text(name)
		}
		w.samples(d)
	case Regression:
		w.text("reprise.dataset.v2")
		w.text(string(task))
		w.shape(d.shape)
		w.number(uint64(len(d.targets)))
		for _, t := range d.targets {
			w.number(math.Float64bits(t.Mean))
			w.number(math.Float64bits(t.StandardDeviation))
		}
		w.samples(d)
	case NextToken:
		w.text("reprise.dataset.v2")
		w.text(string(task))
		form, err := tokenizer.Marshal(d.text.tokenizer)
		if err != nil {
			return err
		}
		w.text(string(form))
		w.number(uint64(d.text.context))
		for _, tokens := range d.text.tokens {
			w.number(uint64(len(tokens)))
			for _, token := range tokens {
				w.number(uint64(token))
			}
		}
	}
	return nil
}

// samples writes how values are scaled, and the samples of all splits.
func (w *fingerprintWriter) samples(d *Dataset) {
	w.number(uint64(d.scaling.divisor))
	for _, c := range d.scaling.columns {
		w.number(math.Float64bits(c.Mean))
		w.number(math.Float64bits(c.SD))
	}
	for s, p := range d.parts {
		if Split(s) == Test && p.len() == 0 {
			continue // as data was before it could have one
		}
		w.number(uint64(p.len()))
		w.rows(d, p)
		for i := range p.len() {
			row := p.row(i)
			if p.labels != nil {
				w.number(uint64(p.labels[row]))
			}
			for _, v := range p.targetsOf(row, len(d.targets)) {
				w.number(math.Float64bits(v))
			}
		}
	}
}

func (w *fingerprintWriter) rows(d *Dataset, p part) {
	if p.block != nil && p.raw != nil && p.rows == nil {
		w.flush()
		w.Write(p.raw)
		return
	}
	err := d.eachRow(p, func(_ int, raw []byte, values []float64) error {
		if raw != nil {
			w.flush()
			w.Write(raw)
		}
		for _, v := range values {
			w.number(math.Float64bits(v))
		}
		return nil
	})
	if w.err == nil {
		w.err = err
	}
}
