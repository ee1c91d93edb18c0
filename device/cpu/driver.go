// Package cpu is the device driver of the host: it describes the processor and
// its memory as a device.Device and computes with the kernels of kernel/cpu.
//
// It decides nothing about who may use the device; leases and fences of package
// device do. Driver is the main type. A Driver is safe for concurrent use; each
// kernel.Memory belongs to one goroutine at a time. Its goroutines, one less
// than its threads, end with Close.
package cpu

import (
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sync"

	"reprise/device"
	"reprise/fault"
	"reprise/kernel"
	kernels "reprise/kernel/cpu"
	"reprise/tensor"
)

// DefaultID is the id of the host's processor if Config names none.
const DefaultID device.ID = "cpu0"

// alignment is what kernel/cpu guarantees for the first element of a Memory.
const alignment tensor.Bytes = 64

// Config says how the host is used. Nothing in it changes a result.
type Config struct {
	// ID of the device; DefaultID if empty.
	ID device.ID
	// Threads is the number of threads that compute; 0 means GOMAXPROCS.
	Threads int
	// Features is the most capable instruction set to use: "auto" (or empty),
	// "avx512", "avx2", "neon" or "none".
	Features string
	// MemoryLimit caps the memory that the device reports; 0 means no cap.
	MemoryLimit tensor.Bytes
	// Machine is the root of the file system that describes the machine (/proc,
	// /sys); nil means the real one.
	Machine fs.FS
}

// Driver operates the host. It implements device.Driver.
type Driver struct {
	*kernels.Backend
	facts device.Description // without health

	mu     sync.Mutex
	health device.HealthStatus
	note   string
}

var _ device.Driver = (*Driver)(nil)

// New returns the driver with its threads started and its self-test done. It
// fails for features that the machine lacks or that do not exist
// (*cpu.FeatureError of kernel/cpu), a number of threads out of range, and an
// invalid description (*fault.FieldError). A failed self-test is not an
// error: the device is then unhealthy and says why.
func New(c Config) (*Driver, error) {
	if c.ID == "" {
		c.ID = DefaultID
	}
	if c.Features == "" {
		c.Features = kernels.LevelAuto.String()
	}
	if c.Machine == nil {
		c.Machine = os.DirFS("/")
	}
	if c.MemoryLimit < 0 {
		return nil, fmt.Errorf("device %q: %w", c.ID, &fault.FieldError{
			Field: "memory limit", Value: fmt.Sprintf("%d bytes", int64(c.MemoryLimit)),
			Problem: "must not be negative", Fix: "use 0 for none, or more", Cause: device.ErrInvalid,
		})
	}
	level, err := featureLevel(c.Features)
	if err != nil {
		return nil, err
	}
	backend, err := kernels.NewBackend(kernels.Config{Threads: c.Threads, Features: level})
	if err != nil {
		return nil, err
	}
	d := &Driver{Backend: backend, facts: device.Description{
		ID: c.ID, Name: processorName(c.Machine), Kind: device.CPU,
		Capability: capability(backend.Level()),
		Memory:     memoryInfo(c.Machine, c.MemoryLimit),
		Slots:      1, // two runs at once would take turns on the same threads
		Units:      backend.Threads(),
	}}
	_ = d.runSelfTest(backend) // kept as the health
	if _, err := device.New(d.description()); err != nil {
		backend.Close()
		return nil, err
	}
	return d, nil
}

// featureLevel parses the name and checks it against the machine, except for
// "auto": kernel/cpu resolves that itself, and only then may it fall back to a
// lesser set when a kernel fails its self-check.
func featureLevel(name string) (kernels.Level, error) {
	if name == kernels.LevelAuto.String() {
		return kernels.LevelAuto, nil
	}
	return kernels.ParseFeatures(name)
}

// capability lists what a processor at this level offers to kernels.
func capability(level kernels.Level) device.ComputeCapability {
	extensions := []device.Feature{kernel.UnifiedMem}
	for _, f := range []device.Feature{kernel.FP64, kernel.FMA, kernel.AVX2, kernel.AVX512, kernel.NEON} {
		if level.Supports(f) {
			extensions = append(extensions, f)
		}
	}
	return device.ComputeCapability{Extensions: device.Features(extensions...)}
}

// Describe returns the device: its memory as it was when the driver was made,
// before the device was used, and its health as of the last self-test.
func (d *Driver) Describe() device.Device {
	described, err := device.New(d.description())
	if err != nil {
		panic(err) // New has validated it, and health takes only known values
	}
	return described
}

func (d *Driver) description() device.Description {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.facts
	c.Health, c.HealthNote = d.health, d.note
	return c
}

// SelfTest tests memory and kernels, which takes some milliseconds, and keeps the
// outcome as the device's health. It returns a *SelfTestError, or nil if the
// device may be used. It shares the threads with programs that are running.
func (d *Driver) SelfTest() error { return d.runSelfTest(d.Backend) }

func (d *Driver) runSelfTest(b kernel.Backend) error {
	err := selfTest(b)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch degraded := d.Degraded(); {
	case err != nil:
		d.health, d.note = device.Unhealthy, err.Error()
	case degraded != nil:
		d.health, d.note = device.Degraded, degraded.Error()
	default:
		d.health, d.note = device.Healthy, ""
	}
	return err
}

// Close waits for running programs and ends the threads. It is idempotent.
func (d *Driver) Close() error {
	d.Backend.Close()
	return nil
}

// architecture names processors that do not name themselves.
func architecture() string { return runtime.GOARCH + " processor" }
