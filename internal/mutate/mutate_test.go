package mutate

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var mutate = flag.Bool("mutate", false, "make every mutant and run the tests that must notice it")

// module returns the root of the module that this test is part of.
func module(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func read(t *testing.T, root, file string) []byte {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func TestEveryMutantHasItsPlace(t *testing.T) {
	root, seen := module(t), map[string]bool{}
	for _, m := range Mutants() {
		if _, err := m.Apply(read(t, root, m.File)); err != nil {
			t.Error(err)
		}
		if seen[m.Name] || m.Old == m.New || len(m.Tests) == 0 {
			t.Errorf("mutant %q is listed twice, changes nothing or has no tests", m.Name)
		}
		seen[m.Name] = true
	}
}

// A pattern that matches no test kills nothing: a renamed test takes its mutants
// with it.
func TestThePatternsOfMutantsMatchTests(t *testing.T) {
	root, declared := module(t), regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, m := range Mutants() {
		run := slices.Index(m.Tests, "-run")
		if run < 0 {
			continue
		}
		folder := filepath.Join(root, strings.TrimSuffix(m.Tests[0], "/..."))
		var names []string
		err := filepath.WalkDir(folder, func(path string, _ os.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, "_test.go") {
				for _, found := range declared.FindAllSubmatch(read(t, root, strings.TrimPrefix(path, root)), -1) {
					names = append(names, string(found[1]))
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for pattern := range strings.SplitSeq(m.Tests[run+1], "|") {
			pattern, _, _ = strings.Cut(pattern, "/")
			if !slices.ContainsFunc(names, regexp.MustCompile(pattern).MatchString) {
				t.Errorf("mutant %q: no test in %s matches %q: say which test must notice it", m.Name, m.Tests[0], pattern)
			}
		}
	}
}

func TestEverySyncHasItsMutant(t *testing.T) {
	root := module(t)
	found, err := Syncs(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 15 {
		t.Errorf("only %d syncs were found", len(found))
	}
	for place := range Exempt() {
		if _, err := os.Stat(filepath.Join(root, place)); err != nil {
			t.Errorf("exempt, but not found: %v", err)
		}
	}
	for _, s := range found {
		source := read(t, root, s.File)
		exempt := false
		for place := range Exempt() {
			exempt = exempt || s.File == place || strings.HasPrefix(s.File, place+"/")
		}
		covered := slices.ContainsFunc(Mutants(), func(m Mutant) bool { return m.File == s.File && m.covers(source, s.offset) })
		if !exempt && !covered {
			t.Errorf("%s:%d syncs, and no mutant leaves it out: add one, with the test that notices", s.File, s.Line)
		}
	}
}

// TestEveryMutantIsKilled is what `make mutate` runs: a subtest for each mutant.
func TestEveryMutantIsKilled(t *testing.T) {
	if !*mutate {
		t.Skip("make mutate runs this: it builds the tests once for each mutant")
	}
	root := module(t)
	var killed, survived atomic.Int64
	t.Cleanup(func() { t.Logf("%d killed, %d survived", killed.Load(), survived.Load()) })
	for _, m := range Mutants() {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			how, err := m.run(root, t.TempDir())
			if err != nil {
				t.Error(err)
				survived.Add(1)
				how = "SURVIVED"
			} else {
				killed.Add(1)
			}
			fmt.Fprintf(os.Stderr, "%-60s %5.1fs  %s\n", m.Name, time.Since(start).Seconds(), how)
		})
	}
}

var (
	firstFailure = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)|^panic: (.*)$`)
	firstSeed    = regexp.MustCompile(`\bseed \d+: .{0,60}`)
)

// run returns the test that noticed the mutant; an error if none did, or if the
// mutant does not compile.
func (m Mutant) run(root, temp string) (string, error) {
	path := filepath.Join(root, filepath.FromSlash(m.File))
	source, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	mutated, err := m.Apply(source)
	if err != nil {
		return "", err
	}
	changed := filepath.Join(temp, "mutant.go")
	overlay := filepath.Join(temp, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(changed, mutated, 0o600); err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, replace, 0o600); err != nil {
		return "", err
	}
	args := append([]string{"test", "-overlay", overlay, "-count=1", "-failfast", "-vet=off", "-ldflags=-s -w", "-timeout=5m"}, m.Tests...)
	command := exec.Command("go", args...)
	command.Dir = root
	command.Env = append(command.Environ(), "RAPID_NOFAILFILE=true") // a failure here must not be saved as a case
	output, err := command.CombinedOutput()
	switch {
	case err == nil:
		return "every test passes", fmt.Errorf("it survived `go test %s`", strings.Join(m.Tests, " "))
	case strings.Contains(string(output), "[build failed]"), strings.Contains(string(output), "[setup failed]"):
		return "it does not compile", fmt.Errorf("it does not compile:\n%s", output)
	}
	if found := firstFailure.FindStringSubmatch(string(output)); found != nil {
		return strings.TrimSpace(found[1] + found[2] + " " + firstSeed.FindString(string(output))), nil
	}
	return "", fmt.Errorf("%w:\n%s", err, output)
}
