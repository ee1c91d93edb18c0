package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"reprise/device"
	"reprise/journal"
)

// deviceRow is a device in `reprise devices`.
type deviceRow struct {
	device.Description
	// Leases are those in force now, of the runs that are training.
	Leases []device.Lease `json:"leases"`
}

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

func (env *environment) listDevices(ctx context.Context, format string) (err error) {
	drivers, closeDrivers, err := env.openDevices()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDrivers()) }()
	store, err := env.openReader(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }() // it was only read
	listing, err := journal.Listing(ctx, store)
	if err != nil {
		return err
	}
	recorded, err := journal.ReadDevices(ctx, listing)
	if err != nil {
		return err
	}
	alive := writerAlive(store.workspace)
	rows := make([]deviceRow, len(drivers))
	for i, d := range drivers {
		rows[i] = deviceRow{Description: d.Describe().Description(), Leases: []device.Lease{}}
		for _, record := range recorded.Devices {
			if alive && record.ID == rows[i].ID { // otherwise their holders are dead, and the next run ends them
				rows[i].Leases = append(rows[i].Leases, record.Ledger.Leases()...)
			}
		}
	}
	return env.listing(format, rows, func(t *table) error {
		t.records = true // there are few
		t.columns(column{title: "DEVICE"}, column{title: "KIND"}, column{title: "NAME"}, column{title: "CAPABILITY"},
			column{title: "UNITS", right: true}, column{title: "FREE MEMORY", right: true}, column{title: "MEMORY", right: true},
			column{title: "HEALTH"}, column{title: "HELD BY"})
		for _, d := range rows {
			holders := make([]string, len(d.Leases))
			for i, l := range d.Leases {
				holders[i] = l.Holder
			}
			held := "-"
			if len(holders) > 0 {
				held = strings.Join(holders, ", ")
			}
			t.row(string(d.ID), string(d.Kind), d.Name, d.Capability.String(), fmt.Sprint(d.Units),
				d.Memory.Available.String(), d.Memory.Total.String(), string(d.Health), held)
		}
		for _, d := range rows {
			if d.HealthNote != "" {
				t.line("%s: %s", d.ID, d.HealthNote)
			}
		}
		return nil
	})
}
