package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/dataset"
	"reprise/integration"
	"reprise/internal/disk"
	"reprise/nn"
	"reprise/training"
	"reprise/training/loop"
)

// nothingStarted is said of a command that was interrupted before it had recorded
// anything of a run.
const nothingStarted = "; nothing was started"

// maxRequestBytes bounds how much of a request file is read.
const maxRequestBytes = 1 << 20

func newTrainCommand(env *environment) *cobra.Command {
	var format string
	var set []string
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
that of the worst: 1 if any run failed, else 130 if any was interrupted.

With -o json, standard output carries exactly one object, or with several requests
one on a line of its own for each run that was started, in the order given; the
progress goes to standard error.`,
		Example: `  reprise train examples/digits.yaml
  reprise train examples/digits.yaml --set config.epochs=10 --set config.seed=8
  reprise train examples/digits.yaml examples/wine-classification.yaml`,
		Args: usage(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkTrainFormat(format); err != nil {
				return err
			}
			for _, file := range args[1:] {
				if meant := meantSetting(c, file); meant != "" && !disk.Exists(file) {
					return usageError(c, "unexpected argument %q; write --set %s", file, meant)
				}
			}
			switch n := len(args); {
			case n > maxJobs:
				return usageError(c, "%s request files are more than the %s that one command takes; give fewer", thousands(n), thousands(maxJobs))
			case n > 1:
				return interrupted(c.Context(), env.trainAll(c.Context(), args, set, format), nothingStarted)
			}
			return interrupted(c.Context(), env.train(c.Context(), args[0], set, format), nothingStarted)
		},
	}
	addTrainFormat(c, &format)
	addSet(c, &set)
	return c
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

// job is a request that was checked and is ready to start: everything up to
// here has written nothing.
type job struct {
	file    string // of several
	run     training.RunID
	data    *dataset.Dataset
	session training.TrainingSession
	events  []training.Event
	changes []api.Change // of a fork
}

func (env *environment) train(ctx context.Context, file string, set []string, format string) error {
	// Whether another process trains in the data directory comes last: it must not
	// hide what is wrong with the command.
	j, err := env.prepare(ctx, file, set)
	if err := errors.Join(err, env.checkDataDir()); err != nil {
		return err
	}
	return env.withHost(ctx, "reprise train "+file, j.data, format, func(h *integration.Host, _ *runView) (training.RunID, error) {
		return h.Start(ctx, j.events)
	})
}

// prepare reads a request file, sets fields of it, checks and translates it, and
// opens its data. It reports everything that is wrong with the request at once.
func (env *environment) prepare(ctx context.Context, file string, set []string) (job, error) {
	request, err := env.parse(ctx, file, parseSettings(set))
	if err != nil {
		return job{}, err
	}
	j, err := ready(ctx, request, newRunID(env.now()), env.openRequested)
	if err == nil {
		env.noteClasses("", j.data)
	}
	return j, err
}

// parse reads a request file and sets fields of it.
func (env *environment) parse(ctx context.Context, file string, settings []api.Setting) (api.TrainingRequest, error) {
	content, err := unlessEnded(ctx, func() ([]byte, error) { return env.readRequest(file) })
	if err != nil {
		if bad := api.CheckSettings(settings...); bad != nil {
			err = invalid(errors.Join(err, bad))
		}
		return api.TrainingRequest{}, err
	}
	request, err := api.ParseTrainingRequest(file, content, settings...)
	if instead := notARequest(file, content); err != nil && instead != nil {
		return request, invalid(errors.Join(instead, settingErrors(err)))
	}
	if err != nil {
		return request, invalid(api.Join(err, env.moreMistakes(ctx, request)))
	}
	return request, nil
}

// noteClasses says which classes may be one by mistake. file is that of the request,
// where there are several.
func (env *environment) noteClasses(file string, data *dataset.Dataset) {
	note := dataset.SimilarClasses(data.ClassNames())
	if note == "" {
		return
	}
	if file != "" {
		note = file + ": " + note
	}
	writeLines(env.stderr, "reprise: note: "+note)
}

// ready checks and translates a request that was read, for a run of the given id, and
// opens its data.
func ready(
	ctx context.Context, request api.TrainingRequest, id training.RunID,
	open func(context.Context, api.TrainingRequest) (dataset.Source, *dataset.Dataset, error),
) (job, error) {
	source, data, err := open(ctx, request)
	if err != nil {
		return job{}, err
	}
	ids := api.IDs{Run: id, Session: training.SessionID(newID()), Model: nn.ModelID(newID())}
	session, events, err := api.FromExternalRequest(request, source, data, ids)
	if err != nil {
		return job{}, invalid(request.Locate(err))
	}
	if _, err := loop.PlanOf(session); err != nil { // a model that no device could take
		return job{}, invalid(request.Locate(err))
	}
	return job{run: id, data: data, session: session, events: events}, nil
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
			return nil, unusable(fmt.Errorf("JOB %s: %w", file, err), fix)
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	content, err := io.ReadAll(io.LimitReader(in, maxRequestBytes+1))
	if err != nil {
		return nil, unusable(fmt.Errorf("JOB %s: %w", file, err), fix)
	}
	if len(content) > maxRequestBytes {
		if instead := notARequest(file, content); instead != nil {
			return nil, invalid(instead)
		}
		return nil, invalid(fmt.Errorf("JOB %s: is larger than %d bytes; a request is a short YAML file", file, maxRequestBytes))
	}
	return content, nil
}

// newRunID returns an id that sorts by time and is easy to say: the time in UTC
// and four random characters.
func newRunID(now time.Time) training.RunID {
	const letters = "0123456789abcdefghjkmnpqrstvwxyz" // 32, without the ones that are easily confused
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	for i, b := range random {
		random[i] = letters[b%32]
	}
	return training.RunID(now.UTC().Format("20060102-150405-") + string(random[:]))
}

// newID returns 128 random bits.
func newID() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	return hex.EncodeToString(random[:])
}
