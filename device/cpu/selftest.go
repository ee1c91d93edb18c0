package cpu

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"

	"reprise/fault"
	"reprise/kernel"
)

// SelfTestError says what is wrong with the device.
type SelfTestError struct {
	What string // "memory", "matrix product"
	Got  string
	Want string
	Err  error // of the backend, instead of Got and Want
}

// Error names the part and the difference.
func (e *SelfTestError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("self-test of the %s: %v", e.What, e.Err)
	}
	return fmt.Sprintf("self-test of the %s: got %s, want %s", e.What, e.Got, e.Want)
}

// Kind returns Internal.
func (e *SelfTestError) Kind() fault.Kind { return fault.Internal }

// Unwrap returns the backend's error, if it was one.
func (e *SelfTestError) Unwrap() error { return e.Err }

// selfTest fails with a *SelfTestError unless the backend keeps what is written
// to it and computes the bits that every machine computes.
func selfTest(b kernel.Backend) error {
	if err := testMemory(b); err != nil {
		return err
	}
	return testMatMul(b)
}

// memoryElements is enough to leave the cache closest to a core: 256 KiB.
const memoryElements = 1 << 16

// testMemory writes patterns in which neighbouring bits differ, their
// complements, and each element's own index. That reveals a stuck or coupled
// bit, and two addresses that name the same memory.
func testMemory(b kernel.Backend) error {
	const what = "memory"
	m, err := b.Allocate(memoryElements)
	if err != nil {
		return &SelfTestError{What: what, Err: err}
	}
	defer m.Free()
	all := kernel.Span{Len: memoryElements}
	wrote, read := make([]int32, memoryElements), make([]float32, memoryElements)
	for _, pattern := range []func(i uint32) uint32{
		func(uint32) uint32 { return 0xaaaaaaaa },
		func(uint32) uint32 { return 0x55555555 },
		func(i uint32) uint32 { return i },
		func(i uint32) uint32 { return ^i },
	} {
		for i := range wrote {
			wrote[i] = int32(pattern(uint32(i)))
		}
		if err := m.WriteInts(all, wrote); err != nil {
			return &SelfTestError{What: what, Err: err}
		}
		if err := m.Read(read, all); err != nil {
			return &SelfTestError{What: what, Err: err}
		}
		for i := range read {
			if got, want := math.Float32bits(read[i]), uint32(wrote[i]); got != want {
				return &SelfTestError{What: fmt.Sprintf("%s, element %d", what, i), Got: fmt.Sprintf("%08x", got), Want: fmt.Sprintf("%08x", want)}
			}
		}
	}
	return nil
}

// The matrix product of the self-test: no dimension is a multiple of a tile, so
// that full tiles and edges take part.
const (
	testM, testN, testK = 29, 83, 67
	// testSHA256 is that of C's elements, little-endian, row by row.
	testSHA256 = "9bcb54a37727118278c681ed5b876ac26b1b146df924a21d9b5ab54a02c5c4df"
)

// testMatMul compares the SHA-256 of a matrix product with the one that the
// portable kernel gives.
func testMatMul(b kernel.Backend) error {
	const what = "matrix product"
	program, values := testProgram()
	m, err := b.Allocate(program.Elements)
	if err != nil {
		return &SelfTestError{What: what, Err: err}
	}
	defer m.Free()
	if err := m.Write(kernel.Span{Len: len(values)}, values); err != nil {
		return &SelfTestError{What: what, Err: err}
	}
	x, err := b.Prepare(program, m)
	if err != nil {
		return &SelfTestError{What: what, Err: err}
	}
	if err := x.Run(kernel.Scalars{}); err != nil {
		return &SelfTestError{What: what, Err: err}
	}
	c := make([]float32, testM*testN)
	if err := m.Read(c, kernel.Span{Offset: len(values), Len: len(c)}); err != nil {
		return &SelfTestError{What: what, Err: err}
	}
	if got := sumOf(c); got != testSHA256 {
		return &SelfTestError{What: what, Got: "bits with SHA-256 " + got, Want: testSHA256}
	}
	return nil
}

// testProgram returns C = bias + A B and the values of A, B and bias, which
// come before C in memory. The magnitudes differ enough for sums to cancel and
// to round at every step.
func testProgram() (*kernel.Program, []float32) {
	const a, b, bias = testM * testK, testK * testN, testN
	values := make([]float32, a+b+bias)
	state := uint32(1)
	for i := range values {
		state = state*1664525 + 1013904223 // Numerical Recipes' generator
		// Sign and mantissa are the generator's; magnitudes from 2^-2 to 2^2.
		exponent := 127 - 2 + state>>27&3
		values[i] = math.Float32frombits(state&0x80000000 | exponent<<23 | state>>3&0x7fffff)
	}
	c := len(values)
	return &kernel.Program{
		Name: "self-test", Elements: c + testM*testN,
		Instructions: []kernel.Instruction{kernel.MatMul{
			A: kernel.Span{Len: a}, B: kernel.Span{Offset: a, Len: b}, Bias: kernel.Span{Offset: a + b, Len: bias},
			C: kernel.Span{Offset: c, Len: testM * testN}, M: testM, N: testN, K: testK,
		}},
	}, values
}

func sumOf(values []float32) string {
	bytes := make([]byte, 0, 4*len(values))
	for _, v := range values {
		bytes = binary.LittleEndian.AppendUint32(bytes, math.Float32bits(v))
	}
	sum := sha256.Sum256(bytes)
	return hex.EncodeToString(sum[:])
}
