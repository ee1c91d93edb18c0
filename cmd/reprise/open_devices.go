package main

import (
	"fmt"

	"reprise/device"
	cpudevice "reprise/device/cpu"
)

// openDevices opens the devices of this machine: the host's processor.
func (env *environment) openDevices() ([]device.Driver, func() error, error) {
	if env.threads < 0 {
		return nil, nil, invalid(fmt.Errorf("--threads %d: must not be negative; use 0 for one per processor", env.threads))
	}
	cpu, err := cpudevice.New(cpudevice.Config{Threads: env.threads, Features: env.cpuFeatures})
	if err != nil {
		return nil, nil, invalid(errorf("--cpu-features %s: %w", env.cpuFeatures, err))
	}
	return []device.Driver{cpu}, cpu.Close, nil
}
