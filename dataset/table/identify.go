package table

import (
	"bytes"
	"io"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// IdentifyBytes is how much of a file Identify should have.
const IdentifyBytes = 4096

// Identify says what a file is that begins with head, compressed or not, as errors say it
// after "is": "text", "Parquet", "a PDF document"; "" where that cannot be seen. readable reports whether Open may read it as a table.
func Identify(head []byte) (what string, readable bool) {
	compression := packed(head)
	content := Unpack(head)
	found, foreign, _ := binaryFormat(content)
	switch {
	case foreign != "" && compression == plain:
		return foreign, false
	case found == npzArchive:
		what = "a ZIP archive"
	case found != unknown:
		what = found.String()
	case foreign != "":
		what = foreign
	case looksLikeJSON(content):
		what, found = jsonRows.String(), jsonRows
	case isText(content):
		what, found = "text", separated
	default:
		return "", false
	}
	if compression != plain {
		what += ", " + compression.String()
	}
	return what, found != unknown
}

// Unpack returns what the beginning of a file holds, which is head itself where that is not
// compressed.
func Unpack(head []byte) []byte {
	var r io.Reader
	switch packed(head) {
	case plain:
		return head
	case gzipped:
		z, err := gzip.NewReader(bytes.NewReader(head))
		if err != nil {
			return nil
		}
		r = z
	case zstandard:
		z, err := zstd.NewReader(bytes.NewReader(head), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil
		}
		defer z.Close()
		r = z
	}
	content := make([]byte, IdentifyBytes)
	n, _ := io.ReadFull(r, content) // head may end anywhere
	return content[:n]
}

// isText reports whether content is the beginning of UTF-8 text.
func isText(content []byte) bool {
	for len(content) > 0 {
		r, size := utf8.DecodeRune(content)
		if r == utf8.RuneError && size == 1 {
			return !utf8.FullRune(content) // cut off in the middle
		}
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' && r != '\f' {
			return false
		}
		content = content[size:]
	}
	return true
}
