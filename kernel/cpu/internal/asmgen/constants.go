package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"strings"
)

// constantTypes returns a package cpu that contains only the struct types named
// ...Constants that the files declare, which the assembly reads.
func constantTypes(files ...string) (*types.Package, error) {
	fset := token.NewFileSet()
	out := &ast.File{Name: ast.NewIdent("cpu")}
	for _, name := range files {
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE && isConstants(g) {
				out.Decls = append(out.Decls, g)
			}
		}
	}
	pkg, err := new(types.Config).Check("cpu", fset, []*ast.File{out}, nil)
	if err != nil {
		return nil, fmt.Errorf("the types of %v: %w", files, err)
	}
	return pkg, nil
}

func isConstants(g *ast.GenDecl) bool {
	for _, s := range g.Specs {
		if !strings.HasSuffix(s.(*ast.TypeSpec).Name.Name, "Constants") {
			return false
		}
	}
	return true
}
