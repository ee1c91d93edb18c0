// Command performance writes docs/performance.md and its figures from the
// results of the benches. With -machine it only records the machine next to the
// results.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"reprise/bench/internal/report"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "performance:", err)
		os.Exit(1)
	}
}

func run() error {
	results := flag.String("results", "results", "folder of the benches' lines")
	docs := flag.String("docs", "../docs", "folder of the document")
	machine := flag.Bool("machine", false, "only record this machine and the time in the results")
	flag.Parse()
	if *machine {
		return note(*results)
	}
	r, err := report.Read(*results)
	if err != nil {
		return fmt.Errorf("%w; make performance-run measures everything", err)
	}
	files, err := report.Figures(r)
	if err != nil {
		return err
	}
	files["performance.md"] = report.Document(r)
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(*docs, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// note records the machine.
func note(folder string) (err error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	// Without git, or outside a repository, there is no commit to name.
	commit, _ := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	m, err := report.ThisMachine(time.Now(), strings.TrimSpace(string(commit)))
	if err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(folder, "machine.jsonl"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return m.Write(file)
}
