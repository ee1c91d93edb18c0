package main

import (
	"os"

	"github.com/spf13/cobra"

	"reprise/api"
)

// movedFlag is where the data of runs are now.
type movedFlag struct{ path string }

func (f *movedFlag) add(c *cobra.Command) {
	c.Flags().StringVar(&f.path, "dataset", "", "read the data from `PATH`, to which they were moved")
}

// data returns what a request says of it.
func (f *movedFlag) data(c *cobra.Command) (api.MovedData, error) {
	if f.path == "" {
		if c.Flags().Changed("dataset") {
			return api.MovedData{}, usageError(c, "--dataset: name a data set, folder, file or pattern, or leave it out")
		}
		return api.MovedData{}, nil
	}
	moved := api.MovedData{Dataset: api.Text(f.path)}
	if here, err := os.Getwd(); err == nil { // if not, relative paths will not do either
		moved.Folder = api.Text(here)
	}
	return moved, nil
}

// movedArgument has errors name the flag.
func movedArgument() argument { return argument{field: "dataset", flag: "--dataset"} }
