package archtest

import (
	"go/ast"
	"go/token"
	"go/types"
)

// numericFolders are where the bits of results are made, and with them the
// hashes that users compare.
func numericFolders() []string {
	return []string{
		"kernel/...", "nn/...", "training/...", "dataset/...", "checkpoint/...", "metrics", "inference/...", "integration/...",
		"internal/detmath/...", "internal/philox/...", "internal/stepseries/...",
	}
}

// fusible finds floating-point products that may be added to something before
// they are rounded. The language allows x*y + z to become one fused
// multiply-add, "possibly across statements", and the compiler does so on arm64
// always and on amd64 with GOAMD64=v3, so the same source gives different bits.
// An explicit conversion rounds:
//
//	s += float32(x * y)
//	t := float64(x*y) + z
//
// or, where a fused operation is meant, math.FMA or the kernels' FMA32.
//
// It finds products that are operands of a sum, directly or through a
// variable or memory of the same function, that are the result of a function,
// or that are an argument (the compiler inlines). It does not find a product
// that travels through memory under two names; the tests that pin bits under
// GOAMD64=v3 and on arm64 cover that. Products of integers or constants are
// exempt; exact floating-point products are not, since nobody can see that
// they are exact.
func fusible(t *Tree) []Finding {
	var findings []Finding
	for _, build := range []build{{arch: "amd64"}, {arch: "arm64"}} {
		program := newProgram(t, build)
		search := &fusibleSearch{program: program, results: map[*types.Func]token.Pos{}, summed: map[*types.Var]bool{}}
		for _, folder := range t.Packages() {
			if matchesAny(numericFolders(), folder) {
				search.packages = append(search.packages, program.check(folder, true))
			}
		}
		search.collect()
		findings = append(findings, search.findings()...)
	}
	return findings
}

// fusibleSearch makes two passes over the numeric packages: collect learns
// which functions return products and which parameters are summed; findings
// uses it.
type fusibleSearch struct {
	program  *program
	packages []*checked
	results  map[*types.Func]token.Pos // functions that return a bare product, and where
	summed   map[*types.Var]bool       // parameters that are operands of a sum
}

// functions calls f for every function declaration with a body.
func (s *fusibleSearch) functions(f func(*checked, *File, *ast.FuncDecl)) {
	for _, p := range s.packages {
		for _, file := range p.files {
			for _, d := range file.AST.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
					f(p, file, fn)
				}
			}
		}
	}
}

func (s *fusibleSearch) collect() {
	for changed := true; changed; {
		changed = false
		s.functions(func(p *checked, _ *File, fn *ast.FuncDecl) {
			object, _ := p.info.Defs[fn.Name].(*types.Func)
			if object == nil || s.results[object] != token.NoPos {
				return
			}
			inspectOwn(fn.Body, func(n ast.Node) {
				if r, ok := n.(*ast.ReturnStmt); ok {
					for _, e := range r.Results {
						if s.product(p, e) && s.results[object] == token.NoPos {
							s.results[object], changed = e.Pos(), true
						}
					}
				}
			})
		})
	}
	s.functions(func(p *checked, _ *File, fn *ast.FuncDecl) {
		for _, e := range operands(fn.Body) {
			if id, ok := e.(*ast.Ident); ok {
				if v, ok := p.info.Uses[id].(*types.Var); ok {
					s.summed[v] = true
				}
			}
		}
	})
}

func (s *fusibleSearch) findings() []Finding {
	var findings []Finding
	s.functions(func(p *checked, file *File, fn *ast.FuncDecl) {
		report := func(pos token.Pos, format string, args ...any) {
			findings = append(findings, s.program.tree.finding("fusible", file, pos, format, args...))
		}
		stored := s.storedProducts(p, fn)
		for _, e := range operands(fn.Body) {
			place := name(p, e)
			switch at := stored[place]; {
			case s.product(p, e) && isMul(e):
				report(e.Pos(), "this product may be fused with the sum it is part of: round it, as in float32(x*y) + z")
			case s.product(p, e):
				report(e.Pos(), "the call returns a product that may be fused with this sum: round it where it is returned")
			case at != token.NoPos && place != "":
				delete(stored, place) // once is enough
				report(at, "this product may be fused with a sum of %s in line %d: round it, as in t = float32(x*y)",
					types.ExprString(e), s.program.tree.fset.Position(e.Pos()).Line)
			}
		}
		s.arguments(p, fn, report)
	})
	return findings
}

// arguments reports products passed for parameters that are summed.
func (s *fusibleSearch) arguments(p *checked, fn *ast.FuncDecl, report func(token.Pos, string, ...any)) {
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		callee := p.callee(call)
		if callee == nil {
			return true
		}
		parameters := callee.Signature().Params()
		for i, arg := range call.Args {
			if i < parameters.Len() && s.product(p, arg) && s.summed[parameters.At(i)] {
				report(arg.Pos(), "%s adds to this product, which may be fused once it is inlined: round it, as in float32(x*y)", callee.Name())
			}
		}
		return true
	})
}

// storedProducts returns where the function sets variables and memory to a bare
// product, by name.
func (s *fusibleSearch) storedProducts(p *checked, fn *ast.FuncDecl) map[string]token.Pos {
	stored := map[string]token.Pos{}
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, left := range n.Lhs {
				product := n.Tok == token.MUL_ASSIGN && p.floating(left)
				if len(n.Lhs) == len(n.Rhs) && (n.Tok == token.ASSIGN || n.Tok == token.DEFINE) {
					product = s.product(p, n.Rhs[i])
				}
				if product {
					stored[name(p, left)] = n.Pos()
				}
			}
		case *ast.ValueSpec:
			for i, left := range n.Names {
				if len(n.Values) == len(n.Names) && s.product(p, n.Values[i]) {
					stored[name(p, left)] = n.Pos()
				}
			}
		}
		return true
	})
	return stored
}

// product reports whether the expression is a product that is not rounded: a
// multiplication, or a call of a function that returns one.
func (s *fusibleSearch) product(p *checked, e ast.Expr) bool {
	e = strip(e)
	if call, ok := e.(*ast.CallExpr); ok {
		callee := p.callee(call)
		return callee != nil && s.results[callee] != token.NoPos
	}
	return isMul(e) && p.floating(e)
}

func isMul(e ast.Expr) bool {
	b, ok := strip(e).(*ast.BinaryExpr)
	return ok && b.Op == token.MUL
}

// operands returns what is added or subtracted anywhere in the body, without
// signs and parentheses.
func operands(body ast.Node) []ast.Expr {
	var all []ast.Expr
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if n.Op == token.ADD || n.Op == token.SUB {
				all = append(all, strip(n.X), strip(n.Y))
			}
		case *ast.AssignStmt:
			if n.Tok == token.ADD_ASSIGN || n.Tok == token.SUB_ASSIGN {
				all = append(all, strip(n.Lhs[0]), strip(n.Rhs[0]))
			}
		}
		return true
	})
	return all
}

// strip removes parentheses and signs, which round nothing.
func strip(e ast.Expr) ast.Expr {
	for {
		switch x := e.(type) {
		case *ast.ParenExpr:
			e = x.X
		case *ast.UnaryExpr:
			if x.Op != token.ADD && x.Op != token.SUB {
				return e
			}
			e = x.X
		default:
			return e
		}
	}
}

// name identifies a place that can hold a value: a variable by its declaration,
// memory by how it is written. "" means that it is not a place.
func name(p *checked, e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		o := p.info.ObjectOf(e)
		if v, ok := o.(*types.Var); ok {
			return v.Name() + "@" + itoa(int(v.Pos()))
		}
	case *ast.IndexExpr, *ast.SelectorExpr, *ast.StarExpr:
		return types.ExprString(e)
	}
	return ""
}

// inspectOwn visits the nodes of a function but not those of functions within it.
func inspectOwn(body ast.Node, visit func(ast.Node)) {
	ast.Inspect(body, func(n ast.Node) bool {
		if _, inner := n.(*ast.FuncLit); inner {
			return false
		}
		if n != nil {
			visit(n)
		}
		return true
	})
}
