package main

import (
	"github.com/spf13/cobra"

	"reprise/api"
)

// addSet adds the --set flag of the commands that change fields of a request.
func addSet(c *cobra.Command, settings *[]string) {
	c.Flags().StringArrayVar(settings, "set", nil,
		"change a field of the request: `FIELD=VALUE`, such as config.learning_rate=0.0005; may be repeated")
}

// parseSettings returns what the values of --set mean.
func parseSettings(values []string) []api.Setting {
	settings := make([]api.Setting, len(values))
	for i, value := range values {
		settings[i] = api.ParseSetting(value, "--set")
	}
	return settings
}
