package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/internal/disk"
	"reprise/training"
)

// nothingStarted is said of a command that was interrupted before it had recorded
// anything of a run.
const nothingStarted = "; nothing was started"

// maxRequestBytes bounds how much of a request file is read.
const maxRequestBytes = 1 << 20

func newTrainCommand(env *environment) *cobra.Command {
	var o followOptions
	var set []string
	var note noteFlags
	c := &cobra.Command{
		Use:   "train JOB...",
		Short: "Train the request in the file JOB (- for standard input), or several",
		Long: `Train checks the request, trains it, and checkpoints it as it goes. Ctrl-C
checkpoints at the current step and stops; a killed run is resumed from its last
checkpoint with "reprise runs resume".

Fields of the request can be changed with --set, by their path and in YAML; the
changed request is recorded.

Several requests are checked before any of them is started, and then submitted in
the order given: each runs when a device takes it, the others wait. --set applies
to all of them. Ctrl-C interrupts all, and each can be resumed. The exit code is
that of the worst: 1 if any run failed, was cancelled or rejected, else 130 if any was
interrupted or paused.

A request with folds (dataset.split.folds) is several runs, one for each fold, which are a
group of their own unless job.group names one. Their figures are printed together, with
mean and standard deviation.

Where another process trains in the data directory already, the requests are submitted
to it: they share its devices. Ctrl-C then ends only the display, and the runs continue;
"reprise runs cancel" ends them. With --detach, the command does not wait for them.

A command prints the results of its own runs as soon as they have ended. The process that
trains shows the runs of others, too, and stays until they have ended; Ctrl-C interrupts
them with its own, and "reprise runs resume --all" continues all of them.

A request can say in its section job how it is queued: priority, owner, group,
after, max_duration and labels; and what the run is called: name, tags and note.
--name and --note replace what it says, --tag adds a tag. A name can be given
wherever a run is asked for. None of these changes what is trained.

With -o json, standard output carries exactly one object, or with several requests
one on a line of its own for each run that was started, in the order given, and then one
for the folds of a request; the progress goes to standard error.`,
		Example: `  reprise train examples/digits.yaml
  reprise train examples/digits.yaml --name baseline --tag digits
  reprise train examples/digits.yaml --set config.epochs=10 --set config.seed=8
  reprise train examples/digits.yaml examples/wine-classification.yaml
  reprise train examples/digits-queued.yaml    # with a priority and a group`,
		Args: usage(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkTrainFormat(o.format); err != nil {
				return err
			}
			for _, file := range args[1:] {
				if meant := meantSetting(c, file); meant != "" && !disk.Exists(file) {
					return usageError(c, "unexpected argument %q; write --set %s", file, meant)
				}
			}
			if n := len(args); n > api.MaxRequests {
				return usageError(c, "%s request files are more than the %s that one command takes; give fewer", thousands(n), thousands(api.MaxRequests))
			}
			return interrupted(c.Context(), env.train(c.Context(), args, set, note, o), nothingStarted)
		},
	}
	o.add(c)
	addSet(c, &set)
	note.add(c)
	return c
}

// noteFlags are what the command line says about new runs.
type noteFlags struct {
	name, text string
	tags       []string
}

func (n *noteFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&n.name, "name", "", "call the run `NAME`, which can be given instead of its id")
	c.Flags().StringArrayVar(&n.tags, "tag", nil, "tag the run with `TAG`; may be repeated")
	c.Flags().StringVar(&n.text, "note", "", "note `TEXT` about the run")
}

func (n *noteFlags) note(r *api.SubmitRequest) { r.Name, r.Tags, r.Note = n.name, n.tags, n.text }

// asGiven makes an error about the notes name the flags.
func (n *noteFlags) asGiven(err error) error {
	arguments := []argument{{field: "name", flag: "--name"}, {field: "note", flag: "--note"}, {field: "tags", flag: "--tag"}}
	for i := range n.tags {
		arguments = append(arguments, argument{field: fmt.Sprintf("tags[%d]", i), flag: "--tag"})
	}
	return asGiven(err, arguments...)
}

// addTrainFormat adds the -o flag of the commands that end in a run's result.
func addTrainFormat(c *cobra.Command, format *string) {
	c.Flags().StringVarP(format, "output", "o", "text", "`FORMAT` of the result: text, or json for one object on standard output")
}

func checkTrainFormat(format string) error {
	if format != "text" && format != formatJSON {
		return badFormat(format, "text", formatJSON)
	}
	return nil
}

func (env *environment) train(ctx context.Context, files, set []string, note noteFlags, o followOptions) error {
	request, err := env.submission(ctx, files, set)
	if err != nil {
		return err
	}
	note.note(&request)
	if runs := request.Runs(); len(runs) > 1 {
		return env.trainAll(ctx, request, runs, note, o)
	}
	return env.trainOne(ctx, o, func(ctx context.Context, s api.Service, _ func() hostView) (training.RunID, error) {
		id, err := onlySubmission(s.Submit(ctx, request))
		return id, note.asGiven(err)
	})
}

// submission reads request files for the service. What is wrong with one goes with it,
// to be reported with everything that is wrong with the others.
func (env *environment) submission(ctx context.Context, files, set []string) (api.SubmitRequest, error) {
	here, err := os.Getwd()
	if err != nil {
		return api.SubmitRequest{}, err
	}
	r := api.SubmitRequest{Settings: settingsOf(set), Folder: api.Text(here), Files: make([]api.RequestFile, len(files))}
	for i, file := range files {
		var content []byte
		err := errors.New("JOB -: standard input can be read only once; give - once")
		if file != "-" || !slices.Contains(files[:i], "-") {
			content, err = unlessEnded(ctx, func() ([]byte, error) { return env.readRequest(file) })
		}
		if err := ctx.Err(); err != nil {
			return r, err
		}
		if err == nil {
			err = invalid(notARequest(file, content))
		}
		r.Files[i] = api.RequestFile{Name: api.Text(file), Content: api.Text(content), Unreadable: api.ErrorOf(err)}
	}
	return r, nil
}

func (env *environment) readRequest(file string) ([]byte, error) {
	const fix = "give the path of a request file, such as examples/digits.yaml"
	in := env.stdin
	if file != "-" {
		f, err := openInput(file)
		if err != nil {
			if instead := notAFile(file); instead != nil {
				return nil, invalid(instead)
			}
			return nil, unusable(errorf("JOB %s: %w", file, err), fix)
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	content, err := io.ReadAll(io.LimitReader(in, maxRequestBytes+1))
	if err != nil {
		return nil, unusable(errorf("JOB %s: %w", file, err), fix)
	}
	if len(content) > maxRequestBytes {
		if instead := notARequest(file, content); instead != nil {
			return nil, invalid(instead)
		}
		return nil, invalid(fmt.Errorf("JOB %s: is larger than %d bytes; a request is a short YAML file", file, maxRequestBytes))
	}
	return content, nil
}
