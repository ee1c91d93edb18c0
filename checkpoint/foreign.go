package checkpoint

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"reprise/tensor"
)

// sizeOf returns the bytes of a value of a type; 0 for a type that is not known.
func sizeOf(dtype string) int64 {
	switch dtype {
	case "BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3":
		return 1
	case "U16", "I16", "F16", "BF16":
		return 2
	case "U32", "I32", dtypeF32:
		return 4
	case "U64", "I64", "F64":
		return 8
	}
	return 0
}

// Described is what the header of a safetensors file says about a tensor.
type Described struct {
	Name  string
	DType string
	Shape tensor.Shape
}

// Readable reports whether its values are of a type that ReadForeign reads: F64, which it
// rounds to the nearest float32, F32, F16 or BF16.
func (d Described) Readable() bool { return reader32(d.DType) != nil }

// reader32 returns what reads a value of a type, nil for a type that is not read.
func reader32(dtype string) func([]byte) float32 {
	switch dtype {
	case dtypeF32:
		return func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }
	case "F64":
		return func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }
	case "F16":
		return func(b []byte) float32 { return float16(binary.LittleEndian.Uint16(b)) }
	case "BF16":
		return func(b []byte) float32 { return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16) }
	}
	return nil
}

// float16 returns the value of an IEEE 754 binary16, which every float32 can hold.
func float16(bits uint16) float32 {
	sign, exponent, fraction := uint32(bits>>15)<<31, uint32(bits>>10)&0x1f, uint32(bits)&0x3ff
	switch exponent {
	case 0: // a multiple of 2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	case 0x1f:
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// ReadForeign reads a safetensors file of the given size, of any program. choose is given
// all tensors of the file, in the order of their data, and says for each of them, or for
// none by returning an error, whether it is to be read; it may only choose those that are
// Readable. The memory that this takes is bounded by the size and by the tensors that are
// chosen. Errors of r are wrapped; any other error says what is wrong with the bytes. After
// success, nothing is left unread.
func ReadForeign(r io.Reader, size int64, choose func([]Described) ([]bool, error)) ([]tensor.Tensor, error) {
	places, err := readHeader(r, size, true)
	if err != nil {
		return nil, err
	}
	all := make([]Described, len(places))
	for i, p := range places {
		all[i] = Described{Name: p.name, DType: p.dtype, Shape: p.shape}
	}
	chosen, err := choose(all)
	if err != nil {
		return nil, err
	}
	var tensors []tensor.Tensor
	buffer := make([]byte, chunkSize) // a multiple of every element's size
	for i, p := range places {
		if !chosen[i] {
			if _, err := io.CopyN(io.Discard, r, p.end-p.begin); err != nil {
				return nil, fmt.Errorf("data of %s: %w", shorten(p.name), err)
			}
			continue
		}
		value, each := reader32(p.dtype), sizeOf(p.dtype)
		t := tensor.Tensor{Name: p.name, Shape: p.shape, Data: make([]float32, 0, (p.end-p.begin)/each)}
		for left := p.end - p.begin; left > 0; {
			chunk := buffer[:min(left, chunkSize)]
			if _, err := io.ReadFull(r, chunk); err != nil {
				return nil, fmt.Errorf("data of %s: %w", shorten(p.name), err)
			}
			left -= int64(len(chunk))
			for ; len(chunk) > 0; chunk = chunk[each:] {
				t.Data = append(t.Data, value(chunk))
			}
		}
		tensors = append(tensors, t)
	}
	return tensors, readEnd(r)
}
