package main

import (
	"errors"
	"fmt"

	"reprise/device"
	cpudevice "reprise/device/cpu"
	"reprise/eventstore/memory"
	"reprise/integration"
)

// leaseDevices opens the devices of this machine for a command that only reads the data
// directory: who uses them is not recorded.
func (env *environment) leaseDevices() (*integration.Devices, func() error, error) {
	drivers, closeDrivers, err := env.openDevices()
	if err != nil {
		return nil, nil, err
	}
	devices, err := integration.OpenDevices(integration.DevicesConfig{Store: memory.New(), Devices: drivers, Now: env.now, NewID: newID})
	if err != nil {
		return nil, nil, errors.Join(err, closeDrivers())
	}
	return devices, func() error { return errors.Join(devices.Close(), closeDrivers()) }, nil
}

// openDevices opens the devices of this machine: the host's processor.
func (env *environment) openDevices() ([]device.Driver, func() error, error) {
	if env.threads < 0 {
		return nil, nil, invalid(fmt.Errorf("--threads %d: must not be negative; use 0 for one per processor", env.threads))
	}
	cpu, err := cpudevice.New(cpudevice.Config{Threads: env.threads, Features: env.cpuFeatures})
	if err != nil {
		return nil, nil, invalid(fmt.Errorf("--cpu-features %s: %w", env.cpuFeatures, err))
	}
	return []device.Driver{cpu}, cpu.Close, nil
}
