package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/charmbracelet/x/term"

	"reprise/fault"
)

// confirm asks a question, and fails unless the answer is yes: then nothing was done.
func (env *environment) confirm(ctx context.Context, done, question string) error {
	if _, err := fmt.Fprintf(env.stderr, "%s [y/N] ", question); err != nil {
		return err
	}
	line, err := unlessEnded(ctx, func() (string, error) {
		line, _ := bufio.NewReader(env.stdin).ReadString('\n') // what cannot be read is not consent
		return line, nil
	})
	if err != nil {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	case "":
		return fault.New(fault.Invalid, "nothing was %s: answer y, or give --yes", done)
	}
	return fault.New(fault.Conflict, "nothing was %s", done)
}

// canAsk reports whether somebody at a terminal can be asked.
func (env *environment) canAsk() bool {
	isTerminal := func(v any) bool {
		f, ok := v.(*os.File)
		return ok && term.IsTerminal(f.Fd())
	}
	return isTerminal(env.stdin) && isTerminal(env.stderr)
}
