package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"reprise/dataset"
	"reprise/fault"
	"reprise/integration"
	"reprise/training"
)

// library returns the catalogue and its readers; a download shows its progress
// on standard error.
func (env *environment) library() (*dataset.Library, func(), error) {
	progress := &download{env: env}
	config := env.dataSets()
	config.Progress = progress.update
	library, err := dataset.NewLibrary(config)
	return library, progress.close, err
}

// dataSets says where data sets are looked for and fetched from.
func (env *environment) dataSets() dataset.Config {
	cache, noCache := env.cacheDir() // it matters only where something has to be fetched
	return dataset.Config{
		CacheDir: cache, NoCache: noCache, GoProxy: env.goProxy(), ModuleCache: env.goModCache(), GoRoot: env.goRoot(usualGo()...),
	}
}

// openRecorded opens the data of a run as it was read then, and makes sure that it
// is the same.
func (env *environment) openRecorded(ctx context.Context, d training.Dataset) (*dataset.Dataset, error) {
	library, done, err := env.library()
	if err != nil {
		return nil, err
	}
	defer done()
	data, err := library.Reopen(ctx, d.Source(), d.Fingerprint)
	if err != nil {
		return nil, fault.As(fault.KindOf(err).Accepted(), fmt.Errorf("the run's data: %w", err))
	}
	return data, integration.CheckFingerprint(data, d)
}

// isInput reports whether an error of dataset is about what the user gave.
func isInput(err error) bool {
	return fault.KindOf(err) == fault.Invalid
}

// inputOf rewords an error about data that a command line names: fields are its
// arguments and flags.
func inputOf(err error, path string) error {
	var field *fault.FieldError
	if errors.As(err, &field) {
		named := *field
		named.Field = flagOf(field.Field)
		if field.Field == dataset.FieldPath {
			named.Field = path
		}
		return invalid(&named)
	}
	if isInput(err) {
		return invalid(err)
	}
	return err
}

// download shows the progress of a download: a bar on a terminal, lines elsewhere.
type download struct {
	env     *environment
	counter *counter
	file    string
}

func (d *download) update(p dataset.Progress) {
	if d.counter == nil || d.file != p.File {
		d.close()
		d.file = p.File
		d.counter = newCounter(d.env, "fetching "+p.Name, byteUnit)
	}
	d.counter.update(uint64(p.Done), uint64(p.Total))
}

func (d *download) close() {
	if d.counter != nil {
		d.counter.close()
		d.counter = nil
	}
}

func newDatasetsCommand(env *environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "datasets",
		Short: "List, fetch and inspect data sets",
		Args:  usage(cobra.NoArgs),
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newDatasetsListCommand(env), newDatasetsGetCommand(env), newDatasetsInspectCommand(env))
	return c
}

// entryRow is a data set in `datasets list`.
type entryRow struct {
	dataset.Entry
	Status dataset.Status `json:"status"`
}

func newDatasetsListCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "list", Short: "List the data sets of the catalogue", Args: usage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.listDatasets(format)
		},
	}
	addListFormat(c, &format)
	return c
}

func (env *environment) listDatasets(format string) error {
	library, done, err := env.library()
	if err != nil {
		return err
	}
	defer done()
	rows := []entryRow{}
	for _, e := range library.Entries() {
		rows = append(rows, entryRow{e, library.Status(e)})
	}
	return env.listing(format, rows, func(t *table) error {
		t.columns(column{title: "NAME"}, column{title: "STATUS"}, column{title: "SAMPLES", right: true},
			column{title: "VALIDATION", right: true}, column{title: "SHAPE"},
			column{title: "CLASSES", right: true}, column{title: "SIZE", right: true},
			column{title: "LICENCE", drop: 1}, column{title: "SOURCE", drop: 2})
		for _, r := range rows {
			licence, _, _ := strings.Cut(r.Licence, " (") // inspect shows all of it
			classes := "-"                                // quantities are predicted
			if r.Classes > 0 {
				classes = thousands(r.Classes)
			}
			t.row(r.Name, string(r.Status), thousands(r.Train), thousands(r.Validation), r.Shape.String(),
				classes, fileSize(uint64(r.Bytes)), licence, r.Source)
		}
		return nil
	})
}

func newDatasetsGetCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "get NAME",
		Short: "Fetch a data set of the catalogue into the cache, and check its SHA-256",
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			library, done, err := env.library()
			if err != nil {
				return err
			}
			defer done()
			if err := library.Get(c.Context(), args[0]); err != nil {
				return inputOf(err, "NAME")
			}
			entry, _ := library.Lookup(args[0])
			done()
			_, err = fmt.Fprintf(env.stdout, "%s is ready and verified: %s\n", entry.Name, fileSize(uint64(entry.Bytes)))
			return err
		},
	}
}
