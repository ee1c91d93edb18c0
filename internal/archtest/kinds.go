package archtest

import (
	"go/ast"
	"go/token"
	"strings"
)

// kinds refuses errors whose kind is not known. It asks that
//   - an exported error type have a method Kind() fault.Kind, and an unexported one
//     that or Unwrap, so that it has the kind of what it wraps;
//   - an exported sentinel (ErrX) be made by fault.New.
func kinds(t *Tree) []Finding {
	var findings []Finding
	known := methods(t)
	for f := range t.sources {
		for _, d := range f.AST.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					findings = append(findings, t.errorType(f, spec, known[f.Package+"."+spec.Name.Name])...)
				case *ast.ValueSpec:
					if decl.Tok == token.VAR {
						findings = append(findings, t.sentinels(f, spec)...)
					}
				}
			}
		}
	}
	return findings
}

// errorType reports a type that is an error, by its own method Error or that of an error
// that it embeds, without a kind.
func (t *Tree) errorType(f *File, spec *ast.TypeSpec, has map[string]bool) []Finding {
	name := spec.Name
	if !has["Error"] && !embedsError(spec) || has["Kind"] || !name.IsExported() && has["Unwrap"] {
		return nil
	}
	return []Finding{t.finding("kinds", f, name.Pos(),
		"error type %s has no kind: give it a method Kind() fault.Kind, or use fault.FieldError", name.Name)}
}

func embedsError(spec *ast.TypeSpec) bool {
	structure, ok := spec.Type.(*ast.StructType)
	if !ok {
		return false
	}
	for _, field := range structure.Fields.List {
		if id, ok := field.Type.(*ast.Ident); ok && len(field.Names) == 0 && id.Name == "error" {
			return true
		}
	}
	return false
}

// sentinels reports the exported sentinels that a variable declaration makes without a
// kind.
func (t *Tree) sentinels(f *File, spec *ast.ValueSpec) []Finding {
	var findings []Finding
	for i, name := range spec.Names {
		if !strings.HasPrefix(name.Name, "Err") || i >= len(spec.Values) || t.calls(f, spec.Values[i], "New") || t.calls(f, spec.Values[i], "As") {
			continue
		}
		findings = append(findings, t.finding("kinds", f, name.Pos(),
			"sentinel %s has no kind: make it with fault.New", name.Name))
	}
	return findings
}

// calls reports whether an expression calls a function of package fault.
func (t *Tree) calls(f *File, e ast.Expr, function string) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	if id, ok := call.Fun.(*ast.Ident); ok {
		return f.Package == "fault" && id.Name == function
	}
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	made, _ := f.qualified(selector)
	return made == t.Module+"/fault."+function
}

// methods returns, for each type as "folder.Name", which of Error() string,
// Kind() fault.Kind and Unwrap it has.
func methods(t *Tree) map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for f := range t.sources {
		for _, d := range f.AST.Decls {
			method, ok := d.(*ast.FuncDecl)
			if !ok || method.Recv == nil || !t.ofErrors(f, method) {
				continue
			}
			if id := receiver(method); id != nil {
				of := f.Package + "." + id.Name
				if all[of] == nil {
					all[of] = map[string]bool{}
				}
				all[of][method.Name.Name] = true
			}
		}
	}
	return all
}

// ofErrors reports whether a method is one of the three, by name and signature.
func (t *Tree) ofErrors(f *File, method *ast.FuncDecl) bool {
	results := method.Type.Results
	if method.Type.Params.NumFields() > 0 || results.NumFields() != 1 {
		return false
	}
	result := results.List[0].Type
	switch method.Name.Name {
	case "Unwrap":
		return true
	case "Error":
		id, ok := result.(*ast.Ident)
		return ok && id.Name == "string"
	case "Kind":
		switch result := result.(type) {
		case *ast.Ident:
			return f.Package == "fault" && result.Name == "Kind"
		case *ast.SelectorExpr:
			name, _ := f.qualified(result)
			return name == t.Module+"/fault.Kind"
		}
	}
	return false
}

// receiver returns the name of the type that has a method.
func receiver(method *ast.FuncDecl) *ast.Ident {
	e := method.Recv.List[0].Type
	if pointer, ok := e.(*ast.StarExpr); ok {
		e = pointer.X
	}
	if generic, ok := e.(*ast.IndexExpr); ok {
		e = generic.X
	}
	id, _ := e.(*ast.Ident)
	return id
}
