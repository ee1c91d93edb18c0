package pemkey_test

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"reprise/fault"
	"reprise/internal/pemkey"
)

func encoded(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestKeysOfAPair(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	publicDER, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := pemkey.Private("key", encoded("PRIVATE KEY", privateDER)); err != nil || !got.Equal(private) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := pemkey.Public("key", encoded("PUBLIC KEY", publicDER)); err != nil || !got.Equal(public) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestEveryOtherKeyIsNamed(t *testing.T) {
	otherKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := x509.MarshalPKIXPublicKey(otherKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	exchange, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	exchangeDER, err := x509.MarshalPKCS8PrivateKey(exchange)
	if err != nil {
		t.Fatal(err)
	}
	public := func(content []byte) error { _, err := pemkey.Public("key", content); return err }
	private := func(content []byte) error { _, err := pemkey.Private("key", content); return err }
	for _, c := range []struct {
		read    func([]byte) error
		content string
		want    string
	}{
		{public, "", "is not a PEM key"},
		{public, "ssh-ed25519 AAAA me", "is an OpenSSH public key"},
		{public, string(encoded("PRIVATE KEY", nil)), "is a private key"},
		{public, string(encoded("PUBLIC KEY", []byte{1})), "is damaged or of an unknown kind"},
		{public, string(encoded("PUBLIC KEY", other)), "is an ECDSA key; an Ed25519 key is needed"},
		{public, string(encoded("CERTIFICATE", nil)), `is a PEM block of type "CERTIFICATE"`},
		{private, string(encoded("PUBLIC KEY", other)), "is a public key"},
		{private, string(encoded("PRIVATE KEY", exchangeDER)), "is an X25519 key"},
		{private, string(encoded("PRIVATE KEY", []byte{1})), "is damaged or of an unknown kind"},
		{private, string(encoded("ENCRYPTED PRIVATE KEY", nil)), "is encrypted"},
		{private, string(encoded("OPENSSH PRIVATE KEY", nil)), "is an OpenSSH private key"},
	} {
		err := c.read([]byte(c.content))
		var field *fault.FieldError
		if !errors.As(err, &field) || field.Field != "key" || field.Value != "" || field.Fix == "" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.content, err, c.want)
		}
	}
}
