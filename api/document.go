package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"reprise/nn"
)

// Limits of a request's text; a request is a short file.
const (
	// MaxRequestBytes bounds the size of a request.
	MaxRequestBytes = 1 << 20
	// maxTokens bounds the values, keys and punctuation marks of a request.
	maxTokens = 1 << 16
	// maxItems bounds every list, as the schema does the longest.
	maxItems = nn.MaxLayers
	// maxDepth bounds how deep lists and mappings nest.
	maxDepth = 64
	// maxPath bounds the path of a field in messages, in characters.
	maxPath = 200
)

// position is a place in the file, counted from 1; column in characters.
type position struct{ line, column int }

// nodeKind is what a value looks like, before anyone asks what it should be.
type nodeKind string

const (
	mapping    nodeKind = "a mapping"
	list       nodeKind = "a list"
	textual    nodeKind = "a text"
	whole      nodeKind = "a whole number"
	fractional nodeKind = "a number"
	nonFinite  nodeKind = "a number that is not finite"
	boolean    nodeKind = "true or false"
	empty      nodeKind = "nothing"
)

// node is a value of the document with its place.
type node struct {
	kind nodeKind
	// field is the path of the value, such as config.batch_size.
	field string
	// written is a scalar as it stands in the file; value is the text it means,
	// or its JSON form where it is a number.
	written, value string
	at, key        position // of the value, and of the key before it
	entries        []entry  // of a mapping
	items          []*node  // of a list
}

// entry is a key of a mapping with its value.
type entry struct {
	name  string
	value *node
}

// get returns the value of a key, or nil.
func (n *node) get(name string) *node {
	if n == nil {
		return nil
	}
	for _, e := range n.entries {
		if e.name == name {
			return e.value
		}
	}
	return nil
}

// document is a parsed file.
type document struct {
	file  string
	lines [][]rune
	root  *node
}

// fail returns an error at a place of the file.
func (d *document) fail(at position, e RequestError) *RequestError {
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
	if err := d.checkEncoding(content); err != nil {
		return nil, err
	}
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(string(content), "\ufeff"))
	d.lines = runeLines(text)
	body, err := d.parse(text)
	if err != nil {
		return nil, err
	}
	d.root, err = d.convert(body, "", position{1, 1})
	if err != nil {
		return nil, err
	}
	if d.root.kind != mapping {
		return nil, d.fail(d.root.at, RequestError{Value: cmp.Or(shorten(d.root.written), string(d.root.kind)), Problem: "is no request: a request is a mapping of keys to values",
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
		case (r < ' ' && r != '\n' && r != '\r' && r != '\t') || r == 0x7f:
			bad.Problem, bad.Fix = "is a control character", "remove it; a request is plain text"
		}
		if bad.Problem != "" {
			d.lines = runeLines(strings.ToValidUTF8(string(content), "\ufffd"))
			return d.fail(position{line, column}, bad)
		}
		rest = rest[size:]
		if column++; r == '\n' {
			line, column = line+1, 1
		}
	}
	return nil
}

// parse returns the body of the only document.
func (d *document) parse(text string) (body ast.Node, err error) {
	// The library promises no panic but has had some; its input is the user's.
	defer func() {
		if r := recover(); r != nil {
			body, err = nil, d.fail(position{}, RequestError{Problem: fmt.Sprintf("cannot be understood as YAML (%v)", r),
				Fix: "check its indentation, brackets and quotes"})
		}
	}()
	tokens := lexer.Tokenize(text)
	if err := d.checkTokens(tokens); err != nil {
		return nil, err
	}
	parsed, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey()) // convert reports duplicates better
	if err != nil {
		return nil, d.syntaxError(err)
	}
	for _, doc := range parsed.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			return nil, d.fail(d.start(doc.Body), RequestError{Problem: "a second document begins here",
				Fix: "keep one request per file and remove the --- line before it"})
		}
		body = doc.Body
	}
	if body == nil {
		return nil, d.fail(position{}, RequestError{Problem: "is empty",
			Fix: "write a request; examples/digits.yaml is a short one"})
	}
	return body, nil
}

// checkTokens refuses what a request has no use for, and what would nest
// without bound, before anything recursive sees it.
func (d *document) checkTokens(tokens token.Tokens) error {
	if len(tokens) > maxTokens {
		return d.fail(d.place(tokens[maxTokens]), RequestError{Problem: fmt.Sprintf("has more than %d keys, values and punctuation marks", maxTokens),
			Fix: "a request is a short YAML file"})
	}
	depth, entries, line := 0, 0, 0
	for _, tk := range tokens {
		refuse := func(what, fix string) error {
			return d.fail(d.place(tk), RequestError{Problem: what, Fix: fix})
		}
		if tk.Position.Line != line {
			line, entries = tk.Position.Line, 0
		}
		switch tk.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			return refuse("anchors (&), aliases (*) and merge keys (<<) are not part of a request", "write the value out, or put it in quotes if it is text")
		case token.TagType:
			return refuse("tags (!) are not part of a request", "write the value without a tag, or put it in quotes if it is text")
		case token.DirectiveType:
			return refuse("directives (%) are not part of a request", "remove the line")
		case token.MappingKeyType:
			return refuse("complex keys (?) are not part of a request", `write "key: value"`)
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		case token.SequenceEntryType:
			entries++
		default:
		}
		if depth+entries > maxDepth {
			return refuse(fmt.Sprintf("is nested more than %d deep", maxDepth), "a request needs only a few levels")
		}
	}
	return nil
}

// syntaxError gives the library's error a place and a fix.
func (d *document) syntaxError(err error) error {
	var bad yaml.Error
	if !errors.As(err, &bad) {
		return d.fail(position{}, RequestError{Problem: "is not valid YAML: " + shorten(err.Error()), Fix: "check its indentation, brackets and quotes"})
	}
	message := strings.ReplaceAll(bad.GetMessage(), "'\t' that cannot start any token", "tab in the indentation")
	fix := "check the indentation, brackets and quotes around here"
	for _, hint := range []struct{ part, fix string }{
		{"tab in the indentation", "indent with spaces: YAML allows no tabs there"},
		{"double-quoted", `close the text with "`},
		{"single-quoted", "close the text with '"},
		{"mapping end token", "close the mapping with }"},
		{"sequence end token", "close the list with ]"},
		{"reserved character", "put the text in quotes"},
		{"',' or ']'", "close the list with ], or separate its values with commas"},
		{"',' or '}'", "close the mapping with }, or separate its keys with commas"},
		{"mapping value is not allowed", `check the indentation; put quotes around a text that has ": " in it`},
		{"non-map value is specified", `write "key: value", with a space after the colon`},
	} {
		if strings.Contains(message, hint.part) {
			fix = hint.fix
			break
		}
	}
	return d.fail(d.place(bad.GetToken()), RequestError{Problem: "not valid YAML: " + strings.TrimSpace(shorten(message)), Fix: fix})
}

// place returns where a token begins. The library counts columns in characters,
// but not the tabs that a line begins with.
func (d *document) place(tk *token.Token) position {
	if tk == nil || tk.Position == nil || tk.Position.Line < 1 || tk.Position.Line > len(d.lines) {
		return position{}
	}
	line := d.lines[tk.Position.Line-1]
	column := min(max(tk.Position.Column, 1), len(line)+1)
	at := position{tk.Position.Line, column}
	start, _, _ := strings.Cut(strings.TrimSpace(tk.Origin), "\n")
	if start == "" {
		return at
	}
	const furthest = 100 // more would cost quadratic time on a long line
	rest := string(line[column-1 : min(column-1+furthest, len(line))])
	start = firstWord(start)
	if i := strings.Index(rest, start); i > 0 {
		at.column += utf8.RuneCountInString(rest[:i])
	}
	return at
}

// firstWord returns what a text begins with, enough to recognise it by.
func firstWord(s string) string {
	word, _, _ := strings.Cut(s, " ")
	runes := []rune(word[:min(len(word), 64)])
	return strings.TrimRight(string(runes[:min(len(runes), 16)]), "\ufffd")
}

func runeLines(text string) [][]rune {
	var lines [][]rune
	for line := range strings.SplitSeq(text, "\n") {
		lines = append(lines, []rune(line))
	}
	return lines
}

// start returns where a value begins. The library has a block mapping begin at
// its first colon.
func (d *document) start(n ast.Node) position {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return d.place(n.Values[0].Key.GetToken())
		}
	case *ast.MappingValueNode:
		return d.place(n.Key.GetToken())
	}
	return d.place(n.GetToken())
}

// convert turns the library's tree into nodes.
func (d *document) convert(n ast.Node, field string, key position) (*node, error) {
	out := &node{field: field, key: key, at: d.start(n)}
	if out.at.line == 0 {
		out.at = key
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return out, d.convertMapping(out, n.Values)
	case *ast.MappingValueNode:
		return out, d.convertMapping(out, []*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		out.kind = list
		if len(n.Values) > maxItems {
			return nil, d.fail(out.at, RequestError{Field: field, Value: string(list),
				Problem: fmt.Sprintf("of %d must have at most %d", len(n.Values), maxItems), Fix: "shorten it"})
		}
		for i, item := range n.Values {
			child, err := d.convert(item, fmt.Sprintf("%s[%d]", field, i), d.start(item))
			if err != nil {
				return nil, err
			}
			out.items = append(out.items, child)
		}
		return out, nil
	case *ast.LiteralNode:
		out.kind, out.value, out.written = textual, n.Value.Value, n.Value.Value
		return out, nil
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.NanNode, *ast.InfinityNode, *ast.BoolNode, *ast.NullNode:
		out.scalar(n.GetToken())
		if n.GetToken().Type == token.ImplicitNullType {
			out.at = key
		}
		return out, nil
	}
	return nil, d.fail(out.at, RequestError{Field: field, Problem: fmt.Sprintf("YAML's %s is not part of a request", n.Type()),
		Fix: "write plain keys, values and lists"})
}

func (d *document) convertMapping(out *node, values []*ast.MappingValueNode) error {
	out.kind = mapping
	lines := map[string]int{}
	for _, v := range values {
		tk := v.Key.GetToken()
		name, at := tk.Value, d.place(tk)
		field := shortenTo(maxPath, child(out.field, shorten(name)))
		if first, ok := lines[name]; ok {
			return d.fail(at, RequestError{Field: field, Problem: fmt.Sprintf("is given twice, first in line %d", first), Fix: "keep one of the two"})
		}
		lines[name] = at.line
		child, err := d.convert(v.Value, field, at)
		if err != nil {
			return err
		}
		out.entries = append(out.entries, entry{name, child})
	}
	return nil
}

// scalar resolves a scalar by YAML 1.2's core schema, stricter where YAML
// versions disagree: 010, 1_000, 0x10 and yes stay text, so that a number or a
// true can only be meant.
func (n *node) scalar(tk *token.Token) {
	n.value, n.written = tk.Value, tk.Value
	switch tk.Type {
	case token.ImplicitNullType:
		n.kind, n.value, n.written = empty, "", ""
		return
	case token.DoubleQuoteType, token.SingleQuoteType:
		n.kind, n.written = textual, cmp.Or(strings.TrimSpace(tk.Origin), tk.Value)
		return
	default:
	}
	switch n.value {
	case "null", "Null", "NULL", "~":
		n.kind = empty
		return
	case "true", "True", "TRUE", "false", "False", "FALSE":
		n.kind, n.value = boolean, strings.ToLower(n.value)
		return
	case ".nan", ".NaN", ".NAN":
		n.kind = nonFinite
		return
	}
	switch strings.TrimLeft(n.value, "+-") {
	case ".inf", ".Inf", ".INF":
		n.kind = nonFinite
		return
	}
	n.number()
}

// number resolves plain text that may be a number.
func (n *node) number() {
	n.kind = textual
	digits := strings.TrimLeft(n.value, "+-")
	if len(n.value)-len(digits) > 1 || strings.Trim(digits, "0123456789.eE+-") != "" || strings.Trim(digits, ".eE+-") == "" {
		return
	}
	if isDigits(digits) {
		if len(digits) > 1 && digits[0] == '0' {
			return
		}
		n.kind, n.value = whole, strings.TrimPrefix(n.value, "+")
		if n.value == "-0" {
			n.value = "0"
		}
		return
	}
	if c := digits[0]; c == 'e' || c == 'E' {
		return
	}
	v, err := strconv.ParseFloat(n.value, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		n.kind = nonFinite
	case err == nil:
		n.kind = fractional
		if v == 0 && strings.Trim(mantissa(digits), "0.") != "" {
			// Below what 64 bits hold: stands for the smallest number, so that
			// it is refused as too small and not taken for zero.
			v = math.Copysign(math.SmallestNonzeroFloat64, v)
		}
		n.value = strconv.FormatFloat(v, 'g', -1, 64)
	}
}

func mantissa(number string) string {
	if i := strings.IndexAny(number, "eE"); i >= 0 {
		return number[:i]
	}
	return number
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// maxDigits bounds the whole numbers that are compared exactly; longer ones are
// out of every range.
const maxDigits = 30

// plain returns the value as encoding/json would decode it with UseNumber, for
// the schema's validator.
func (n *node) plain() any {
	switch n.kind {
	case mapping:
		m := make(map[string]any, len(n.entries))
		for _, e := range n.entries {
			m[e.name] = e.value.plain()
		}
		return m
	case list:
		l := make([]any, len(n.items))
		for i, item := range n.items {
			l[i] = item.plain()
		}
		return l
	case whole:
		if digits := strings.TrimPrefix(n.value, "-"); len(digits) > maxDigits {
			return json.Number(strings.TrimSuffix(n.value, digits) + strings.Repeat("9", maxDigits))
		}
		return json.Number(n.value)
	case fractional:
		return json.Number(n.value)
	case boolean:
		return n.value == "true"
	case empty:
		return nil
	default: // also what is not finite, which JSON has no number for
		return n.value
	}
}
