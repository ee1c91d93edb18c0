package main

import (
	"errors"
	"fmt"

	"reprise/device"
	cpudevice "reprise/device/cpu"
	kernels "reprise/kernel/cpu"
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

// cpuFeatureNames are the values of --cpu-features on this machine.
func cpuFeatureNames() []string {
	names := []string{kernels.LevelAuto.String()}
	for _, l := range kernels.Detect().Levels() {
		names = append(names, l.String())
	}
	return names
}

// cpuFeaturesProblem says what is wrong with a value of --cpu-features; "" if nothing is.
func cpuFeaturesProblem(value string) string {
	switch _, err := kernels.ParseFeatures(value); {
	case err == nil:
		return ""
	case errors.Is(err, kernels.ErrFeatureMissing):
		return "is not available on this machine"
	}
	return "does not exist"
}
