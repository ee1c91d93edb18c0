package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"reprise/tensor"
)

// parseHeader reads the JSON object token by token: encoding/json would accept equal
// keys, of which the last one counts, and keys in any case. Only foreign headers may
// have tensors of other types than ours.
func parseHeader(header []byte, foreign bool) ([]place, error) {
	if !utf8.Valid(header) {
		return nil, errors.New("it is not UTF-8")
	}
	if len(header) == 0 || header[0] != '{' {
		return nil, errors.New("it does not begin with {")
	}
	p := parser{json.NewDecoder(bytes.NewReader(trimmed(header))), foreign}
	p.UseNumber()
	var places []place
	seen := map[string]bool{}
	err := p.object(func(name string) error {
		if name == metadataKey {
			return p.object(func(string) error { _, err := p.text(); return err })
		}
		if name == "" || len(name) > maxTensorName {
			return fmt.Errorf("%s is not a tensor's name", shorten(name))
		}
		t, err := p.place(name)
		if err != nil {
			return fmt.Errorf("%s: %w", shorten(name), err)
		}
		seen[name] = true
		places = append(places, t)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if p.InputOffset() != int64(len(trimmed(header))) {
		return nil, errors.New("there is something after its last brace")
	}
	return places, nil
}

// parser reads the values that a header may contain and refuses all others.
type parser struct {
	*json.Decoder
	foreign bool
}

func (p parser) token() (json.Token, error) {
	t, err := p.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return t, err
}

func (p parser) delimiter(want json.Delim) error {
	t, err := p.token()
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("%v instead of %v", t, want)
	}
	return nil
}

// object calls value for every key; value must read the key's value. A key that
// appears twice is refused.
func (p parser) object(value func(key string) error) error {
	if err := p.delimiter('{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for p.More() {
		key, err := p.text()
		if err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("%s appears twice", shorten(key))
		}
		seen[key] = true
		if err := value(key); err != nil {
			return err
		}
	}
	return p.delimiter('}')
}

func (p parser) text() (string, error) {
	t, err := p.token()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", fmt.Errorf("%v instead of a string", t)
	}
	return s, nil
}

// numbers reads a list of at most limit whole numbers, none of them negative.
func (p parser) numbers(limit int) ([]int64, error) {
	if err := p.delimiter('['); err != nil {
		return nil, err
	}
	list := []int64{}
	for p.More() {
		t, err := p.token()
		if err != nil {
			return nil, err
		}
		digits, ok := t.(json.Number)
		if !ok {
			return nil, fmt.Errorf("%v instead of a number", t)
		}
		n, err := strconv.ParseUint(string(digits), 10, 63)
		if err != nil {
			return nil, fmt.Errorf("%s is not a whole number of at least 0", shorten(string(digits)))
		}
		if len(list) == limit {
			return nil, fmt.Errorf("more than %d numbers", limit)
		}
		list = append(list, int64(n))
	}
	return list, p.delimiter(']')
}

// place reads what the header says of one tensor.
func (p parser) place(name string) (place, error) {
	at := place{name: name}
	keys := 0
	err := p.object(func(key string) error {
		keys++
		switch key {
		case "dtype":
			var err error
			if at.dtype, err = p.text(); err == nil && at.dtype != dtypeF32 && !p.foreign {
				err = fmt.Errorf("dtype %s; only %s can be read", shorten(at.dtype), dtypeF32)
			}
			return err
		case "shape":
			dimensions, err := p.numbers(tensor.MaxRank)
			at.shape = make(tensor.Shape, len(dimensions))
			for i, d := range dimensions {
				at.shape[i] = int(d)
				if int64(at.shape[i]) != d {
					return fmt.Errorf("dimension %d: %w", d, tensor.ErrOverflow)
				}
			}
			return err
		case "data_offsets":
			offsets, err := p.numbers(2)
			if err == nil && len(offsets) != 2 {
				err = errors.New("data_offsets must be two numbers")
			}
			if err == nil {
				at.begin, at.end = offsets[0], offsets[1]
			}
			return err
		}
		return fmt.Errorf("unknown key %s", shorten(key))
	})
	if err == nil && keys != 3 {
		err = errors.New("dtype, shape or data_offsets is missing")
	}
	return at, err
}
