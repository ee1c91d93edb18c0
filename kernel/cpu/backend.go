package cpu

import (
	"fmt"
	"sync"

	"reprise/fault"
	"reprise/kernel"
	"reprise/tensor"
)

// ErrClosed is returned by a Backend, and by executables of it, after Close.
var ErrClosed = fault.New(fault.Internal, "cpu backend is closed")

// Config says how a Backend computes. It affects only the time, never a bit of
// a result. The zero value uses everything the machine has.
type Config struct {
	// Threads is the number of threads that compute, including the caller's; 0
	// means GOMAXPROCS, and the limit is MaxThreads.
	Threads int
	// Features is the instruction set to use.
	Features Level
}

// MaxThreads bounds Config.Threads.
const MaxThreads = 1024

// Validate fails for a number of threads outside [0, MaxThreads].
func (c Config) Validate() error {
	if c.Threads < 0 || c.Threads > MaxThreads {
		return fmt.Errorf("cpu: Threads is %d, want 0 (all) to %d", c.Threads, MaxThreads)
	}
	return nil
}

// Backend computes on the host. It implements kernel.Backend and is safe for
// concurrent use; kernel calls of concurrent runs take turns on its threads.
type Backend struct {
	pool     *Pool
	gemm     *blockedGemm
	elements elementKernels
	level    Level
	table    kernel.Table
	degraded error

	// running is held for reading by a Run and for writing by Close.
	running sync.RWMutex
	closed  bool
}

// NewBackend returns a backend with its threads started. It fails if the Config
// is invalid, or asks for an instruction set that the machine lacks
// (*FeatureError) or whose kernels fail their self-check (*SelfCheckError).
// With LevelAuto a failed self-check selects the next best kernels instead,
// which Degraded reports.
func NewBackend(config Config) (*Backend, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	level, err := Detect().Resolve(config.Features)
	if err != nil {
		return nil, err
	}
	gemm, err := newBlockedGemm(level)
	if err != nil && config.Features != LevelAuto {
		return nil, fmt.Errorf("cpu: %w", err)
	}
	level = min(level, gemm.Level())
	elements := newElements(level)
	return &Backend{
		pool:     NewPool(config.Threads),
		gemm:     gemm,
		level:    level,
		elements: elements,
		table:    newTable(gemm, elements),
		degraded: err,
	}, nil
}

// Level returns the instruction set in use; it is the kernel.Capability that
// Selected selects for.
func (b *Backend) Level() Level { return b.level }

// Threads returns the number of threads that compute.
func (b *Backend) Threads() int { return b.pool.Threads() }

// Degraded returns why a better instruction set than Level is not used although
// the machine has it, or nil.
func (b *Backend) Degraded() error { return b.degraded }

// Kernels returns the kernels of this backend in order of preference. The
// caller owns the slice.
func (b *Backend) Kernels() kernel.Table { return append(kernel.Table(nil), b.table...) }

// Selected returns the kernel that computes op, or the zero Kernel for an
// operation this backend does not know.
func (b *Backend) Selected(op kernel.Operation) kernel.Kernel {
	k, err := b.table.KernelForOperation(op, tensor.Float32, b.level)
	if err != nil {
		return kernel.Kernel{}
	}
	return k
}

// Allocate returns a zeroed memory of that many 4-byte elements. It fails with
// ErrMemory outside [0, 2^38] and with ErrClosed after Close. It does not know
// how much memory the machine has; leases account for that.
func (b *Backend) Allocate(elements int) (kernel.Memory, error) {
	if elements < 0 || elements > maxElements {
		return nil, fmt.Errorf("cpu: allocate %d elements, want 0 to %d: %w", elements, maxElements, ErrMemory)
	}
	b.running.RLock()
	defer b.running.RUnlock()
	if b.closed {
		return nil, ErrClosed
	}
	return newMemory(b, elements), nil
}

// Prepare binds the program to the memory. It fails if the program is invalid
// (*kernel.InstructionError), with ErrMemory if the memory is too small or
// belongs to another backend, with ErrFreed, with ErrClosed, and with
// kernel.ErrNoKernel for an instruction it does not know. The program may be
// dropped or reused afterwards; the executable is valid until Free.
func (b *Backend) Prepare(program *kernel.Program, memory kernel.Memory) (kernel.Executable, error) {
	m, ok := memory.(*arena)
	if !ok || m == nil || m.backend != b {
		return nil, fmt.Errorf("cpu: prepare program %q: memory was not allocated by this backend: %w", program.Name, ErrMemory)
	}
	if m.freed {
		return nil, fmt.Errorf("cpu: prepare program %q: %w", program.Name, ErrFreed)
	}
	if err := program.Validate(); err != nil {
		return nil, fmt.Errorf("cpu: %w", err)
	}
	if program.Elements > m.Len() {
		return nil, fmt.Errorf("cpu: program %q needs %d elements, the memory has %d: %w", program.Name, program.Elements, m.Len(), ErrMemory)
	}
	b.running.RLock()
	defer b.running.RUnlock()
	if b.closed {
		return nil, ErrClosed
	}
	return newExecutable(b, program, m)
}

// Close waits for running programs, then ends the threads. It is idempotent.
// Memories keep their content: they can still be read.
func (b *Backend) Close() {
	b.running.Lock()
	defer b.running.Unlock()
	if !b.closed {
		b.closed = true
		b.pool.Close()
	}
}
