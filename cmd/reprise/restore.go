package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/service"
)

func newRestoreCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "restore FOLDER",
		Short: "Make a data directory from a backup",
		Long: `Restore copies a backup into the data directory, which must not have an event log
or files of other runs yet, and verifies every event and every file as it is copied.
The log comes last, so that a restore that is cut off never leaves a data directory that
looks complete. Repeat the same command to complete it: files of runs that are already
there are kept if they equal the backup's byte for byte; nothing is removed or replaced.

Runs that were training when the backup was made are interrupted in the copy; "reprise
runs resume" finishes them with the same bits as if nothing had happened.`,
		Example: "  reprise restore /mnt/disk/reprise-monday --data-dir ~/reprise-again",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.restore(c.Context(), args[0], format)
		},
	}
	addListFormat(c, &format)
	return c
}

func (env *environment) restore(ctx context.Context, folder, format string) error {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	var report api.BackupReport
	err = env.inProcess(func(s *service.Service) error {
		progress := newCounter(env, "restoring", "checkpoints")
		defer progress.close()
		report, err = s.Restore(ctx, folder, env.makesParents(), progress.update)
		return err
	})
	if errors.Is(err, context.Canceled) {
		_, _ = fmt.Fprintln(env.stderr, "reprise: the restore was interrupted; repeat it")
		return errInterrupted
	}
	if err != nil {
		return asGiven(err, fileArgument("folder", "", folder))
	}
	return env.printBackup(format, report, "list its runs with",
		fmt.Sprintf("%s runs list --data-dir %s", env.program, shellQuoted(report.To)))
}

// inProcess calls do with the service in this process, for what makes a data directory
// or saves a damaged one: nobody serves it then.
func (env *environment) inProcess(do func(*service.Service) error) (err error) {
	defer func() { err = env.withCommands(err) }()
	s, err := env.serviceFor(writing)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return do(s)
}

// makesParents reports whether the folders above the data directory are made with it,
// as they are for the one that nobody named.
func (env *environment) makesParents() bool {
	return env.dataDir == "" && env.getenv("REPRISE_DATA_DIR") == ""
}
