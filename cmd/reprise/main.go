// Command reprise trains models from request files, keeps every run as an
// event log, resumes to the same bits after any crash, and proves it.
//
// This package wires the contexts together and owns what only a process has:
// flags, environment, signals, the terminal and exit codes.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func main() {
	os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

// run is main without the process: it executes one command line, program name
// included, and returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) int {
	if err := checkLimits(); err != nil { // first: a thread that cannot be made ends the process
		writeError(stderr, advised(err))
		return exitCode(err)
	}
	ctx, signals, stop := endOnSignals(time.Now)
	defer stop()
	env := &environment{
		program: programName(args[0]), args: args[1:], stdin: stdin, stdout: stdout, stderr: stderr, getenv: getenv, now: time.Now,
		signals: signals,
	}
	root := newRootCommand(env)
	root.SetArgs(args[1:])
	err := interrupted(ctx, root.ExecuteContext(ctx), "")
	if err != nil && !isSilent(err) {
		writeError(stderr, advised(err))
		if way := wayBack(env.program, err); way != "" {
			writeLines(stderr, "reprise: "+savesIntact+"\n  "+way)
		}
	}
	return exitCode(err)
}

// writeError writes an error. Each of several that are joined begins with the name of
// the program; the lines that belong to it are indented.
func writeError(w io.Writer, err error) {
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, " ") {
			lines[i] = "reprise: " + line
		}
	}
	writeLines(w, strings.Join(lines, "\n"))
}

// writeLines prints a text, wrapped between words on a terminal. Lines that are
// indented show a file and stay as they are.
func writeLines(w io.Writer, text string) {
	width, _ := terminalWidth(w)
	lines := strings.Split(visibleLines(text), "\n")
	fitExcerpts(lines, width)
	for _, line := range lines {
		if !strings.HasPrefix(line, " ") {
			line = wrapWords(line, width, "  ")
		}
		_, _ = fmt.Fprintln(w, line)
	}
}

// environment is what a command may touch of the process it runs in.
type environment struct {
	// program is how the user called this program, args what followed.
	program        string
	args           []string
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	now            func() time.Time
	signals        signals
	// command is the command with its arguments, for whoever waits for it to end.
	command string
	// said are the lines that were shown about runs of other processes.
	said saidLines
	// stands, if it is set, returns the error that says how the command's runs stand.
	stands func() error

	// The flags that every command has.
	dataDir     string
	cpuFeatures string
	threads     int
	memory      string // "" for the default
}

func newRootCommand(env *environment) *cobra.Command {
	root := &cobra.Command{
		Use:   "reprise",
		Short: "Train models reproducibly: kill it at any time, and it resumes to the same bits",
		Long: `Reprise trains a model from a request file, keeps the whole life of the run as
an event log, survives being killed, and proves that the same request gives the
same bits.

Exit codes: 0 completed; 1 failed, cancelled or rejected; 2 invalid request or usage,
nothing was written; 130 interrupted or paused. Where another process trains in the
data directory, runs are submitted to it, and the exit code says how they end; where it
takes no requests, it is 1. An interrupted run can be resumed. So can a run that a
passing condition stopped, such as a full disk: the command then ends with 1 and says
what to do.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          usage(cobra.NoArgs),
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(env.stdin)
	root.SetOut(env.stdout)
	root.SetErr(env.stderr)
	root.PersistentPreRunE = func(c *cobra.Command, args []string) error {
		env.command = excerpt(strings.Join(append([]string{c.CommandPath()}, args...), " "))
		return env.checkFlags(c)
	}
	root.SetFlagErrorFunc(env.flagError)
	flags := root.PersistentFlags()
	flags.StringVar(&env.dataDir, "data-dir", "", "`FOLDER` of runs and events (default $REPRISE_DATA_DIR, else an XDG data directory)")
	flags.StringVar(&env.cpuFeatures, "cpu-features", "auto",
		"`SET` of instructions to compute with: auto, avx512, avx2, neon or none; changes the speed but not a single bit")
	flags.IntVar(&env.threads, "threads", 0,
		"`N` threads to compute with (default: one per processor); changes the speed but not a single bit")
	flags.StringVar(&env.memory, "memory", "",
		"`SIZE` of memory, such as 2GiB, that the values of a data set may take; those of a larger table are read from a file in the cache (default 1GiB, where such a file can be written); changes not a single bit")
	root.AddCommand(
		newTrainCommand(env), newRunsCommand(env), newStateCommand(env), newQueueCommand(env), newEventsCommand(env), newProjectionsCommand(env),
		newBackupCommand(env), newRestoreCommand(env), newGenerateCommand(env), newPredictCommand(env), newEvaluateCommand(env), newExportCommand(env), newValidateCommand(env),
		newDatasetsCommand(env), newDevicesCommand(env), newActorsCommand(env), newCompletionCommand(env), newVersionCommand(env),
	)
	root.CompletionOptions.DisableDefaultCmd = true
	setHelp(root)
	env.setCompletion(root)
	return root
}
