package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reprise/api"
)

func newQueueCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "queue",
		Short: "Show how the queue is shared between owners, and how full it is",
		Long: `Queue shows how many runs wait and how many may, the share and the quota of each owner,
what they hold and have used of late, and the labels of devices. "reprise queue set"
changes shares, quotas and labels. "reprise runs explain RUN" says what keeps a run from a
device.`,
		Example: `  reprise queue
  reprise queue -o json`,
		Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.showQueue(c.Context(), format)
		},
	}
	addListFormat(c, &format)
	c.AddCommand(newQueueSetCommand(env))
	return c
}

func (env *environment) showQueue(ctx context.Context, format string) error {
	return env.withService(ctx, func(ctx context.Context, s api.Service) error {
		report, err := s.Queue(ctx, api.QueueRequest{})
		if err != nil {
			return err
		}
		return env.listing(format, report, func(t *table) error { return writeQueue(t, report) })
	})
}

func writeQueue(t *table, r api.QueueReport) error {
	waiting := plural(r.Waiting, "run") + " waiting"
	if r.MostWaiting > 0 {
		waiting += fmt.Sprintf(", of %s that may wait", thousands(uint64(r.MostWaiting)))
	}
	t.line("%s", waiting)
	t.line("%s", "of the runs of one priority, the first are "+r.First())
	if r.ChangedAt == nil {
		t.line("nothing has been set: every owner has the share 1 and no quota")
	} else {
		t.line("set at %s, change %d", localTime(*r.ChangedAt), r.Version)
	}
	if len(r.Owners) > 0 {
		t.line("")
		t.columns(column{title: "OWNER"}, column{title: "SHARE", right: true}, column{title: "QUOTA", right: true},
			column{title: "DEVICES", right: true}, column{title: "WAITING", right: true}, column{title: "USED OF LATE", right: true})
		for _, o := range r.Owners {
			quota := "-"
			if o.Quota != nil {
				quota = fmt.Sprint(*o.Quota)
			}
			t.row(cmp.Or(o.Owner, "-"), fmt.Sprint(o.Share), quota, fmt.Sprint(o.Devices), fmt.Sprint(o.Waiting),
				shortDuration(time.Duration(o.UsedSeconds*float64(time.Second))))
		}
	}
	t.line("")
	t.columns(column{title: "DEVICE"}, column{title: "LABELS"})
	for _, d := range r.Devices {
		t.row(string(d.ID), cmp.Or(strings.Join(d.Labels, ", "), "-"))
	}
	return nil
}
