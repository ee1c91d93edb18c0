package archtest

import (
	"go/ast"
	"slices"
	"strings"
)

// ban forbids an import path, or "path.Name" for a name of a package, in some
// folders.
type ban struct {
	What    []string
	In      []string // folder patterns
	Except  []string
	Because string
}

func banTable() []ban {
	everywhere := []string{"..."}
	// Pure rules: state machines whose replay must give the same state.
	pure := []string{"training/...", "inference/...", "device", "kernel", "metrics", "tensor/..."}
	// Where the bits of results are made.
	numeric := numericFolders()
	return []ban{
		{[]string{"actor", "eventstore"}, []string{"training/..."}, nil,
			"the rules of training are pure; integration hosts them in actors and keeps their events"},
		{[]string{
			"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.AfterFunc", "time.Tick",
			"time.NewTimer", "time.NewTicker",
		}, append(pure, numeric...), nil, "times come in as inputs, so that replay gives the same state"},
		{[]string{"time.Now", "time.Since", "time.Until"}, everywhere, []string{"cmd/..."},
			"the clock is injected: cmd passes time.Now in"},
		{[]string{"time.Sleep"}, everywhere, nil, "no sleep for synchronisation: wait for the event itself"},
		{[]string{"math/rand", "math/rand/v2"}, everywhere, nil,
			"randomness is counter-based (internal/philox), a function of seed, purpose, step and index"},
		{[]string{"crypto/rand"}, everywhere, []string{"cmd/...", "internal/..."},
			"ids are injected, so that replay and tests give the same ones"},
		{[]string{"os", "os/...", "net", "net/...", "syscall", "io/fs", "path/filepath"}, pure, nil,
			"pure rules touch neither files nor network"},
		{[]string{"os.Getenv", "os.LookupEnv", "os.Environ", "os.ExpandEnv"}, everywhere, []string{"cmd/..."},
			"the environment is read in cmd and passed in"},
		{[]string{"os.Exit", "flag"}, everywhere, []string{"cmd/..."}, "only cmd ends the process or reads its arguments"},
		{[]string{"os", "os/...", "syscall"}, []string{"api/..."}, []string{"api/servicetest"},
			"the published language touches no disk: a service says what is there"},
		{[]string{"C"}, everywhere, nil, "no cgo: the project builds with Go alone"},
		{[]string{"encoding/gob"}, everywhere, nil, "formats are specified to the byte in docs/; gob is not"},
		{[]string{"log"}, everywhere, nil, "handle an error or return it; where a log is due it is an injected *slog.Logger"},
		{[]string{"io/ioutil"}, everywhere, nil, "deprecated; use io and os"},
		{[]string{"unsafe", "reflect"}, append(pure, "nn/...", "checkpoint/...", "actor/..."), nil,
			"plain types suffice; only kernels and drivers may need unsafe"},
		{[]string{"testing", "pgregory.net/rapid", "go.uber.org/goleak"}, everywhere,
			[]string{"api/servicetest", "device/devicetest", "eventstore/storetest"}, "test code stays out of the binary"},
		{[]string{
			"math.Exp", "math.Exp2", "math.Expm1", "math.Log", "math.Log2", "math.Log10", "math.Log1p", "math.Pow",
			"math.Pow10", "math.Sin", "math.Cos", "math.Sincos", "math.Tan", "math.Asin", "math.Acos", "math.Atan",
			"math.Atan2", "math.Sinh", "math.Cosh", "math.Tanh", "math.Asinh", "math.Acosh", "math.Atanh", "math.Erf",
			"math.Erfc", "math.Erfinv", "math.Erfcinv", "math.Gamma", "math.Lgamma", "math.Cbrt", "math.Hypot",
			"math.J0", "math.J1", "math.Jn", "math.Y0", "math.Y1", "math.Yn",
		}, numeric, nil, "its bits vary with architecture and release: use internal/detmath, or the kernels' own"},
	}
}

// bans enforces banTable on non-test files.
func bans(t *Tree) []Finding {
	var findings []Finding
	table := banTable()
	for _, f := range t.Files {
		if f.Test {
			continue
		}
		for _, spec := range f.AST.Imports {
			if spec.Name != nil && spec.Name.Name == "." {
				findings = append(findings, t.finding("bans", f, spec.Pos(), "a dot import hides where names come from"))
			}
		}
		for _, b := range table {
			if matchesAny(b.In, f.Package) && !matchesAny(b.Except, f.Package) {
				findings = append(findings, b.find(t, f)...)
			}
		}
	}
	return findings
}

func (b ban) find(t *Tree, f *File) []Finding {
	var findings []Finding
	for _, spec := range f.AST.Imports {
		target := strings.Trim(spec.Path.Value, `"`)
		local := strings.TrimPrefix(target, t.Module+"/")
		if matchesAny(b.What, target) || matchesAny(b.What, local) {
			findings = append(findings, t.finding("bans", f, spec.Pos(), "%s is not for %s: %s", target, f.Package, b.Because))
		}
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		name, ok := f.qualified(selector)
		if ok && slices.Contains(b.What, name) {
			findings = append(findings, t.finding("bans", f, selector.Pos(), "%s is not for %s: %s", name, f.Package, b.Because))
		}
		return true
	})
	return findings
}

// qualified returns "path.Name" for a name of an imported package.
func (f *File) qualified(s *ast.SelectorExpr) (string, bool) {
	x, ok := s.X.(*ast.Ident)
	if !ok || x.Obj != nil { // an object of the file shadows the import
		return "", false
	}
	target, ok := f.imports[x.Name]
	return target + "." + s.Sel.Name, ok
}
