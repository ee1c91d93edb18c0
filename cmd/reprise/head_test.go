package main

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reprise/eventstore"
)

// command runs the program in this process.
func command(t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, complaints bytes.Buffer
	code = run(append([]string{"reprise", "--data-dir", dir}, args...), strings.NewReader(""), &out, &complaints,
		func(string) string { return "" })
	return code, out.String(), complaints.String()
}

// writeKeys writes a pair of keys in PEM.
func writeKeys(t *testing.T, private crypto.Signer) (privateFile, publicFile string) {
	t.Helper()
	folder := t.TempDir()
	write := func(name, kind string, der []byte, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(folder, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	privateFile = write("key.pem", "PRIVATE KEY", der, err)
	der, err = x509.MarshalPKIXPublicKey(private.Public())
	return privateFile, write("pub.pem", "PUBLIC KEY", der, err)
}

func newKeys(t *testing.T) (privateFile, publicFile string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return writeKeys(t, private)
}

// dataDirOf returns a data directory with the events, chained again.
func dataDirOf(t *testing.T, events []eventstore.Event) string {
	t.Helper()
	var log bytes.Buffer
	if _, err := eventstore.Export(t.Context(), logOf(t, events), &log); err != nil {
		t.Fatal(err)
	}
	file, dir := filepath.Join(t.TempDir(), "log.jsonl"), filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file, log.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := command(t, dir, "events", "import", file); code != 0 {
		t.Fatal(stderr)
	}
	return dir
}

func TestASignedHeadShowsWhatBecameOfALog(t *testing.T) {
	events := importedEvents(t, "../../integration/testdata/golden/life.jsonl")
	half := len(events) / 2
	log := dataDirOf(t, events)
	rewritten := append([]eventstore.Event(nil), events...)
	rewritten[half-1].Time = rewritten[half-1].Time.Add(time.Nanosecond) // nothing but the chain has it
	early := dataDirOf(t, events[:half])
	private, public := newKeys(t)
	head := filepath.Join(t.TempDir(), "head.txt")
	if code, stdout, stderr := command(t, early, "events", "head", "--sign", private, head); code != 0 ||
		!strings.Contains(stdout, "wrote the head at position") {
		t.Fatalf("%s%s", stdout, stderr)
	}
	for name, test := range map[string]struct {
		dir  string
		code int
		want string
	}{
		"the same log":             {early, 0, "nothing up to position"},
		"a log that has grown":     {log, 0, "nothing up to position"},
		"a log that lost events":   {dataDirOf(t, events[:half-1]), 1, "1 events are missing"},
		"a log that was rewritten": {dataDirOf(t, rewritten), 1, "the log was rewritten at or before that position"},
		"another log": {dataDirOf(t, importedEvents(t, "../../integration/testdata/golden/digits.jsonl")), 1,
			"another log, or one rewritten from its first event"},
		"a data directory without any log": {t.TempDir(), 1, "the log is empty"},
	} {
		code, stdout, stderr := command(t, test.dir, "events", "verify", "--head", head, "--key", public)
		if code != test.code || !strings.Contains(stdout, test.want) {
			t.Errorf("%s: exit code %d\n%s%s", name, code, stdout, stderr)
		}
	}
	code, stdout, _ := command(t, log, "events", "verify", "--head", head, "--key", public, "-o", "json")
	var verdict struct {
		Verified bool
		Head     struct{ Position int }
	}
	if err := json.Unmarshal([]byte(stdout), &verdict); err != nil || code != 0 || !verdict.Verified || verdict.Head.Position != half {
		t.Errorf("%v: %s", err, stdout)
	}
}

func TestAHeadIsTakenOnlyWithItsSignature(t *testing.T) {
	dir := dataDirOf(t, importedEvents(t, "../../integration/testdata/golden/life.jsonl"))
	private, public := newKeys(t)
	otherPrivate, otherPublic := newKeys(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaPrivate, rsaPublic := writeKeys(t, rsaKey)
	head := func(name string, args ...string) string {
		t.Helper()
		code, stdout, stderr := command(t, dir, append([]string{"events", "head"}, args...)...)
		if code != 0 {
			t.Fatal(stderr)
		}
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(stdout), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	signed, plain := head("signed", "--sign", private), head("plain")
	asJSON := head("signed.json", "--sign", private, "-o", "json")
	text, err := os.ReadFile(signed)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(old, now string) string {
		t.Helper()
		if !strings.Contains(string(text), old) {
			t.Fatalf("no %q in %s", old, text)
		}
		file := filepath.Join(t.TempDir(), "changed")
		if err := os.WriteFile(file, []byte(strings.Replace(string(text), old, now, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	written := func(text string) string {
		t.Helper()
		file := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	openSSH := written(string(pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: []byte("key")})))
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"signed":                {[]string{"--head", signed, "--key", public}, 0, "by a signed head"},
		"signed, as JSON":       {[]string{"--head", asJSON, "--key", public}, 0, "by a signed head"},
		"not signed":            {[]string{"--head", plain}, 0, "by an unsigned head"},
		"another key":           {[]string{"--head", signed, "--key", otherPublic}, 1, "the signature does not match"},
		"another time":          {[]string{"--head", changed("time 2", "time 3"), "--key", public}, 1, "the signature does not match"},
		"signed, and no key":    {[]string{"--head", signed}, 2, "--key PUB"},
		"not signed, and a key": {[]string{"--head", plain, "--key", public}, 2, "is not signed"},
		"a key and no head":     {[]string{"--key", public}, 2, "--head FILE"},
		"a private key":         {[]string{"--head", signed, "--key", private}, 2, "is a private key"},
		"a key of RSA":          {[]string{"--head", signed, "--key", rsaPublic}, 2, "an RSA key; an Ed25519 key is needed"},
		"no key at all":         {[]string{"--head", signed, "--key", signed}, 2, "is not a PEM key"},
		"an OpenSSH public key": {[]string{"--head", signed, "--key", written("ssh-ed25519 AAAA me\n")}, 2,
			"is an OpenSSH public key; a PEM key is needed; make a pair with: openssl"},
		"no such head": {[]string{"--head", signed + "x", "--key", public}, 2, "no such file"},
		"no head":      {[]string{"--head", public, "--key", public}, 2, "is not a head"},
		"a line more": {[]string{"--head", changed("signature", "note x\nsignature"), "--key", public}, 2,
			"is not the signature"},
		"a signature that is cut off": {[]string{"--head", changed("signature ", "signature AAAA\n"), "--key", public}, 2,
			"its signature has 3 bytes"},
	} {
		code, stdout, stderr := command(t, dir, append([]string{"events", "verify"}, test.args...)...)
		if code != test.code || !strings.Contains(stdout+stderr, test.want) {
			t.Errorf("%s: exit code %d\n%s%s", name, code, stdout, stderr)
		}
	}
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"a public key": {[]string{"--sign", public}, "is a public key"},
		"a key of RSA": {[]string{"--sign", rsaPrivate}, "an RSA key; an Ed25519 key is needed"},
		"an OpenSSH private key": {[]string{"--sign", openSSH},
			"is an OpenSSH private key; a PEM (PKCS #8) key is needed; make a pair with: openssl genpkey -algorithm ed25519"},
		"a file that is there":   {[]string{"--sign", otherPrivate, signed}, "already exists"},
		"another output":         {[]string{"-o", "yaml"}, "use text or json"},
		"a key that there isn't": {[]string{"--sign", signed + "x"}, "openssl genpkey"},
	} {
		if code, stdout, stderr := command(t, dir, append([]string{"events", "head"}, test.args...)...); code != 2 ||
			!strings.Contains(stderr, test.want) {
			t.Errorf("%s: exit code %d\n%s%s", name, code, stdout, stderr)
		}
	}
	if code, _, stderr := command(t, t.TempDir(), "events", "head"); code != 2 || !strings.Contains(stderr, "no events") {
		t.Errorf("no log: exit code %d, %s", code, stderr)
	}
}

// The signature can be checked by what docs/event-format.md says, without Reprise.
func TestOpenSSLChecksASignedHead(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed; TestTheDocumentedHeadIsTheSignedOne checks the same bytes")
	}
	raw, err := os.ReadFile("../../docs/event-format.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), "<!-- openssl -->\n")
	script, _, found := strings.Cut(rest, "<!-- end -->")
	if !found {
		t.Fatal("docs/event-format.md does not show how openssl checks a head")
	}
	dir := dataDirOf(t, importedEvents(t, "../../integration/testdata/golden/life.jsonl"))
	folder := t.TempDir()
	sh := func(script string) error {
		c := exec.Command("sh", "-e", "-c", script)
		c.Dir = folder
		out, err := c.CombinedOutput()
		t.Logf("%s", out)
		return err
	}
	if err := sh("openssl genpkey -algorithm ed25519 -out KEY && openssl pkey -in KEY -pubout -out PUB"); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := command(t, dir, "events", "head", "--sign", filepath.Join(folder, "KEY"),
		filepath.Join(folder, "head.txt")); code != 0 {
		t.Fatal(stderr)
	}
	if code, stdout, stderr := command(t, dir, "events", "verify", "--head", filepath.Join(folder, "head.txt"),
		"--key", filepath.Join(folder, "PUB")); code != 0 {
		t.Errorf("%s%s", stdout, stderr)
	}
	if err := sh(script); err != nil {
		t.Errorf("openssl does not verify the signature: %v", err)
	}
	if err := sh("sed -i.bak 's/^time 2/time 3/' head.txt\n" + script); err == nil {
		t.Error("openssl verifies a head that was changed")
	}
}
