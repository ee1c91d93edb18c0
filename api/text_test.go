package api_test

import (
	"encoding/json"
	"testing"

	"reprise/api"
)

func TestATextKeepsItsBytesInJSON(t *testing.T) {
	for text, want := range map[api.Text]string{
		"":          `""`,
		"caf\u00e9": `"café"`,
		"caf\xe9":   `{"base64":"Y2Fm6Q=="}`,
		"\uFFFD":    `"` + "\uFFFD" + `"`,
		"\xc3":      `{"base64":"ww=="}`,
		"a\x00\n":   `"a\u0000\n"`,
	} {
		raw, err := json.Marshal(text)
		if err != nil || string(raw) != want {
			t.Errorf("%q is %s, %v; want %s", text, raw, err, want)
		}
		var again api.Text
		if err := json.Unmarshal(raw, &again); err != nil || again != text {
			t.Errorf("%s is %q, %v; want %q", raw, again, err, text)
		}
	}
	var bad api.Text
	for _, raw := range []string{`7`, `{"base64":"?"}`, `["a"]`} {
		if err := json.Unmarshal([]byte(raw), &bad); err == nil {
			t.Errorf("%s is %q", raw, bad)
		}
	}
}
