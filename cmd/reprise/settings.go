package main

import (
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

// withSettings returns the request with the fields set that --set names. What is
// wrong with one is the user's to correct.
func withSettings(request api.TrainingRequest, settings []string) (api.TrainingRequest, error) {
	if len(settings) == 0 {
		return request, nil
	}
	changes, seen := make([]api.Setting, len(settings)), map[string]bool{}
	for i, s := range settings {
		field, value, ok := strings.Cut(s, "=")
		field = strings.TrimSpace(field)
		switch {
		case !ok:
			return request, invalid(fmt.Errorf("--set %s: has no =; write --set config.learning_rate=0.0005", s))
		case seen[field]:
			return request, invalid(fmt.Errorf("--set %s: sets %s a second time; set each field once", s, field))
		}
		seen[field] = true
		changes[i] = api.Setting{Field: field, Value: value}
	}
	changed, err := request.With(changes...)
	if err != nil {
		return request, invalid(fmt.Errorf("--set: %w", err))
	}
	return changed, nil
}
