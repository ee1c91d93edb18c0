// Command asmgen writes the assembly of package cpu's element and row kernels:
//
//	asmgen DIR
//
// DIR is the folder of package cpu; the files are DIR/elements_LEVEL_amd64.s,
// and the declarations of their functions in
// DIR/elements_LEVEL_stubs_amd64.go, for the levels avx2 and avx512. Each
// function is described once, in terms of a machine whose vectors have 8 or 16
// lanes. It equals the portable function of the same name in DIR, bit for bit,
// which package cpu tests.
//
// It is a separate module so that the product does not depend on the assembly
// generator.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: asmgen DIR")
		os.Exit(2)
	}
	files, err := generate(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "asmgen:", err)
		os.Exit(1)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(os.Args[1], name), content, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "asmgen:", err)
			os.Exit(1)
		}
	}
}

// generate returns the files to write, by name, for the package in dir.
func generate(dir string) (map[string][]byte, error) {
	constants, err := constantTypes(filepath.Join(dir, "adam.go"), filepath.Join(dir, "sgd.go"), filepath.Join(dir, "dropout.go"))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for level, lanes := range map[string]int{"avx2": 8, "avx512": 16} {
		m := newMachine(level, lanes, constants)
		m.maps()
		m.rows()
		m.columns()
		m.norms()
		m.optimisers()
		m.dropout()
		m.bf16()
		file, err := m.Result()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", level, errors.Join(all(err)...))
		}
		if err := pass.Compile.Execute(file); err != nil {
			return nil, fmt.Errorf("%s: %w", level, err)
		}
		config := printer.Config{Name: "asmgen", Pkg: "cpu"}
		for name, p := range map[string]printer.Printer{
			"elements_" + level + "_amd64.s":        printer.NewGoAsm(config),
			"elements_" + level + "_stubs_amd64.go": printer.NewStubs(config),
		} {
			if files[name], err = p.Print(file); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return files, nil
}

// all returns the errors of avo's list, which prints only one of them.
func all(err error) (out []error) {
	list, ok := err.(build.ErrorList)
	if !ok {
		return []error{err}
	}
	for _, e := range list {
		out = append(out, e)
	}
	return out
}
