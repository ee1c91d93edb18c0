// Command reprise trains models from request files, keeps every run as an
// event log, goes on to the same bits after any crash, and proves it.
//
// This package wires the contexts together and owns what only a process has:
// flags, environment, signals, the terminal and exit codes.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func main() {
	os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

// run is main without the process: it executes one command line, program name
// included, and returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	env := &environment{
		program: programName(args[0]), stdin: stdin, stdout: stdout, stderr: stderr, getenv: getenv, now: time.Now,
	}
	root := newRootCommand(env)
	root.SetArgs(args[1:])
	err := root.ExecuteContext(ctx)
	if err != nil && !isSilent(err) {
		_, _ = fmt.Fprintf(stderr, "reprise: %v\n", err)
		if way := wayBack(env.program, err); way != "" {
			_, _ = fmt.Fprintf(stderr, "reprise: %s\n", way)
		}
	}
	return exitCode(err)
}

// environment is what a command may touch of the process it runs in.
type environment struct {
	// program is how the user called this program.
	program        string
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	now            func() time.Time

	// The flags that every command has.
	dataDir     string
	cpuFeatures string
	threads     int
}

func newRootCommand(env *environment) *cobra.Command {
	root := &cobra.Command{
		Use:   "reprise",
		Short: "Train models reproducibly: kill it at any moment, it goes on to the same bits",
		Long: `Reprise trains a model from a request file, keeps the whole life of the run as
an event log, survives being killed, and proves that the same request gives the
same bits.

Exit codes: 0 completed; 1 failed; 2 invalid request or usage, nothing was
written; 130 interrupted, and can be resumed.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          usage(cobra.NoArgs),
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(env.stdin)
	root.SetOut(env.stdout)
	root.SetErr(env.stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return invalid(fmt.Errorf("%w; see `%s --help`", err, c.CommandPath()))
	})
	flags := root.PersistentFlags()
	flags.StringVar(&env.dataDir, "data-dir", "", "folder of runs and events (default: $REPRISE_DATA_DIR, else an XDG data directory)")
	flags.StringVar(&env.cpuFeatures, "cpu-features", "auto", "instruction set to compute with: auto, avx512, avx2, neon (arm64) or none; it changes the speed and not one bit")
	flags.IntVar(&env.threads, "threads", 0, "threads to compute with (default: GOMAXPROCS); changes the speed and not one bit")
	root.AddCommand(
		newTrainCommand(env), newRunsCommand(env), newStateCommand(env), newEventsCommand(env), newProjectionsCommand(env), newBackupCommand(env), newRestoreCommand(env), newGenerateCommand(env), newValidateCommand(env),
		newDatasetsCommand(env), newDevicesCommand(env), newActorsCommand(env), newVersionCommand(env),
	)
	return root
}
