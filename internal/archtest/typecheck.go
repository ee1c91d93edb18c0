package archtest

import (
	"go/ast"
	"go/importer"
	"go/token"
	"go/types"
	"strings"
)

// build is what a tree is compiled for.
type build struct {
	arch string
	tags []string
}

// program type-checks packages of a tree for one build. Outside the tree it
// knows only package math: anything else has no type, which rules must
// tolerate. So it needs neither network nor module cache, and almost no time.
type program struct {
	tree     *Tree
	build    build
	packages map[string]*checked
	math     types.Importer
}

// checked is a type-checked package.
type checked struct {
	files  []*File
	types  *types.Package
	info   *types.Info
	bodies bool
}

func newProgram(t *Tree, b build) *program {
	return &program{
		tree: t, build: b, packages: map[string]*checked{},
		math: importer.ForCompiler(token.NewFileSet(), "source", nil),
	}
}

// check returns the package in the folder, and checks it again if the bodies of
// its functions are wanted but were left out before. Errors are left to the
// compiler.
func (p *program) check(folder string, bodies bool) *checked {
	if c := p.packages[folder]; c != nil && (c.bodies || !bodies) {
		return c
	}
	c := &checked{bodies: bodies, info: &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{},
	}}
	var files []*ast.File
	for _, f := range p.tree.Files {
		if f.Package == folder && !f.Test && f.BuiltFor(p.build.arch, p.build.tags...) {
			c.files = append(c.files, f)
			files = append(files, f.AST)
		}
	}
	p.packages[folder] = c // before checking, so that a cycle ends
	config := types.Config{
		Importer: p, IgnoreFuncBodies: !bodies, FakeImportC: true,
		Sizes: types.SizesFor("gc", p.build.arch),
		Error: func(error) {},
	}
	c.types, _ = config.Check(p.tree.Module+"/"+folder, p.tree.fset, files, c.info)
	return c
}

// Import implements types.Importer.
func (p *program) Import(path string) (*types.Package, error) {
	if folder, ok := strings.CutPrefix(path, p.tree.Module+"/"); ok {
		// With bodies, so that the functions of a package are the same objects
		// to itself and to those that call it.
		if c := p.check(folder, matchesAny(numericFolders(), folder)); c.types != nil {
			return c.types, nil
		}
	}
	if path == "math" {
		return p.math.Import(path)
	}
	fake := types.NewPackage(path, importName(path))
	fake.MarkComplete()
	return fake, nil
}

// floating reports whether the expression is, as far as is known, a variable of
// floating-point or complex type. If its own type is not known, an operand that
// is of such a type decides.
func (c *checked) floating(e ast.Expr) bool {
	tv, ok := c.info.Types[e]
	if ok && tv.Value != nil {
		return false // a constant
	}
	if !ok || tv.Type == nil || tv.Type == types.Typ[types.Invalid] {
		switch e := e.(type) {
		case *ast.Ident:
			if o := c.info.ObjectOf(e); o != nil && o.Type() != nil {
				return isFloat(o.Type())
			}
		case *ast.BinaryExpr:
			return c.floating(e.X) || c.floating(e.Y)
		case *ast.ParenExpr:
			return c.floating(e.X)
		case *ast.UnaryExpr:
			return c.floating(e.X)
		}
		return false
	}
	return isFloat(tv.Type)
}

// isFloat holds for a type parameter if it does for one of its types.
func isFloat(t types.Type) bool {
	if parameter, ok := t.(*types.TypeParam); ok {
		return anyTerm(parameter.Constraint(), isFloat)
	}
	basic, ok := t.Underlying().(*types.Basic)
	return ok && basic.Info()&(types.IsFloat|types.IsComplex) != 0
}

func anyTerm(constraint types.Type, holds func(types.Type) bool) bool {
	switch u := constraint.(type) {
	case *types.Union:
		for i := range u.Len() {
			if anyTerm(u.Term(i).Type(), holds) {
				return true
			}
		}
		return false
	default:
		if i, ok := constraint.Underlying().(*types.Interface); ok {
			for k := range i.NumEmbeddeds() {
				if anyTerm(i.EmbeddedType(k), holds) {
					return true
				}
			}
			return false
		}
		return holds(constraint)
	}
}

// callee returns the function that a call names, if it has a name.
func (c *checked) callee(call *ast.CallExpr) *types.Func {
	fun := ast.Unparen(call.Fun)
	if index, ok := fun.(*ast.IndexExpr); ok { // explicit type argument
		fun = index.X
	}
	var id *ast.Ident
	switch fun := fun.(type) {
	case *ast.Ident:
		id = fun
	case *ast.SelectorExpr:
		id = fun.Sel
	default:
		return nil
	}
	f, _ := c.info.Uses[id].(*types.Func)
	if f == nil {
		return nil
	}
	return f.Origin()
}
