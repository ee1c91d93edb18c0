// Package mutate proves that the tests catch defects: it lists single changes
// to the product's source that must not survive, each removing one sync, one
// check of a lease, one step of a compensation, or one guard against a second
// writer. `make mutate` makes each of them in turn, through an overlay that
// leaves the tree unchanged, and fails unless a test fails.
//
// A mutant names its place by the exact text that it replaces, which must
// occur exactly once, so a mutant cannot rot unnoticed. Each call that syncs
// must lie within one (Syncs); those that need none say why (Exempt).
package mutate

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strings"
)

// Mutant is one change of the source, and the tests that must notice it.
type Mutant struct {
	Name string
	// File is its path from the root of the module.
	File string
	// Old occurs exactly once, and New takes its place.
	Old, New string
	// Tests are the arguments of `go test`.
	Tests []string
}

// Apply returns the file's source with the change made. It fails if Old does
// not occur exactly once, or if the result is not valid Go.
func (m Mutant) Apply(source []byte) ([]byte, error) {
	if n := bytes.Count(source, []byte(m.Old)); n != 1 {
		return nil, fmt.Errorf("mutant %q: %s contains %q %d times instead of once: say what the line is now", m.Name, m.File, m.Old, n)
	}
	mutated := bytes.Replace(source, []byte(m.Old), []byte(m.New), 1)
	if _, err := parser.ParseFile(token.NewFileSet(), m.File, mutated, parser.SkipObjectResolution); err != nil {
		return nil, fmt.Errorf("mutant %q: %w", m.Name, err)
	}
	return mutated, nil
}

// covers reports whether the offset of the source lies within what the mutant
// replaces.
func (m Mutant) covers(source []byte, offset int) bool {
	at := bytes.Index(source, []byte(m.Old))
	return at >= 0 && at <= offset && offset < at+len(m.Old)
}

// Sync is a place that makes something durable.
type Sync struct {
	File   string
	Line   int
	offset int
}

// Syncs finds every call of a method Sync or SyncDir, and every setting of
// SQLite's synchronous mode, in non-test files.
func Syncs(root fs.FS) ([]Sync, error) {
	var found []Sync
	err := fs.WalkDir(root, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (name == "bench" || e.Name() == "testdata" || strings.HasPrefix(e.Name(), ".") && name != "."):
			return fs.SkipDir
		case e.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "internal/mutate/"):
			return nil
		}
		source, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		more, err := syncsOf(name, source)
		found = append(found, more...)
		return err
	})
	return found, err
}

// isSync reports whether a function is x.Sync or x.SyncDir.
func isSync(f *ast.SelectorExpr) bool { return f.Sel.Name == "Sync" || f.Sel.Name == "SyncDir" }

func syncsOf(name string, source []byte) ([]Sync, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []Sync
	add := func(at token.Pos) {
		p := files.Position(at)
		found = append(found, Sync{name, p.Line, p.Offset})
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.SelectorExpr); ok && isSync(f) {
				add(f.Sel.Pos())
			}
		case *ast.BasicLit:
			if n.Kind == token.STRING && strings.Contains(strings.ToLower(n.Value), "pragma synchronous") {
				add(n.Pos() + token.Pos(strings.Index(strings.ToLower(n.Value), "pragma synchronous")))
			}
		}
		return true
	})
	return found, nil
}
