package api

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"reprise/nn"
)

// Limits of a request's text; a request is a short file.
const (
	// MaxRequestBytes bounds the size of a request.
	MaxRequestBytes = 1 << 20
	// maxNodes bounds the keys and values of a request.
	maxNodes = 1 << 15
	// maxItems bounds every list, as the schema does the longest.
	maxItems = nn.MaxLayers
	// maxDepth bounds how deep lists and mappings nest.
	maxDepth = 64
	// maxPath bounds the path of a field in messages, in characters.
	maxPath = 200
)

// document is a parsed file.
type document struct {
	file  string
	lines [][]rune
	root  *node
	unset []string // fields that a setting failed to set
}

// fail returns an error at a place of the request.
func (d *document) fail(at position, e RequestError) *RequestError {
	if at.order > 0 {
		e.Setting, e.set, e.order = at.setting.String(), at.setting.Field, at.order
		return &e
	}
	if d == nil {
		return &e
	}
	e.File, e.Line, e.Column = d.file, at.line, at.column
	e.excerpt = excerptOf(d.lines, at)
	return &e
}

// parseDocument reads a YAML or JSON text. Every error is a *RequestError.
func parseDocument(file string, content []byte) (*document, error) {
	d := &document{file: file}
	content = escapeJSON(bytes.TrimPrefix(content, []byte("\ufeff")))
	if err := d.checkEncoding(content); err != nil {
		return nil, err
	}
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(content))
	d.lines = runeLines(text)
	var err error
	if d.root, err = d.parse(text); err != nil {
		return nil, err
	}
	if d.root.kind != mapping {
		return nil, d.fail(d.root.at, RequestError{Value: cmp.Or(shorten(d.root.written), string(d.root.kind)), Problem: "is not a request: a request is a mapping of keys to values",
			Fix: `begin with "model_architecture: mlp"; a space follows each colon`})
	}
	return d, nil
}

// checkEncoding refuses what is not text.
func (d *document) checkEncoding(content []byte) error {
	if len(content) > MaxRequestBytes {
		return d.fail(position{}, RequestError{Problem: fmt.Sprintf("is larger than %d bytes", MaxRequestBytes), Fix: "a request is a short YAML file"})
	}
	if bytes.HasPrefix(content, []byte{0xff, 0xfe}) || bytes.HasPrefix(content, []byte{0xfe, 0xff}) {
		return d.fail(position{}, RequestError{Problem: "is encoded in UTF-16", Fix: "save it as UTF-8"})
	}
	line, column := 1, 1
	for rest := content; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		bad := RequestError{Value: fmt.Sprintf("byte 0x%02x", rest[0])}
		switch {
		case r == utf8.RuneError && size == 1:
			bad.Problem, bad.Fix = "is not UTF-8", "save the file as UTF-8"
		case notInYAML(r):
			if r >= 0x80 {
				bad.Value = fmt.Sprintf("%U", r)
			}
			bad.Problem, bad.Fix = "is a control character", fmt.Sprintf(`remove it; in a text in double quotes, write it as \u%04x`, r)
		}
		if bad.Problem != "" {
			d.lines = runeLines(strings.ToValidUTF8(string(content), "\ufffd"))
			return d.fail(placeAt(line, column), bad)
		}
		rest = rest[size:]
		if column++; r == '\n' {
			line, column = line+1, 1
		}
	}
	return nil
}

func runeLines(text string) [][]rune {
	var lines [][]rune
	for line := range strings.SplitSeq(text, "\n") {
		lines = append(lines, []rune(line))
	}
	return lines
}
