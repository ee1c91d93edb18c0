package main

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"reprise/dataset"
)

// environ is an environment made of pairs.
func environ(pairs map[string]string) *environment {
	return &environment{getenv: func(name string) string { return pairs[name] }}
}

func TestGoSettingsComeFromTheEnvironmentThenFromTheFileThenFromTheDefault(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	content := "# written by go env -w\nGOPROXY=https://proxy.example,direct\nGOMODCACHE=/modules\n"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name         string
		env          map[string]string
		proxy, cache string
	}{
		{"nothing set", map[string]string{"HOME": "/home/u"}, dataset.DefaultGoProxy, filepath.Join("/home/u", "go", "pkg", "mod")},
		{"the environment", map[string]string{"GOENV": file, "GOPROXY": "off", "GOMODCACHE": "/m"}, "off", "/m"},
		{"the file", map[string]string{"GOENV": file}, "https://proxy.example,direct", "/modules"},
		{"the file switched off", map[string]string{"GOENV": "off", "GOPATH": "/gp"}, dataset.DefaultGoProxy, filepath.Join("/gp", "pkg", "mod")},
		{"no home", map[string]string{}, dataset.DefaultGoProxy, ""},
		{"relative paths", map[string]string{"HOME": "home", "GOPATH": "gp", "GOMODCACHE": "m"}, dataset.DefaultGoProxy, ""},
	} {
		e := environ(c.env)
		if got := e.goProxy(); got != c.proxy {
			t.Errorf("%s: GOPROXY %q, want %q", c.name, got, c.proxy)
		}
		if got := e.goModCache(); got != c.cache {
			t.Errorf("%s: GOMODCACHE %q, want %q", c.name, got, c.cache)
		}
	}
}

func TestTheGoInstallationIsFoundWithoutPATH(t *testing.T) {
	root := t.TempDir()
	name := "go"
	if runtime.GOOS == "windows" {
		name = "go.exe"
	}
	command := filepath.Join(root, "bin", name)
	if err := os.Mkdir(filepath.Dir(command), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(command, nil, 0o700); err != nil { //nolint:gosec // it stands for a program
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Dir(command))
	if got := environ(map[string]string{"GOROOT": "/usr/lib/go"}).goRoot(); got != "/usr/lib/go" {
		t.Errorf("GOROOT set: %q", got)
	}
	if got := environ(nil).goRoot(); got != real {
		t.Errorf("the folder above the go command: %q, want %q", got, real)
	}
	if runtime.GOOS != "windows" {
		links := t.TempDir()
		if err := os.Symlink(command, filepath.Join(links, name)); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", links)
		if got := environ(nil).goRoot(); got != real {
			t.Errorf("behind a link: %q, want %q", got, real)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if got := environ(nil).goRoot(filepath.Join(root, "none", "go"), command); got != real {
		t.Errorf("not in PATH, in a usual place: %q, want %q", got, real)
	}
	if got := environ(nil).goRoot(); got != "" {
		t.Errorf("no go command: %q", got)
	}
}
