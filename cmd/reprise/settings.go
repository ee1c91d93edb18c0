package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"reprise/api"
)

// addSet adds the --set flag of the commands that change fields of a request.
func addSet(c *cobra.Command, settings *[]string) {
	c.Flags().StringArrayVar(settings, "set", nil,
		"change a field of the request: `FIELD=VALUE`, such as config.learning_rate=0.0005; may be repeated")
}

// parseSettings reads the values of --set and returns those that can be, with all
// that is wrong with the others.
func parseSettings(values []string) ([]api.Setting, error) {
	var settings []api.Setting
	var errs []error
	seen := map[string]bool{}
	for _, s := range values {
		field, value, ok := strings.Cut(s, "=")
		field = strings.TrimSpace(field)
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("--set %s: has no =; write --set config.learning_rate=0.0005", s))
		case seen[field]:
			errs = append(errs, fmt.Errorf("--set %s: sets %s a second time; set each field once", s, field))
		default:
			seen[field] = true
			settings = append(settings, api.Setting{Field: field, Value: value})
		}
	}
	return settings, errors.Join(errs...)
}
