package cpu

import (
	"errors"
	"fmt"
	"unsafe"

	"reprise/kernel"
)

var (
	// ErrFreed is returned for a Memory, or an Executable over it, after Free.
	ErrFreed = errors.New("memory is freed")
	// ErrSpan is returned where a span leaves its memory or differs in length
	// from the slice it is copied to or from.
	ErrSpan = errors.New("span does not fit")
	// ErrMemory is returned where a Memory cannot be allocated or is not one of
	// this backend's.
	ErrMemory = errors.New("unsuitable memory")
)

const (
	// alignment of a Memory's first element in bytes: a cache line, and the
	// widest vector.
	alignment = 64
	// maxElements bounds a Memory: 1 TiB.
	maxElements = 1 << 38
)

// Memory is an arena of 4-byte elements, zeroed and aligned to 64 bytes. It
// implements kernel.Memory and belongs to one goroutine at a time.
//
// Integers share the arena with floats. They are never moved as float32, which
// on some machines would turn a signalling NaN's bit pattern into another one:
// ints is a second view of the same bytes.
type Memory struct {
	backend     *Backend
	floats      []float32
	ints        []int32
	executables []*Executable
	freed       bool
}

// newMemory allocates an arena of n elements.
func newMemory(b *Backend, n int) *Memory {
	const spare = alignment / 4
	block := make([]float32, n+spare)
	// The collector does not move what is on the heap, so this stays aligned.
	skip := (alignment - int(uintptr(unsafe.Pointer(&block[0]))%alignment)) % alignment / 4
	floats := block[skip : skip+n : skip+n]
	return &Memory{
		backend: b,
		floats:  floats,
		ints:    unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(floats))), n),
	}
}

// Len returns the number of 4-byte elements, 0 after Free.
func (m *Memory) Len() int { return len(m.floats) }

// Write copies src into the span. It fails with ErrSpan unless the lengths
// agree and the span lies within the memory, and with ErrFreed after Free.
func (m *Memory) Write(dst kernel.Span, src []float32) error {
	if err := m.check("write", dst, len(src)); err != nil {
		return err
	}
	copy(m.f32(dst), src)
	return nil
}

// WriteInts copies src into the span bit by bit. It fails as Write does.
func (m *Memory) WriteInts(dst kernel.Span, src []int32) error {
	if err := m.check("write", dst, len(src)); err != nil {
		return err
	}
	copy(m.i32(dst), src)
	return nil
}

// Read copies the span out. It fails as Write does.
func (m *Memory) Read(dst []float32, src kernel.Span) error {
	if err := m.check("read", src, len(dst)); err != nil {
		return err
	}
	copy(dst, m.f32(src))
	return nil
}

// ReadInts copies the span out as integers. It fails as Write does.
func (m *Memory) ReadInts(dst []int32, src kernel.Span) error {
	if err := m.check("read", src, len(dst)); err != nil {
		return err
	}
	copy(dst, m.i32(src))
	return nil
}

// Free gives the memory up; executables prepared over it fail with ErrFreed
// from then on. It is idempotent.
func (m *Memory) Free() {
	// The steps hold parts of the arena: without dropping them the memory would
	// live as long as its executables.
	for _, e := range m.executables {
		e.steps = nil
	}
	m.floats, m.ints, m.executables, m.freed = nil, nil, nil, true
}

func (m *Memory) check(verb string, s kernel.Span, n int) error {
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
func (m *Memory) f32(s kernel.Span) []float32 {
	if s.Empty() {
		return nil
	}
	return m.floats[s.Offset : s.Offset+s.Len : s.Offset+s.Len]
}

// i32 returns the span as integers, nil for an absent one.
func (m *Memory) i32(s kernel.Span) []int32 {
	if s.Empty() {
		return nil
	}
	return m.ints[s.Offset : s.Offset+s.Len : s.Offset+s.Len]
}
