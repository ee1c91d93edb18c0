package table

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// decompressor decompresses pages, never to more bytes than their headers say.
type decompressor struct {
	gzip   *gzip.Reader
	brotli *brotli.Reader
	zstd   *zstd.Decoder
}

func (d *decompressor) close() {
	if d.zstd != nil {
		d.zstd.Close()
	}
}

func canDecompress(codec format.CompressionCodec) bool {
	switch codec {
	case format.Uncompressed, format.Snappy, format.Gzip, format.Brotli, format.Zstd, format.Lz4Raw:
		return true
	default:
		return false
	}
}

var errPageSize = errors.New("a page does not have the size that its header says")

// decompress returns what packed is before compression, in the memory of page if it fits.
func (d *decompressor) decompress(page, packed []byte, size int, codec format.CompressionCodec) ([]byte, error) {
	if codec == format.Uncompressed {
		if len(packed) != size {
			return page, errPageSize
		}
		return append(page[:0], packed...), nil
	}
	if size == 0 && len(packed) == 0 { // a page of nulls
		return page[:0], nil
	}
	page = slices.Grow(page[:0], size)[:size]
	var err error
	switch codec {
	case format.Snappy:
		var n int
		if n, err = snappy.DecodedLen(packed); err == nil && n != size {
			return page, errPageSize
		}
		if err == nil {
			_, err = snappy.Decode(page, packed)
		}
	case format.Lz4Raw:
		var n int
		if n, err = lz4.UncompressBlock(packed, page); err == nil && n != size {
			return page, errPageSize
		}
	case format.Gzip:
		if d.gzip == nil {
			d.gzip = new(gzip.Reader)
		}
		if err = d.gzip.Reset(bytes.NewReader(packed)); err == nil {
			err = fill(page, d.gzip)
		}
	case format.Brotli:
		if d.brotli == nil {
			d.brotli = new(brotli.Reader)
		}
		if err = d.brotli.Reset(bytes.NewReader(packed)); err == nil {
			err = fill(page, d.brotli)
		}
	case format.Zstd:
		if d.zstd == nil {
			// With one decoder, no goroutine is started.
			if d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true)); err != nil {
				return page, err
			}
		}
		if err = d.zstd.Reset(bytes.NewReader(packed)); err == nil {
			err = fill(page, d.zstd)
		}
	default:
		err = fmt.Errorf("the compression %v is not read", codec)
	}
	if err != nil {
		return page, fmt.Errorf("decompress a page: %w", err)
	}
	return page, nil
}

// fill reads as much as page holds, and fails if there is more or less.
func fill(page []byte, r io.Reader) error {
	if _, err := io.ReadFull(r, page); err != nil {
		return err
	}
	if n, err := io.CopyN(io.Discard, r, 1); n > 0 {
		return errPageSize
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// checkCRC compares a page with its checksum, if it has one.
func checkCRC(h *format.PageHeader, page []byte) error {
	if want := uint32(h.CRC); want != 0 && want != crc32.ChecksumIEEE(page) {
		return errors.New("the checksum of a page differs: its bytes were changed")
	}
	return nil
}
