package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"reprise/api"
)

func newBackupCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "backup FOLDER",
		Short: "Copy the data directory to a new folder, even while a run trains in it",
		Long: `Backup copies the event log as it is at one moment, and every checkpoint and step
series that it refers to, to a new folder. Training may continue meanwhile. Each event
and each file is verified as it is copied, so that damage is found now rather than
when the backup is needed. The folder gets its name once everything is synced to disk;
until then it is FOLDER/../.reprise-partial-ID. What a crash leaves of that, the next
backup removes. FOLDER must not exist yet, nor be in the data directory.

A backup is itself a data directory: "reprise --data-dir FOLDER runs list" reads it,
and "reprise restore" makes a working copy of it.`,
		Example: "  reprise backup /mnt/disk/reprise-monday",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.backup(c.Context(), args[0], format)
		},
	}
	addListFormat(c, &format)
	return c
}

func (env *environment) backup(ctx context.Context, folder, format string) error {
	folder, err := filepath.Abs(folder) // the service may run elsewhere
	if err != nil {
		return err
	}
	return env.withServiceFor(ctx, writing, func(ctx context.Context, s api.Service) error {
		report, err := finish(s.Backup(ctx, api.BackupRequest{Folder: folder}), newCounter(env, "backing up", "checkpoints"))
		if errors.Is(err, context.Canceled) {
			return interruptedError{errors.New("the backup was interrupted; nothing was kept of it")}
		}
		if err != nil {
			return asGiven(err, fileArgument("folder", "", folder))
		}
		return env.printBackup(format, report, "restore it with",
			fmt.Sprintf("%s restore %s --data-dir NEW_FOLDER", env.program, shellQuoted(folder)))
	})
}

func (env *environment) printBackup(format string, r api.BackupReport, next, command string) error {
	return env.listing(format, r, func(t *table) error {
		t.row("from", r.From)
		t.row("to", r.To)
		t.row("events", fmt.Sprintf("%s, head hash %s", thousands(uint64(r.Position)), r.HeadHash))
		t.row("files", fmt.Sprintf("%s, %s, each matches its event", plural(r.Runs, "run"), plural(r.Checkpoints, "checkpoint")))
		t.line("\n%s:", next)
		t.command("  ", command)
		return nil
	})
}
