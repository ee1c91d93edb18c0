package device

import (
	"fmt"

	"reprise/fault"
	"reprise/kernel"
)

// ErrForeignMemory is returned if a fenced backend is asked to prepare a
// program over memory that it did not allocate.
var ErrForeignMemory = fault.New(fault.Internal, "memory was not allocated by this backend")

// Driver operates one piece of hardware. It is safe for concurrent use to the
// extent that its Backend is; each Memory belongs to one goroutine at a time.
type Driver interface {
	// Describe returns the device as it is now, with its health as of the last
	// SelfTest.
	Describe() Device
	// SelfTest tests the device, which takes some milliseconds, and makes the
	// outcome the health that Describe returns. It may run while programs do. It
	// returns nil if the device may be used.
	SelfTest() error
	kernel.Backend
	// Close ends the driver's goroutines and frees its resources; it is
	// idempotent. No part of the driver may be in use then or be used later.
	Close() error
}

// Fence returns the backend for the holder of one lease: every use first calls
// check and fails if check does. Pass (*Guard).Check of the lease, or any
// function that fails with ErrStaleLease.
//
// Freeing memory is always allowed, so that a holder that lost its lease can
// still clean up. A program that is running when the lease ends runs to its
// end, on memory of its own; its results can no longer be read.
//
// check is called on the holder's goroutine, once per call; it must be fast and
// must not allocate on success, so that runs stay free of allocations.
func Fence(b kernel.Backend, check func() error) kernel.Backend {
	return &fenced{backend: b, check: check}
}

type fenced struct {
	backend kernel.Backend
	check   func() error
}

func (f *fenced) Allocate(elements int) (kernel.Memory, error) {
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("allocate %d elements: %w", elements, err)
	}
	m, err := f.backend.Allocate(elements)
	if err != nil {
		return nil, err
	}
	return &fencedMemory{memory: m, fence: f}, nil
}

func (f *fenced) Prepare(p *kernel.Program, m kernel.Memory) (kernel.Executable, error) {
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("prepare %q: %w", p.Name, err)
	}
	mine, ok := m.(*fencedMemory)
	if !ok || mine.fence != f {
		return nil, fmt.Errorf("prepare %q: %w", p.Name, ErrForeignMemory)
	}
	x, err := f.backend.Prepare(p, mine.memory)
	if err != nil {
		return nil, err
	}
	return &fencedExecutable{executable: x, name: p.Name, check: f.check}, nil
}

type fencedMemory struct {
	memory kernel.Memory
	fence  *fenced
}

func (m *fencedMemory) Write(dst kernel.Span, src []float32) error {
	if err := m.fence.check(); err != nil {
		return fmt.Errorf("write memory: %w", err)
	}
	return m.memory.Write(dst, src)
}

func (m *fencedMemory) WriteInts(dst kernel.Span, src []int32) error {
	if err := m.fence.check(); err != nil {
		return fmt.Errorf("write memory: %w", err)
	}
	return m.memory.WriteInts(dst, src)
}

func (m *fencedMemory) Read(dst []float32, src kernel.Span) error {
	if err := m.fence.check(); err != nil {
		return fmt.Errorf("read memory: %w", err)
	}
	return m.memory.Read(dst, src)
}

func (m *fencedMemory) Free() { m.memory.Free() }

type fencedExecutable struct {
	executable kernel.Executable
	name       string
	check      func() error
}

func (x *fencedExecutable) Run(s kernel.Scalars) error { return x.RunUntil(s, nil) }

// RunUntil implements kernel.Stoppable.
func (x *fencedExecutable) RunUntil(s kernel.Scalars, stop func() error) error {
	if err := x.check(); err != nil {
		return fmt.Errorf("run %q: %w", x.name, err)
	}
	return kernel.RunUntil(x.executable, s, stop)
}
