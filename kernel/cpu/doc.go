// Package cpu implements every operation of package kernel for the host
// processor: a portable reference in Go, and assembly that gives the same bits
// in less time.
//
// Backend is the way in: it selects kernels, hands out Memory and turns a
// kernel.Program into a kernel.Executable. The rest of the exported names are
// the parts it is made of: Level and Features (which instruction set), Pool
// (the threads), Gemm (the matrix product) and FMA32 (the one operation that
// every order of summation in docs/numerics.md is written in).
//
// The package refuses whatever would make a result depend on the machine: no
// reduction is split over threads, no sum is reordered for a vector width, and
// no function of the standard library's math package is used where its bits
// could differ. In Go code every product that meets a sum is rounded by an
// explicit conversion, float32(x*y) + z, since the compiler may fuse the bare
// form; a fused step is written FMA32(x, y, z).
//
// A Backend is safe for concurrent use. A Memory, and the executables prepared
// over it, belong to one goroutine at a time. The threads of a Pool are the
// only goroutines; Close ends them and waits.
package cpu
