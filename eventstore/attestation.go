package eventstore

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"reprise/fault"
)

const (
	attestationFormat  = "reprise.head"
	attestationVersion = 1
	// attestationDomain begins the signed bytes, so that they cannot be mistaken
	// for anything else.
	attestationDomain = "reprise.head.v1"
)

var (
	// ErrBadSignature is returned for an attestation that was not signed with the
	// key, or was changed since.
	ErrBadSignature = fault.New(fault.Corrupt, "the signature does not match")
	// ErrNotContained is wrapped by the error of Attestation.Check if a log does
	// not contain what was attested.
	ErrNotContained = fault.New(fault.Corrupt, "the log does not contain the attested head")
)

// Attestation says how far a log had come and what its hash was. Kept
// elsewhere, it shows later that nothing up to there was changed; if it is
// signed, anybody may keep it. docs/event-format.md specifies its form byte by
// byte.
type Attestation struct {
	// Store is the hash of the log's first event, which identifies the log
	// forever.
	Store Hash
	Head  Head
	// Time is when it was made, in UTC and whole seconds.
	Time time.Time
	// Signature is the Ed25519 signature of the statement; nil if it is not
	// signed.
	Signature []byte
}

// Attest verifies the whole hash chain of the log, as Store.Verify does, and
// returns an unsigned attestation of its end. It fails with ErrNotContained if
// the log is empty.
func Attest(ctx context.Context, store Store, now time.Time) (Attestation, error) {
	head, err := store.Verify(ctx)
	if err != nil {
		return Attestation{}, err
	}
	first, err := store.Read(ctx, 0, 1)
	if err != nil {
		return Attestation{}, err
	}
	if len(first) == 0 {
		return Attestation{}, fmt.Errorf("the log is empty: %w", ErrNotContained)
	}
	return Attestation{Store: first[0].Hash, Head: head, Time: now.UTC().Truncate(time.Second)}, nil
}

// statement returns the bytes that are signed.
func (a Attestation) statement() []byte {
	return fmt.Appendf(nil, "%s\nstore %s\nposition %d\nhash %s\ntime %s\n",
		attestationDomain, a.Store, a.Head.Position, a.Head.Hash, a.Time.UTC().Format(time.RFC3339))
}

// Sign returns the attestation with a signature.
func (a Attestation) Sign(key ed25519.PrivateKey) Attestation {
	a.Signature = ed25519.Sign(key, a.statement())
	return a
}

// CheckSignature fails with ErrBadSignature unless the attestation was signed
// with the private key that belongs to key.
func (a Attestation) CheckSignature(key ed25519.PublicKey) error {
	if a.Signature == nil {
		return fmt.Errorf("it is not signed: %w", ErrBadSignature)
	}
	if !ed25519.Verify(key, a.statement(), a.Signature) {
		return ErrBadSignature
	}
	return nil
}

// Check fails with ErrNotContained unless the log, whose chain the caller has
// verified up to head, contains what is attested. If it does, no event up to
// there was changed, added or removed.
func (a Attestation) Check(ctx context.Context, store Store, head Head) error {
	no := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrNotContained, fmt.Sprintf(format, args...))
	}
	if head.Position == 0 {
		return no("the log is empty; %d events are missing", a.Head.Position)
	}
	first, err := store.Read(ctx, 0, 1)
	if err != nil {
		return err
	}
	if first[0].Hash != a.Store {
		return no("it is for store %s, and this is store %s: another log, or one rewritten from its first event", a.Store, first[0].Hash)
	}
	if a.Head.Position > head.Position {
		return no("it is for position %d, and the log ends at %d: %d events are missing", a.Head.Position, head.Position, a.Head.Position-head.Position)
	}
	at, err := store.Read(ctx, a.Head.Position-1, 1)
	if err != nil {
		return err
	}
	if at[0].Hash != a.Head.Hash {
		return no("at position %d the hash was %s and is now %s: the log was rewritten at or before that position", a.Head.Position, a.Head.Hash, at[0].Hash)
	}
	return nil
}

// Text returns the attestation in its signed form: the statement, followed by a
// line with the signature if there is one.
func (a Attestation) Text() []byte {
	text := a.statement()
	if a.Signature != nil {
		text = fmt.Appendf(text, "signature %s\n", base64.StdEncoding.EncodeToString(a.Signature))
	}
	return text
}

// attestationJSON is the JSON form of an attestation.
type attestationJSON struct {
	Format    string   `json:"format"`
	Version   int      `json:"version"`
	Store     string   `json:"store"`
	Position  Position `json:"position"`
	Hash      string   `json:"hash"`
	Time      string   `json:"time"`
	Signature []byte   `json:"signature,omitempty"`
}

// MarshalJSON encodes the attestation as a JSON object. Its signature is that
// of the text form.
func (a Attestation) MarshalJSON() ([]byte, error) {
	return json.Marshal(attestationJSON{
		Format: attestationFormat, Version: attestationVersion, Store: a.Store.String(),
		Position: a.Head.Position, Hash: a.Head.Hash.String(), Time: a.Time.UTC().Format(time.RFC3339), Signature: a.Signature,
	})
}

// UnmarshalJSON reads what MarshalJSON wrote, and nothing else.
func (a *Attestation) UnmarshalJSON(raw []byte) error {
	read, err := parseAttestationJSON(raw)
	if err == nil {
		*a = read
	}
	return err
}

// ParseAttestation reads what Text or MarshalJSON wrote.
func ParseAttestation(raw []byte) (Attestation, error) {
	if trimmed := bytes.TrimSpace(raw); len(trimmed) > 0 && trimmed[0] == '{' {
		return parseAttestationJSON(trimmed)
	}
	lines := strings.SplitAfter(string(raw), "\n")
	if lines[0] != attestationDomain+"\n" {
		return Attestation{}, fmt.Errorf("it does not begin with the line %s", attestationDomain)
	}
	var j attestationJSON
	for i, field := range []struct {
		name string
		set  func(string) error
	}{
		{"store", func(s string) error { j.Store = s; return nil }},
		{"position", func(s string) (err error) { j.Position, err = parsePosition(s); return err }},
		{"hash", func(s string) error { j.Hash = s; return nil }},
		{"time", func(s string) error { j.Time = s; return nil }},
		{"signature", func(s string) (err error) { j.Signature, err = base64.StdEncoding.DecodeString(s); return err }},
	} {
		if i+1 >= len(lines) || lines[i+1] == "" && field.name == "signature" {
			break
		}
		value, ok := strings.CutPrefix(strings.TrimSuffix(lines[i+1], "\n"), field.name+" ")
		if !ok {
			return Attestation{}, fmt.Errorf("line %d is not the %s", i+2, field.name)
		}
		if err := field.set(value); err != nil {
			return Attestation{}, fmt.Errorf("line %d, %s: %w", i+2, field.name, err)
		}
	}
	a, err := j.attestation()
	if err == nil && string(a.Text()) != string(raw) {
		err = errors.New("it is not in the exact form in which it was written")
	}
	return a, err
}

func parsePosition(s string) (Position, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	return Position(n), err
}

func parseAttestationJSON(raw []byte) (Attestation, error) {
	var j attestationJSON
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return Attestation{}, err
	}
	if j.Format != attestationFormat || j.Version != attestationVersion {
		return Attestation{}, fmt.Errorf("its format is %q version %d, want %q version %d", j.Format, j.Version, attestationFormat, attestationVersion)
	}
	return j.attestation()
}

func (j attestationJSON) attestation() (Attestation, error) {
	a := Attestation{Head: Head{Position: j.Position}, Signature: j.Signature}
	var err error
	if a.Store, err = parseAttestedHash("store", j.Store); err != nil {
		return a, err
	}
	if a.Head.Hash, err = parseAttestedHash("hash", j.Hash); err != nil {
		return a, err
	}
	if a.Head.Position == 0 {
		return a, errors.New("its position is missing or 0; positions start at 1")
	}
	if a.Time, err = time.Parse(time.RFC3339, j.Time); err != nil {
		return a, fmt.Errorf("its time is %q, want a form such as 2026-01-02T03:04:05Z", j.Time)
	}
	if a.Signature != nil && len(a.Signature) != ed25519.SignatureSize {
		return a, fmt.Errorf("its signature has %d bytes, want the %d of Ed25519", len(a.Signature), ed25519.SignatureSize)
	}
	return a, nil
}

func parseAttestedHash(field, s string) (Hash, error) {
	var h Hash
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != sha256.Size || s != strings.ToLower(s) {
		return h, fmt.Errorf("its %s is %q, want a SHA-256 in lower-case hex", field, s)
	}
	copy(h[:], raw)
	return h, nil
}
