package device_test

import (
	"testing"

	"reprise/device"
	"reprise/device/devicetest"
)

func TestMemoryRepositoryPassesTheContract(t *testing.T) {
	devicetest.Repository(t, func(*testing.T) device.Repository { return device.NewMemoryRepository() })
}

func TestZeroMemoryRepositoryIsReady(t *testing.T) {
	devicetest.Repository(t, func(*testing.T) device.Repository { return new(device.MemoryRepository) })
}
