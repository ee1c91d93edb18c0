// Package pemkey reads Ed25519 keys in PEM, and says of any other key what it is and
// what to do.
package pemkey

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"reprise/fault"
)

// Hint says how to make a pair of keys.
const Hint = "make a pair with: openssl genpkey -algorithm ed25519 -out KEY && openssl pkey -in KEY -pubout -out PUB"

// Private reads a private key (PKCS #8). It fails with *fault.FieldError, which names
// the field and does not show the content.
func Private(field string, content []byte) (ed25519.PrivateKey, error) {
	der, err := block(field, content, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	return checked[ed25519.PrivateKey](field, parsed, err)
}

// Public reads a public key (PKIX). It fails as Private does.
func Public(field string, content []byte) (ed25519.PublicKey, error) {
	der, err := block(field, content, "PUBLIC KEY")
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	return checked[ed25519.PublicKey](field, parsed, err)
}

// block returns the content of the PEM block, which must be of the wanted type.
func block(field string, content []byte, want string) ([]byte, error) {
	b, _ := pem.Decode(content)
	bad := func(problem, fix string) error {
		return &fault.FieldError{Field: field, Problem: problem, Fix: fix}
	}
	switch {
	case b == nil && bytes.HasPrefix(bytes.TrimSpace(content), []byte("ssh-")):
		return nil, bad("is an OpenSSH public key; a PEM key is needed", Hint)
	case b == nil:
		return nil, bad("is not a PEM key", Hint)
	case b.Type == want:
		return b.Bytes, nil
	case b.Type == "PUBLIC KEY":
		return nil, bad("is a public key", "sign with the private one, which stays with you")
	case b.Type == "PRIVATE KEY":
		return nil, bad("is a private key", "give the public one: openssl pkey -in KEY -pubout -out PUB")
	case b.Type == "ENCRYPTED PRIVATE KEY":
		return nil, bad("is encrypted", "decrypt it first: openssl pkey -in KEY")
	case b.Type == "OPENSSH PRIVATE KEY":
		return nil, bad("is an OpenSSH private key; a PEM (PKCS #8) key is needed", Hint)
	}
	return nil, bad(fmt.Sprintf("is a PEM block of type %q; one of type %q is needed", b.Type, want), Hint)
}

// checked returns a key that was parsed, if it is one of Ed25519.
func checked[Key any](field string, parsed any, err error) (Key, error) {
	key, ok := parsed.(Key)
	switch {
	case err != nil:
		return key, &fault.FieldError{Field: field, Problem: fmt.Sprintf("is damaged or of an unknown kind: %v", err), Fix: Hint}
	case !ok:
		return key, &fault.FieldError{Field: field, Problem: fmt.Sprintf("is %s; an Ed25519 key is needed", algorithmOf(parsed)), Fix: Hint}
	}
	return key, nil
}

// algorithmOf names a key of another algorithm.
func algorithmOf(key any) string {
	switch key.(type) {
	case *rsa.PrivateKey, *rsa.PublicKey:
		return "an RSA key"
	case *ecdsa.PrivateKey, *ecdsa.PublicKey:
		return "an ECDSA key"
	case *ecdh.PrivateKey, *ecdh.PublicKey:
		return "an X25519 key"
	}
	return fmt.Sprintf("a %T", key)
}
