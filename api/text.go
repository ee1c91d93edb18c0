package api

import (
	"encoding/json"
	"unicode/utf8"
)

// Text is a text as bytes, of which not all need to be UTF-8: a path, a prompt, or a
// part of a text that ends within a character. Its JSON is a string if it is UTF-8,
// else an object with its bytes in base 64.
type Text string

// inBytes is the JSON of a text that is not UTF-8.
type inBytes struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON implements json.Marshaler.
func (t Text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	return json.Marshal(inBytes{[]byte(t)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err == nil {
		*t = Text(text)
		return nil
	}
	var b inBytes
	err := json.Unmarshal(raw, &b)
	*t = Text(b.Base64)
	return err
}
