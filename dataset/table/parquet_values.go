package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/format"
)

// values are the values of a page of Parquet, in order: the bits of a number or a boolean, or
// the bytes of anything else, which are overwritten by the page after. An error at the end
// of the data is io.ErrUnexpectedEOF: the reader knows how many values there are. Nothing
// here takes memory for what is only claimed.
//
// The encodings are those of https://parquet.apache.org/docs/file-format/data-pages/encodings/.
type values interface {
	next() (bits uint64, bytes []byte, err error)
}

// newValues returns the values in data.
func newValues(encoding format.Encoding, physical format.Type, length int, data []byte) (values, error) {
	isWhole := physical == format.Int32 || physical == format.Int64
	width := widthOf(physical, length)
	switch {
	case encoding == format.Plain:
		return newPlain(physical, length, data), nil
	case encoding == format.RLE && physical == format.Boolean:
		sized, _, err := cutSized(data)
		return &runs{newHybrid(sized, 1)}, err
	case encoding == format.DeltaBinaryPacked && isWhole:
		return newDelta(data)
	case encoding == format.DeltaLengthByteArray && physical == format.ByteArray:
		return newDeltaLength(data)
	case encoding == format.DeltaByteArray && (physical == format.ByteArray || physical == format.FixedLenByteArray):
		return newDeltaBytes(data, length, physical == format.FixedLenByteArray)
	case encoding == format.ByteStreamSplit && width > 0 && physical != format.Int96:
		if len(data)%width != 0 {
			return nil, io.ErrUnexpectedEOF
		}
		return &split{data: data, count: len(data) / width, value: make([]byte, width), isNumber: physical != format.FixedLenByteArray}, nil
	}
	return nil, fmt.Errorf("the encoding %v of %v is not known", encoding, physical)
}

// widthOf returns the size of a value in bytes; 0 if it varies or is a bit.
func widthOf(physical format.Type, length int) int {
	switch physical {
	case format.Int32, format.Float:
		return 4
	case format.Int64, format.Double:
		return 8
	case format.Int96:
		return 12
	case format.FixedLenByteArray:
		return max(length, 0)
	case format.Boolean, format.ByteArray:
	}
	return 0
}

// plain values follow each other.
type plainValues struct {
	data     []byte
	physical format.Type
	width    int
	bit      int
}

func newPlain(physical format.Type, length int, data []byte) *plainValues {
	return &plainValues{data: data, physical: physical, width: widthOf(physical, length)}
}

func (p *plainValues) next() (uint64, []byte, error) {
	width := p.width
	switch p.physical {
	case format.Boolean:
		if p.bit >= 8*len(p.data) {
			return 0, nil, io.ErrUnexpectedEOF
		}
		v := p.data[p.bit/8] >> (p.bit % 8) & 1
		p.bit++
		return uint64(v), nil, nil
	case format.ByteArray:
		value, rest, err := cutSized(p.data)
		p.data = rest
		return 0, value, err
	default:
	}
	if width > len(p.data) {
		return 0, nil, io.ErrUnexpectedEOF
	}
	value := p.data[:width]
	p.data = p.data[width:]
	switch p.physical {
	case format.Int32, format.Float:
		return uint64(binary.LittleEndian.Uint32(value)), nil, nil
	case format.Int64, format.Double:
		return binary.LittleEndian.Uint64(value), nil, nil
	default:
		return 0, value, nil
	}
}

// hybrid reads numbers of some bits each, in runs of equal ones and runs of packed ones.
type hybrid struct {
	data  []byte
	width uint
	left  uint64 // of the run
	equal bool
	value uint32
	at    uint64 // the next bit of packed numbers
	block []byte // which are in it
}

func newHybrid(data []byte, width uint) hybrid { return hybrid{data: data, width: width} }

func (h *hybrid) next() (uint32, error) {
	for h.left == 0 {
		if err := h.begin(); err != nil {
			return 0, err
		}
	}
	h.left--
	if h.equal {
		return h.value, nil
	}
	v := loadBits(h.block, h.at, h.width)
	h.at += uint64(h.width)
	return uint32(v), nil
}

func (h *hybrid) begin() error {
	head, n := binary.Uvarint(h.data)
	if n <= 0 {
		return io.ErrUnexpectedEOF
	}
	h.data = h.data[n:]
	h.equal = head&1 == 0
	if h.equal {
		size := int(h.width+7) / 8
		if size > len(h.data) {
			return io.ErrUnexpectedEOF
		}
		var all [4]byte
		copy(all[:], h.data[:size])
		h.left, h.value, h.data = head>>1, binary.LittleEndian.Uint32(all[:]), h.data[size:]
		return nil
	}
	groups := head >> 1 // of eight numbers, which take as many bytes as one has bits
	if h.width == 0 {
		h.left, h.equal, h.value = 8*min(groups, 1<<58), true, 0
		return nil
	}
	// The last run may be cut off after its last number.
	size := min(groups, uint64(len(h.data))) * uint64(h.width)
	size = min(size, uint64(len(h.data)))
	h.block, h.data, h.at = h.data[:size], h.data[size:], 0
	h.left = min(8*min(groups, 1<<58), 8*size/uint64(h.width))
	if h.left == 0 && groups > 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// loadBits returns the number of some bits, up to 64, that begins at a bit of data, where
// missing bits are 0.
func loadBits(data []byte, at uint64, width uint) uint64 {
	i, shift := int(at/8), uint(at%8)
	var word uint64
	if len(data)-i >= 8 {
		word = binary.LittleEndian.Uint64(data[i:])
	} else {
		var all [8]byte
		if i < len(data) {
			copy(all[:], data[i:])
		}
		word = binary.LittleEndian.Uint64(all[:])
	}
	word >>= shift
	if shift+width > 64 && i+8 < len(data) {
		word |= uint64(data[i+8]) << (64 - shift)
	}
	if width < 64 {
		word &= 1<<width - 1
	}
	return word
}

// runs are booleans.
type runs struct{ hybrid hybrid }

func (r *runs) next() (uint64, []byte, error) {
	v, err := r.hybrid.next()
	return uint64(v), nil, err
}

// delta reads whole numbers as the differences between them.
type delta struct {
	data      []byte
	perBlock  uint64 // numbers of a miniblock
	blocks    int    // miniblocks of a block
	total     uint64 // numbers that are left
	value     int64
	isFirst   bool
	least     int64  // of the block
	widths    []byte // of the miniblocks that are left of the block
	width     uint   // of the miniblock
	left      uint64 // numbers of it
	at        uint64
	miniblock []byte
}

var errDelta = errors.New("the header of differences is not valid")

func newDelta(data []byte) (*delta, error) {
	d := &delta{data: data, isFirst: true}
	size, err := d.varint()
	if err != nil {
		return nil, err
	}
	blocks, err := d.varint()
	if err != nil {
		return nil, err
	}
	const most = 1 << 16
	if size == 0 || size > most || blocks == 0 || blocks > 512 || size%blocks != 0 || size/blocks%8 != 0 {
		return nil, errDelta
	}
	if d.total, err = d.varint(); err != nil {
		return nil, err
	}
	d.perBlock, d.blocks = size/blocks, int(blocks)
	d.value, err = d.zigzag()
	return d, err
}

func (d *delta) varint() (uint64, error) {
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	d.data = d.data[n:]
	return v, nil
}

func (d *delta) zigzag() (int64, error) {
	v, err := d.varint()
	return int64(v>>1) ^ -int64(v&1), err
}

func (d *delta) next() (uint64, []byte, error) {
	if d.total == 0 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	d.total--
	if d.isFirst {
		d.isFirst = false
		return uint64(d.value), nil, nil
	}
	if d.left == 0 {
		if err := d.begin(); err != nil {
			return 0, nil, err
		}
	}
	d.left--
	if d.at+uint64(d.width) > 8*uint64(len(d.miniblock)) {
		return 0, nil, io.ErrUnexpectedEOF
	}
	d.value += d.least + int64(loadBits(d.miniblock, d.at, d.width))
	d.at += uint64(d.width)
	return uint64(d.value), nil, nil
}

// begin begins a miniblock.
func (d *delta) begin() (err error) {
	if len(d.widths) == 0 {
		if d.least, err = d.zigzag(); err != nil {
			return err
		}
		if len(d.data) < d.blocks {
			return io.ErrUnexpectedEOF
		}
		d.widths, d.data = d.data[:d.blocks], d.data[d.blocks:]
	}
	if d.width = uint(d.widths[0]); d.width > 64 {
		return errDelta
	}
	// The last miniblock may be cut off after its last number.
	size := min(d.perBlock*uint64(d.width)/8, uint64(len(d.data)))
	d.miniblock, d.data, d.widths = d.data[:size], d.data[size:], d.widths[1:]
	d.left, d.at = d.perBlock, 0
	return nil
}

// rest returns the data after the numbers. It uses them up.
func (d *delta) rest() ([]byte, error) {
	if d.isFirst && d.total > 0 {
		d.isFirst, d.total = false, d.total-1
	}
	for d.total > 0 {
		if d.left == 0 {
			if err := d.begin(); err != nil {
				return nil, err
			}
		}
		n := min(d.left, d.total)
		d.left, d.total = d.left-n, d.total-n
	}
	return d.data, nil
}

// deltaLength reads texts that follow all of their lengths.
type deltaLength struct {
	lengths *delta
	data    []byte
}

func newDeltaLength(data []byte) (*deltaLength, error) {
	skipped, err := newDelta(data)
	if err != nil {
		return nil, err
	}
	rest, err := skipped.rest()
	if err != nil {
		return nil, err
	}
	lengths, err := newDelta(data)
	return &deltaLength{lengths, rest}, err
}

func (d *deltaLength) next() (uint64, []byte, error) {
	length, _, err := d.lengths.next()
	if err != nil {
		return 0, nil, err
	}
	if length > uint64(len(d.data)) {
		return 0, nil, io.ErrUnexpectedEOF
	}
	value := d.data[:length]
	d.data = d.data[length:]
	return 0, value, nil
}

// deltaBytes reads texts that begin as the one before.
type deltaBytes struct {
	prefixes *delta
	suffixes *deltaLength
	value    []byte
	length   int // of each, if isFixed
	isFixed  bool
}

func newDeltaBytes(data []byte, length int, isFixed bool) (*deltaBytes, error) {
	skipped, err := newDelta(data)
	if err != nil {
		return nil, err
	}
	rest, err := skipped.rest()
	if err != nil {
		return nil, err
	}
	suffixes, err := newDeltaLength(rest)
	if err != nil {
		return nil, err
	}
	prefixes, err := newDelta(data)
	return &deltaBytes{prefixes: prefixes, suffixes: suffixes, length: length, isFixed: isFixed}, err
}

func (d *deltaBytes) next() (uint64, []byte, error) {
	prefix, _, err := d.prefixes.next()
	if err != nil {
		return 0, nil, err
	}
	_, suffix, err := d.suffixes.next()
	if err != nil {
		return 0, nil, err
	}
	if prefix > uint64(len(d.value)) {
		return 0, nil, errors.New("a text begins as more than the text before")
	}
	if int(prefix)+len(suffix) > MaxCellBytes+1 { // the column says what is wrong with it
		suffix = suffix[:max(MaxCellBytes+1-int(prefix), 0)]
	}
	d.value = append(d.value[:prefix], suffix...)
	if d.isFixed && len(d.value) != d.length {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return 0, d.value, nil
}

// split reads values whose first bytes come first, then all second ones, and so on.
type split struct {
	data      []byte
	at, count int
	value     []byte
	isNumber  bool
}

func (s *split) next() (uint64, []byte, error) {
	if s.at == s.count {
		return 0, nil, io.ErrUnexpectedEOF
	}
	for i := range s.value {
		s.value[i] = s.data[i*s.count+s.at]
	}
	s.at++
	if !s.isNumber {
		return 0, s.value, nil
	}
	return npyType{}.bits(s.value), nil, nil
}
