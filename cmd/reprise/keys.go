package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

const makeKeyHint = "make a pair with: openssl genpkey -algorithm ed25519 -out KEY && openssl pkey -in KEY -pubout -out PUB"

// readKey returns the one block of PEM in a file of the wanted type.
func readKey(flag, file, want string) ([]byte, error) {
	raw, err := readInput(file)
	if err != nil {
		return nil, unusable(fmt.Errorf("%s %s: %w", flag, file, err), makeKeyHint)
	}
	block, _ := pem.Decode(raw)
	bad := func(problem, fix string) error {
		return invalid(fmt.Errorf("%s %s: %s; %s", flag, file, problem, fix))
	}
	switch {
	case block == nil:
		return nil, bad("is not a key in PEM", makeKeyHint)
	case block.Type == want:
		return block.Bytes, nil
	case block.Type == "PUBLIC KEY":
		return nil, bad("is a public key", "sign with the private one, which stays with you")
	case block.Type == "PRIVATE KEY":
		return nil, bad("is a private key", "give the public one: openssl pkey -in KEY -pubout -out PUB")
	case block.Type == "ENCRYPTED PRIVATE KEY":
		return nil, bad("is encrypted", "decrypt it for this command: openssl pkey -in KEY")
	case block.Type == "OPENSSH PRIVATE KEY":
		return nil, bad("is a key of OpenSSH, in a form of its own", makeKeyHint)
	}
	return nil, bad(fmt.Sprintf("holds a %q instead of a %q", block.Type, want), makeKeyHint)
}

// readPrivateKey reads an Ed25519 key in PEM and PKCS #8.
func readPrivateKey(flag, file string) (ed25519.PrivateKey, error) {
	der, err := readKey(flag, file, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, invalid(fmt.Errorf("%s %s: %w; %s", flag, file, err, makeKeyHint))
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, invalid(fmt.Errorf("%s %s: is a %T, not a key of Ed25519; %s", flag, file, parsed, makeKeyHint))
	}
	return key, nil
}

// readPublicKey reads an Ed25519 key in PEM and PKIX.
func readPublicKey(flag, file string) (ed25519.PublicKey, error) {
	der, err := readKey(flag, file, "PUBLIC KEY")
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, invalid(fmt.Errorf("%s %s: %w; %s", flag, file, err, makeKeyHint))
	}
	key, ok := parsed.(ed25519.PublicKey)
	if !ok {
		return nil, invalid(fmt.Errorf("%s %s: is a %T, not a key of Ed25519; %s", flag, file, parsed, makeKeyHint))
	}
	return key, nil
}
