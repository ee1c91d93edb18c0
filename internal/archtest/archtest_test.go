package archtest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// repository returns the module that this test is part of.
func repository(t *testing.T) fs.FS {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return os.DirFS(folder)
		}
		if folder == filepath.Dir(folder) {
			t.Fatal("no go.mod above the working directory")
		}
		folder = filepath.Dir(folder)
	}
}

func load(t *testing.T, root fs.FS) *Tree {
	t.Helper()
	tree, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// Each rule is its own test over the real tree; "allow" covers the comments
// that make exceptions.
func TestTheTreeKeepsItsRules(t *testing.T) {
	tree := load(t, repository(t))
	if len(tree.Packages()) < 5 || len(tree.Files) < 30 {
		t.Fatalf("only %d packages with %d files were found", len(tree.Packages()), len(tree.Files))
	}
	found := Check(tree, Rules())
	for _, rule := range append(ruleNames(), "allow") {
		t.Run(rule, func(t *testing.T) {
			for _, f := range found {
				if f.Rule == rule {
					t.Error(f)
				}
			}
		})
	}
}

func ruleNames() []string {
	var names []string
	for _, r := range Rules() {
		names = append(names, r.Name)
	}
	return names
}

var wantPattern = regexp.MustCompile(`want ([a-z-]+) "([^"]*)"`)

// The tree in testdata breaks every rule. A line that does says what must be
// found there: // want RULE "part of the message". Nothing else may be found.
func TestEveryRuleFindsItsBadExampleAndNothingElse(t *testing.T) {
	tree := load(t, os.DirFS("testdata/tree"))
	type expected struct{ rule, path, part string }
	want := map[string][]expected{}
	for _, f := range tree.Files {
		for _, group := range f.AST.Comments {
			for _, c := range group.List {
				for _, m := range wantPattern.FindAllStringSubmatch(c.Text, -1) {
					at := fmt.Sprintf("%s:%d", f.Path, tree.fset.Position(c.Pos()).Line)
					want[at] = append(want[at], expected{m[1], f.Path, m[2]})
				}
			}
		}
	}
	hit := map[string]bool{"length": true} // has a test of its own
	for _, f := range Check(tree, Rules()) {
		at := fmt.Sprintf("%s:%d", f.Path, f.Line)
		i := slices.IndexFunc(want[at], func(e expected) bool { return e.rule == f.Rule && strings.Contains(f.Message, e.part) })
		if i < 0 {
			t.Errorf("found unexpectedly: %s", f)
			continue
		}
		hit[f.Rule] = true
		want[at] = slices.Delete(want[at], i, i+1)
	}
	for at, left := range want {
		for _, e := range left {
			t.Errorf("%s: not found: %s %q", at, e.rule, e.part)
		}
	}
	for _, rule := range append(ruleNames(), "allow") {
		if !hit[rule] {
			t.Errorf("no bad example for rule %s", rule)
		}
	}
}

// module returns an in-memory tree of a module with one file in the folder.
func module(folder, source string) fstest.MapFS {
	return fstest.MapFS{
		"go.mod":         {Data: []byte("module reprise\n")},
		folder + "/a.go": {Data: []byte("// Package x is an example.\npackage x\n\n" + source)},
	}
}

func findings(t *testing.T, rule func(*Tree) []Finding, folder, source string) []Finding {
	t.Helper()
	return rule(load(t, module(folder, source)))
}

// example returns a folder that a pattern matches.
func example(pattern string) string {
	if pattern == "..." {
		return "actor"
	}
	return strings.TrimSuffix(pattern, "/...")
}

// Every row of the table refuses something, and allows what it lists.
func TestEveryRowOfTheLayersBites(t *testing.T) {
	for _, row := range layerTable() {
		folder := example(row.From)
		if row.Because == "" {
			t.Errorf("%s: no reason", row.From)
		}
		for _, may := range append(row.May, "internal/anything") {
			if got := findings(t, layers, folder, fmt.Sprintf("import _ %q\n", "reprise/"+example(may))); len(got) > 0 {
				t.Errorf("%s may import %s, but: %v", row.From, may, got)
			}
		}
		if slices.Contains(row.May, "...") {
			continue
		}
		for _, never := range []string{"cmd/reprise", "web", "kernel/metal", "device/metal", "eventstore/sqlite"} {
			if matchesAny(row.May, never) {
				continue
			}
			if got := findings(t, layers, folder, fmt.Sprintf("import _ %q\n", "reprise/"+never)); len(got) != 1 {
				t.Errorf("%s imports %s: %v", row.From, never, got)
			}
		}
	}
}

// Every name in the table of bans is found in every folder it is banned from,
// and only there.
func TestEveryBanBites(t *testing.T) {
	for _, b := range banTable() {
		only := func(t *Tree) []Finding { return b.find(t, t.Files[0]) }
		for _, what := range b.What {
			source := fmt.Sprintf("import _ %q\n", strings.TrimSuffix(what, "/..."))
			dot := strings.LastIndex(what, ".")
			if dot > strings.LastIndex(what, "/") && !strings.HasSuffix(what, "...") {
				source = fmt.Sprintf("import lib %q\n\nvar _ = lib.%s\n", what[:dot], what[dot+1:])
			}
			for _, in := range b.In {
				if got := findings(t, only, example(in), source); len(got) != 1 || !strings.Contains(got[0].Message, b.Because) {
					t.Errorf("%s in %s: %v", what, in, got)
				}
				if got := findings(t, bans, example(in), source); len(got) == 0 {
					t.Errorf("%s in %s: not banned after all", what, in)
				}
			}
			for _, except := range b.Except {
				for _, f := range findings(t, bans, example(except), source) {
					if strings.Contains(f.Message, b.Because) {
						t.Errorf("%s in %s: %v", what, except, f)
					}
				}
			}
		}
	}
}

func TestLengthHasLimits(t *testing.T) {
	function := func(lines int) string { return "func f() {" + strings.Repeat("\n", lines-1) + "}\n" }
	for name, test := range map[string]struct {
		source string
		want   int
	}{
		"a function at the limit": {"package x\n" + function(maxFunctionLines), 0},
		"a longer function":       {"package x\n" + function(maxFunctionLines+1), 1},
		"a long file":             {"package x\n" + strings.Repeat("\n", maxFileLines), 1},
		"a long generated file":   {"// Code generated by a test. DO NOT EDIT.\n\npackage x\n" + strings.Repeat("\n", maxFileLines), 0},
	} {
		tree := load(t, fstest.MapFS{"go.mod": {Data: []byte("module reprise\n")}, "a.go": {Data: []byte(test.source)}})
		if got := length(tree); len(got) != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestFilesAreBuiltForWhatTheirNamesAndTagsSay(t *testing.T) {
	for _, test := range []struct {
		name, header string
		arch         string
		tags         []string
		want         bool
	}{
		{"a.go", "", "amd64", nil, true},
		{"a_amd64.go", "", "amd64", nil, true},
		{"a_amd64.go", "", "arm64", nil, false},
		{"a_linux_arm64.go", "", "arm64", nil, true},
		{"a_windows.go", "", "amd64", nil, false},
		{"amd64.go", "", "arm64", nil, true}, // a name is not a suffix
		{"a_noasm.go", "//go:build !amd64 || noasm\n", "amd64", nil, false},
		{"a_noasm.go", "//go:build !amd64 || noasm\n", "amd64", []string{"noasm"}, true},
		{"a_noasm.go", "//go:build !amd64 || noasm\n", "arm64", nil, true},
		{"a_unix.go", "//go:build unix\n", "amd64", nil, true},
		{"a.go", "//go:build ignore\n", "amd64", nil, false},
	} {
		tree := load(t, fstest.MapFS{
			"go.mod":  {Data: []byte("module reprise\n")},
			test.name: {Data: []byte(test.header + "\npackage x\n")},
		})
		if got := tree.Files[0].BuiltFor(test.arch, test.tags...); got != test.want {
			t.Errorf("%s %q for %s %v: %v, want %v", test.name, test.header, test.arch, test.tags, got, test.want)
		}
	}
}

func TestLoadReportsWhatItCannotRead(t *testing.T) {
	for name, root := range map[string]fstest.MapFS{
		"no go.mod":         {},
		"a nameless module": {"go.mod": {Data: []byte("go 1.26\n")}},
		"a syntax error":    {"go.mod": {Data: []byte("module x\n")}, "a.go": {Data: []byte("package")}},
		"a bad build tag":   {"go.mod": {Data: []byte("module x\n")}, "a.go": {Data: []byte("//go:build ((\n\npackage a\n")}},
	} {
		if _, err := Load(root); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
