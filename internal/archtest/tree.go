// Package archtest holds the rules of the source tree that no compiler
// enforces: who may import whom, what a package of pure rules must not touch,
// which floating-point expressions would let the compiler change results. Its
// test applies every rule to the repository; each finding says what to do
// instead.
//
// A line that must break a rule says so, with the reason, in a comment on the
// line or on the one above:
//
//	//archtest:allow RULE why this is right here
//
// A reason is required, and a comment that allows nothing is itself a finding.
//
// The package is used by its own tests only. A Tree may be shared between
// goroutines.
package archtest

import (
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// File is a parsed Go file.
type File struct {
	Path      string // from the module's root, with slashes
	Package   string // its folder from the root; "." is the root
	Test      bool   // named _test.go
	Generated bool   // carries the standard "Code generated ... DO NOT EDIT." line
	AST       *ast.File

	imports map[string]string // local name to import path
	build   constraint.Expr   // nil: always built
}

// Tree is a module's Go files, without those of nested modules, of testdata
// and of folders whose names begin with a dot or an underscore.
type Tree struct {
	Module string
	Files  []*File // by path
	fset   *token.FileSet
}

// Finding is a place that breaks a rule.
type Finding struct {
	Rule    string
	Path    string
	Line    int
	Message string
}

// String formats the finding as path:line: message (rule).
func (f Finding) String() string {
	return fmt.Sprintf("%s:%d: %s (%s)", f.Path, f.Line, f.Message, f.Rule)
}

// Load parses the module in root.
func Load(root fs.FS) (*Tree, error) {
	module, err := moduleName(root)
	if err != nil {
		return nil, err
	}
	t := &Tree{Module: module, fset: token.NewFileSet()}
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return skipDir(root, name)
		case path.Ext(name) != ".go":
			return nil
		}
		source, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		f, err := t.parse(name, source)
		if err != nil {
			return err
		}
		t.Files = append(t.Files, f)
		return nil
	})
	return t, err
}

func moduleName(root fs.FS) (string, error) {
	source, err := fs.ReadFile(root, "go.mod")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(source)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "module "); ok {
			return name, nil
		}
	}
	return "", fmt.Errorf("go.mod names no module")
}

func skipDir(root fs.FS, name string) error {
	base := path.Base(name)
	if name == "." {
		return nil
	}
	if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	if _, err := fs.Stat(root, name+"/go.mod"); err == nil {
		return fs.SkipDir
	}
	return nil
}

func (t *Tree) parse(name string, source []byte) (*File, error) {
	tree, err := parser.ParseFile(t.fset, name, source, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	f := &File{
		Path: name, Package: path.Dir(name), AST: tree,
		Test:      strings.HasSuffix(name, "_test.go"),
		Generated: ast.IsGenerated(tree),
		imports:   map[string]string{},
	}
	for _, spec := range tree.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		local := importName(target)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		f.imports[local] = target
	}
	for _, group := range tree.Comments {
		for _, c := range group.List {
			if c.Pos() < tree.Package && constraint.IsGoBuild(c.Text) {
				if f.build, err = constraint.Parse(c.Text); err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
			}
		}
	}
	return f, nil
}

// importName guesses the name of an imported package from its path.
func importName(target string) string {
	base := path.Base(target)
	if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		base = path.Base(path.Dir(target))
	}
	return strings.TrimPrefix(base, "go-")
}

// BuiltFor reports whether the file takes part in a build for linux and the
// architecture, with the given tags.
func (f *File) BuiltFor(arch string, tags ...string) bool {
	holds := func(tag string) bool {
		return tag == "linux" || tag == "unix" || tag == "gc" || tag == arch ||
			strings.HasPrefix(tag, "go1.") || slices.Contains(tags, tag)
	}
	name := strings.TrimSuffix(strings.TrimSuffix(path.Base(f.Path), ".go"), "_test")
	parts := strings.Split(name, "_")
	for _, part := range parts[max(1, len(parts)-2):] {
		if (isOS(part) || isArch(part)) && !holds(part) {
			return false
		}
	}
	return f.build == nil || f.build.Eval(holds)
}

func isOS(s string) bool {
	return slices.Contains([]string{"linux", "darwin", "windows", "freebsd", "netbsd", "openbsd", "js", "wasip1", "plan9", "solaris", "android", "ios"}, s)
}

func isArch(s string) bool {
	return slices.Contains([]string{"amd64", "arm64", "386", "arm", "riscv64", "ppc64le", "s390x", "wasm", "loong64"}, s)
}

// Packages returns the folders that hold non-test files, sorted.
func (t *Tree) Packages() []string {
	var all []string
	for _, f := range t.Files {
		if !f.Test {
			all = append(all, f.Package)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// sources yields the files that are neither tests nor generated: what people
// write and users run.
func (t *Tree) sources(yield func(*File) bool) {
	for _, f := range t.Files {
		if !f.Test && !f.Generated && !yield(f) {
			return
		}
	}
}

func (t *Tree) finding(rule string, f *File, pos token.Pos, format string, args ...any) Finding {
	return Finding{Rule: rule, Path: f.Path, Line: t.fset.Position(pos).Line, Message: fmt.Sprintf(format, args...)}
}

// matches reports whether a folder is named by a pattern: the folder itself or,
// for "x/...", x and everything below.
func matches(pattern, folder string) bool {
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return base == folder || strings.HasPrefix(folder, base+"/")
	}
	return pattern == folder || pattern == "..."
}

func matchesAny(patterns []string, folder string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, folder) })
}
