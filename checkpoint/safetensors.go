package checkpoint

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"reprise/fault"
	"reprise/tensor"
)

// The safetensors format: the header's length as 8 bytes, least significant
// first; the header, a JSON object with every tensor's dtype, shape and place in the
// data; the data. Our files contain only float32, sorted by compareNames, without gaps
// or metadata. The header is padded with spaces so that the data begin at a multiple
// of 8. So the bytes follow from names, shapes and values alone.
const (
	elementSize = 4
	dtypeF32    = "F32"
	// metadataKey is not a tensor but a map of strings.
	metadataKey = "__metadata__"
	// maxHeader is the limit of the format's reference implementation.
	maxHeader     = 100_000_000
	maxTensorName = 1024
	chunkSize     = 1 << 16
)

// WeightsSHA256 returns the SHA-256, in hex, of the model.safetensors that
// Write would write. It depends on names, shapes and values, not on the order
// of the slice. It fails with *fault.FieldError for weights that Write refuses.
func WeightsSHA256(weights []tensor.Tensor) (string, error) {
	if err := validateTensors("weights", weights); err != nil {
		return "", err
	}
	h := sha256.New()
	if err := encode(h, weights); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// EncodeSafetensors writes tensors as one file of the form that Write gives to
// model.safetensors. It fails with *fault.FieldError for tensors that Write refuses, and
// with the errors of w.
func EncodeSafetensors(w io.Writer, tensors []tensor.Tensor) error {
	if err := validateTensors("tensors", tensors); err != nil {
		return err
	}
	return encode(w, tensors)
}

// DecodeSafetensors reads a file of the given size in the form of EncodeSafetensors and
// returns its tensors in the order of their data. Its memory is bounded by the size.
func DecodeSafetensors(r io.Reader, size int64) ([]tensor.Tensor, error) {
	return decode(r, size, true)
}

// encode writes valid tensors as one file.
func encode(w io.Writer, tensors []tensor.Tensor) error {
	sorted := slices.SortedFunc(slices.Values(tensors), func(a, b tensor.Tensor) int { return compareNames(a.Name, b.Name) })
	header, err := encodeHeader(sorted)
	if err != nil {
		return err
	}
	size := 8 + int64(len(header))
	for _, t := range sorted {
		size += int64(len(t.Data)) * elementSize
	}
	out := bufio.NewWriterSize(w, int(min(size, chunkSize)))
	var word [8]byte
	binary.LittleEndian.PutUint64(word[:], uint64(len(header)))
	if _, err := out.Write(word[:]); err != nil {
		return err
	}
	if _, err := out.Write(header); err != nil {
		return err
	}
	for _, t := range sorted {
		for _, v := range t.Data {
			binary.LittleEndian.PutUint32(word[:elementSize], math.Float32bits(v))
			if _, err := out.Write(word[:elementSize]); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

func encodeHeader(sorted []tensor.Tensor) ([]byte, error) {
	b := []byte{'{'}
	var offset int64
	for i, t := range sorted {
		if i > 0 {
			b = append(b, ',')
		}
		name, err := json.Marshal(t.Name)
		if err != nil {
			return nil, err
		}
		b = append(b, name...)
		b = append(b, `:{"dtype":"`+dtypeF32+`","shape":[`...)
		for j, d := range t.Shape {
			if j > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendInt(b, int64(d), 10)
		}
		end := offset + int64(len(t.Data))*elementSize
		b = fmt.Appendf(b, `],"data_offsets":[%d,%d]}`, offset, end)
		offset = end
	}
	b = append(b, '}')
	for len(b)%8 != 0 {
		b = append(b, ' ')
	}
	if len(b) > maxHeader {
		return nil, &fault.FieldError{Field: "tensors", Value: fmt.Sprint(len(sorted)),
			Problem: fmt.Sprintf("need a header of %d bytes", len(b)), Fix: fmt.Sprintf("a header has at most %d bytes", maxHeader), Cause: ErrContent}
	}
	return b, nil
}

// decode reads a file of the given size and returns its tensors in the order of their
// data, which it includes only if keep is set. Its memory is bounded by size. Errors of
// r are wrapped; any other error says what is wrong with the bytes. After success,
// nothing is left unread.
func decode(r io.Reader, size int64, keep bool) ([]tensor.Tensor, error) {
	places, err := readHeader(r, size, false)
	if err != nil {
		return nil, err
	}
	tensors := make([]tensor.Tensor, len(places))
	var longest int64
	for _, p := range places {
		longest = max(longest, p.end-p.begin)
	}
	buffer := make([]byte, min(longest, chunkSize))
	for i, p := range places {
		tensors[i] = tensor.Tensor{Name: p.name, Shape: p.shape}
		if keep {
			tensors[i].Data = make([]float32, 0, (p.end-p.begin)/elementSize)
		}
		for left := p.end - p.begin; left > 0; {
			chunk := buffer[:min(left, chunkSize)]
			if _, err := io.ReadFull(r, chunk); err != nil {
				return nil, fmt.Errorf("data of %q: %w", p.name, err)
			}
			left -= int64(len(chunk))
			for ; keep && len(chunk) > 0; chunk = chunk[elementSize:] {
				tensors[i].Data = append(tensors[i].Data, math.Float32frombits(binary.LittleEndian.Uint32(chunk)))
			}
		}
	}
	return tensors, readEnd(r)
}

// readEnd fails unless nothing is left to read.
func readEnd(r io.Reader) error {
	switch _, err := io.ReadFull(r, make([]byte, 1)); {
	case err == nil:
		return errors.New("there are bytes after the data")
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// readHeader reads the beginning of a file of the given size, up to the data.
func readHeader(r io.Reader, size int64, foreign bool) ([]place, error) {
	var word [8]byte
	if _, err := io.ReadFull(r, word[:]); err != nil {
		return nil, fmt.Errorf("length of the header: %w", err)
	}
	n := binary.LittleEndian.Uint64(word[:])
	if n > maxHeader || int64(n) > size-int64(len(word)) {
		return nil, fmt.Errorf("the header should have %d bytes; the file has %d, and a header has at most %d", n, size, maxHeader)
	}
	header := make([]byte, n)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	places, err := decodeHeader(header, size-int64(len(word))-int64(n), foreign)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	return places, nil
}

// place is where a tensor's data lie, in bytes from the end of the header.
type place struct {
	name       string
	dtype      string
	shape      tensor.Shape
	begin, end int64
}

// decodeHeader returns the tensors in the order of their data. Together these cover
// the whole file without gap or overlap.
func decodeHeader(header []byte, data int64, foreign bool) ([]place, error) {
	places, err := parseHeader(header, foreign)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	var end int64
	for _, p := range places {
		n, err := p.shape.NumElements()
		each := sizeOf(p.dtype)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", shorten(p.name), err)
		case p.begin > p.end || p.end > data:
			return nil, fmt.Errorf("%s: its data extend from %d to %d of %d bytes", shorten(p.name), p.begin, p.end, data)
		case p.begin != end:
			return nil, fmt.Errorf("%s: its data begin at %d, those before it end at %d", shorten(p.name), p.begin, end)
		case each > 0 && (int64(n) > math.MaxInt64/each || int64(n)*each != p.end-p.begin):
			return nil, fmt.Errorf("%s: %d bytes of data for the shape %v", shorten(p.name), p.end-p.begin, p.shape)
		}
		end = p.end
	}
	if end != data {
		return nil, fmt.Errorf("%d bytes after the data of the last tensor", data-end)
	}
	return places, nil
}

// trimmed returns the header without its padding.
func trimmed(header []byte) []byte { return bytes.TrimRight(header, " ") }
