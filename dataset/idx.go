package dataset

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"

	"reprise/tensor"
)

// The IDX format, big-endian throughout:
//
//	bytes 0..1  zero
//	byte  2     element type; 8 is unsigned byte, the only one read here
//	byte  3     number of dimensions d
//	d times 4   the dimensions, outermost first
//	then        the elements, row-major, to the end of the file
const (
	idxTypeUByte   = 0x08
	idxTypeFloat64 = 0x0E
	idxMaxDims     = 4 // [N H W C]
)

// idxArray is an IDX file of unsigned bytes.
type idxArray struct {
	dims tensor.Shape
	data []byte
}

// idxInput is an IDX file to be read: its name for errors, its bytes, and how many
// there are.
type idxInput struct {
	name string
	io.Reader
	size int64
	gzip bool
}

// readIDX reads a whole IDX file whose number of dimensions is in [low, high].
// It fails with a *DataError unless the file is exactly what its header says.
// Memory is allocated only if the file is large enough to fill it.
func readIDX(ctx context.Context, in idxInput, low, high int) (idxArray, error) {
	r := io.Reader(&contextReader{ctx, in.Reader})
	most := in.size
	if in.gzip {
		z, err := gzip.NewReader(r)
		if err != nil {
			return idxArray{}, in.readError(0, err)
		}
		r = z
		most = maxInflated(in.size)
	}
	dims, err := in.readHeader(r, low, high)
	if err != nil {
		return idxArray{}, err
	}
	start := int64(4 + 4*len(dims))
	want, err := in.checkSize(dims, most-start)
	if err != nil {
		return idxArray{}, err
	}
	data := make([]byte, want)
	if n, err := io.ReadFull(r, data); err != nil {
		return idxArray{}, in.readError(start+int64(n), err)
	}
	// Reading past the end also makes gzip verify its checksum.
	var extra [1]byte
	switch n, err := io.ReadFull(r, extra[:]); {
	case n > 0:
		return idxArray{}, in.bad(start+int64(want), "", "more bytes follow the last element: the file is longer than its header says",
			"use the original file; these may be two files in one")
	case !errors.Is(err, io.EOF):
		return idxArray{}, in.readError(start+int64(want), err)
	}
	return idxArray{dims: dims, data: data}, nil
}

func (in idxInput) readHeader(r io.Reader, low, high int) (tensor.Shape, error) {
	var magic [4]byte
	if n, err := io.ReadFull(r, magic[:]); err != nil {
		return nil, in.readError(int64(n), err)
	}
	if magic[0] != 0 || magic[1] != 0 {
		fix := "put an IDX file there; its first two bytes are 0"
		if magic[0] == 0x1f && magic[1] == 0x8b {
			fix = "it is gzipped: let its name end in .gz"
		}
		return nil, in.bad(0, fmt.Sprintf("magic number 0x%x", magic), "is not that of an IDX file", fix)
	}
	if magic[2] != idxTypeUByte {
		return nil, in.bad(2, "element type "+idxTypeName(magic[2]), "is not supported", "convert the elements to unsigned bytes (type 0x08)")
	}
	rank := int(magic[3])
	if rank < low || rank > high {
		want := strconv.Itoa(low)
		if high > low {
			want = fmt.Sprintf("%d to %d", low, high)
		}
		return nil, in.bad(3, fmt.Sprintf("%d dimensions", rank), "do not fit: this file should have "+want,
			"give images as [N H W], [N H W C] or [N features] and labels as [N]; the two may have changed places")
	}
	dims := make(tensor.Shape, rank)
	for i := range dims {
		var raw [4]byte
		at := int64(4 + 4*i)
		if n, err := io.ReadFull(r, raw[:]); err != nil {
			return nil, in.readError(at+int64(n), err)
		}
		size := binary.BigEndian.Uint32(raw[:])
		if size == 0 {
			return nil, in.bad(at, fmt.Sprintf("dimension %d", i), "is 0: the file has no elements", "use a file with samples in it")
		}
		if dims[i] = int(size); dims[i] < 0 { // if int has 32 bits
			return nil, in.bad(at, strconv.FormatUint(uint64(size), 10), "is too large a dimension for this machine", "use a smaller data set")
		}
	}
	return dims, nil
}

// checkSize returns the number of elements. It fails if they take more than most
// bytes.
func (in idxInput) checkSize(dims tensor.Shape, most int64) (int, error) {
	n, err := dims.NumElements()
	if err != nil || int64(n) > MaxBytes {
		return 0, in.bad(4, "shape "+dims.String(), fmt.Sprintf("has more elements than the limit of %d", int64(MaxBytes)), "use a smaller set")
	}
	if int64(n) > most {
		return 0, in.bad(4, "shape "+dims.String(), fmt.Sprintf("needs %d bytes, and the file is too short for them: it is truncated", n),
			"download or copy the file again")
	}
	return n, nil
}

// maxInflated is an upper bound for what size bytes of gzip can expand to: DEFLATE
// expands one byte to at most 1032.
func maxInflated(size int64) int64 { return 1032 * size }

func (in idxInput) bad(offset int64, value, problem, fix string) *DataError {
	return &DataError{File: in.name, Offset: offset, HasOffset: true, Value: value, Problem: problem, Fix: fix}
}

// readError explains why reading stopped at offset.
func (in idxInput) readError(offset int64, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("read %s: %w", in.name, err)
	}
	e := in.bad(offset, "", "cannot be read: "+err.Error(), "check the file and its permissions")
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		e.Problem, e.Fix = "the file ends here: it is truncated", "download or copy the file again"
	case errors.Is(err, gzip.ErrChecksum):
		e.Problem, e.Fix = "the gzip checksum is wrong: the file is damaged", "download or copy the file again"
	case errors.Is(err, gzip.ErrHeader):
		e.Problem, e.Fix = "is not gzip, as the name ending in .gz says", "compress the file, or take .gz off its name"
		if offset > 0 {
			e.Problem, e.Fix = "what follows is not gzip: there are bytes after the end", "download or copy the file again"
		}
	case errors.As(err, new(flate.CorruptInputError)):
		e.Problem, e.Fix = "the compressed data is damaged: "+err.Error(), "download or copy the file again"
	}
	e.Cause = err
	return e
}

func idxTypeName(t byte) string {
	switch t {
	case 0x09:
		return "0x09 (signed byte)"
	case 0x0B:
		return "0x0b (int16)"
	case 0x0C:
		return "0x0c (int32)"
	case 0x0D:
		return "0x0d (float32)"
	case idxTypeFloat64:
		return "0x0e (float64)"
	}
	return fmt.Sprintf("%#02x", t)
}

// contextReader fails with the context's error once the context ends.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r *contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// idxPair is the images and labels of one split.
type idxPair struct {
	images, labels         idxArray
	imagesName, labelsName string
}

// readIDXPair reads both files and checks that they belong together.
func readIDXPair(ctx context.Context, images, labels idxInput) (idxPair, error) {
	pair := idxPair{imagesName: images.name, labelsName: labels.name}
	var err error
	if pair.images, err = readIDX(ctx, images, 2, idxMaxDims); err != nil {
		return pair, err
	}
	if pair.labels, err = readIDX(ctx, labels, 1, 1); err != nil {
		return pair, err
	}
	if n, m := pair.images.dims[0], pair.labels.dims[0]; n != m {
		return pair, labels.bad(4, strconv.Itoa(m), fmt.Sprintf("labels do not fit the %d images of %s", n, images.name),
			"use the labels that belong to these images")
	}
	return pair, nil
}

// sampleShape returns the shape of one image, channels last.
func (p idxPair) sampleShape() tensor.Shape {
	shape := p.images.dims[1:].Clone()
	if len(shape) == 2 {
		shape = append(shape, 1)
	}
	return shape
}

func (p idxPair) block() *block {
	b := &block{raw: p.images.data, labels: make([]int32, len(p.labels.data))}
	for i, label := range p.labels.data {
		b.labels[i] = int32(label)
	}
	return b
}

// idxDataset returns the data set of one pair, which is split by the fraction, or
// of two. If classNames is nil, the classes are named by their numbers.
func (r reading) idxDataset(name string, pairs []idxPair, fraction float64, classNames []string) (*Dataset, error) {
	train := pairs[0]
	d := &Dataset{name: name, shape: train.sampleShape(), scaling: byteScaling(255)}
	var total int64
	for _, p := range pairs {
		if got := p.sampleShape(); !got.Equal(d.shape) {
			return nil, &DataError{File: p.imagesName, Offset: 8, HasOffset: true, Value: "samples of shape " + got.String(),
				Problem: fmt.Sprintf("differ from the %v of %s", d.shape, train.imagesName), Fix: "use images of one size"}
		}
		total += int64(len(p.images.data)) + 4*int64(len(p.labels.data))
	}
	if total > MaxBytes {
		return nil, &DataError{File: train.imagesName, Value: fmt.Sprintf("%d bytes", total),
			Problem: fmt.Sprintf("of images and labels are more than the limit of %d", int64(MaxBytes)), Fix: "use a smaller set"}
	}
	classes, err := idxClasses(pairs)
	if err != nil {
		return nil, err
	}
	if d.classNames = classNames; classNames == nil {
		for c := range classes {
			d.classNames = append(d.classNames, strconv.Itoa(c))
		}
	}
	if len(pairs) == 2 {
		d.parts = [splits]part{Train: {block: train.block()}, Validation: {block: pairs[1].block()}}
		return d.seal()
	}
	n := len(train.labels.data)
	if n < 2 {
		return nil, &DataError{File: train.imagesName, Value: "1 sample", Problem: "cannot be split into training and validation",
			Fix: "add samples, or a pair of test files"}
	}
	d.parts = splitRows(train.block(), n, r.validationRows(n, fraction))
	return d.seal()
}

// idxClasses returns the number of classes: they are numbered from 0 without
// gaps, and there are at least two.
func idxClasses(pairs []idxPair) (int, error) {
	var seen [256]bool
	classes := 0
	for _, p := range pairs {
		for _, label := range p.labels.data {
			seen[label] = true
			classes = max(classes, int(label)+1)
		}
	}
	file := pairs[0].labelsName
	for c := range classes {
		if !seen[c] {
			for _, p := range pairs {
				if at := bytes.IndexByte(p.labels.data, byte(classes-1)); at >= 0 {
					return 0, &DataError{File: p.labelsName, Offset: int64(8 + at), HasOffset: true, Value: fmt.Sprintf("label %d", classes-1),
						Problem: fmt.Sprintf("is the largest, yet no sample has label %d", c), Fix: "number the classes from 0 without gaps"}
				}
			}
		}
	}
	if classes < 2 {
		return 0, &DataError{File: file, Value: "one class", Problem: "is all there is: there is nothing to tell apart",
			Fix: "use labels of at least two classes"}
	}
	return classes, nil
}
