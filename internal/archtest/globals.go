package archtest

import (
	"go/ast"
	"go/token"
	"slices"
)

// globals refuses package-level variables that can change: they make tests
// depend on each other and hide who owns the state. It allows:
//   - errors, compiled patterns, templates and checksum tables, made by a call
//     known to give an immutable value, even if only at its first use, and embedded files;
//   - interface assertions (var _ I = T{});
//   - unexported tables, written as composite literals, that nothing in the
//     package writes to.
func globals(t *Tree) []Finding {
	var findings []Finding
	written := writtenNames(t)
	for f := range t.sources {
		for _, d := range f.AST.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok || decl.Tok != token.VAR {
				continue
			}
			for _, spec := range decl.Specs {
				spec := spec.(*ast.ValueSpec)
				if embedded(decl.Doc) || embedded(spec.Doc) {
					continue
				}
				for i, name := range spec.Names {
					var value ast.Expr
					if len(spec.Values) == len(spec.Names) {
						value = spec.Values[i]
					}
					if why := t.mutable(f, name.Name, value, written[f.Package]); why != "" {
						findings = append(findings, t.finding("globals", f, name.Pos(),
							"package variable %s: %s; make it a field, a constant, or a function that returns it", name.Name, why))
					}
				}
			}
		}
	}
	return findings
}

func embedded(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool {
		return len(c.Text) > 11 && c.Text[:11] == "//go:embed "
	})
}

// mutable says why a variable could change; "" if it cannot.
func (t *Tree) mutable(f *File, name string, value ast.Expr, written map[string]bool) string {
	if name == "_" {
		return ""
	}
	switch value := value.(type) {
	case nil:
		return "it has no value until somebody sets it"
	case *ast.CallExpr:
		if selector, ok := value.Fun.(*ast.SelectorExpr); ok {
			made, _ := f.qualified(selector)
			constructors := []string{"errors.New", "fmt.Errorf", t.Module + "/fault.New", "regexp.MustCompile", "hash/crc32.MakeTable", "strings.NewReplacer", "sync.OnceValue"}
			if slices.Contains(constructors, made) {
				return writtenWhy(name, written)
			}
		}
		return "anyone may change what the call returns"
	case *ast.CompositeLit:
		if ast.IsExported(name) {
			return "other packages can change an exported table"
		}
		return writtenWhy(name, written)
	}
	return "it can be assigned to"
}

func writtenWhy(name string, written map[string]bool) string {
	if written[name] {
		return "the package writes to it"
	}
	return ""
}

// writtenNames returns, for each folder, the names that are assigned to,
// directly or through them, whose address is taken, or that are deleted from. A
// local variable of the same name counts too: rename one of them.
func writtenNames(t *Tree) map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for f := range t.sources {
		names := all[f.Package]
		if names == nil {
			names = map[string]bool{}
			all[f.Package] = names
		}
		write := func(e ast.Expr) {
			if id := root(e); id != nil && (id.Obj == nil || isPackageLevel(f, id.Obj.Decl)) {
				names[id.Name] = true
			}
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, e := range n.Lhs {
						write(e)
					}
				}
			case *ast.IncDecStmt:
				write(n.X)
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					write(n.X)
				}
			case *ast.CallExpr:
				if id, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && slices.Contains([]string{"delete", "clear", "copy", "append"}, id.Name) {
					write(n.Args[0])
				}
			}
			return true
		})
	}
	return all
}

// root returns the variable at the bottom of x, x[i], x.f, *x.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// isPackageLevel reports whether the declaration is one of the file's own.
func isPackageLevel(f *File, declaration any) bool {
	return slices.ContainsFunc(f.AST.Decls, func(d ast.Decl) bool {
		decl, ok := d.(*ast.GenDecl)
		return ok && slices.ContainsFunc(decl.Specs, func(s ast.Spec) bool { return declaration == any(s) })
	})
}
