package api

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
)

// position is where something of a request is written: a place in the file, both
// counted from 1 and column in characters; or else a setting, the order-th from 1.
type position struct {
	line, column int
	setting      Setting
	order        int // 0 for a place in the file
}

func placeAt(line, column int) position { return position{line: line, column: column} }

// nodeKind is what a value looks like, whatever it should be.
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
	// written is a scalar as it was written; value is the text that it means, or
	// its JSON form if it is a number.
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

// plainScalar resolves an unquoted scalar by YAML 1.2's core schema, more strictly
// where versions of YAML disagree: 010, 1_000, 0x10 and yes stay text, so that
// what is taken for a number or for true was meant as one.
func (n *node) plainScalar(text string) {
	n.value, n.written = text, text
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

// number resolves plain text that may be a number, leading zeros not allowed.
func (n *node) number() {
	n.kind = textual
	digits := strings.TrimLeft(n.value, "+-")
	if len(n.value)-len(digits) > 1 || strings.Trim(digits, "0123456789.eE+-") != "" || strings.Trim(digits, ".eE+-") == "" {
		return
	}
	if len(digits) > 1 && digits[0] == '0' && '0' <= digits[1] && digits[1] <= '9' {
		return // octal, decimal or a slip: versions of YAML disagree
	}
	if isDigits(digits) {
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
			// Too small for 64 bits. It becomes the smallest number, so that it is
			// refused as too small and not taken for zero.
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

// maxDigits bounds the whole numbers that are compared exactly; longer ones exceed
// every range.
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
	default: // also what is not finite, for which JSON has no number
		return n.value
	}
}
