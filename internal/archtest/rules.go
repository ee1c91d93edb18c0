package archtest

import (
	"cmp"
	"slices"
	"strings"
)

// Rule finds the places of a tree that break it.
type Rule struct {
	Name string
	Find func(*Tree) []Finding
}

// Rules returns every rule.
func Rules() []Rule {
	return []Rule{
		{"layers", layers},
		{"bans", bans},
		{"folders", folders},
		{"package-doc", packageDoc},
		{"init", noInit},
		{"globals", globals},
		{"kinds", kinds},
		{"fusible", fusible},
		{"length", length},
		{"events", events},
		{"flags", flags},
	}
}

// Check applies the rules and returns what they find, except what a comment
// allows, plus the comments that are wrong. Findings are sorted by place, each
// listed once (builds for several architectures find mostly the same).
func Check(t *Tree, rules []Rule) []Finding {
	allowed, findings := allowances(t, rules)
	for _, r := range rules {
		for _, found := range r.Find(t) {
			if a := allowed[place{r.Name, found.Path, found.Line}]; a != nil {
				a.used = true
				continue
			}
			findings = append(findings, found)
		}
	}
	for _, a := range allowed {
		if !a.used && !a.reported {
			a.reported = true
			findings = append(findings, Finding{Rule: "allow", Path: a.path, Line: a.line,
				Message: "this comment allows nothing: remove it"})
		}
	}
	slices.SortFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(findings)
}

type place struct {
	rule, path string
	line       int
}

type allowance struct {
	path           string
	line           int
	used, reported bool
}

const allowPrefix = "//archtest:allow "

// allowances collects the comments that allow something: for each, the line it
// is on, the next one, and the one after its comment group.
func allowances(t *Tree, rules []Rule) (map[place]*allowance, []Finding) {
	allowed := map[place]*allowance{}
	var findings []Finding
	for _, f := range t.Files {
		for _, group := range f.AST.Comments {
			for _, c := range group.List {
				text, ok := strings.CutPrefix(c.Text, allowPrefix)
				if !ok {
					continue
				}
				text, _, _ = strings.Cut(text, " //")
				rule, reason, _ := strings.Cut(strings.TrimSpace(text), " ")
				if !slices.ContainsFunc(rules, func(r Rule) bool { return r.Name == rule }) || len(strings.Fields(reason)) < 3 {
					findings = append(findings, t.finding("allow", f, c.Pos(),
						"write %sRULE and a reason of three words or more, where RULE is an existing rule", allowPrefix))
					continue
				}
				line := t.fset.Position(c.Pos()).Line
				a := &allowance{path: f.Path, line: line}
				for _, l := range []int{line, line + 1, t.fset.Position(group.End()).Line + 1} {
					allowed[place{rule, f.Path, l}] = a
				}
			}
		}
	}
	return allowed, findings
}
