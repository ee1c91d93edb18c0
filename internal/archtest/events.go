package archtest

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// events finds what a new event would be forgotten in. A closed set of events is an
// interface that has EventType and an unexported method; its members are the types of
// its package that implement it. A type switch over one has to name every member, or
// an interface that it implements: a case that says "nothing to do" is enough. A
// default counts if it refuses the event, by panicking or by returning an error. A
// switch over an interface that has EventType alone has to name every member of every
// set. And each set has a function that lists one event of each type.
func events(t *Tree) []Finding {
	s := &eventSearch{program: newProgram(t, build{arch: "amd64"}), interfaces: map[string]map[string]bool{}}
	s.collect()
	if len(s.sets) == 0 {
		return nil
	}
	bodies := switching(t)
	for _, folder := range t.Packages() {
		p := s.program.check(folder, slices.Contains(bodies, folder))
		for _, f := range p.files {
			ast.Inspect(f.AST, func(n ast.Node) bool {
				if n, ok := n.(*ast.TypeSwitchStmt); ok {
					s.checkSwitch(p, f, n)
				}
				return true
			})
		}
		for _, set := range s.sets {
			if set.folder == folder {
				s.checkList(p, set)
			}
		}
	}
	return s.found
}

// switching returns the folders with type switches or lists of events: only there the
// bodies of functions matter.
func switching(t *Tree) []string {
	var folders []string
	for f := range t.sources {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.TypeSwitchStmt:
				folders = append(folders, f.Package)
			case *ast.FuncDecl:
				if listsEvents(n) {
					folders = append(folders, f.Package)
				}
			}
			return true
		})
	}
	slices.Sort(folders)
	return slices.Compact(folders)
}

// listsEvents reports whether a function may be one that lists a set.
func listsEvents(fn *ast.FuncDecl) bool {
	return fn.Body != nil && len(fn.Body.List) == 1 && strings.HasSuffix(strings.ToLower(fn.Name.Name), "events")
}

// eventSet is a closed set of events.
type eventSet struct {
	folder, name string // of the interface, which is named folder.name
	file         *File
	pos          token.Pos
}

type eventSearch struct {
	program *program
	sets    []eventSet
	// interfaces has the members that implement an interface, by the names of both;
	// those of an interface with EventType alone are the members of all sets.
	interfaces map[string]map[string]bool
	found      []Finding
}

// collect finds the sets, their members and the interfaces that group them.
func (s *eventSearch) collect() {
	all := map[string]bool{}
	var open []string
	for _, folder := range s.program.tree.Packages() {
		p := s.program.check(folder, false)
		if p.types == nil {
			continue
		}
		scope := p.types.Scope()
		for _, name := range scope.Names() {
			object, ok := scope.Lookup(name).(*types.TypeName)
			if !ok || object.IsAlias() {
				continue
			}
			group, ok := object.Type().Underlying().(*types.Interface)
			if !ok || !hasMethod(group, "EventType") {
				continue
			}
			if group.NumMethods() == 1 {
				open = append(open, typeName(object.Type()))
				continue
			}
			members := map[string]bool{}
			for _, member := range scope.Names() {
				m, ok := scope.Lookup(member).(*types.TypeName)
				if ok && !types.IsInterface(m.Type()) && types.Implements(m.Type(), group) {
					members[typeName(m.Type())] = true
					all[typeName(m.Type())] = true
				}
			}
			s.interfaces[typeName(object.Type())] = members
			if closed(group) {
				f, pos := p.declared(object)
				s.sets = append(s.sets, eventSet{folder, name, f, pos})
			}
		}
	}
	for _, name := range open {
		s.interfaces[name] = all
	}
}

// closed reports whether only the interface's own package can implement it, and it is
// not a part of a larger set.
func closed(i *types.Interface) bool {
	for k := range i.NumExplicitMethods() {
		if !i.ExplicitMethod(k).Exported() {
			return true
		}
	}
	return false
}

func hasMethod(i *types.Interface, name string) bool {
	for k := range i.NumMethods() {
		if i.Method(k).Name() == name {
			return true
		}
	}
	return false
}

// typeName returns "path.Name" of a named type, which is the same however often its
// package was checked.
func typeName(t types.Type) string {
	named, ok := types.Unalias(t).(*types.Named)
	if !ok || named.Obj().Pkg() == nil {
		return ""
	}
	return named.Obj().Pkg().Path() + "." + named.Obj().Name()
}

// declared returns where an object of the package is declared.
func (c *checked) declared(o types.Object) (*File, token.Pos) {
	for _, f := range c.files {
		if f.AST.FileStart <= o.Pos() && o.Pos() < f.AST.FileEnd {
			return f, o.Pos()
		}
	}
	return nil, token.NoPos
}

func (s *eventSearch) checkSwitch(p *checked, f *File, n *ast.TypeSwitchStmt) {
	members, ok := s.interfaces[typeName(p.info.TypeOf(subject(n)))]
	if !ok {
		return
	}
	missing := map[string]bool{}
	for m := range members {
		missing[m] = true
	}
	for _, clause := range n.Body.List {
		clause := clause.(*ast.CaseClause)
		if clause.List == nil && refuses(clause, function(f, n)) {
			return
		}
		for _, e := range clause.List {
			named := typeName(p.info.TypeOf(e))
			delete(missing, named)
			for m := range s.interfaces[named] {
				delete(missing, m)
			}
		}
	}
	if len(missing) > 0 {
		s.found = append(s.found, s.program.tree.finding("events", f, n.Pos(),
			"the switch does not name %s: say what it does with each event, if only in a case that says that there is nothing to do", list(missing)))
	}
}

// subject returns what a type switch is about.
func subject(n *ast.TypeSwitchStmt) ast.Expr {
	var e ast.Expr
	switch a := n.Assign.(type) {
	case *ast.AssignStmt:
		e = a.Rhs[0]
	case *ast.ExprStmt:
		e = a.X
	}
	return ast.Unparen(e).(*ast.TypeAssertExpr).X
}

// refuses reports whether the clause ends with a panic or returns an error from the
// function around it.
func refuses(clause *ast.CaseClause, enclosing *ast.FuncType) bool {
	if len(clause.Body) == 0 {
		return false
	}
	switch last := clause.Body[len(clause.Body)-1].(type) {
	case *ast.ExprStmt:
		call, ok := last.X.(*ast.CallExpr)
		if !ok {
			return false
		}
		id, ok := call.Fun.(*ast.Ident)
		return ok && id.Name == "panic"
	case *ast.ReturnStmt:
		if len(last.Results) == 0 || enclosing == nil || enclosing.Results == nil {
			return false
		}
		if id, ok := last.Results[len(last.Results)-1].(*ast.Ident); ok && id.Name == "nil" {
			return false
		}
		results := enclosing.Results.List
		id, ok := results[len(results)-1].Type.(*ast.Ident)
		return ok && id.Name == "error"
	}
	return false
}

// function returns the type of the innermost function around a node.
func function(f *File, n ast.Node) *ast.FuncType {
	var innermost *ast.FuncType
	ast.Inspect(f.AST, func(outer ast.Node) bool {
		if outer == nil || outer.Pos() > n.Pos() || n.End() > outer.End() {
			return false
		}
		switch fn := outer.(type) {
		case *ast.FuncDecl:
			innermost = fn.Type
		case *ast.FuncLit:
			innermost = fn.Type
		}
		return true
	})
	return innermost
}

// checkList looks for the function that lists the set, and compares its list.
func (s *eventSearch) checkList(p *checked, set eventSet) {
	name := p.types.Path() + "." + set.name
	listed := false
	for _, f := range p.files {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			fn, ok := n.(*ast.FuncDecl)
			if !ok || !listsEvents(fn) {
				return true
			}
			back, ok := fn.Body.List[0].(*ast.ReturnStmt)
			if !ok || len(back.Results) != 1 {
				return true
			}
			literal, ok := back.Results[0].(*ast.CompositeLit)
			if !ok {
				return true
			}
			slice, ok := p.info.TypeOf(literal).(*types.Slice)
			if !ok || typeName(slice.Elem()) != name {
				return true
			}
			listed = true
			missing := map[string]bool{}
			for m := range s.interfaces[name] {
				missing[m] = true
			}
			for _, e := range literal.Elts {
				delete(missing, typeName(p.info.TypeOf(e)))
			}
			if len(missing) > 0 {
				s.found = append(s.found, s.program.tree.finding("events", f, fn.Pos(),
					"%s does not list %s: what is not listed cannot be read back from a log", fn.Name.Name, list(missing)))
			}
			return true
		})
	}
	if !listed && set.file != nil {
		s.found = append(s.found, s.program.tree.finding("events", set.file, set.pos,
			"no function returns one event of each type of %s, as in return []%s{...}: its codec needs one", set.name, set.name))
	}
}

// list names types without their packages.
func list(names map[string]bool) string {
	var short []string
	for name := range names {
		short = append(short, name[strings.LastIndex(name, ".")+1:])
	}
	slices.Sort(short)
	const most = 5
	if len(short) > most {
		short = append(short[:most], "...")
	}
	return strings.Join(short, ", ")
}
