package eventstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// document returns docs/event-format.md.
func document(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("../docs/event-format.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// documented returns the only value in the document after the comment with that
// name.
func documented(t *testing.T, doc, name string) string {
	t.Helper()
	found := regexp.MustCompile("<!-- "+name+" -->`([^`]+)`").FindAllStringSubmatch(doc, -1)
	if len(found) != 1 {
		t.Fatalf("docs/event-format.md marks %d values as %s, want 1", len(found), name)
	}
	return found[0][1]
}

// The document's hexadecimal is what the code hashes, field by field, and its
// hash is the result.
func TestDocumentedBytesAreWhatIsHashed(t *testing.T) {
	doc := document(t)
	_, block, _ := strings.Cut(doc, "```hex\n")
	block, _, ok := strings.Cut(block, "\n```")
	if !ok {
		t.Fatal("docs/event-format.md has no block of hexadecimal")
	}
	// The documented form of each field: its fixed size, or 0 for a text.
	sizes := []int{17, 32, 8, 0, 8, 0, 0, 8, 8, 0, 0, 0}
	lines := strings.Split(block, "\n")
	if len(lines) != len(sizes) {
		t.Fatalf("%d lines, want one for each of %d fields", len(lines), len(sizes))
	}
	var all bytes.Buffer
	for i, line := range lines {
		field, err := hex.DecodeString(line)
		if err != nil {
			t.Fatalf("field %d: %v", i+1, err)
		}
		size := sizes[i]
		if size == 0 && len(field) >= 8 {
			size = 8 + int(binary.BigEndian.Uint64(field))
		}
		if len(field) != size {
			t.Errorf("field %d has %d bytes, want %d", i+1, len(field), size)
		}
		all.Write(field)
	}
	if size := fmt.Sprintf("%d bytes:", all.Len()); !strings.Contains(doc, size) {
		t.Errorf("docs/event-format.md does not say that the example has %q", size)
	}
	want := documented(t, doc, "hash")
	if got := fmt.Sprintf("%x", sha256.Sum256(all.Bytes())); got != want {
		t.Errorf("the documented bytes have the hash %s, and %s is documented", got, want)
	}
	sealed := Seal(NewEvent{
		ID: "00000000-0000-8000-8000-000000000001", Type: "example.happened.v1",
		Time: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Payload: []byte(`{"answer":42}`),
	}, "example/1", 1, 1, Hash{})
	if sealed.Hash.String() != want {
		t.Errorf("the example is sealed with the hash %s, and %s is documented", sealed.Hash, want)
	}
}

func TestDocumentedIDsAreWhatIsDerived(t *testing.T) {
	doc := document(t)
	for name, got := range map[string]EventID{
		"id":          DerivedEventID("run/example", "1", "training.training_started.v1"),
		"correlation": DerivedEventID("run/example"),
	} {
		if want := documented(t, doc, name); string(got) != want {
			t.Errorf("%s is %s, documented is %s", name, got, want)
		}
	}
}
