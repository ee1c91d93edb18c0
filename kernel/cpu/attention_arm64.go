//go:build !noasm

package cpu

// newStripKernel returns the best kernel for the level.
func newStripKernel(level Level) stripKernel {
	if level >= LevelNEON {
		return stripKernel{rows: 4, cols: 16, run: strip4x16NEON}
	}
	return portableStrip()
}

// strip4x16NEON is a stripKernel of 4 rows and 16 columns. It trusts its
// arguments' lengths.
//
//go:noescape
func strip4x16NEON(m, k int, a []float32, rowStep, kStep int, b []float32, ldb int, c []float32, ldc int, accumulate bool)
