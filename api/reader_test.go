package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
	"pgregory.net/rapid"
)

// shape writes a tree of ours so that it can be compared: every scalar with its
// kind of quoting and its text.
func shape(n *node) string {
	switch n.kind {
	case mapping:
		parts := make([]string, len(n.entries))
		for i, e := range n.entries {
			parts[i] = fmt.Sprintf("%q=%s", e.name, shape(e.value))
		}
		return "{" + strings.Join(parts, " ") + "}"
	case list:
		parts := make([]string, len(n.items))
		for i, item := range n.items {
			parts[i] = shape(item)
		}
		return "[" + strings.Join(parts, " ") + "]"
	case empty:
		return "null"
	case textual:
		return fmt.Sprintf("%q", n.value)
	default:
		return fmt.Sprintf("%s(%s)", n.kind, n.value)
	}
}

// otherShape writes a tree of the other reader's in the same form. Only where
// values begin and end, and what stands in quotes, is its reading; what an
// unquoted text means is one rule for both.
func otherShape(n ast.Node) (string, error) {
	scalar := func(text string) string {
		var plain node
		plain.plainScalar(text)
		return shape(&plain)
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return otherMapping(n.Values)
	case *ast.MappingValueNode:
		return otherMapping([]*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		parts := make([]string, len(n.Values))
		for i, item := range n.Values {
			var err error
			if parts[i], err = otherShape(item); err != nil {
				return "", err
			}
		}
		return "[" + strings.Join(parts, " ") + "]", nil
	case *ast.LiteralNode:
		return fmt.Sprintf("%q", n.Value.Value), nil
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.NanNode, *ast.InfinityNode, *ast.BoolNode, *ast.NullNode:
		tk := n.GetToken()
		switch tk.Type {
		case token.ImplicitNullType:
			return "null", nil
		case token.DoubleQuoteType, token.SingleQuoteType:
			return fmt.Sprintf("%q", tk.Value), nil
		default:
			return scalar(tk.Value), nil
		}
	}
	return "", fmt.Errorf("a %T", n)
}

func otherMapping(values []*ast.MappingValueNode) (string, error) {
	parts := make([]string, len(values))
	for i, v := range values {
		value, err := otherShape(v.Value)
		if err != nil {
			return "", err
		}
		parts[i] = fmt.Sprintf("%q=%s", v.Key.GetToken().Value, value)
	}
	return "{" + strings.Join(parts, " ") + "}", nil
}

// otherReading reads a text with the other reader, which drops tabs within text
// and some more that a request cannot have. It fails where that one does.
func otherReading(text string) (shape string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	file, err := parser.ParseBytes([]byte(text), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return "", err
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil {
			if body != nil {
				return "", fmt.Errorf("two documents")
			}
			body = doc.Body
		}
	}
	if body == nil {
		return "", fmt.Errorf("no document")
	}
	return otherShape(body)
}

// A document of random pieces that is accepted means the same to a second,
// independent reader of YAML, where that one reads it at all.
func TestTwoReadersTakeADocumentForTheSame(t *testing.T) {
	pieces := []string{
		"a", "b", "key", "32", "16", "-1", "0.5", "1e3", ".5", "1_000", "0x10", "017", "0o17", "1:30", "~", "null", "yes", "true", ".inf", ".nan", "+1",
		" ", " ", " ", "  ", "\t", "\n", "\n", "\n", "\n  ", "\n  ", "\n    ", "\r\n", "\r", ": ", ": ", ": ", ":", "- ", "- ", "-", ", ", ", ", ",", "[", "]", "{", "}", "[1, 2]", "{a: 1}",
		`"x"`, `'y'`, `"a\tb"`, `"\u00e9"`, `"`, "'", "''", `\`, "#", " # note", "|", "|\n  ", ">", ">-\n  ", "&x ", "*x", "!", "!!str ", "!!int ", "? ", "%YAML 1.2\n", "---", "---\n", "...", "@", "`", "é", "\u0085", "\u2028", "\ufeff", "=", "\x00",
	}
	var both int
	rapid.Check(t, func(t *rapid.T) {
		text := "k: " + strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 12).Draw(t, "pieces"), "")
		d, err := parseDocument("", []byte(text))
		if err != nil {
			return
		}
		other, err := otherReading(text)
		if err != nil {
			return
		}
		both++
		if got := shape(d.root); got != other {
			t.Errorf("%q\nis read as  %s\nand also as %s", text, got, other)
		}
	})
	t.Logf("%d documents were read by both", both)
}
