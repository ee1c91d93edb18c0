package imagefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The limits of looking for Exif data, which is small and where it is looked for in any
// sensible file; without it an image is taken as it is stored.
const (
	maxParts = 1 << 16 // segments or chunks
	maxExif  = 1 << 20
)

// The tags of an image file directory that matter here.
const (
	tagOrientation = 0x0112
	tagTileWidth   = 0x0142
	tagTileHeight  = 0x0143
)

// The types of numbers in one.
const (
	tiffShort = 3 // 16 bits
	tiffLong  = 4 // 32 bits
)

// orientation returns that of an image, 1 to 8, which is 1 unless its Exif data says
// something else. It fails for a TIFF whose tiles are too large, and where reading does.
func orientation(f Format, r io.ReaderAt, size int64) (int, error) {
	in := io.NewSectionReader(r, 0, size)
	var exif []byte
	var err error
	switch f {
	case JPEG:
		exif, err = jpegExif(in)
	case PNG:
		exif, err = chunkExif(in, 8, binary.BigEndian, 4, "eXIf")
	case WebP:
		exif, err = chunkExif(in, 12, binary.LittleEndian, 0, "EXIF")
	case TIFF:
		return directory(in)
	case GIF, BMP:
	}
	if err != nil || exif == nil {
		return 1, err
	}
	turn, err := directory(bytes.NewReader(bytes.TrimPrefix(exif, []byte("Exif\x00\x00"))))
	if bad := new(Error); errors.As(err, &bad) {
		return 1, nil // it is about tiles, and no image is read from here
	}
	return turn, err
}

// readAt reads so many bytes; nil if the file ends before.
func readAt(r io.ReaderAt, at int64, n int) ([]byte, error) {
	p := make([]byte, n)
	switch got, err := r.ReadAt(p, at); {
	case got == n:
		return p, nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, nil
	default:
		return nil, err
	}
}

// jpegExif returns the Exif data of the segments before the image; nil for none.
func jpegExif(r io.ReaderAt) ([]byte, error) {
	at := int64(2)
	for range maxParts {
		head, err := readAt(r, at, 4)
		switch {
		case err != nil || head == nil || head[0] != 0xff:
			return nil, err
		case head[1] == 0xff: // before a marker there may be several
			at++
			continue
		case head[1] == 0xda, head[1] == 0xd9: // the image, the end
			return nil, nil
		case head[1] == 0x01, head[1] >= 0xd0 && head[1] <= 0xd7: // without a length
			at += 2
			continue
		}
		length := int(binary.BigEndian.Uint16(head[2:]))
		if length < 2 {
			return nil, nil
		}
		if head[1] == 0xe1 {
			data, err := readAt(r, at+4, length-2)
			if err != nil || bytes.HasPrefix(data, []byte("Exif\x00\x00")) {
				return data, err
			}
		}
		at += 2 + int64(length)
	}
	return nil, nil
}

// chunkExif returns the content of a chunk of a PNG or a WebP; nil for none. Each chunk
// has its length and its type, in the order of a PNG where a checksum follows it.
func chunkExif(r io.ReaderAt, at int64, order binary.ByteOrder, checksum int64, name string) ([]byte, error) {
	for range maxParts {
		head, err := readAt(r, at, 8)
		if err != nil || head == nil {
			return nil, err
		}
		length, kind := head[:4], head[4:]
		if checksum == 0 {
			length, kind = kind, length
		}
		n := int64(order.Uint32(length))
		switch {
		case string(kind) == name && n <= maxExif:
			return readAt(r, at+8, int(n))
		case string(kind) == "IEND":
			return nil, nil
		}
		at += 8 + n + checksum
		if checksum == 0 {
			at += n & 1 // chunks of a WebP begin at an even place
		}
	}
	return nil, nil
}

// directory returns the orientation that the first directory of a TIFF, or of Exif data,
// has: 1 if it has none. It fails for tiles of more than MaxPixels, which the decoder
// would believe.
func directory(r io.ReaderAt) (int, error) {
	head, err := readAt(r, 0, 8)
	if err != nil || head == nil {
		return 1, err
	}
	var order binary.ByteOrder = binary.LittleEndian
	if head[0] == 'M' {
		order = binary.BigEndian
	}
	start := int64(order.Uint32(head[4:]))
	count, err := readAt(r, start, 2)
	if err != nil || count == nil {
		return 1, err
	}
	turn, tile := 1, [2]uint64{1, 1}
	for i := range int64(order.Uint16(count)) {
		entry, err := readAt(r, start+2+12*i, 12)
		if err != nil {
			return 1, err
		}
		if entry == nil {
			break
		}
		tag, kind, value := order.Uint16(entry), order.Uint16(entry[2:]), uint64(order.Uint32(entry[8:]))
		if kind == tiffShort {
			value = uint64(order.Uint16(entry[8:]))
		}
		switch tag {
		case tagOrientation:
			if value >= 1 && value <= 8 {
				turn = int(value)
			}
		case tagTileWidth, tagTileHeight:
			if order.Uint32(entry[4:]) != 1 || kind != tiffShort && kind != tiffLong {
				return 1, damaged(errors.New("the size of its tiles is not a number")) // it would be elsewhere
			}
			tile[tag-tagTileWidth] = value
		}
	}
	if tile[0]*tile[1] > MaxPixels {
		return 1, damaged(fmt.Errorf("it has tiles of %d x %d pixels", tile[1], tile[0]))
	}
	return turn, nil
}
