package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"reprise/api"
)

func newDevicesCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "devices",
		Short: "List the devices of this machine: capability, memory, health, who holds them",
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.listDevices(c.Context(), format)
		},
	}
	addListFormat(c, &format)
	return c
}

func (env *environment) listDevices(ctx context.Context, format string) error {
	return env.withService(ctx, func(ctx context.Context, s api.Service) error {
		list, err := s.Devices(ctx, api.DevicesRequest{})
		if err != nil {
			return err
		}
		return env.listing(format, list.Devices, func(t *table) error { return writeDevices(t, list.Devices) })
	})
}

func writeDevices(t *table, devices []api.Device) error {
	t.records = true // there are few
	t.columns(column{title: "DEVICE"}, column{title: "KIND"}, column{title: "NAME"}, column{title: "CAPABILITY"},
		column{title: "UNITS", right: true}, column{title: "FREE MEMORY", right: true}, column{title: "MEMORY", right: true},
		column{title: "HEALTH"}, column{title: "LABELS"}, column{title: "HELD BY"})
	for _, d := range devices {
		holders := make([]string, len(d.Leases))
		for i, l := range d.Leases {
			holders[i] = l.Holder
		}
		held := "-"
		if len(holders) > 0 {
			held = strings.Join(holders, ", ")
		}
		t.row(string(d.ID), string(d.Kind), d.Name, d.Capability.String(), fmt.Sprint(d.Units),
			d.Memory.Available.String(), d.Memory.Total.String(), string(d.Health), cmp.Or(strings.Join(d.Labels, ", "), "-"), held)
	}
	for _, d := range devices {
		if d.HealthNote != "" {
			t.line("%s: %s", d.ID, d.HealthNote)
		}
	}
	return nil
}
