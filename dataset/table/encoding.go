package table

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"reprise/fault"
)

// Encodings returns the encodings of text that are read.
func Encodings() []string {
	return []string{"utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "windows-1252"}
}

// decode returns a reader of UTF-8 without a byte order mark. A name that is "" is UTF-8.
func (in *input) decode(name string) (io.Reader, error) {
	head, err := in.head()
	if err != nil {
		return nil, err
	}
	found := utf16In(head)
	var e encoding.Encoding
	switch name {
	case "", "utf-8":
		if found != "" {
			return nil, in.bad("is in UTF-16", useEncoding(found))
		}
		if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
			_, _ = in.stream.Discard(3) // was peeked at
		}
		return in.stream, nil
	case "utf-16":
		if found != "utf-16" {
			return nil, in.bad("has no byte order mark, as utf-16 needs", useEncoding("utf-16-le, or utf-16-be"))
		}
		e = unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM)
	case "utf-16-le":
		e = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	case "utf-16-be":
		e = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	case "latin-1":
		e = charmap.ISO8859_1
	case "windows-1252":
		e = charmap.Windows1252
	}
	return &decoded{in: in, utf16: strings.HasPrefix(name, "utf-16"), r: e.NewDecoder().Reader(in.stream)}, nil
}

// useEncoding is the fix for text in another encoding.
func useEncoding(name string) string {
	return "write dataset.encoding: " + name + ", or save the file as UTF-8"
}

// utf16In returns the name of the encoding of a text in UTF-16; "" if it is not in one. Text
// of Western languages has a zero byte in most of its characters.
func utf16In(head []byte) string {
	if bytes.HasPrefix(head, []byte("\xfe\xff")) || bytes.HasPrefix(head, []byte("\xff\xfe")) {
		return "utf-16"
	}
	head = head[:len(head)&^1]
	var zero [2]int
	for i, b := range head {
		if b == 0 {
			zero[i&1]++
		}
	}
	switch half := len(head) / 2; {
	case 2*zero[1] > half && 4*zero[0] < half:
		return "utf-16-le"
	case 2*zero[0] > half && 4*zero[1] < half:
		return "utf-16-be"
	}
	return ""
}

// decoded leaves out a byte order mark, and refuses UTF-16 that is not: the decoder
// replaces what it cannot decode by U+FFFD.
type decoded struct {
	in    *input
	r     io.Reader
	utf16 bool
	begun bool
	tail  []byte // the last bytes, which may begin U+FFFD
}

func (d *decoded) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = d.in.failed(err)
	}
	if d.utf16 && n > 0 {
		d.tail = append(d.tail, p[:n]...)
		if bytes.Contains(d.tail, []byte("\uFFFD")) {
			return 0, d.in.bad("is not valid UTF-16, or holds the character U+FFFD, which stands for a damaged one", "save the file as UTF-8")
		}
		d.tail = append(d.tail[:0], d.tail[max(len(d.tail)-2, 0):]...)
	}
	if !d.begun && n > 0 {
		d.begun = true
		if bytes.HasPrefix(p[:n], []byte("\uFEFF")) {
			n = copy(p, p[3:n])
		}
	}
	return n, err
}

// notUTF8 is the error about a text that is not UTF-8. It says what the text would be in
// the encoding that it probably is in.
func notUTF8(path string, line int, column, text string) error {
	name, e := "latin-1", charmap.ISO8859_1
	if strings.ContainsFunc(text, func(r rune) bool { return r == utf8.RuneError }) {
		for i := range len(text) {
			if c := text[i]; c >= 0x80 && c < 0xa0 {
				name, e = "windows-1252", charmap.Windows1252
			}
		}
	}
	shown := []byte(text)
	if at := bytes.IndexFunc(shown, func(r rune) bool { return r == utf8.RuneError }); at > 20 {
		shown = shown[at-20:]
	}
	meant, _ := e.NewDecoder().Bytes(shown[:min(len(shown), 60)]) // replaces what it does not know
	return &fault.DataError{File: path, Line: line, Column: column, Value: fault.Quote(text),
		Problem: fmt.Sprintf("is not UTF-8; as %s it is %s", name, fault.Quote(string(meant))), Fix: useEncoding(name)}
}
