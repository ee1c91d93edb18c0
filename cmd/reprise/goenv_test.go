package main

import (
	"os"
	"path/filepath"
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
