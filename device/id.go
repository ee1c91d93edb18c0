package device

import (
	"fmt"
	"strconv"
	"strings"
)

// ID names a device within a system: "cpu0", or "a/cpu0" for the cpu0 of worker a.
// The devices of the default worker, whose name is empty, have bare names.
type ID string

// DeviceOf returns the ID of a worker's device.
func DeviceOf(worker, name string) ID {
	if worker == "" {
		return ID(name)
	}
	return ID(worker + "/" + name)
}

// Worker returns the name of the worker that the device belongs to; "" is the default
// one.
func (id ID) Worker() string {
	worker, _, named := strings.Cut(string(id), "/")
	if !named {
		return ""
	}
	return worker
}

// Name returns what the device is called by its worker.
func (id ID) Name() string {
	worker, name, named := strings.Cut(string(id), "/")
	if !named {
		return worker
	}
	return name
}

func (id ID) valid() bool {
	worker, named := id.Worker(), strings.Contains(string(id), "/")
	return id.Name() != "" && !strings.ContainsAny(id.Name(), " \t\r\n/") && named == (worker != "") && CheckWorker(worker) == nil
}

// maxWorkerName bounds the name of a worker, which is part of many ids.
const maxWorkerName = 64

// CheckWorker fails with ErrInvalid for a name that a worker cannot have.
func CheckWorker(name string) error {
	allowed := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r)
	}
	if len(name) > maxWorkerName || strings.IndexFunc(name, func(r rune) bool { return !allowed(r) }) >= 0 {
		return invalid("worker", "name", strconv.Quote(name), "is not a name", fmt.Sprintf(
			"use up to %d letters, digits, dots, hyphens and underscores, such as node-7, or nothing for the only worker", maxWorkerName))
	}
	return nil
}

// OfWorker returns the driver with its device named by the worker that it belongs to.
// It fails with ErrInvalid for an invalid name, and with ErrWrongDevice for a device
// of another worker.
func OfWorker(worker string, d Driver) (Driver, error) {
	if err := CheckWorker(worker); err != nil {
		return nil, err
	}
	switch id := d.Describe().ID(); id.Worker() {
	case worker:
		return d, nil
	case "":
		return &workersDriver{Driver: d, id: DeviceOf(worker, id.Name())}, nil
	default:
		return nil, fmt.Errorf("give device %s to worker %q: %w", id, worker, ErrWrongDevice)
	}
}

// workersDriver is a driver whose device is named by its worker.
type workersDriver struct {
	Driver
	id ID
}

// Describe returns the device under the name that its worker gives it.
func (d *workersDriver) Describe() Device {
	described := d.Driver.Describe()
	described.d.ID = d.id
	return described
}
