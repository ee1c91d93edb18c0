package table

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// literal reads the part of Python's literals that a header of NumPy is written in:
// dictionaries, tuples, lists, strings, whole numbers, True, False and None. Tuples and
// lists become []any, dictionaries map[string]any, numbers int64.
type literal struct {
	text  string
	depth int
}

var errLiteral = errors.New("is not written as Python writes it")

func parseLiteral(text string) (any, error) {
	l := &literal{text: text}
	v, err := l.value()
	if err == nil && strings.Trim(l.text, " \n\x00") != "" {
		err = errLiteral
	}
	return v, err
}

func (l *literal) space() { l.text = strings.TrimLeft(l.text, " \t\r\n") }

// take removes a token from the front.
func (l *literal) take(token string) bool {
	l.space()
	rest, ok := strings.CutPrefix(l.text, token)
	l.text = rest
	return ok
}

func (l *literal) value() (any, error) {
	if l.depth++; l.depth > MaxDepth {
		return nil, errLiteral
	}
	defer func() { l.depth-- }()
	for token, value := range map[string]any{"True": true, "False": false, "None": nil} {
		if l.take(token) {
			return value, nil
		}
	}
	switch {
	case l.text == "":
		return nil, errLiteral
	case l.take("{"):
		return l.dictionary()
	case l.take("("):
		return l.items(")")
	case l.take("["):
		return l.items("]")
	case l.text[0] == '\'' || l.text[0] == '"':
		return l.quoted()
	}
	end := 0
	for end < len(l.text) && (l.text[end] >= '0' && l.text[end] <= '9' || l.text[end] == '-') {
		end++
	}
	v, err := strconv.ParseInt(l.text[:end], 10, 64)
	if err != nil {
		return nil, errLiteral
	}
	l.text = l.text[end:]
	l.take("L") // Python 2
	return v, nil
}

func (l *literal) quoted() (string, error) {
	quote := l.text[0]
	end := 1
	for ; end < len(l.text) && l.text[end] != quote; end++ {
		if l.text[end] == '\\' {
			end++
		}
	}
	if end >= len(l.text) {
		return "", errLiteral
	}
	text := l.text[1:end]
	l.text = l.text[end+1:]
	if !utf8.ValidString(text) {
		return "", errLiteral
	}
	if !strings.Contains(text, `\`) {
		return text, nil
	}
	var b strings.Builder
	for text != "" {
		r, _, rest, err := strconv.UnquoteChar(text, quote)
		if err != nil {
			return "", errLiteral
		}
		b.WriteRune(r)
		text = rest
	}
	return b.String(), nil
}

func (l *literal) items(end string) ([]any, error) {
	list := []any{}
	for !l.take(end) {
		v, err := l.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if !l.take(",") {
			if !l.take(end) {
				return nil, errLiteral
			}
			break
		}
	}
	return list, nil
}

func (l *literal) dictionary() (map[string]any, error) {
	d := map[string]any{}
	for !l.take("}") {
		l.space()
		if l.text == "" || l.text[0] != '\'' && l.text[0] != '"' {
			return nil, errLiteral
		}
		key, err := l.quoted()
		if err != nil {
			return nil, err
		}
		if _, ok := d[key]; ok || !l.take(":") {
			return nil, fmt.Errorf("key %s: %w", key, errLiteral)
		}
		if d[key], err = l.value(); err != nil {
			return nil, err
		}
		if !l.take(",") {
			if !l.take("}") {
				return nil, errLiteral
			}
			break
		}
	}
	return d, nil
}
