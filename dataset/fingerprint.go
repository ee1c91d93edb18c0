package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math"
)

// Fingerprint returns the SHA-256, in lower-case hex, of everything that shapes
// training: two data sets that share it give the same run, whatever files they
// came from. Where the data lies and what it is called does not matter.
//
// It is the hash of these bytes, in which every number is a little-endian
// uint64, and a string is its length in bytes followed by them:
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
func (d *Dataset) Fingerprint() string { return d.fingerprint }

func (d *Dataset) computeFingerprint() string {
	w := fingerprintWriter{Hash: sha256.New()}
	w.text("reprise.dataset.v1")
	w.number(uint64(len(d.shape)))
	for _, n := range d.shape {
		w.number(uint64(n))
	}
	w.number(uint64(len(d.classNames)))
	for _, name := range d.classNames {
		w.text(name)
	}
	w.number(uint64(d.scaling.divisor))
	for _, c := range d.scaling.columns {
		w.number(math.Float64bits(c.mean))
		w.number(math.Float64bits(c.sd))
	}
	for _, p := range d.parts {
		w.number(uint64(p.len()))
		w.rows(p, d.features)
		for i := range p.len() {
			w.number(uint64(p.labels[p.row(i)]))
		}
	}
	w.flush()
	return hex.EncodeToString(w.Sum(nil))
}

// fingerprintWriter gathers small writes: a hash takes few large ones best.
type fingerprintWriter struct {
	hash.Hash
	buffer []byte
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

func (w *fingerprintWriter) rows(p part, features int) {
	if p.raw != nil && p.rows == nil {
		w.flush()
		w.Write(p.raw)
		return
	}
	for i := range p.len() {
		from, to := p.row(i)*features, (p.row(i)+1)*features
		if p.raw != nil {
			w.flush()
			w.Write(p.raw[from:to])
			continue
		}
		for _, v := range p.values[from:to] {
			w.number(math.Float64bits(v))
		}
	}
}
