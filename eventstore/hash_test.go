package eventstore_test

import (
	"encoding/json"
	"strings"
	"testing"

	"reprise/eventstore"
)

func TestAHashIsReadAsItIsWritten(t *testing.T) {
	want := eventstore.Hash{1, 2, 0xff}
	raw, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got eventstore.Hash
	if err := json.Unmarshal(raw, &got); err != nil || got != want {
		t.Errorf("%s reads back as %v, %v", raw, got, err)
	}
	for _, text := range []string{"", "01", want.String() + "00", strings.Repeat("x", 64)} {
		if err := got.UnmarshalText([]byte(text)); err == nil || got != want {
			t.Errorf("%q reads as %v, %v", text, got, err)
		}
	}
}
