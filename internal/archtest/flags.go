package archtest

import (
	"go/ast"
	"go/token"
	"regexp"
	"strings"
)

// aFlag is a flag of a command line within a text.
var aFlag = regexp.MustCompile(`(^|[\s("'=\x60])--[a-z]`)

// flags refuses texts that speak of the flags of a command, except in commands and below
// internal: whoever uses a package in another way has no flags, and the command knows its
// own.
func flags(t *Tree) []Finding {
	var findings []Finding
	for f := range t.sources {
		if f.AST.Name.Name == "main" || strings.HasPrefix(f.Package, "internal") {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING && aFlag.MatchString(text.Value) {
				findings = append(findings, t.finding("flags", f, text.Pos(), "the text speaks of a flag: give the error a code, for which cmd says what to do"))
			}
			return true
		})
	}
	return findings
}
