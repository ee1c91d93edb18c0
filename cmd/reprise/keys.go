package main

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
)

const makeKeyHint = "make a pair with: openssl genpkey -algorithm ed25519 -out KEY && openssl pkey -in KEY -pubout -out PUB"

// readKey returns the PEM block of a file, which must be of the wanted type.
func readKey(flag, file, want string) ([]byte, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, invalid(fmt.Errorf("%s %s: %w; %s", flag, file, err, makeKeyHint))
	}
	block, _ := pem.Decode(raw)
	bad := func(problem, fix string) error {
		return invalid(fmt.Errorf("%s %s: %s; %s", flag, file, problem, fix))
	}
	switch {
	case block == nil && bytes.HasPrefix(bytes.TrimSpace(raw), []byte("ssh-")):
		return nil, bad("is an OpenSSH public key; a PEM key is needed", makeKeyHint)
	case block == nil:
		return nil, bad("is not a PEM key", makeKeyHint)
	case block.Type == want:
		return block.Bytes, nil
	case block.Type == "PUBLIC KEY":
		return nil, bad("is a public key", "sign with the private one, which stays with you")
	case block.Type == "PRIVATE KEY":
		return nil, bad("is a private key", "give the public one: openssl pkey -in KEY -pubout -out PUB")
	case block.Type == "ENCRYPTED PRIVATE KEY":
		return nil, bad("is encrypted", "decrypt it for this command: openssl pkey -in KEY")
	case block.Type == "OPENSSH PRIVATE KEY":
		return nil, bad("is an OpenSSH private key; a PEM (PKCS #8) key is needed", makeKeyHint)
	}
	return nil, bad(fmt.Sprintf("is a PEM block of type %q; one of type %q is needed", block.Type, want), makeKeyHint)
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

// readPrivateKey reads an Ed25519 key in PEM (PKCS #8).
func readPrivateKey(flag, file string) (ed25519.PrivateKey, error) {
	der, err := readKey(flag, file, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, invalid(fmt.Errorf("%s %s: is damaged or of an unknown kind: %w; %s", flag, file, err, makeKeyHint))
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, invalid(fmt.Errorf("%s %s: is %s; an Ed25519 key is needed; %s", flag, file, algorithmOf(parsed), makeKeyHint))
	}
	return key, nil
}

// readPublicKey reads an Ed25519 key in PEM (PKIX).
func readPublicKey(flag, file string) (ed25519.PublicKey, error) {
	der, err := readKey(flag, file, "PUBLIC KEY")
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, invalid(fmt.Errorf("%s %s: is damaged or of an unknown kind: %w; %s", flag, file, err, makeKeyHint))
	}
	key, ok := parsed.(ed25519.PublicKey)
	if !ok {
		return nil, invalid(fmt.Errorf("%s %s: is %s; an Ed25519 key is needed; %s", flag, file, algorithmOf(parsed), makeKeyHint))
	}
	return key, nil
}
