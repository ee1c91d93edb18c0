// Package cpu implements every operation of package kernel for the host
// processor: a portable reference in Go, and assembly that gives the same bits
// in less time.
//
// Backend is the way in: it selects kernels, hands out memory and turns a
// kernel.Program into a kernel.Executable. The other exported names are its
// parts: Level and Features (which instruction set), Pool (the threads), Gemm
// (the matrix product), FMA32 (the operation in terms of which docs/numerics.md
// defines every order of summation), and the errors.
//
// The package avoids everything that would make a result depend on the machine:
// no reduction is split over threads, no sum is reordered for a vector width,
// and no function of the standard library's math package is used where its bits
// could differ. In Go code every product in a sum is rounded by an explicit
// conversion, float32(x*y) + z, because the compiler may fuse the bare form; a
// fused step is written FMA32(x, y, z).
//
// A Backend is safe for concurrent use. A kernel.Memory, and the executables prepared
// over it, belong to one goroutine at a time. The threads of a Pool are the
// only goroutines; Close ends them and waits.
package cpu
