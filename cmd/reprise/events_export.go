package main

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/internal/disk"
	"reprise/service"
)

func (env *environment) printLogCopy(format, verb string, c api.LogCopy) error {
	return env.listing(format, c, func(t *table) error {
		t.line("%s %s events; head hash %s", verb, thousands(uint64(c.Events)), c.HeadHash)
		return nil
	})
}

func newEventsExportCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "export [FILE]",
		Short: "Write the whole event log as lines of JSON, hashes included",
		Long: `Export writes every event of the log, as it is at one moment, to FILE or, without
one, to standard output: a header, a line of JSON for each event, and the head,
without which an export counts as cut off. docs/event-format.md describes the
format. "reprise events import" reads it into another data directory. Checkpoints
are not part of it; "reprise backup" copies them.`,
		Example: "  reprise events export log.jsonl\n  reprise events export | gzip > log.jsonl.gz",
		Args:    usage(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			if len(args) == 0 || args[0] == "-" {
				if c.Flags().Changed("output") {
					return usageError(c, "--output needs FILE: without one, the events go to standard output as lines of JSON")
				}
				_, err := env.export(c.Context(), env.stdout)
				return err
			}
			return env.exportTo(c.Context(), args[0], format)
		},
	}
	addListFormat(c, &format)
	return c
}

// export writes the log as lines of JSON.
func (env *environment) export(ctx context.Context, to io.Writer) (end api.LogSummary, err error) {
	err = env.withService(ctx, func(ctx context.Context, s api.Service) error {
		for part, err := range s.Export(ctx, api.ExportRequest{}) {
			if err != nil {
				return err
			}
			if _, err := to.Write(part.Data); err != nil {
				return err
			}
			if part.End != nil {
				end = *part.End
			}
		}
		return nil
	})
	if errors.Is(err, context.Canceled) {
		err = errInterrupted
	}
	return end, err
}

// exportTo writes the log to a new file, whole or not at all.
func (env *environment) exportTo(ctx context.Context, file, format string) error {
	w, err := env.workspace()
	if err != nil {
		return err
	}
	made := api.LogCopy{File: file}
	if err := env.createFile("", file, w.CheckOutside, func(to io.Writer) error {
		made.LogSummary, err = env.export(ctx, to)
		return err
	}); err != nil {
		return err
	}
	return env.printLogCopy(format, "exported", made)
}

func newEventsImportCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Make an event log from an export (- for standard input)",
		Long: `Import verifies an export, including its whole hash chain, and makes it the event log
of a data directory that has none yet. An export that was changed or cut off is
refused, and the first bad event is named. The events keep their hashes. Checkpoints are
not part of an export: until they are copied into runs/, "reprise runs verify" reports
them as missing.`,
		Example: "  reprise events import log.jsonl --data-dir ~/reprise-again",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.importLog(c.Context(), args[0], format)
		},
	}
	addListFormat(c, &format)
	return c
}

func (env *environment) importLog(ctx context.Context, file, format string) error {
	in, err := env.openExport(ctx, file)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	made := api.LogCopy{File: file}
	err = env.inProcess(func(s *service.Service) error {
		made.LogSummary, err = s.Import(ctx, in, env.makesParents())
		return err
	})
	if errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	if err != nil {
		return err
	}
	return env.printLogCopy(format, "imported", made)
}

// openExport opens the file of an export. Standard input is kept in a temporary
// file, since an export is read twice.
func (env *environment) openExport(ctx context.Context, file string) (io.ReadSeekCloser, error) {
	if file != "-" {
		f, err := disk.Open(disk.OS{}, file)
		if errors.Is(err, disk.ErrNotRegular) {
			return nil, unusable(err, "an export is read twice: give the path of a file, or - and pipe it in")
		}
		if err != nil {
			return nil, unusable(err, "give the path of a file that `reprise events export` wrote")
		}
		return f, nil
	}
	f, err := os.CreateTemp("", "reprise-import-")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(f.Name()) // it lives on until it is closed; where it cannot be removed yet, it stays
	if _, err := unlessEnded(ctx, func() (int64, error) { return io.Copy(f, env.stdin) }); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
