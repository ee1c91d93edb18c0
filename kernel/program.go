package kernel

import "fmt"

// Span is a range of 4-byte elements in a Memory: [Offset, Offset+Len).
// The zero Span means "absent".
type Span struct {
	Offset, Len int
}

// Empty reports whether the span is absent.
func (s Span) Empty() bool { return s.Len == 0 }

// Slice returns the part [from, from+n) of the span; it panics if that exceeds
// the span, which is a bug in the planner.
func (s Span) Slice(from, n int) Span {
	if from < 0 || n < 0 || from+n > s.Len {
		panic(fmt.Sprintf("kernel: slice [%d,%d) of a span of %d elements", from, from+n, s.Len))
	}
	return Span{Offset: s.Offset + from, Len: n}
}

// Instruction is one kernel call with its operands fixed: one of the structs
// of instructions.go. It is immutable once in a Program.
type Instruction interface {
	Operation() Operation
	// Validate fails unless the operands' lengths agree with the dimensions.
	Validate() error
}

// Program is a planned sequence of instructions over one Memory. It names no
// device: any Backend whose kernels cover its operations can prepare it.
type Program struct {
	Name         string
	Instructions []Instruction
	// Elements is the size of the Memory it needs, in 4-byte elements.
	Elements int
	// Indivisible programs change what others start from, such as parameters: they run
	// to their end once begun, whoever wants them to stop.
	Indivisible bool
}

// Scalars are the values that change from one run of a Program to the next.
type Scalars struct {
	// Step is the optimiser step being taken, counted from 1.
	Step uint64
	// Seed keys the counter-based randomness (dropout).
	Seed uint64
	// LearningRate is the learning rate of this step.
	LearningRate float32
}

// Memory is an arena on a device. It is used by one goroutine at a time.
type Memory interface {
	// Write copies src into the span; lengths must agree.
	Write(dst Span, src []float32) error
	// WriteInts stores src as 32-bit integers (labels, token ids).
	WriteInts(dst Span, src []int32) error
	// Read copies the span out; lengths must agree.
	Read(dst []float32, src Span) error
	// Free returns the memory to the device; it is idempotent.
	Free()
}

// Executable is a Program bound to a Memory and to the kernels selected for
// the device. Run allocates nothing in steady state.
type Executable interface {
	Run(Scalars) error
}

// Stoppable is an Executable that can be left between two instructions.
type Stoppable interface {
	Executable
	// RunUntil is Run, but calls stop, unless it is nil, before each instruction. If that
	// fails, it fails with the same error, and what the program writes is undefined.
	RunUntil(s Scalars, stop func() error) error
}

// RunUntil runs the executable. If stop fails, it fails with the same error: before the
// first instruction, or before a later one if the executable is Stoppable.
func RunUntil(x Executable, s Scalars, stop func() error) error {
	if stop == nil {
		return x.Run(s)
	}
	if stoppable, ok := x.(Stoppable); ok {
		return stoppable.RunUntil(s, stop)
	}
	if err := stop(); err != nil {
		return err
	}
	return x.Run(s)
}

// Backend turns programs into executables. It is what a leased device offers.
type Backend interface {
	Allocate(elements int) (Memory, error)
	Prepare(*Program, Memory) (Executable, error)
}
