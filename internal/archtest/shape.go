package archtest

import (
	"go/ast"
	"path"
	"slices"
	"strconv"
	"strings"
)

// The limits of length. A function near 70 lines earns a second look; what
// fails here is certainly too long.
const (
	maxFileLines     = 800
	maxFunctionLines = 100
)

func itoa(n int) string { return strconv.Itoa(n) }

// folders refuses folders that name a layer or a shape instead of a subject.
func folders(t *Tree) []Finding {
	var findings []Finding
	banned := []string{"domain", "application", "infrastructure", "pkg", "util", "utils", "common", "helpers", "misc", "shared", "base", "models", "types"}
	seen := map[string]bool{}
	for _, f := range t.Files {
		if part := path.Base(f.Package); slices.Contains(banned, part) && !seen[f.Package] {
			seen[f.Package] = true
			findings = append(findings, t.finding("folders", f, f.AST.Package,
				"%s says nothing about what %s is about: name the concept", part, f.Package))
		}
	}
	return findings
}

// packageDoc requires exactly one package comment per folder, of more than one
// line.
func packageDoc(t *Tree) []Finding {
	var findings []Finding
	first := map[string]*File{}
	documented := map[string]*File{}
	for _, f := range t.Files {
		if f.Test {
			continue
		}
		if first[f.Package] == nil {
			first[f.Package] = f
		}
		if f.AST.Doc == nil || strings.TrimSpace(f.AST.Doc.Text()) == "" {
			continue
		}
		if other := documented[f.Package]; other != nil {
			findings = append(findings, t.finding("package-doc", f, f.AST.Package,
				"%s has its package comment in %s already: keep one", f.Package, path.Base(other.Path)))
			continue
		}
		documented[f.Package] = f
		start := "Package " + f.AST.Name.Name + " "
		if f.AST.Name.Name == "main" {
			start = ""
		}
		if text := f.AST.Doc.Text(); !strings.HasPrefix(text, start) {
			findings = append(findings, t.finding("package-doc", f, f.AST.Package, "the package comment does not begin with %q", start))
		}
	}
	for _, folder := range t.Packages() {
		if documented[folder] == nil {
			f := first[folder]
			findings = append(findings, t.finding("package-doc", f, f.AST.Package,
				"%s has no package comment: say what it owns, what it refuses, its main types and goroutine rules", folder))
		}
	}
	return findings
}

// noInit refuses init functions: code that runs before main cannot be
// configured, tested or left out.
func noInit(t *Tree) []Finding {
	var findings []Finding
	for f := range t.sources {
		for _, d := range f.AST.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				findings = append(findings, t.finding("init", f, fn.Pos(), "no init functions: construct in New and wire in cmd"))
			}
		}
	}
	return findings
}

// length keeps files and functions readable in one go. Tests may be longer.
func length(t *Tree) []Finding {
	var findings []Finding
	for f := range t.sources {
		if n := t.fset.Position(f.AST.FileEnd).Line; n > maxFileLines {
			findings = append(findings, t.finding("length", f, f.AST.Package, "%d lines in a file, at most %d: split it by subject", n, maxFileLines))
		}
		for _, d := range f.AST.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := t.fset.Position(fn.End()).Line - t.fset.Position(fn.Pos()).Line + 1; n > maxFunctionLines {
				findings = append(findings, t.finding("length", f, fn.Pos(), "%s has %d lines, at most %d: name its parts", fn.Name.Name, n, maxFunctionLines))
			}
		}
	}
	return findings
}
