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

// settingsOf returns the values of --set for the service.
func settingsOf(values []string) api.Settings {
	settings := api.Settings{Origin: "--set"}
	for _, value := range values {
		settings.Values = append(settings.Values, api.Text(value))
	}
	return settings
}
