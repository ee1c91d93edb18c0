package cpu

import (
	"fmt"
	"unsafe"

	"reprise/fault"
	"reprise/kernel"
)

var (
	// ErrFreed is returned for a Memory, or an Executable over it, after Free.
	ErrFreed = fault.New(fault.Internal, "memory is freed")
	// ErrSpan is returned if a span exceeds its memory or differs in length
	// from the slice it is copied to or from.
	ErrSpan = fault.New(fault.Internal, "span does not fit")
	// ErrMemory is returned if a Memory cannot be allocated or is not one of
	// this backend's.
	ErrMemory = fault.New(fault.Internal, "unsuitable memory")
)

const (
	// alignment of an arena's first element in bytes: a cache line, and the
	// widest vector.
	alignment = 64
	// maxElements bounds an arena: 1 TiB.
	maxElements = 1 << 38
)

// arena is memory for 4-byte elements, zeroed and aligned to 64 bytes. It
// implements kernel.Memory and belongs to one goroutine at a time.
//
// Integers share the arena with floats. They are never moved as float32, which
// on some machines would change the bit pattern of a signalling NaN: ints is a
// second view of the same bytes.
type arena struct {
	backend     *Backend
	floats      []float32
	ints        []int32
	executables []*executable
	freed       bool
}

// newMemory allocates an arena of n elements.
func newMemory(b *Backend, n int) *arena {
	const spare = alignment / 4
	block := make([]float32, n+spare)
	// The collector does not move heap objects, so this stays aligned.
	skip := (alignment - int(uintptr(unsafe.Pointer(&block[0]))%alignment)) % alignment / 4
	floats := block[skip : skip+n : skip+n]
	return &arena{
		backend: b,
		floats:  floats,
		ints:    unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(floats))), n),
	}
}

// Len returns the number of 4-byte elements, 0 after Free.
func (m *arena) Len() int { return len(m.floats) }

// Write copies src into the span. It fails with ErrSpan unless the lengths
// agree and the span lies within the memory, and with ErrFreed after Free.
func (m *arena) Write(dst kernel.Span, src []float32) error {
	if err := m.check("write", dst, len(src)); err != nil {
		return err
	}
	copy(m.f32(dst), src)
	return nil
}

// WriteInts copies src into the span bit by bit. It fails as Write does.
func (m *arena) WriteInts(dst kernel.Span, src []int32) error {
	if err := m.check("write", dst, len(src)); err != nil {
		return err
	}
	copy(m.i32(dst), src)
	return nil
}

// Read copies the span out. It fails as Write does.
func (m *arena) Read(dst []float32, src kernel.Span) error {
	if err := m.check("read", src, len(dst)); err != nil {
		return err
	}
	copy(dst, m.f32(src))
	return nil
}

// ReadInts copies the span out as integers. It fails as Write does.
func (m *arena) ReadInts(dst []int32, src kernel.Span) error {
	if err := m.check("read", src, len(dst)); err != nil {
		return err
	}
	copy(dst, m.i32(src))
	return nil
}

// Free releases the memory; executables prepared over it fail with ErrFreed
// from then on. It is idempotent.
func (m *arena) Free() {
	// The steps refer to parts of the arena: unless they are dropped, the
	// memory lives as long as its executables.
	for _, e := range m.executables {
		e.steps = nil
	}
	m.floats, m.ints, m.executables, m.freed = nil, nil, nil, true
}

func (m *arena) check(verb string, s kernel.Span, n int) error {
	switch {
	case m.freed:
		return fmt.Errorf("cpu: %s %v: %w", verb, s, ErrFreed)
	case s.Len != n:
		return fmt.Errorf("cpu: %s %v of %d elements with a slice of %d: %w", verb, s, s.Len, n, ErrSpan)
	case s.Offset < 0 || s.Len < 0 || s.Offset > len(m.floats)-s.Len:
		return fmt.Errorf("cpu: %s %v of a memory of %d elements: %w", verb, s, len(m.floats), ErrSpan)
	}
	return nil
}

// f32 returns the span as floats, nil for an absent one.
func (m *arena) f32(s kernel.Span) []float32 {
	if s.Empty() {
		return nil
	}
	return m.floats[s.Offset : s.Offset+s.Len : s.Offset+s.Len]
}

// i32 returns the span as integers, nil for an absent one.
func (m *arena) i32(s kernel.Span) []int32 {
	if s.Empty() {
		return nil
	}
	return m.ints[s.Offset : s.Offset+s.Len : s.Offset+s.Len]
}
