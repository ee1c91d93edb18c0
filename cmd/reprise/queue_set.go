package main

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"reprise/api"
)

func newQueueSetCommand(env *environment) *cobra.Command {
	var format string
	var shares, quotas, labels []string
	c := &cobra.Command{
		Use:   "set",
		Short: "Change the shares and quotas of owners, and the labels of devices",
		Long: `Set changes how the queue is shared, from the next decision on, and shows the result.
What no flag names stays as it is; an empty value removes what was set.

Of two owners who always have runs waiting, one with twice the share gets twice the device
time; an owner without a share has 1. Once any share is set, the recent device time of
owners decides which run comes first; before, it is how long each run has had devices.
A quota is how many devices the runs of an owner may hold together. A run that has a
device keeps it. Labels are what a request can ask of a device with job.labels.`,
		Example: `  reprise queue set --share ada=2 --quota bob=1
  reprise queue set --label cpu0=fast,local
  reprise queue set --share ada= --quota bob= --label cpu0=`,
		Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			if len(shares)+len(quotas)+len(labels) == 0 {
				return usageError(c, "there is nothing to set; give --share, --quota or --label")
			}
			q, err := queueChangeOf(c, shares, quotas, labels)
			if err != nil {
				return err
			}
			return env.setQueue(c.Context(), q, format)
		},
	}
	c.Flags().StringArrayVar(&shares, "share", nil, "`OWNER=WEIGHT` of the device time, such as ada=2; may be repeated")
	c.Flags().StringArrayVar(&quotas, "quota", nil, "`OWNER=DEVICES` that the owner's runs may hold together; may be repeated")
	c.Flags().StringArrayVar(&labels, "label", nil, "`DEVICE=LABEL,...` that jobs can ask for; may be repeated")
	addListFormat(c, &format)
	return c
}

// queueChangeOf returns the change that the flags ask for.
func queueChangeOf(c *cobra.Command, shares, quotas, labels []string) (api.SetQueueRequest, error) {
	var q api.SetQueueRequest
	q.Shares, q.Quotas = map[string]*float64{}, map[string]*int{}
	each := func(flag, form string, given []string, set func(name, value string) bool) error {
		var names []string
		for _, text := range given {
			at := strings.LastIndex(text, "=")
			if at <= 0 {
				return usageError(c, "--%s: %q is not %s", flag, text, form)
			}
			name, value := text[:at], text[at+1:]
			if slices.Contains(names, name) {
				return usageError(c, "--%s: %q is given twice", flag, name)
			}
			if names = append(names, name); !set(name, value) {
				return usageError(c, "--%s: %q is not %s", flag, text, form)
			}
		}
		return nil
	}
	if err := each("share", "OWNER=WEIGHT with a number, such as ada=2", shares, func(owner, value string) bool {
		q.Shares[owner] = nil
		if value == "" {
			return true
		}
		share, err := strconv.ParseFloat(value, 64)
		q.Shares[owner] = &share
		return err == nil && share == share && share <= 1e300 // JSON has no others
	}); err != nil {
		return q, err
	}
	if err := each("quota", "OWNER=DEVICES with a whole number, such as ada=1", quotas, func(owner, value string) bool {
		q.Quotas[owner] = nil
		if value == "" {
			return true
		}
		quota, err := strconv.Atoi(value)
		q.Quotas[owner] = &quota
		return err == nil
	}); err != nil {
		return q, err
	}
	return q, each("label", "DEVICE=LABEL, such as cpu0=fast", labels, func(id, value string) bool {
		labels := []string{}
		if value != "" {
			for _, label := range strings.Split(value, ",") {
				labels = append(labels, strings.TrimSpace(label))
			}
		}
		q.Label(id, labels)
		return true
	})
}

func (env *environment) setQueue(ctx context.Context, q api.SetQueueRequest, format string) error {
	arguments := []argument{{field: "shares", flag: "--share"}, {field: "quotas", flag: "--quota"}}
	for owner := range q.Shares {
		arguments = append(arguments, argument{field: "shares." + owner, flag: "--share " + owner})
	}
	for owner := range q.Quotas {
		arguments = append(arguments, argument{field: "quotas." + owner, flag: "--quota " + owner})
	}
	for id, labels := range q.Labels {
		arguments = append(arguments, argument{field: "labels." + string(id), flag: "--label"})
		for i := range labels {
			arguments = append(arguments, argument{field: "labels." + string(id) + "[" + strconv.Itoa(i) + "]", flag: "--label " + string(id)})
		}
	}
	return env.withServiceFor(ctx, recording, func(ctx context.Context, s api.Service) error {
		report, err := s.SetQueue(ctx, q)
		if err != nil {
			return asGiven(err, arguments...)
		}
		return env.listing(format, report, func(t *table) error { return writeQueue(t, report) })
	})
}
