package main

import (
	"bufio"
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"

	"reprise/dataset"
)

// goProxy returns the GOPROXY that the go command would use: data sets that are
// published as modules come through it.
func (env *environment) goProxy() string {
	if v := env.goSetting("GOPROXY"); v != "" {
		return v
	}
	return dataset.DefaultGoProxy
}

// goModCache returns the folder of the go command's module cache, which may
// hold a data set already; "" if there is none. The go command takes absolute
// paths only.
func (env *environment) goModCache() string {
	if v := env.goSetting("GOMODCACHE"); filepath.IsAbs(v) {
		return v
	}
	if list := filepath.SplitList(env.goSetting("GOPATH")); len(list) > 0 && filepath.IsAbs(list[0]) {
		return filepath.Join(list[0], "pkg", "mod")
	}
	if home := env.getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, "go", "pkg", "mod")
	}
	return ""
}

// goRoot returns the folder of the Go installation, whose texts the catalogue
// knows: GOROOT, else the one of the go command, else one in a usual place, whatever
// PATH holds; "" if there is none.
func (env *environment) goRoot(usual ...string) string {
	if v := env.getenv("GOROOT"); v != "" {
		return v
	}
	if command, err := exec.LookPath("go"); err == nil {
		usual = append([]string{command}, usual...)
	}
	for _, command := range usual {
		target, err := filepath.EvalSymlinks(command) // as Debian links /usr/bin/go
		if err == nil {
			return filepath.Dir(filepath.Dir(target))
		}
	}
	return ""
}

// usualGo is where the installers of Go and the packages of systems put the go command.
func usualGo() []string {
	return []string{
		"/usr/local/go/bin/go", "/usr/lib/go/bin/go", "/usr/lib/golang/bin/go", "/usr/bin/go",
		"/opt/homebrew/bin/go", "/usr/local/bin/go", "/snap/go/current/bin/go", `C:\Program Files\Go\bin\go.exe`,
	}
}

// goSetting returns a setting of the go command: from the environment, else
// from the file that `go env -w` writes.
func (env *environment) goSetting(name string) string {
	if v := env.getenv(name); v != "" {
		return v
	}
	file := env.getenv("GOENV")
	switch file {
	case "off":
		return ""
	case "":
		base := env.xdg("XDG_CONFIG_HOME", ".config", "Library/Application Support")
		if base == "" {
			return ""
		}
		file = filepath.Join(base, "go", "env")
	}
	content, err := readInput(file)
	if err != nil {
		return "" // as for the go command, no file is no setting
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		if value, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), name+"="); ok {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}
