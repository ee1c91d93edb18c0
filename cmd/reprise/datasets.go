package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/dataset"
)

// dataSets says where data sets are looked for and fetched from.
func (env *environment) dataSets() dataset.Config {
	cache, noCache := env.cacheDir()     // it matters only where something has to be fetched
	memory, _ := parseMemory(env.memory) // which checkFlags has seen
	return dataset.Config{
		Memory: int64(memory), CacheDir: cache, NoCache: noCache, GoProxy: env.goProxy(), ModuleCache: env.goModCache(), GoRoot: env.goRoot(usualGo()...),
		TempDir: os.TempDir(),
	}
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

func newDatasetsListCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "list", Short: "List the data sets of the catalogue", Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.listDatasets(c.Context(), format)
		},
	}
	addListFormat(c, &format)
	return c
}

func (env *environment) listDatasets(ctx context.Context, format string) error {
	return env.withService(ctx, func(ctx context.Context, s api.Service) error {
		list, err := s.DataSets(ctx, api.DataSetsRequest{})
		if err != nil {
			return err
		}
		return env.listing(format, list.DataSets, func(t *table) error {
			writeDataSets(t, list.DataSets)
			return nil
		})
	})
}

func writeDataSets(t *table, list []api.DataSet) {
	t.columns(column{title: "NAME"}, column{title: "STATUS"}, column{title: "SAMPLES", right: true},
		column{title: "VALIDATION", right: true}, column{title: "SHAPE"},
		column{title: "CLASSES", right: true}, column{title: "SIZE", right: true},
		column{title: "LICENCE", drop: 1}, column{title: "SOURCE", drop: 2})
	for _, d := range list {
		licence, _, _ := strings.Cut(d.Licence, " (") // inspect shows all of it
		classes := "-"                                // quantities are predicted
		if d.Classes > 0 {
			classes = thousands(d.Classes)
		}
		t.row(d.Name, string(d.Status), thousands(d.Train), thousands(d.Validation), d.Shape.String(),
			classes, fileSize(uint64(d.Bytes)), licence, d.Source)
	}
}

func newDatasetsGetCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "get NAME",
		Short: "Fetch a data set of the catalogue into the cache, and check its SHA-256",
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return env.fetchDataset(c.Context(), args[0])
		},
	}
}

func (env *environment) fetchDataset(ctx context.Context, name string) error {
	return env.withService(ctx, func(ctx context.Context, s api.Service) error {
		d, err := s.FetchDataSet(ctx, api.FetchDataSetRequest{Name: name})
		if err != nil {
			return asGiven(err, argument{field: "name", flag: "NAME"})
		}
		_, err = fmt.Fprintf(env.stdout, "%s is ready and verified: %s\n", d.Name, fileSize(uint64(d.Bytes)))
		return err
	})
}
