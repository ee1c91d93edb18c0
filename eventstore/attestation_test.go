package eventstore

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

func hashOf(b byte) (h Hash) {
	for i := range h {
		h[i] = b
	}
	return h
}

func example() Attestation {
	return Attestation{Store: hashOf(0xaa), Head: Head{Position: 42, Hash: hashOf(0x0b)}, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

func exampleKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte("reprise-example-key-of-32-bytes!"))
}

func TestAttestationRoundTrips(t *testing.T) {
	key := exampleKey()
	for name, a := range map[string]Attestation{"unsigned": example(), "signed": example().Sign(key)} {
		asJSON, err := a.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		for _, raw := range [][]byte{a.Text(), asJSON} {
			got, err := ParseAttestation(raw)
			if err != nil || !bytes.Equal(got.Text(), a.Text()) {
				t.Errorf("%s: %s gives %+v, %v", name, raw, got, err)
			}
		}
		var decoded Attestation
		if err := decoded.UnmarshalJSON(asJSON); err != nil || !bytes.Equal(decoded.Text(), a.Text()) {
			t.Errorf("%s: %s gives %+v, %v", name, asJSON, decoded, err)
		}
	}
	signed := example().Sign(key)
	if err := signed.CheckSignature(key.Public().(ed25519.PublicKey)); err != nil {
		t.Error(err)
	}
	if err := example().CheckSignature(key.Public().(ed25519.PublicKey)); !errors.Is(err, ErrBadSignature) {
		t.Errorf("unsigned: %v", err)
	}
	for name, change := range map[string]func(*Attestation){
		"store":     func(a *Attestation) { a.Store[31]++ },
		"position":  func(a *Attestation) { a.Head.Position++ },
		"hash":      func(a *Attestation) { a.Head.Hash[0]++ },
		"time":      func(a *Attestation) { a.Time = a.Time.Add(time.Second) },
		"signature": func(a *Attestation) { a.Signature = bytes.Clone(a.Signature); a.Signature[0]++ },
	} {
		other := signed
		change(&other)
		if err := other.CheckSignature(key.Public().(ed25519.PublicKey)); !errors.Is(err, ErrBadSignature) {
			t.Errorf("another %s: %v", name, err)
		}
	}
}

func TestAttestationInAnyOtherFormIsRefused(t *testing.T) {
	text := string(example().Sign(exampleKey()).Text())
	for name, raw := range map[string]string{
		"nothing":                "",
		"another first line":     strings.Replace(text, "v1", "v2", 1),
		"cut off":                text[:100],
		"no final newline":       strings.TrimSuffix(text, "\n"),
		"CRLF line ends":         strings.ReplaceAll(text, "\n", "\r\n"),
		"trailing text":          text + "more\n",
		"a position of 0":        strings.Replace(text, "position 42", "position 0", 1),
		"a position in words":    strings.Replace(text, "position 42", "position x", 1),
		"a leading zero":         strings.Replace(text, "position 42", "position 042", 1),
		"a short hash":           strings.Replace(text, "store aa", "store ", 1),
		"upper case":             strings.Replace(text, "store aa", "store AA", 1),
		"another time zone":      strings.Replace(text, "03:04:05Z", "03:04:05+01:00", 1),
		"another order":          strings.Replace(text, "store", "hash", 1),
		"JSON of another format": `{"format":"reprise.events","version":1}`,
		"JSON with an extra key": `{"format":"reprise.head","version":1,"x":1}`,
	} {
		if a, err := ParseAttestation([]byte(raw)); err == nil {
			t.Errorf("%s: accepted as %+v", name, a)
		}
	}
}

func FuzzParseAttestation(f *testing.F) {
	f.Add(example().Text())
	f.Add(example().Sign(exampleKey()).Text())
	asJSON, err := example().MarshalJSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(asJSON)
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := ParseAttestation(raw)
		if err != nil {
			return
		}
		again, err := ParseAttestation(a.Text())
		if err != nil || !bytes.Equal(again.Text(), a.Text()) {
			t.Errorf("%q gives %q, %v", raw, again.Text(), err)
		}
	})
}

// The bytes in docs/event-format.md are the ones that are signed. Any other
// Ed25519 program would give the same signature, since there is only one.
func TestDocumentedHeadIsWhatIsSigned(t *testing.T) {
	raw, err := os.ReadFile("../docs/event-format.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(raw), "\n## Heads\n")
	if !found {
		t.Fatal("docs/event-format.md has no section on heads")
	}
	_, block, _ := strings.Cut(section, "```head\n")
	block, _, _ = strings.Cut(block, "```")
	if want := string(example().Sign(exampleKey()).Text()); block != want {
		t.Errorf("documented:\n%s\nwritten:\n%s", block, want)
	}
	statement, signature, _ := strings.Cut(block, "signature ")
	sig, err := base64.StdEncoding.DecodeString(strings.TrimSpace(signature))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("<!-- public -->`([0-9a-f]{64})`").FindStringSubmatch(section)
	if m == nil {
		t.Fatal("the public key is not documented")
	}
	public, err := hex.DecodeString(m[1])
	if err != nil || !ed25519.Verify(public, []byte(statement), sig) {
		t.Errorf("the documented signature does not match: %v", err)
	}
}
